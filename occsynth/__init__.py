"""occsynth: from a raw face database to paired clean/occluded images that replay pixel for pixel."""

__version__ = "0.1.0"
