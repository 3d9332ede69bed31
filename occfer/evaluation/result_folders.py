"""Folders with results: of a run, of a run over all folds, or of an evaluation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from occfer.data.vocabulary import LONGEST_WORD
from occfer.errors import CheckpointError, ReportError
from occfer.files import read_json
from occfer.method_table import METHOD_TABLE, shown_name
from occfer.metrics.averages import MeanAndSd
from occfer.metrics.predictions import Predictions
from occfer.metrics.result_files import METRICS, PREDICTIONS, read_result, read_summary
from occfer.runs.model_info import MOST_MANIFESTS, ManifestFacts, config_facts, data_facts
from occfer.runs.run_folder import TRAIN, TRAIN_FOLDS, RunPaths, fold_folders
from occsynth.files import is_file, is_folder
from occsynth.ownership import maker_of, owned_folder
from occsynth.reading import record_of

ResultKind = Literal["run", "folds", "evaluation"]


@dataclass(frozen=True, slots=True)
class KnownManifest:
    """A manifest that a result's models were trained or tested on.

    Attributes:
        name, database: of the manifest.
        sha256: of its CSV at that time.
        test_only: whether no model was trained on it.
        path: where it is now; None if it was not found. Its content may have changed since.
    """

    name: str
    database: str
    sha256: str
    test_only: bool
    path: Path | None


@dataclass(frozen=True, slots=True)
class FoldFacts:
    """What metrics.json of a run over all folds says of them."""

    accuracy: MeanAndSd


@dataclass(frozen=True, slots=True)
class ResultFacts:
    """What is used of metrics.json beside predictions.csv.

    Attributes:
        method: its key.
        notes: what a reader must know.
        overlap: how many tested samples show people or pictures that the model was trained on.
        folds: of a run over all folds.
        checkpoint, manifests, manifest_files: of an evaluation.
        view: the faces that an evaluation has tested, `clean` or `occluded`; empty for those of the method.
    """

    method: str = ""
    view: str = ""
    notes: tuple[str, ...] = ()
    overlap: int | None = None
    folds: FoldFacts | None = None
    checkpoint: str | None = None
    manifests: tuple[ManifestFacts, ...] | None = None
    manifest_files: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Result:
    """A folder with predictions.csv and metrics.json.

    Attributes:
        folder: its path.
        kind: what wrote it.
        facts: what is used of metrics.json.
        models: the run folders of the models, one per fold for a run over all folds; none if they are gone.
    """

    folder: Path
    kind: ResultKind
    facts: ResultFacts
    models: tuple[Path, ...]

    @property
    def method(self) -> str:
        """The method's key."""
        return self.facts.method

    @property
    def shows_clean_faces(self) -> bool:
        """Whether a model that is for occluded faces was tested on clean ones."""
        known = METHOD_TABLE.get(self.method)
        return self.facts.view == "clean" and (known is None or known.view != "clean")

    @property
    def title(self) -> str:
        """Such as `full (runs/demo)`: the folder tells two runs of one method apart."""
        return f"{shown_name(self.method)} ({self.folder})"

    @cached_property
    def predictions(self) -> Predictions:
        """The models' answers."""
        return read_result(self.folder)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The settings of the first model; empty if its run folder is gone."""
        return _json(RunPaths(self.models[0]).config, config_facts) if self.models else {}

    @cached_property
    def data(self) -> dict[str, Any]:
        """The first model's data.json; empty if its run folder is gone."""
        return _json(RunPaths(self.models[0]).data, data_facts) if self.models else {}

    @cached_property
    def manifests(self) -> tuple[KnownManifest, ...]:
        """What the models were tested on; for a run and for all folds, also what they were trained on."""
        evaluated = self.kind == "evaluation"
        entries = self.facts.manifests if evaluated else data_facts(self.data, str(self.folder)).manifests
        return tuple(
            KnownManifest(each.name, each.database, each.sha256, evaluated or each.test_only, self._find(each.name))
            for each in entries or ()
        )

    def _find(self, name: str) -> Path | None:
        """A manifest by its name: where the run found it, below a folder around the results, or beside another one."""
        trained = config_facts(self.config, str(self.folder))
        own = self.facts.manifest_files if self.kind == "evaluation" else ()
        given = (*own, *trained.manifests, *trained.test_manifests)
        places = [place for text in given for place in places_of(Path(text), self.folder)]
        named = [path for path in places if _stem(path) == name]
        beside = [path.parent / f"{name}{ending}" for path in places for ending in (".csv", ".csv.gz")]
        return next((path for path in (*named, *beside) if is_file(path)), None) if "/" not in name else None


