"""TensorBoard: event files in the run folder, by Fabric's own logger."""

import socket
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import Logger
from lightning_fabric.loggers.tensorboard import TensorBoardLogger
from torch.utils.tensorboard.summary import hparams

FOLDER = "tensorboard"
SHOWN = "test/accuracy"
"""The figure by which TensorBoard lists runs beside their settings."""


class EventFiles(TensorBoardLogger):
    """Fabric's logger; settings need no figure, and no file keeps the machine's name."""

    def log_hyperparams(self, params: Any, metrics: Any = None, step: int | None = None) -> None:
        """Writes the settings of a run; its figures come later."""
        del metrics
        writer: Any = self.experiment._get_file_writer()
        for summary in hparams(params, {SHOWN: 0}):  # type: ignore[no-untyped-call]  # torch has no types here
            writer.add_summary(summary, step)

    def finalize(self, status: str) -> None:
        """Closes the file, which TensorBoard has named after the machine, and names it otherwise."""
        super().finalize(status)
        for path in Path(self.log_dir).glob(f"*.{socket.gethostname()}.*"):
            path.rename(path.with_name(path.name.replace(f".{socket.gethostname()}.", ".occfer.")))


def open_tensorboard(folder: Path, name: str, version: str | None) -> Logger:
    """Events in `tensorboard/` of the run folder; a run that goes on gets another file there."""
    del name, version
    return EventFiles(folder, name=FOLDER, version="")
