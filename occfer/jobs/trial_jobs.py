"""The runs of a search's trials, as jobs: each stops before its test, so no test sample is predicted.

Jobs are content-addressed and share the branches of stage 1: a second call continues where the first one stopped, and a
search over another grid uses every run that it has in common with this one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from occfer.config import TrainConfig
from occfer.data.manifests import read_corpus
from occfer.data.splits import split_corpus
from occfer.engine.scoring import Score
from occfer.errors import ConfigError
from occfer.files import digest
from occfer.jobs.graph import Job, JobOutcome, ParallelMap, make_job, run_graph
from occfer.jobs.relevant_settings import content_of, only_own
from occfer.jobs.search_space import TuneOptions, Value
from occfer.jobs.worker import Workplace, do_job
from occfer.method_table import method_named
from occfer.runs.run_folder import open_run
from occfer.settings import Selection

RUNS = "runs"


@dataclass(frozen=True, slots=True)
class TrialScore:
    """Accuracy, loss and UAR on the validation samples, the means over folds; version 0.1 had no UAR."""

    accuracy: float
    loss: float
    uar: float | None = None

    def merit(self, select: Selection) -> tuple[float, float]:
        """What trials are ranked by, the greater the better: see `occfer.engine.scoring.Score.merit`."""
        return Score(self.accuracy, self.loss, self.uar).merit(select)


@dataclass(frozen=True, slots=True)
class TrialFailure:
    """Why a trial has no score.

    Attributes:
        lasting: whether it would fail at every try, because its own training diverged or its settings conflict.
        conflict: which settings conflict, and why; empty if it was trained.
    """

    lasting: bool
    conflict: str = ""


def run_trials(
    options: TuneOptions,
    parallel_map: ParallelMap,
    workplace: Workplace,
    say: Callable[[str], None],
    configs: Sequence[TrainConfig],
) -> list[TrialScore | TrialFailure]:
    """The scores of some configurations, in their order; a failure where the run of a fold failed."""
    jobs = [[job for fold in options.folds for job in _jobs(options, replace(config, fold=fold))] for config in configs]

    lasting: set[str] = set()

    def on_done(job: Job, outcome: JobOutcome) -> None:
        if outcome.error:
            say(f"failed: {job.name}: {outcome.error}")
        if outcome.lasting:
            lasting.add(job.key)

    every_job = [job for of_trial in jobs for job in of_trial]
    report = run_graph(every_job, partial(do_job, workplace=workplace), parallel_map, on_done, say)

    def result(of_trial: Sequence[Job]) -> TrialScore | TrialFailure:
        trained = [job for job in of_trial if job.payload["is_trial"]]
        culprits = {report.blocked.get(job.key, job.key) for job in trained if not job.done}
        return TrialFailure(culprits <= lasting) if culprits else _score(trained)

    return [result(of_trial) for of_trial in jobs]


def _jobs(options: TuneOptions, config: TrainConfig) -> Iterator[Job]:
    """A run without its test, after the runs that train the branches that trials share."""
    branches = []
    method = method_named(config.method)
    if method.stage2:
        names = ("resnet", "clean") if "clean" in method.branches else ("resnet",)
        branches = [_job(options, replace(config, method=name), is_trial=False) for name in names]
    yield from branches
    yield _job(options, config, branches)


def _job(options: TuneOptions, config: TrainConfig, needs: Sequence[Job] = (), *, is_trial: bool = True) -> Job:
    own = only_own(replace(config, branch_cache=options.out / "branches", out=Path()))
    manifests = read_corpus(config.manifests, config.test_manifests).manifests
    digests = [manifest.sha256 for manifest in manifests]
    training = len(config.manifests)
    return make_job(
        "train",
        f"{config.method}, fold {config.fold}",
        parent=options.out / RUNS,
        # `tested` tells these jobs from the same runs of a protocol, which have a test
        content=content_of(own, digests[:training], digests[training:]) | {"tested": False},
        payload={"config": own.to_json(), "keep_model": False, "test": False, "is_trial": is_trial},
        needs=needs,
        label=config.method,
    )


def _score(runs: Sequence[Job]) -> TrialScore:
    metrics = [open_run(job.folder).metrics for job in runs]
    count = len(metrics)
    uars = [each["val_uar"] for each in metrics if each.get("val_uar") is not None]
    return TrialScore(
        accuracy=sum(each["val_accuracy"] for each in metrics) / count,
        loss=sum(each["val_loss"] for each in metrics) / count,
        uar=sum(uars) / count if len(uars) == count else None,
    )


def check_ranking(options: TuneOptions) -> None:
    """Refuses a search whose trials could not be ranked.

    Raises:
        ConfigError: a fold has no validation samples.
        DataError: see `read_corpus` and `split_corpus`.
    """
    base = options.base
    corpus = read_corpus(base.manifests, base.test_manifests)
    for fold in options.folds:
        split = split_corpus(
            corpus, fold=fold, val_fraction=base.val_fraction, seed=base.seed, class_count=base.classes
        )
        if not split.val:
            raise ConfigError(
                "--val-fraction 0 leaves no validation samples to rank trials by, and the test samples must not rank "
                "them"
            )


def study_name(options: TuneOptions, searched: Mapping[str, tuple[Value, ...]]) -> str:
    """A name for the study on disk: a digest of everything that its results depend on.

    So a call with another grid, other data or other settings in the same folder starts a study of its own.
    """
    manifests = read_corpus(options.base.manifests, options.base.test_manifests).manifests
    content = content_of(only_own(options.base), [manifest.sha256 for manifest in manifests], [])
    settings = {name: value for name, value in content.items() if name not in searched}
    values = {name: list(each) for name, each in searched.items()}
    return digest({"settings": settings, "searched": values, "folds": list(options.folds)})[:24]
