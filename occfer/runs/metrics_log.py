"""occfer.runs.metrics_log: docstring to write."""

import csv
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from occfer.losses import LOSSES

TERMS = ("total", "sup", *LOSSES, "d")


COLUMNS = ("stage", "epoch", "round", *TERMS, "val_accuracy", "val_loss")


@dataclass(slots=True)
class MetricsLog:
    """metrics.csv of a run, and TensorBoard events beside it where that is installed.

    Holds no times, so that a resumed run's file equals an undisturbed one's.

    Attributes:
        path: of the CSV.
    """

    path: Path
    _board: Any = field(init=False, default=None, repr=False)

    def start(self, size_bytes: int) -> None:
        """Cuts off what came after the checkpoint at which the file had that size; writes the header line if new."""
        if self.path.is_file():
            with self.path.open("rb+") as file:
                file.truncate(size_bytes)
        if not self.path.is_file() or self.path.stat().st_size == 0:
            self._append(COLUMNS)

    def open_board(self, stage: str, round_number: int) -> None:
        """Sends what follows to TensorBoard as well, if that is installed; rounds from this one on are written anew."""
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            folder = self.path.parent / "tensorboard" / stage
            self._board = SummaryWriter(str(folder), purge_step=round_number)

    def write(self, stage: str, epoch: int, round_number: int, values: Mapping[str, float]) -> None:
        """One line: epoch and round count from 1; a column without a value stays empty."""
        self._append((stage, epoch, round_number, *(values.get(name, "") for name in COLUMNS[3:])))
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, round_number)
            self._board.flush()

    def size_bytes(self) -> int:
        """The file's size, once all of it is on the disk."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        return self.path.stat().st_size

    def _append(self, cells: tuple[Any, ...]) -> None:
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(cells)
