"""What the user asks `occfer reproduce` for, and what `--quick` makes of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from occfer.config import TrainConfig
from occfer.errors import ConfigError
from occfer.protocols.manifests import ManifestFacts

DEMO = "demo"
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
        rows, folds, modes: only these; empty for all.
        seeds: how many; None for three, or one if quick.
        settings: fields of `TrainConfig` that were given.
        builds: the build root.
        out: folder of all runs and tables.
        subsets: (database, list) of really occluded images to test on in Table 3.
        test_manifests: further ones to test on there.
        keep_models: whether every trained model stays, see `Planner`.
        faces, figure_seed, figure_format: of figures.
        command: as typed.
    """

    what: str
    databases: tuple[str, ...] = ()
    quick: bool = False
    rows: tuple[str, ...] = ()
    folds: tuple[int, ...] = ()
    modes: tuple[str, ...] = ()
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
                raise ConfigError(f"--db {key}: no key of a database; see `occsynth databases`")

    @property
    def is_demo(self) -> bool:
        """Whether the demo database stands in for the paper's."""
        return self.databases == (DEMO,)

    @property
    def seed_count(self) -> int:
        """How many seeds."""
        return self.seeds or (1 if self.quick else 3)

    @property
    def folder(self) -> Path:
        """Of this table or figure: `<out>/<what>[-<databases>][-quick]`."""
        parts = (self.what, *self.databases, *(("quick",) if self.quick else ()))
        return self.out / "-".join(parts)

    def base(self, manifest: Path) -> TrainConfig:
        """The settings of every run; the manifest only stands where a configuration must have one.

        Raises:
            ConfigError: a setting is wrong.
        """
        quick = QUICK_SETTINGS if self.quick else {}
        return TrainConfig.from_json({"manifests": [str(manifest)]} | dict(quick) | dict(self.settings))

    def chosen_rows(self, table_rows: Sequence[str]) -> tuple[str, ...]:
        """The rows asked for, in the table's order.

        Raises:
            ConfigError: one is no row of it.
        """
        _refuse_unknown("--rows", self.rows, table_rows)
        return tuple(row for row in table_rows if not self.rows or row in self.rows)

    def chosen_modes(self, all_modes: Sequence[str], quick_modes: Sequence[str]) -> tuple[str, ...]:
        """The occlusion modes asked for; raises ConfigError for one that the table does not have."""
        _refuse_unknown("--modes", self.modes, all_modes)
        wanted = self.modes or (tuple(quick_modes) if self.quick else tuple(all_modes))
        return tuple(mode for mode in all_modes if mode in wanted)

    def chosen_folds(self, manifest: ManifestFacts) -> tuple[int | None, ...]:
        """The folds asked for, of a manifest; raises ConfigError for one that it does not have."""
        if manifest.folds == (None,):
            return manifest.folds
        _refuse_unknown("--folds", [str(fold) for fold in self.folds], [str(fold) for fold in manifest.folds])
        if self.folds:
            return tuple(fold for fold in manifest.folds if fold in self.folds)
        return manifest.folds[:QUICK_FOLDS] if self.quick else manifest.folds


def _refuse_unknown(flag: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigError(f"{flag} {', '.join(unknown)}: not in this table; choose among {', '.join(known)}")
