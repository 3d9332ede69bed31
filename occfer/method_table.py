"""Everything that `--method` takes, in one table: the paper's methods, our references and the baselines."""

from pathlib import Path

from occfer.baselines import BASELINES
from occfer.engine.engine import Engine
from occfer.engine.trainer import Trainer
from occfer.engine.two_stages import TwoStages
from occfer.errors import lookup
from occfer.methods import METHODS, Method
from occfer.runs.checkpoint import read_model_info
from occfer.runs.predictor import Predictor

TRAINERS: dict[str, Trainer] = {**{name: TwoStages(method) for name, method in METHODS.items()}, **BASELINES}

METHOD_TABLE: dict[str, Method] = {name: trainer.method for name, trainer in TRAINERS.items()}


def method_named(name: str) -> Method:
    """The description of a method.

    Raises:
        UnknownNameError: there is no method of that name.
    """
    return trainer_of(name).method


def trainer_of(name: str) -> Trainer:
    """What trains a method.

    Raises:
        UnknownNameError: there is no method of that name.
    """
    return lookup(TRAINERS, name, kind="method")


def shown_name(name: str) -> str:
    """A method's key as results show it: `full`, but `rgbt (reconstruction)`; also a key that this version lacks."""
    method = METHOD_TABLE.get(name)
    return f"{name} (reconstruction)" if method is not None and method.reconstruction else name


def load_predictor(path: Path, engine: Engine, batch_size: int = 64) -> Predictor:
    """A trained model, of whatever method.

    Args:
        path: a model file or a run folder.
        engine: of one process, see `occfer.engine.engine.one_process`.
        batch_size: images per call.

    Raises:
        CheckpointError: see `occfer.runs.checkpoint.load_model`.
        UnknownNameError: it is of a method that this version does not know.
    """
    return trainer_of(read_model_info(path).method).load(path, engine, batch_size)
