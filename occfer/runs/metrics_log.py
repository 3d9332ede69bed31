"""metrics.csv: the losses of every few rounds and the validation of every epoch."""

import csv
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from occfer.errors import DamagedError
from occfer.losses import LOSSES

TERMS = ("total", "sup", *LOSSES, "d", "d_accuracy")
COLUMNS = ("stage", "epoch", "round", *TERMS, "val_accuracy", "val_loss", "val_uar")


@dataclass(slots=True)
class MetricsLog:
    """metrics.csv of a run.

    It holds no times, so a resumed run's file equals an uninterrupted run's.

    Attributes:
        path: of the CSV.
    """

    path: Path
    _columns: tuple[str, ...] = field(init=False, default=COLUMNS, repr=False)

    def start(self, size_bytes: int, crc32: int | None = None) -> None:
        """Cuts off what was written after the checkpoint; starts a new file if needed.

        Args:
            size_bytes: of the file when the checkpoint was written; 0 without a checkpoint.
            crc32: of its content at that time; None if that is not known.

        Raises:
            DamagedError: the file does not begin with what was written before the checkpoint.
        """
        begun = self.path.read_bytes()[:size_bytes] if size_bytes and self.path.is_file() else b""
        if len(begun) != size_bytes or crc32 not in (None, zlib.crc32(begun)):
            raise DamagedError(f"{self.path} is not as it was written: it does not fit the last checkpoint")
        if self.path.is_file():
            with self.path.open("rb+") as file:
                file.truncate(size_bytes)
        if not self.path.is_file() or self.path.stat().st_size == 0:
            self._append(COLUMNS)
        # A run that an earlier version began goes on with that version's columns.
        self._columns = tuple(self.path.read_bytes().partition(b"\n")[0].decode().split(","))

    def write(self, stage: str, epoch: int, round_number: int, values: Mapping[str, float]) -> None:
        """Writes one line; epochs and rounds count from 1, and a column without a value stays empty."""
        self._append((stage, epoch, round_number, *(values.get(name, "") for name in self._columns[3:])))

    def size_bytes(self) -> int:
        """The file's size; everything before that is on the disk when this returns."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        return self.path.stat().st_size

    def crc32(self) -> int:
        """The CRC-32 of the file."""
        return zlib.crc32(self.path.read_bytes())

    def _append(self, cells: tuple[Any, ...]) -> None:
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(cells)
