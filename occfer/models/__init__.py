"""The networks: the two branches' classifier over a table of backbones, the discriminator and the decoder."""

from occfer.errors import lookup
from occfer.models.backbones import MOBILENET_V2, RESNET18, RESNET34, RESNET50, Backbone
from occfer.models.classifier import Classifier
from occfer.models.decoder import Decoder
from occfer.models.discriminator import Discriminator
from occfer.models.weights import load_weights

__all__ = ["BACKBONES", "Backbone", "Classifier", "Decoder", "Discriminator", "build_classifier", "load_weights"]

BACKBONES: dict[str, Backbone] = {
    "resnet50": RESNET50,
    "resnet18": RESNET18,
    "resnet34": RESNET34,
    "mobilenet_v2": MOBILENET_V2,
}


def build_classifier(backbone: str, classes: int) -> Classifier:
    """A branch with random weights, drawn from torch's current random stream (see `load_weights` for others).

    Args:
        backbone: a key of `BACKBONES`; the paper's is `resnet50`.
        classes: number of expressions.

    Raises:
        UnknownNameError: no such backbone.
    """
    return Classifier(lookup(BACKBONES, backbone, kind="backbone"), classes)
