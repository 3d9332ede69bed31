"""occfer.cli.app.commands: docstring to write."""

from typing import Any

from occfer.errors import OccFERError
from occsynth.cli.output import Commands, fail

NEEDS_TRAIN = "occfer needs its training dependencies: pip install 'occsynth[train]'"


NEEDS_EXPORT = "exported models need more packages: pip install 'occsynth[export]'"


_TRAIN_PACKAGES = {"torch", "torchvision", "lightning_fabric", "safetensors", "sklearn", "scipy"}


_EXPORT_PACKAGES = {"onnx", "onnxscript", "onnxruntime"}


class OccFERCommands(Commands):
    """Turns what a command raises on purpose, or a missing extra, into one line on stderr and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except OccFERError as error:
            raise fail(str(error)) from error
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in _EXPORT_PACKAGES:
                raise fail(NEEDS_EXPORT) from error
            if package not in _TRAIN_PACKAGES:
                raise
            raise fail(NEEDS_TRAIN) from error
        except RuntimeError as error:
            if type(error).__name__ != "OutOfMemoryError":  # torch's; torch itself is not imported here
                raise
            raise fail(f"the device is out of memory ({error}): lower --batch-size or --size") from error
