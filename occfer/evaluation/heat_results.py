"""Folders of `occfer explain`: explain.json with what was explained, heat.csv with the shares of each face."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from occfer.data.vocabulary import LONGEST_WORD, MOST_CLASSES
from occfer.errors import CheckpointError, ReportError
from occfer.evaluation.result_folders import Result
from occfer.files import file_sha256, read_sealed, write_sealed
from occfer.method_table import shown_name
from occfer.metrics.heat import HeatComparison, HeatedPair, HeatGroup, compare_heat, heat_groups, read_heat, write_heat
from occfer.runs.model_info import LARGEST_SIDE_PX, MOST_MANIFESTS, ManifestFacts
from occfer.runs.run_folder import RunPaths
from occsynth.files import is_file
from occsynth.reading import record_of

FILE, TABLE, SHEET = "explain.json", "heat.csv", "sheet.png"
KIND = "explain"
"""The folder in a run folder that holds what was explained, perhaps by manifest."""
MOST_FOLDERS = 200

Explained = Literal["answer", "truth"]


@dataclass(frozen=True, slots=True)
class HeatFacts:
    """What is used of explain.json beside heat.csv.

    Attributes:
        method: its key.
        checkpoint: as it was given.
        models: SHA-256 of each model file.
        explained: whose heat it is: that of the network's `answer`, or of the `truth`.
        classes: the vocabulary.
        map_hw: cells of the last map, height and width.
        manifests: what was explained.
        notes: what a reader must know.
    """

    method: str
    checkpoint: str
    models: tuple[str, ...]
    explained: Explained
    classes: tuple[str, ...]
    map_hw: tuple[int, int]
    manifests: tuple[ManifestFacts, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class HeatResult:
    """A folder of `occfer explain`.

    Attributes:
        folder: its path.
        facts: what was explained.
        pairs: every explained pair, with its shares.
    """

    folder: Path
    facts: HeatFacts
    pairs: tuple[HeatedPair, ...]

    @cached_property
    def groups(self) -> list[HeatGroup]:
        """The shares of all pairs, then of groups of them."""
        return heat_groups(self.pairs)

    @property
    def without_occluder(self) -> int:
        """Pairs that have no mask, or one that hides nothing: their shares are not known."""
        return sum(each.share_of_face is None for each in self.pairs)

    @property
    def title(self) -> str:
        """Such as `full (runs/demo)`, as results are called."""
        return f"{shown_name(self.facts.method)} ({self.facts.checkpoint})"


def write_heat_result(folder: Path, facts: dict[str, Any], pairs: Sequence[HeatedPair]) -> None:
    """Writes heat.csv, then explain.json, which seals it.

    Args:
        folder: exists.
        facts: those of `HeatFacts`, JSON values.
        pairs: every explained pair.
    """
    write_heat(folder / TABLE, pairs)
    groups = [group.to_json() for group in heat_groups(pairs)]
    write_sealed(folder / FILE, {**facts, "rows": groups}, [folder / TABLE])


def open_heat(folder: Path) -> HeatResult:
    """What `occfer explain` has written into a folder.

    Raises:
        ReportError: it is missing or damaged.
    """
    path = folder / FILE
    try:
        content = read_sealed(path)
    except CheckpointError as error:
        raise ReportError(f"{error}; run occfer explain again") from error
    facts = record_of(HeatFacts, content, f"{path} is not of occfer explain", ReportError)
    words = (facts.method, *facts.classes)
    if not 0 < len(facts.classes) <= MOST_CLASSES or max(map(len, words)) > LONGEST_WORD:
        raise ReportError(f"{path}: its method or its classes are no words")
    if not all(0 < cells <= LARGEST_SIDE_PX for cells in facts.map_hw):
        raise ReportError(f"{path}: its map_hw is no size of a map")
    if len(facts.manifests) > MOST_MANIFESTS or len(facts.models) > MOST_MANIFESTS:
        raise ReportError(f"{path} names more than {MOST_MANIFESTS} manifests or models")
    return HeatResult(folder, facts, read_heat(folder / TABLE, facts.classes))


def heat_folders(run: Path) -> list[Path]:
    """The folders of `occfer explain` in a run folder: `explain`, and those directly in it."""
    around = run / KIND
    inside = sorted(around.iterdir())[:MOST_FOLDERS] if around.is_dir() else []
    return [folder for folder in (around, *inside) if is_file(folder / FILE)]


def heat_of(result: Result) -> tuple[list[HeatResult], list[str]]:
    """What was explained of the models of a result, and notes about what cannot be used.

    A model that was trained again since is another model, whose heat is not known.
    """
    around = (result.models[0].parent,) if len(result.models) > 1 else ()
    runs = dict.fromkeys((result.folder, *result.models, *around))
    found: list[HeatResult] = []
    notes: list[str] = []
    now = {file_sha256(path) for path in map(_model, result.models) if is_file(path)}
    for folder in (each for run in runs for each in heat_folders(run)):
        heat = open_heat(folder)
        if now and not now & set(heat.facts.models):
            notes.append(f"{folder} explains another model than that of {result.folder}; run occfer explain again")
        else:
            found.append(heat)
    return found, notes


def _model(run: Path) -> Path:
    return RunPaths(run).best


def compare_heat_of(a: Result, b: Result) -> tuple[dict[Explained, HeatComparison], list[str]]:
    """The heat of two results on the pairs that both were tested on and explained: of their answers, of the truth."""
    (ours, about_ours), (theirs, about_theirs) = heat_of(a), heat_of(b)
    tested = {pair.key for pair in a.predictions.pairs} & {pair.key for pair in b.predictions.pairs}
    found: dict[Explained, HeatComparison] = {}
    explained: tuple[Explained, ...] = ("answer", "truth")
    for what in explained:
        sides = (
            {each.pair.key: each for each in _explained(heat, what) if each.pair.key in tested}
            for heat in (ours, theirs)
        )
        comparison = compare_heat(*(list(side.values()) for side in sides))
        if comparison is not None:
            found[what] = comparison
    return found, [*about_ours, *about_theirs]


def _explained(results: Sequence[HeatResult], what: Explained) -> Iterator[HeatedPair]:
    for result in results:
        if result.facts.explained == what:
            yield from result.pairs