def open_result(folder: Path) -> Result:
    """The results in a folder, or in the folder of a predictions.csv.

    Raises:
        ReportError: there are none, or they are damaged.
    """
    if folder.name == PREDICTIONS:
        folder = folder.parent
    if not is_file(folder / PREDICTIONS) or not is_file(folder / METRICS):
        raise ReportError(
            f"{folder} holds no results ({PREDICTIONS} and {METRICS} not found); name a finished run folder, the "
            "folder of a run over all folds, or an evaluation folder"
        )
    facts = record_of(ResultFacts, read_summary(folder), str(folder / METRICS), ReportError)
    if len(facts.method) > LONGEST_WORD:
        raise ReportError(f"{folder / METRICS}: its method is not a word")
    if len(facts.manifests or ()) + len(facts.manifest_files) > 2 * MOST_MANIFESTS:
        raise ReportError(f"{folder / METRICS} names more than {MOST_MANIFESTS} manifests")
    if is_file(RunPaths(folder).config):
        return Result(folder, "run", facts, (folder,))
    if facts.checkpoint is not None and facts.manifests is not None:
        return Result(folder, "evaluation", facts, tuple(_run_folders(folder, Path(facts.checkpoint))))
    return Result(folder, "folds", facts, tuple(_folds(folder)))


def _run_folders(folder: Path, checkpoint: Path) -> list[Path]:
    """The run folders of the checkpoint that an evaluation tested."""
    for place in places_of(checkpoint, folder):
        owners = [place, place.parent, place.parent.parent] if is_file(place) else [place]
        for owner in owners:
            if is_file(RunPaths(owner).config):
                return [owner]
        if is_folder(place) and (folds := _folds(place)):
            return folds
    return []


def _folds(folder: Path) -> list[Path]:
    return [each for each in fold_folders(folder) if is_file(RunPaths(each).config)]


@contextmanager
def claimed_results(
    folder: Path, maker: str, flag: str, made_before: Callable[[Path], bool], *, overwrite: bool
) -> Iterator[None]:
    """Claims a folder for results, see `owned_folder`; a training run is never written into.

    Args:
        folder: to write to.
        maker: the command.
        flag: the flag that names the folder.
        made_before: whether version 0.1 of the command, which left no mark, has made a folder.
        overwrite: whether the user's own files there may be replaced.

    Raises:
        ReportError: the folder is not the command's, or another process works in it.
    """
    if _holds_run(folder):
        raise ReportError(f"{flag} {folder} holds a training run, whose results would be lost; choose another folder")
    with owned_folder(folder, maker, ReportError, overwrite=overwrite, made_before=made_before):
        yield


def _holds_run(folder: Path) -> bool:
    """Whether there is a run, or the pooled results of runs over all folds."""
    paths = RunPaths(folder)
    begun = maker_of(folder) in (TRAIN, TRAIN_FOLDS) or (paths.config.is_file() and paths.checkpoints.is_dir())
    return begun or bool(_folds(folder))


def places_of(path: Path, folder: Path) -> Iterator[Path]:
    """Where a path may lead that was typed when the results were made: from here, or from a folder around them.

    Args:
        path: as the configuration has it.
        folder: of the results.
    """
    yield path
    if not path.is_absolute():
        yield from (parent / path for parent in folder.resolve().parents)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".csv")


def _json(path: Path, facts: Callable[[dict[str, Any], str], object]) -> dict[str, Any]:
    """A JSON object whose facts, as far as they are used, are of their types."""
    try:
        content = read_json(path)
        facts(content, str(path))
        return content
    except CheckpointError as error:
        raise ReportError(str(error)) from error
