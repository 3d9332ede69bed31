"""What a check of a GPU is given, and what it answers."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from occfer.config import TrainConfig

Status = Literal["passed", "failed", "skipped"]
Checked = Literal["cuda", "cpu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How large the networks and images of the checks are.

    Attributes:
        backbone, size_px, batch_size: where results are compared, which the CPU must compute too.
        fast_backbone, fast_size_px, fast_batch_size: where speed is measured.
        stage_1_epochs: of the runs whose loss must fall.
        seconds: the least length of a measurement of speed.
        table4: methods of Table 4 that are measured; none for all.
        cpu_processes: that stand in for several cards on a CPU.
    """

    backbone: str = "resnet18"
    size_px: int = 48
    batch_size: int = 16
    fast_backbone: str = "resnet50"
    fast_size_px: int = 224
    fast_batch_size: int = 32
    stage_1_epochs: int = 8
    seconds: float = 5.0
    table4: tuple[str, ...] = ()
    cpu_processes: int = 2


SIZES = {
    "cuda": Sizes(),
    "cpu": Sizes(fast_backbone="resnet18", fast_size_px=48, fast_batch_size=16, seconds=0.0, table4=("full",)),
}
"""A CPU, which only stands in for a card, is given less to do where speed is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a check works on; it can be pickled, because every check has a process of its own.

    Attributes:
        device: what is checked: `cuda`, or `cpu` in its place.
        manifest: pairs of the demo faces; None where they could not be built.
        folder: an empty folder for the check's files.
        sizes: of networks and images.
    """

    device: Checked
    manifest: Path | None
    folder: Path
    sizes: Sizes

    def config(self, name: str, **changes: object) -> TrainConfig:
        """A short training run on the demo faces, into the folder of that name; `changes` are fields of it."""
        sizes = self.sizes
        base = TrainConfig(
            manifests=(self.manifest or Path("none.csv"),), method="full", fold=0, backbone=sizes.backbone,
            weights="none", size_px=sizes.size_px, batch_size=sizes.batch_size, pretrain_epochs=1, epochs=1,
            pretrain_rate=1e-3, rate=3e-4, val_fraction=0.0, log_every=1, device=self.device, out=self.folder / name,
            cache_dir=self.folder / "packs",
        )  # fmt: skip
        return replace(base, **changes)  # type: ignore[arg-type]  # checked when it is made

    def fast_config(self, **changes: object) -> TrainConfig:
        """The settings of a measurement of speed, which reads no manifest unless it says so."""
        sizes = self.sizes
        given = {"backbone": sizes.fast_backbone, "size_px": sizes.fast_size_px, "batch_size": sizes.fast_batch_size}
        return self.config("speed", **{**given, **changes})


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that a check has found."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check has found.

    Attributes:
        status: whether it passed; `skipped` where this machine lacks what it needs.
        detail: one sentence: what was compared or, where it was not, why and what to do.
        figures: the numbers behind it.
        tolerance: what they were judged by; empty where they were only measured.
    """

    status: Status
    detail: str
    figures: tuple[Figure, ...] = ()
    tolerance: str = ""


def judged(passed: bool, detail: str, figures: tuple[Figure, ...], tolerance: str) -> Outcome:
    """The outcome of a check that was made."""
    return Outcome("passed" if passed else "failed", detail, figures, tolerance)


def skipped(detail: str) -> Outcome:
    """The outcome of a check that this machine cannot make."""
    return Outcome("skipped", detail)
