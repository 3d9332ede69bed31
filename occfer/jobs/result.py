"""The result of a job on disk: the marker that is written last, and whether all is as the job left it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from occfer.errors import DamagedError, ReportError
from occfer.files import is_sealed, read_json, read_sealed, write_sealed
from occfer.metrics.result_files import METRICS, read_result, read_summary
from occfer.runs.checkpoint import load
from occfer.runs.run_folder import RunPaths, open_run
from occsynth.reading import record_of

MARKER = "job.json"
MODEL = ".safetensors"
TENSORBOARD = "tensorboard"


@dataclass(frozen=True, slots=True)
class JobMarker:
    """The content of a job's marker.

    Attributes:
        key, kind, name, label: of the job, see `occfer.jobs.graph.Job`.
        seconds: that it took.
    """

    key: str
    kind: str
    name: str
    label: str
    seconds: float


def write_marker(folder: Path, marker: JobMarker) -> None:
    """Declares a job done and seals the files of its folder, so that damage is noticed when they are needed."""
    facts = {name: getattr(marker, name) for name in JobMarker.__dataclass_fields__}
    write_sealed(folder / MARKER, facts, sorted(_results(folder)))


def read_marker(folder: Path) -> JobMarker:
    """A job's marker, whose other files are not looked at; raises DamagedError if it cannot be read."""
    return record_of(JobMarker, read_json(folder / MARKER), str(folder / MARKER), DamagedError)


def fault(folder: Path, key: str, *, models: bool = False) -> str:
    """What is wrong with a result whose marker is there, in one line; empty if nothing is.

    Args:
        folder: of the job.
        key: of the job.
        models: whether model files are read too. That takes long, and they are needed only by jobs that come after.
    """
    path = folder / MARKER
    try:
        if read_marker(folder).key != key:
            return f"{path} is of another job"
        read_sealed(path, lambda name: models or not name.endswith(MODEL))
        if not is_sealed(path):
            _check_unsealed(folder, models)
    except (DamagedError, ReportError) as error:
        return str(error)
    return ""


def _check_unsealed(folder: Path, models: bool) -> None:
    """Raises DamagedError or ReportError if a job of version 0.1 has files that cannot be read or do not fit."""
    for path in folder.glob("*.json"):
        read_json(path)
    if RunPaths(folder).config.is_file():
        open_run(folder)
    summary = read_summary(folder)
    if "method" not in summary:
        raise DamagedError(f"{folder / METRICS} is not the result of a job")
    if "n" in summary:  # a run of a search has no test, so it has no predictions
        read_result(folder)
    if models:
        for path in folder.glob(f"*/*{MODEL}"):
            load(path)


def _results(folder: Path) -> Iterator[Path]:
    """The files of a job's folder, without hidden ones and TensorBoard's."""
    for path in folder.rglob("*"):
        inner = path.relative_to(folder).parts
        if path.is_file() and path.name != MARKER and TENSORBOARD not in inner and not inner[-1].startswith("."):
            yield path
