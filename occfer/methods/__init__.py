"""The methods: the rows of the paper's Tables 1 to 3, and the references that it lacks, in one table."""

from occfer.methods.engine_hooks import EngineHooks
from occfer.methods.guidance import Guidance, Player
from occfer.methods.method import Kind, Method, check_pairing
from occfer.methods.optimizers import OPTIMIZERS, OptimizerSettings, make_optimizer, optimizer_settings
from occfer.methods.pretraining import Pretraining
from occfer.methods.student import GuidedStudent, StudentOutput, Teacher

__all__ = [
    "METHODS",
    "OPTIMIZERS",
    "EngineHooks",
    "Guidance",
    "GuidedStudent",
    "Kind",
    "Method",
    "OptimizerSettings",
    "Player",
    "Pretraining",
    "StudentOutput",
    "Teacher",
    "check_pairing",
    "make_optimizer",
    "optimizer_settings",
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
    # [decided] the fair control: without it, a gain may be only longer training
    "resnet-long": Method("ResNet, as many updates", stage2=True, in_paper=False),
    # the references above and below: what the clean branch knows with, and without, seeing the whole face
    "clean": Method("Clean branch on clean", branch="clean", view="clean", in_paper=False, comparable=False),
    "clean-on-occluded": Method("Clean branch on occluded", branch="clean", in_paper=False),
}
