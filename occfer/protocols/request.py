"""What the user asks `occfer reproduce` for, and what `--quick` makes of it."""

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from occfer.config import TrainConfig
from occfer.data.manifests import EXPRESSIONS, REAL, can_be_built
from occfer.errors import ConfigError, ReportError
from occfer.protocols.manifests import CROPPED, TEMPLATE, WITH_CONTEMPT, NeededBuild, ProtocolManifest
from occfer.tables.table_file import read_table
from occsynth.ownership import LOCK, OWNER, owned_folder

DEMO = "demo"
RUNS, BRANCHES = "runs", "branches"
"""Folders in that of a request: of the runs, and of branches that they share."""
QUICK_FOLDS = 2
QUICK_SETTINGS: Mapping[str, Any] = {
    "backbone": "resnet18",
    "weights": "none",
    "size_px": 48,
    "pretrain_epochs": 1,
    "epochs": 1,
    "pretrain_rate": 1e-3,
    "rate": 1e-4,
    "baseline_epochs": 1,
    "baseline_updates": 2,
    "baseline_batch_size": 8,
    "batch_size": 8,
    "rgbt_templates": 100,
    "forest_trees": 20,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of `occfer reproduce`.

    Attributes:
        what: `table1` to `table4`, `figure2` to `figure4`.
        databases: keys; empty for the paper's.
        quick: small and short, to see that everything runs.
        methods, folds, modes: compute only these; empty for all. Modes may also be others than the table's.
        fill: what hides the faces of all builds, as for `occsynth build`.
        align: `similarity` aligns all databases of Tables 1 and 3 alike that a model meets together; `own` leaves each
            as its own builds are.
        seeds: number of seeds; None for three, or one if quick.
        settings: fields of `TrainConfig` that were given.
        builds: the build root.
        out: folder of all runs and tables.
        subsets: (database, list of images): really occluded images that Table 3 also tests.
        test_manifests: manifests that Table 3 also tests.
        keep_models: whether every trained model stays, see `Planner`.
        faces, figure_seed, figure_format: of figures.
        command: as typed.
    """

    what: str
    databases: tuple[str, ...] = ()
    quick: bool = False
    methods: tuple[str, ...] = ()
    folds: tuple[int, ...] = ()
    modes: tuple[str, ...] = ()
    fill: str = TEMPLATE
    align: Literal["similarity", "own"] = "similarity"
    seeds: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    builds: Path = Path("builds")
    out: Path = Path("reproduce")
    subsets: tuple[tuple[str, Path], ...] = ()
    test_manifests: tuple[Path, ...] = ()
    keep_models: bool = False
    faces: int = 7
    figure_seed: int = 0
    figure_format: str = "png"
    command: str = ""

    def __post_init__(self) -> None:
        for key in (*self.databases, *(key for key, _ in self.subsets)):
            if not re.fullmatch(r"[\w+-]+", key):  # it becomes part of file names
                raise ConfigError(f"--db {key}: not the key of a database; `occsynth databases` lists the keys")

    @property
    def classes(self) -> int:
        """The number of expressions: 7, or 8 with contempt."""
        return int(self.settings.get("classes", len(EXPRESSIONS)))

    def needed(
        self,
        database: str,
        mode: str,
        size_px: int | None = None,
        subset: Path | None = None,
        *,
        across: bool = False,
    ) -> NeededBuild:
        """A build of a database with what the request says of all its builds.

        Args:
            database, mode, size_px, subset: see `NeededBuild`.
            across: whether a model meets it that is trained, or tested, on another database as well; all of these are
                aligned alike then, unless `align` is `own`.
        """
        classes = self.classes if database in WITH_CONTEMPT else len(EXPRESSIONS)
        fill = self.fill if mode != REAL else TEMPLATE
        aligned = across and self.align == "similarity" and database in CROPPED
        return NeededBuild(database, mode, size_px, subset, classes, fill, aligned)

    @property
    def is_demo(self) -> bool:
        """Whether the demo database stands in for the paper's."""
        return self.databases == (DEMO,)

    @property
    def seed_count(self) -> int:
        """The number of seeds."""
        return self.seeds or (1 if self.quick else 3)

    @property
    def folder(self) -> Path:
        """The folder of this table or figure: `<out>/<what>[-<databases>][-<fill>][-own-align][-8classes][-quick]`."""
        fill = (self.fill,) if self.fill != TEMPLATE else ()
        own = ("own-align",) if self.align == "own" else ()
        eight = (f"{self.classes}classes",) if self.classes != len(EXPRESSIONS) else ()
        parts = (self.what, *self.databases, *fill, *own, *eight, *(("quick",) if self.quick else ()))
        return self.out / "-".join(parts)

    def base(self, manifest: Path) -> TrainConfig:
        """The settings that all runs share. The manifest is only there because a configuration must have one.

        Raises:
            ConfigError: a setting is wrong.
        """
        quick = QUICK_SETTINGS if self.quick else {}
        return TrainConfig.from_json({"manifests": [str(manifest)]} | dict(quick) | dict(self.settings))

    def chosen_methods(self, of_table: Sequence[str]) -> tuple[str, ...]:
        """The methods asked for, in the table's order.

        Raises:
            ConfigError: the table does not have one of them.
        """
        _refuse_unknown("--rows", self.methods, of_table)
        return tuple(method for method in of_table if not self.methods or method in self.methods)

    def chosen_modes(self, of_table: Sequence[str], if_quick: Sequence[str]) -> tuple[str, ...]:
        """The occlusion modes asked for: the table's in its order, then others that occsynth knows.

        Raises:
            ConfigError: occsynth builds no such mode.
        """
        others = [mode for mode in dict.fromkeys(self.modes) if mode not in of_table]
        _refuse_unknown("--modes", [mode for mode in others if not can_be_built(mode)], of_table)
        wanted = self.modes or (tuple(if_quick) if self.quick else tuple(of_table))
        return (*(mode for mode in of_table if mode in wanted), *others)

    def chosen_folds(self, manifest: ProtocolManifest) -> tuple[int | None, ...]:
        """The folds asked for, of a manifest; raises ConfigError for one that it does not have."""
        if manifest.folds == (None,):
            return manifest.folds
        _refuse_unknown("--folds", [str(fold) for fold in self.folds], [str(fold) for fold in manifest.folds])
        if self.folds:
            return tuple(fold for fold in manifest.folds if fold in self.folds)
        return manifest.folds[:QUICK_FOLDS] if self.quick else manifest.folds


def claimed(request: Request) -> AbstractContextManager[None]:
    """Claims the folder of all runs and tables; raises ConfigError if another call works in it, or it is none."""
    advice = "Choose another folder with --out"
    return owned_folder(request.out, "occfer reproduce", ConfigError, made_before=_holds_tables, advice=advice)


def _holds_tables(folder: Path) -> bool:
    """Whether version 0.1, which left no mark, has reproduced something in a folder."""
    names = {path.name for path in folder.iterdir()} - {OWNER, LOCK}
    begun = ".lock" in names and (RUNS in names or len(names) == 1)
    return begun or any(_is_table(path.parent) for path in folder.glob("table[1-4]*/table.json"))


def _is_table(folder: Path) -> bool:
    try:
        read_table(folder)
    except ReportError:
        return False
    return True


def _refuse_unknown(flag: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigError(f"{flag} {', '.join(unknown)}: not in this table; choose among {', '.join(known)}")
