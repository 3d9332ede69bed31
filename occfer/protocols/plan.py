"""The jobs that a protocol takes: a training for each method, training set, fold and seed, and the tests after it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from occfer.config import TrainConfig
from occfer.jobs.graph import Job, make_job
from occfer.jobs.relevant_settings import content_of, only_own
from occfer.method_table import METHOD_TABLE
from occfer.methods import Method
from occfer.protocols.protocol import Protocol, TestedOn, TrainingSet
from occfer.protocols.request import BRANCHES, RUNS
from occfer.tables.paper_methods import CLEAN, CLEAN_ON_OCCLUDED, FULL
from occfer.training.check import check_settings


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run that a protocol needs; `training` is the key of its training set."""

    method: str
    training: str
    fold: int | None
    seed: int

    def place(self, between: str = ", ") -> str:
        """`ck+-r8, fold 3, seed 0` for people; with `-` between, `ck+-r8-fold3-seed0` for file names."""
        space = " " if between == ", " else ""
        fold = () if self.fold is None else (f"fold{space}{self.fold}",)
        return between.join((self.training, *fold, f"seed{space}{self.seed}"))


@dataclass(frozen=True, slots=True)
class Plan:
    """The jobs of a protocol.

    Attributes:
        train: by run; those that only other runs need are among them.
        evaluate: by run and column, for columns that are tested afterwards.
    """

    train: Mapping[PlannedRun, Job]
    evaluate: Mapping[tuple[PlannedRun, str], Job]

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All jobs, each once."""
        return tuple({job.key: job for job in (*self.train.values(), *self.evaluate.values())}.values())

    def result(self, run: PlannedRun, tested: TestedOn) -> Job | None:
        """The job whose predictions.csv belongs into a column; None where the plan has none."""
        return self.evaluate.get((run, tested.column.key)) if tested.evaluate_on else self.train.get(run)


@dataclass(slots=True)
class Planner:
    """Makes the jobs of a protocol.

    Attributes:
        protocol: what the jobs are for.
        settings: of every run, except what belongs to one run: manifests, method, fold, seed, folder.
        seeds: number of seeds; the first is the settings' own.
        out: folder of runs and branches.
        keep_models: whether every model stays, not only those of `full` and those that are tested later. The thousands
            of models of a table take hundreds of gigabytes.
    """

    protocol: Protocol
    settings: TrainConfig
    seeds: int
    out: Path
    keep_models: bool = False
    _train: dict[PlannedRun, Job] = field(default_factory=dict)

    def plan(self) -> Plan:
        """Every job that the table needs.

        Raises:
            OccFERError: a setting is wrong.
        """
        methods = [method for method in self.protocol.methods if method in METHOD_TABLE]
        evaluate: dict[tuple[PlannedRun, str], Job] = {}
        for tested in self.protocol.present:
            training_set = self.protocol.sets[tested.training]
            for run in self.runs(tested.training, [each for each in methods if tested.takes(each, training_set)]):
                job = self._job(run)
                if tested.evaluate_on:
                    evaluate[run, tested.column.key] = self._evaluation(run, job, tested)
        return Plan(dict(self._train), evaluate)

    def runs(self, training: str, methods: Sequence[str]) -> Iterator[PlannedRun]:
        """The runs of some methods on a training set: one for each fold, method and seed."""
        for fold in self.protocol.sets[training].folds:
            for method in methods:
                for seed in range(self.settings.seed, self.settings.seed + self.seeds):
                    yield self._run(method, training, fold, seed)

    def _run(self, method: str, training: str, fold: int | None, seed: int) -> PlannedRun:
        """A run; that of the reference `clean` belongs to the first training set with the same clean images.

        So it is trained once for all modes of a database.
        """
        if method == CLEAN:
            sets = self.protocol.sets
            training = next(key for key in sets if sets[key].clean_sha256 == sets[training].clean_sha256)
        return PlannedRun(method, training, fold, seed)

    def _job(self, run: PlannedRun) -> Job:
        if run not in self._train:
            self._train[run] = self._training(run)
        return self._train[run]

    def _training(self, run: PlannedRun) -> Job:
        training_set = self.protocol.sets[run.training]
        config = only_own(
            replace(
                self.settings,
                manifests=tuple(each.path for each in training_set.manifests),
                test_manifests=tuple(each.path for each in training_set.test_manifests),
                method=run.method,
                fold=run.fold,
                seed=run.seed,
                size_px=self.settings.size_px or training_set.size_px,
                branch_cache=self.out / BRANCHES,
                out=Path(),  # the worker sets it to the job's folder, whose name ends with the job's key
            )
        )
        check_settings(config)
        # the reference is trained and tested on clean images alone, so a change of the occluded ones must not redo it
        digests = [
            [each.clean_sha256 if run.method == CLEAN else each.sha256 for each in manifests]
            for manifests in (training_set.manifests, training_set.test_manifests)
        ]
        # for the same reason its folder is named after the database, not after one of the modes
        databases = "+".join(dict.fromkeys(each.database for each in training_set.manifests))
        named = replace(run, training=databases) if run.method == CLEAN else run
        return make_job(
            "train",
            f"train {run.method} on {run.place()}",
            parent=self.out / RUNS,
            content=content_of(config, *digests),
            payload={"config": config.to_json(), "keep_model": self._keeps(run)},
            needs=[self._job(before) for before in self._before(run)],
            label=label(run.method, training_set, config),
            cost=cost(run.method, training_set, config),
            folder_name=f"{run.method}-{named.place('-')}",
        )

    def _before(self, run: PlannedRun) -> Iterator[PlannedRun]:
        """The runs that train the branches which this one starts from or is guided by."""
        method = METHOD_TABLE[run.method]
        if method.stage2:
            yield PlannedRun("resnet", run.training, run.fold, run.seed)
        # both references train the same clean branch; the test samples decide which of them can be tested
        teacher = CLEAN if self.protocol.sets[run.training].tests_clean else CLEAN_ON_OCCLUDED
        if "clean" in method.branches and run.method not in (CLEAN, teacher):
            yield self._run(teacher, run.training, run.fold, run.seed)

    def _keeps(self, run: PlannedRun) -> bool:
        if self.keep_models or run.method == FULL:
            return True
        return any(tested.evaluate_on and tested.training == run.training for tested in self.protocol.columns)

    def _evaluation(self, run: PlannedRun, trained: Job, tested: TestedOn) -> Job:
        cache_dir = self.settings.cache_dir
        images = sum(each.rows for each in tested.evaluate_on)
        return make_job(
            "evaluate",
            f"test {run.method} of {run.place()} on {', '.join(each.name for each in tested.evaluate_on)}",
            parent=self.out / RUNS,
            content={"manifests": [each.sha256 for each in tested.evaluate_on]},
            payload={
                "run": str(trained.folder),
                "manifests": [str(each.path) for each in tested.evaluate_on],
                "device": self.settings.device,
                "cache_dir": None if cache_dir is None else str(cache_dir),
            },
            needs=[trained],
            label=f"test {run.method} {images}",
            cost=images / 3,  # forward passes alone, about a third of an update
            folder_name=f"{run.method}-{run.place('-')}-on-{tested.column.key.replace('>', '')}",
        )


def label(method: str, training_set: TrainingSet, config: TrainConfig) -> str:
    """What runs that take about as long have in common; finished jobs are remembered by it, see `timings`."""
    size_px = config.size_px or training_set.manifests[0].size_px
    lengths = (f"{name}{value}" for name, value in _lengths(method, config).items())
    # left out where they do nothing, so that times which version 0.1 took still count
    network = ["small stem"] if config.stem == "small" else []
    network += [f"network {config.network_px}px"] if config.network_px else []
    parts = (method, config.backbone, *network, f"{size_px}px", *lengths, f"rows{training_set.pair_count}")
    return " ".join(parts)


def _lengths(method: str, config: TrainConfig) -> dict[str, Any]:
    if METHOD_TABLE[method].kind == "baseline":
        names: tuple[str, ...] = ("baseline_epochs", "baseline_updates", "rgbt_templates", "forest_trees")
    else:
        names = ("pretrain_epochs", "epochs", "batch_size")
    return {name: getattr(config, name) for name in names}


def cost(method: str, training_set: TrainingSet, config: TrainConfig) -> float:
    """A rough number of passes over images, to start long jobs first; baselines take longest of all."""
    known = METHOD_TABLE[method]
    if known.kind == "baseline":
        return float(training_set.pair_count * 1000)
    passes = config.epochs * relative_cost(known) if known.stage2 else config.pretrain_epochs
    return float(training_set.pair_count * passes)


def relative_cost(method: Method) -> float:
    """What an update of stage 2 costs, in updates of a plain network; only to order jobs."""
    return 1.0 + 0.4 * method.needs_discriminator + 0.3 * method.needs_decoder
