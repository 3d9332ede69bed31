"""`from occfer.train import train`, the import path of version 0.1; the code is in `occfer.training.train`."""

from occfer.training.train import train

__all__ = ["train"]
