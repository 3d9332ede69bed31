"""`from occfer.predict import load`, the import path of version 0.1; the code is in `occfer.load`."""

from occfer.load import load

__all__ = ["load"]
