"""The published methods that the paper compares with."""

from dataclasses import dataclass
from typing import Literal

from occfer.setting import PATCH_NETWORKS, baseline, setting

Faces = Literal["clean", "occluded"]


@dataclass(frozen=True, kw_only=True)
class BaselineSettings:
    """Settings of the baselines."""

    train_on: Faces = setting(  # [D]
        "Faces that train rgbt and wls-rf.", "clean", panel="baselines", changes=baseline("rgbt", "wls-rf")
    )
    # [D]: what the authors of the methods did is not known, and no clean face is there where a face is really occluded.
    landmarks_from: Faces = setting(
        "Faces on which the landmarks of pg-cnn, gacnn and wls-rf are found.", "occluded",
        panel="baselines", changes=PATCH_NETWORKS + baseline("wls-rf"), before="clean", added_to=PATCH_NETWORKS,
    )  # fmt: skip
    baseline_epochs: int = setting(  # [D]
        "Epochs of pg-cnn and gacnn.", 30, panel="baselines", changes=PATCH_NETWORKS, metavar="N", at_least=0
    )
    baseline_rate: float = setting(  # [recalled]
        "Learning rate of pg-cnn and gacnn.", 1e-3,
        panel="baselines", changes=PATCH_NETWORKS, above=0,
    )  # fmt: skip
    baseline_batch_size: int = setting(  # [recalled]
        "Images per update of pg-cnn and gacnn, summed over batches of --batch-size.", 128,
        panel="baselines", changes=PATCH_NETWORKS, metavar="N", at_least=2,
    )  # fmt: skip
    baseline_updates: int = setting(
        "Updates of pg-cnn and gacnn per epoch at most, for a trial; 0: a pass over all images.", 0,
        panel="baselines", changes=PATCH_NETWORKS, metavar="N", at_least=0,
    )  # fmt: skip
    rgbt_templates: int = setting(  # [recalled]
        "Number of Gabor templates of rgbt.", 1000, panel="baselines", changes=baseline("rgbt"), metavar="N", at_least=1
    )
    forest_trees: int = setting(  # [recalled]
        "Number of trees of wls-rf.", 500, panel="baselines", changes=baseline("wls-rf"), metavar="N", at_least=1
    )
