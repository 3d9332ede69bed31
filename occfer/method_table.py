"""Everything that `--method` takes, methods and baselines, under one name each; and their models, ready to be used."""

from pathlib import Path

from occfer.baselines import BASELINES, Baseline
from occfer.engine.engine import Engine
from occfer.errors import lookup
from occfer.inference.network_predictor import NetworkPredictor
from occfer.methods import METHODS, Method
from occfer.runs.checkpoint import load_model, read_facts
from occfer.runs.predictor import Predictor

ROWS: dict[str, Method | Baseline] = {**METHODS, **BASELINES}


def row_of(name: str) -> Method | Baseline:
    """The row of a method or baseline.

    Raises:
        UnknownNameError: there is none of that name.
    """
    return lookup(ROWS, name, kind="method")


def called(name: str) -> str:
    """A row's key as results name it: `full`, but `rgbt (reconstruction)`; also a key that this version lacks."""
    row = ROWS.get(name)
    return f"{name} (reconstruction)" if isinstance(row, Baseline) and row.reconstruction else name


def load_predictor(path: Path, engine: Engine, batch_size: int = 64) -> Predictor:
    """A trained model, of whatever method.

    Args:
        path: a model file or a run folder.
        engine: of one process, see `occfer.engine.engine.one_process`.
        batch_size: images at once.

    Raises:
        CheckpointError: see `occfer.runs.checkpoint.load_model`.
        UnknownNameError: it is of a method that this version does not know.
    """
    row = row_of(read_facts(path).method)
    if isinstance(row, Baseline):
        return row.load(path, engine, batch_size)
    return NetworkPredictor(load_model(path), engine, batch_size)
