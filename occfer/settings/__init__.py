"""The settings of a training run, grouped by what they are about; `occfer.config.TrainConfig` joins them.

Each field is described once with `setting` (default, flag, help text, bounds, panel, what it changes), from which
flags, checks, keys of jobs and digests are derived; defaults of the paper are marked [P], our own decisions [D].
"""

from occfer.settings.baselines import BaselineSettings, Faces
from occfer.settings.losses import Guide, InequalityReduction, LossSettings, SimilaritySpace, TeacherChoice
from occfer.settings.machine import Device, MachineSettings, Precision
from occfer.settings.samples import SampleSettings, Selection
from occfer.settings.training import OPTIMIZER_NAMES, Decay, Pairing, TrainingSettings

__all__ = [
    "OPTIMIZER_NAMES",
    "BaselineSettings",
    "Decay",
    "Device",
    "Faces",
    "Guide",
    "InequalityReduction",
    "LossSettings",
    "MachineSettings",
    "Pairing",
    "Precision",
    "SampleSettings",
    "Selection",
    "SimilaritySpace",
    "TeacherChoice",
    "TrainingSettings",
]
