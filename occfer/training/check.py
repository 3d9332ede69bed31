"""What is wrong with the settings of a run by themselves, before any data is read."""

from occfer.config import TrainConfig
from occfer.errors import lookup
from occfer.method_table import trainer_of
from occfer.methods import OPTIMIZERS
from occfer.models.classifier import backbone_named


def check_settings(config: TrainConfig) -> None:
    """Refuses settings that nothing can be trained with, such as a pairing that the method's losses do not allow.

    Raises:
        ConfigError: two settings do not go together.
        UnknownNameError: there is no such method, backbone or optimizer.
    """
    trainer_of(config.method).check(config)
    backbone_named(config.backbone)
    lookup(OPTIMIZERS, config.optimizer, kind="optimizer")
