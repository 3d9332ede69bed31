"""How training samples are held out, augmented and drawn."""

from dataclasses import dataclass
from typing import Literal

from occfer.setting import EVERYTHING, PATCH_NETWORKS, STAGE_1, setting

Selection = Literal["accuracy", "uar", "loss"]


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """Settings of validation, augmentation and chance."""

    val_fraction: float = setting(
        "Share of the training samples held out to choose the epoch by; 0 keeps the last epoch.", 0.1,
        panel="data", changes=EVERYTHING, at_least=0, below=1,
    )  # fmt: skip
    select: Selection = setting(
        "Validation figure that chooses the epoch of each stage; uar is the mean recall of the classes.", "accuracy",
        panel="data", changes=STAGE_1 + PATCH_NETWORKS, before="accuracy",
    )  # fmt: skip
    flip: bool = setting("Mirror half of the pairs.", True, panel="augmentation", changes=STAGE_1)
    crop_px: int = setting(
        "Largest shift of a pair in pixels.", 0,
        panel="augmentation", changes=STAGE_1, flag="crop", metavar="PX", at_least=0,
    )  # fmt: skip
    colour: float = setting(
        "Largest relative change of brightness, contrast and saturation.", 0.0,
        panel="augmentation", changes=STAGE_1, at_least=0, below=1,
    )  # fmt: skip
    rotate_deg: float = setting(
        "Largest turn of a pair in degrees.", 0.0, panel="augmentation", changes=STAGE_1,
        flag="rotate", metavar="DEG", at_least=0, at_most=180, before=0.0,
    )  # fmt: skip
    scale: float = setting(
        "Largest relative change of a pair's size.", 0.0,
        panel="augmentation", changes=STAGE_1, metavar="F", at_least=0, below=1, before=0.0,
    )  # fmt: skip
    grey_share: float = setting(
        "Share of the pairs that lose their colours.", 0.0, panel="augmentation", changes=STAGE_1,
        flag="grey", metavar="P", at_least=0, at_most=1, before=0.0,
    )  # fmt: skip
    erase_share: float = setting(
        "Share of the pairs in which a random rectangle is hidden.", 0.0, panel="augmentation", changes=STAGE_1,
        flag="erase", metavar="P", at_least=0, at_most=1, before=0.0,
    )  # fmt: skip
    seed: int = setting(
        "Seed of everything that is random.", 0, panel="data", changes=EVERYTHING, metavar="N", at_least=0
    )
