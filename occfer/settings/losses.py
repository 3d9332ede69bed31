"""The losses of stage 2: their weights and what each looks at."""

from dataclasses import dataclass
from typing import Literal

from occfer.setting import loss, setting

SimilaritySpace = Literal["softmax", "logits"]
InequalityReduction = Literal["per-sample", "batch"]
Guide = Literal["everywhere", "hidden", "seen"]
TeacherChoice = Literal["clean", "both"]


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """Settings of the losses."""

    # The weights of Eq. 8 [D]: the paper gives none, only "grid search". A small trial wanted similarity large, and the
    # adversarial and reconstruction weights small: a starting point, to be searched on validation samples.
    lambda_sim: float = setting("Weight of the similarity loss.", 3.0, panel="losses", changes=loss("sim"), at_least=0)
    lambda_lir: float = setting("Weight of the loss inequality.", 0.5, panel="losses", changes=loss("lir"), at_least=0)
    lambda_adv: float = setting(
        "Weight of the adversarial loss.", 0.02, panel="losses", changes=loss("adv"), at_least=0
    )
    lambda_rec: float = setting(
        "Weight of the reconstruction loss.", 0.3, panel="losses", changes=loss("rec"), at_least=0
    )
    # Not the paper's losses. [D]
    lambda_kd: float = setting("Weight of kd.", 4.0, panel="losses", changes=loss("kd"), at_least=0, before=4.0)
    temperature: float = setting("Temperature of kd.", 2.0, panel="losses", changes=loss("kd"), above=0, before=2.0)
    lambda_hint: float = setting("Weight of hint.", 1.0, panel="losses", changes=loss("hint"), at_least=0, before=1.0)
    guide: Guide = setting(
        "Where hint and rec look.", "everywhere", panel="losses", changes=loss("rec", "hint"), before="everywhere",
    )  # fmt: skip
    teacher: TeacherChoice = setting(  # [D]
        "Whose outputs for the clean face sim, lir and kd take: the clean branch's, or their mean with those of the "
        "occluded branch as stage 1 left it.",
        "clean", panel="losses", changes=loss("sim", "lir", "kd"), before="clean",
    )  # fmt: skip
    similarity_space: SimilaritySpace = setting(  # [D]
        "Outputs that the similarity loss compares.", "softmax", panel="losses", changes=loss("sim")
    )
    inequality_reduction: InequalityReduction = setting(  # [D]
        "Hinge of the loss inequality: one per sample, or one over the batch's mean losses.", "per-sample",
        panel="losses", changes=loss("lir"),
    )  # fmt: skip
    force: bool = setting(
        "Accept a --lambda-lir above 1, which reverses supervision.", False, panel="losses", changes=loss("lir")
    )
