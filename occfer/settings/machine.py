"""Where a run computes, and which files it reads and leaves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from occfer.setting import LOG, NOTHING, PATCH_NETWORKS, STAGE_1, setting

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class MachineSettings:
    """Settings of hardware and files."""

    device: Device = setting(
        "Device to train on; auto takes a GPU where there is one.", "auto", panel="hardware", changes=NOTHING
    )
    devices: int = setting(
        "Processes per node.", 1, panel="hardware", changes=NOTHING, metavar="N", at_least=1, one_run=True
    )
    num_nodes: int = setting(
        "Number of nodes, under torchrun.", 1, panel="hardware", changes=NOTHING, metavar="N", at_least=1, one_run=True
    )
    precision: Precision = setting(
        "Number format: 32 bits, or mixed precision; the adversarial loss stays in 32 bits.", "32",
        panel="hardware", changes=STAGE_1 + PATCH_NETWORKS,
    )  # fmt: skip
    channels_last: bool = setting(
        "Keep images and networks in the channels-last memory layout.", False, panel="hardware", changes=NOTHING
    )
    compile: bool = setting(
        "Compile the networks that are trained with torch.compile.", False, panel="hardware", changes=NOTHING
    )
    checkpoint_every: int = setting(
        "Rounds between checkpoints; 0: at the end of each epoch.", 0,
        panel="output", changes=NOTHING, metavar="N", at_least=0,
    )  # fmt: skip
    log_every: int = setting(
        "Rounds that one line of metrics.csv averages.", 10,
        panel="output", changes=LOG, metavar="N", at_least=1, one_run=True,
    )  # fmt: skip
    workers: int | None = setting(
        "Processes that make batches of live occlusions, or of images that the GPU does not hold; default: up to 4.",
        None, panel="hardware", changes=NOTHING, metavar="N", at_least=0, before=None,
    )  # fmt: skip
    resident_fraction: float = setting(
        "Largest share of a GPU's memory that the images may fill.", 0.4,
        panel="hardware", changes=NOTHING, at_least=0, below=1,
    )  # fmt: skip
    occluded_branch: Path | None = setting(
        "Model file of an occluded branch that is already trained.", None,
        panel="stage 1", changes=("occluded branch",), metavar="F", one_run=True,
    )  # fmt: skip
    clean_branch: Path | None = setting(
        "Model file of a clean branch that is already trained.", None,
        panel="stage 1", changes=("clean branch",), metavar="F", one_run=True,
    )  # fmt: skip
    branch_cache: Path | None = setting(
        "Folder through which runs share the branches of stage 1.", None,
        panel="stage 1", changes=NOTHING, metavar="DIR", one_run=True,
    )  # fmt: skip
    cache_dir: Path | None = setting(
        "Folder for decoded images; default: cache/packs in the build root.", None,
        panel="data", changes=NOTHING, metavar="DIR",
    )  # fmt: skip
    out: Path = setting("Run folder.", Path("runs/run"), panel="output", changes=NOTHING, metavar="DIR", one_run=True)
    resume: bool = setting(
        "Go on from the run folder's last checkpoint.", False, panel="output", changes=NOTHING, one_run=True
    )
