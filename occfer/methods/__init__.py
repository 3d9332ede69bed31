"""The methods of the paper's Tables 1 to 3 with our references, and the parts that train them.

A method's line, and what its two stages do to networks on a batch, belong here; devices, processes, checkpoints and the
loop over batches belong to `occfer.engine`.
"""

from occfer.methods.averaging import AveragedNetwork
from occfer.methods.engine_hooks import EngineHooks
from occfer.methods.guidance import Guidance, Player
from occfer.methods.method import Kind, Method, check_clean_share, check_pairing
from occfer.methods.optimizers import OPTIMIZERS, OptimizerSettings, make_optimizer, optimizer_settings
from occfer.methods.pretraining import Pretraining
from occfer.methods.schedules import ScheduledRates, rate_of
from occfer.methods.student import GuidedStudent, StudentOutput, Teacher, mean_logits
from occfer.methods.supervised import SupervisedLoss

__all__ = [
    "METHODS",
    "OPTIMIZERS",
    "AveragedNetwork",
    "EngineHooks",
    "Guidance",
    "GuidedStudent",
    "Kind",
    "Method",
    "OptimizerSettings",
    "Player",
    "Pretraining",
    "ScheduledRates",
    "StudentOutput",
    "SupervisedLoss",
    "Teacher",
    "check_clean_share",
    "check_pairing",
    "make_optimizer",
    "mean_logits",
    "optimizer_settings",
    "rate_of",
]

METHODS: dict[str, Method] = {
    "resnet": Method("ResNet"),
    "sim": Method("ResNet + l_sim", ("sim",), stage2=True),
    "lir": Method("ResNet + l_LIR", ("lir",), stage2=True),
    "sim+lir": Method("ResNet + l_sim + l_LIR", ("sim", "lir"), stage2=True),
    "adv": Method("ResNet + l_adv", ("adv",), stage2=True),
    "rec": Method("ResNet + l_rec", ("rec",), stage2=True),
    "adv+rec": Method("ResNet + l_adv + l_rec", ("adv", "rec"), stage2=True),
    "full": Method("Ours (all four losses)", ("sim", "lir", "adv", "rec"), stage2=True),
    # Not in the paper: distillation by the same clean branch, from its outputs, its shared feature, and both.
    "kd": Method("ResNet + distillation", ("kd",), stage2=True, in_paper=False),
    "hint": Method("ResNet + feature hint", ("hint",), stage2=True, in_paper=False),
    "kd+hint": Method("ResNet + distillation + feature hint", ("kd", "hint"), stage2=True, in_paper=False),
    # [decided] The fair control: without it, a gain may come from longer training alone.
    "resnet-long": Method("ResNet, as many updates", stage2=True, in_paper=False),
    # The upper and the lower reference: the clean branch with the whole face in view, and without.
    "clean": Method("Clean branch on clean", branch="clean", view="clean", in_paper=False, comparable=False),
    "clean-on-occluded": Method("Clean branch on occluded", branch="clean", in_paper=False),
}
