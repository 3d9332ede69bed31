"""`occfer tune`: any settings of training, chosen on validation rows."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from occfer.cli.options import Manifests
from occfer.cli.progress import telling
from occfer.cli.training_flags import OF_MANY_RUNS, with_training_flags
from occfer.config import TrainConfig
from occfer.config_fields import NOT_COMPARED, flag
from occfer.errors import ConfigError
from occsynth.cli.options import Backend, Scheduler, Slurm, Workers
from occsynth.cli.output import say, shown, table

if TYPE_CHECKING:
    from occfer.jobs.search_space import Value

NEEDS_TUNE = "occfer tune needs Optuna: pip install 'occsynth[tune]'"


@with_training_flags(OF_MANY_RUNS)
def tune(
    settings: dict[str, Any],
    manifest: Manifests,
    test_manifest: Annotated[
        list[Path] | None,
        typer.Option(
            "--test-manifest",
            metavar="CSV",
            help="Manifest that will be tested on later: its faces are kept out of the search.",
        ),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", metavar="NAME", help="Method or baseline: see `occfer methods`.")
    ] = "full",
    folds: Annotated[
        str,
        typer.Option(
            "--folds", metavar="K[,K]|all", help="Folds whose validation accuracies are averaged; default: the first."
        ),
    ] = "",
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            metavar="NAME=V,V",
            help="Values of a flag to search, such as rate=1e-5,2e-5, schedule=linear,cosine or flip=true,false; "
            "repeatable.",
        ),
    ] = None,
    trials: Annotated[
        int,
        typer.Option("--trials", metavar="N", min=1, help="Largest number of trials, those of earlier calls included."),
    ] = 32,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for runs, trials and the result.")] = Path(
        "tune"
    ),
    workers: Workers = None,
    backend: Backend = "loky",
    scheduler: Scheduler = "",
    slurm: Slurm = None,
) -> None:
    """Search loss weights and other settings on validation samples and write a file for --config.

    Test samples are never predicted.
    """
    try:
        from occfer.jobs.search_space import TuneOptions
        from occfer.jobs.search_space import shown as shown_value
        from occfer.jobs.tune import tune as search
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise ConfigError(NEEDS_TUNE) from error
    from occfer.jobs.graph import lost_job
    from occfer.jobs.worker import how_many, workplace
    from occsynth.parallel import run_chunks
    from occsynth.slurm import SLURM_FOLDER, SlurmJobs, jobs_at_once

    out = out.resolve()  # workers of a cluster may begin elsewhere
    jobs = SlurmJobs(out / SLURM_FOLDER, tuple(slurm or ()), lost=lost_job)
    base = TrainConfig.from_json(
        {"manifests": [str(path) for path in manifest], "test_manifests": [str(path) for path in test_manifest or []]}
        | {"method": method}
        | settings
    )
    many, tell = how_many(workers or jobs_at_once(backend), base.device), partial(say, err=True)
    found = search(
        TuneOptions(
            base=base,
            folds=_folds(base, folds),
            grid=dict(map(_values, grid or [])),
            trials=trials,
            at_once=many,
            given={name: value for name, value in settings.items() if name not in NOT_COMPARED},
            out=out,
        ),
        telling(partial(run_chunks, workers=many, backend=backend, scheduler=scheduler, slurm=jobs), tell),
        workplace(many, backend),
        tell,
    )
    ranked = sorted(found.trials, key=lambda trial: trial.merit, reverse=True)
    table(
        ("trial", "phase", *found.best.params, "validation accuracy", "loss", "UAR"),
        [
            (str(trial.number), trial.phase, *(shown_value(trial.params[name]) for name in found.best.params),
             f"{trial.score.accuracy:.4f}", f"{trial.score.loss:.4f}",
             "-" if trial.score.uar is None else f"{trial.score.uar:.4f}")
            for trial in ranked[:5]
        ],
    )  # fmt: skip
    say("config", shown(found.config))


def _folds(base: TrainConfig, text: str) -> tuple[int | None, ...]:
    from occfer.protocols.manifests import read_manifest

    known = read_manifest(base.manifests[0]).folds
    if known == (None,) or base.test_manifests:
        if text:
            raise ConfigError("--folds: these manifests have an official split or a test manifest; leave it out")
        return (None,)
    if text == "all":
        return known
    wanted = [int(word) if word.strip().isdecimal() else word for word in text.split(",") if word.strip()]
    unknown = [str(fold) for fold in wanted if fold not in known]
    if unknown:
        raise ConfigError(f"--folds {', '.join(unknown)}: there are the folds {', '.join(map(str, known))}, or all")
    return tuple(fold for fold in known if fold in wanted) or known[:1]


def _values(text: str) -> "tuple[str, tuple[Value, ...]]":
    """`rate=1e-5,2e-5` as a field and its values."""
    from occfer.jobs.search_space import parsed

    name, equals, listed = text.partition("=")
    fields = {flag(field)[2:]: field for field in TrainConfig.__dataclass_fields__}
    if name not in fields or not equals or not all(listed.split(",")):
        raise ConfigError(f"--grid {text}: must name a flag of training and its values, such as rate=1e-5,2e-5")
    return fields[name], parsed(fields[name], listed.split(","))
