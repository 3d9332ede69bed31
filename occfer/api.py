"""For notebooks and other programs: train a model, load it, and use it.

This example, and those of the functions, work in a folder with the build of `occsynth build --db demo --mode r16`.

>>> from pathlib import Path
>>> import numpy as np
>>> from occfer.api import TrainConfig, load, train
>>> config = TrainConfig(
...     manifests=(Path("builds/manifests/demo-r16.csv"),), method="full", fold=0, backbone="resnet18", weights="none",
...     pretrain_epochs=1, epochs=1, size_px=48, device="cpu", out=Path("runs/mine"),
... )
>>> run = train(config)
>>> model = load(run.folder, device="cpu")
>>> images = np.zeros((3, 48, 48, 3), dtype=np.uint8)  # three aligned faces, RGB
>>> model.predict(images).probabilities.shape
(3, 7)

`occfer.load.load` is the same `load` for programs without torch, which use exported models.
"""

from occfer.config import TrainConfig
from occfer.faces.align import aligner_of
from occfer.faces.face import Face
from occfer.inference.recogniser import Expressions, Recogniser
from occfer.load import load
from occfer.runs.run_folder import Run
from occfer.training.train import train

__all__ = ["Expressions", "Face", "Recogniser", "Run", "TrainConfig", "aligner_of", "load", "train"]
