"""For notebooks and other programs: train a model, load one, ask it.

    from occfer.api import TrainConfig, load, train

    run = train(TrainConfig(manifests=(Path("builds/manifests/demo-r16.csv"),), method="full", fold=0))
    model = load(run.folder)
    model.predict(images).expressions

`occfer.load.load` is the same `load` without torch, for exported models.
"""

from occfer.config import TrainConfig
from occfer.faces.face import Face
from occfer.inference.recogniser import Expressions, Recogniser
from occfer.load import load
from occfer.runs.run_folder import Run
from occfer.training.train import train

__all__ = ["Expressions", "Face", "Recogniser", "Run", "TrainConfig", "load", "train"]
