"""For notebooks and other programs: train a model, load one, ask it.

    from occfer.api import TrainConfig, load, train

    run = train(TrainConfig(manifests=(Path("builds/manifests/demo-r16.csv"),), method="full", fold=0))
    model = load(run.folder)
    model.predict(images).expressions

`occfer.predict.load` is the same `load` without torch, for exported models.
"""

from occfer.config import TrainConfig
from occfer.predict import Expressions, Face, Recogniser, load
from occfer.run import Run
from occfer.train import train

__all__ = ["Expressions", "Face", "Recogniser", "Run", "TrainConfig", "load", "train"]
