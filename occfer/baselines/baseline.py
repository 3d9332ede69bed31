"""What a baseline's row says: how it is trained in a run, and how its model file is used again."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from occfer.data.image_store import View
from occfer.engine.engine import Engine
from occfer.engine.loop import Session
from occfer.runs.predictor import Predictor


@dataclass(frozen=True, slots=True)
class Baseline:
    """One published method beside the paper's own; it shares data, run folder, metrics and resumption with them.

    Attributes:
        title: how reports name it.
        fit: trains it on `session.task`, goes on from what a killed run has left, and writes the model file
            `session.paths.best` last. Called in every process; a baseline of one process works in the first alone.
        load: its predictor, from the model file; called with the file, an engine of one process, and images at once.
        reconstruction: whether the authors left too much open to call it theirs: every report then says so.
        needs_points: whether it uses the manifest's landmarks.
        finds_points: whether `--landmarks-from occluded` holds for it, so that it bears faces in which none were found,
            whose points are NaN.
        view, in_paper, comparable: as in `occfer.methods.Method`.
    """

    title: str
    fit: Callable[[Session], None]
    load: Callable[[Path, Engine, int], Predictor]
    reconstruction: bool = False
    needs_points: bool = False
    finds_points: bool = False
    view: View = "occluded"
    in_paper: bool = True
    comparable: bool = True

    @property
    def shown_title(self) -> str:
        """The title, with the word that an honest report adds."""
        return f"{self.title} (reconstruction)" if self.reconstruction else self.title
