"""What all commands of occfer share: how errors end them, and help that lists flags in panels."""

from typing import Any

import typer
from typer.core import TyperCommand

from occfer.errors import OccFERError
from occfer.setting import PANELS
from occsynth.cli.output import Commands
from occsynth.memory import ran_out

NEEDS_TRAIN = "occfer needs its training dependencies: pip install 'occsynth[train]'"
NEEDS_EXPORT = "exported models need more packages: pip install 'occsynth[export]'"
NEEDS_DEMO = "occfer demo needs more packages: pip install 'occsynth[demo]'"
_TRAIN_PACKAGES = {"torch", "torchvision", "lightning_fabric", "safetensors", "sklearn", "scipy", "ruamel"}
_EXPORT_PACKAGES = {"onnx", "onnxscript", "onnxruntime"}
_DEMO_PACKAGES = {"gradio", "fastapi", "uvicorn"}


class PanelCommand(TyperCommand):
    """A command whose plain help lists its flags in panels; typer itself does so in its coloured help alone."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the arguments, the command's own options, and then one section per panel."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        sections |= {panel.capitalize(): [] for panel in PANELS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                panel: str | None = getattr(parameter, "rich_help_panel", None)
                plain = "Arguments" if parameter.param_type_name == "argument" else "Options"
                sections[panel.capitalize() if panel else plain].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class OccFERCommands(Commands):
    """Turns what a command raises on purpose, or a missing extra, into one line on stderr and exit code 1."""

    def ending(self, ctx: Any, error: BaseException) -> typer.Exit | None:
        """Says in one line why a command ended, where the first process of a run has not said it already."""
        told = isinstance(error, OccFERError) and error.told_by_first
        return typer.Exit(1) if told else super().ending(ctx, error)

    def reason(self, ctx: Any, error: BaseException) -> str | None:
        """What went wrong and what to do, if that is known."""
        if isinstance(error, OccFERError) and not ran_out(error):
            return str(error)
        package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if package in _EXPORT_PACKAGES:
            return NEEDS_EXPORT
        if package in _DEMO_PACKAGES:
            return NEEDS_DEMO
        return NEEDS_TRAIN if package in _TRAIN_PACKAGES else super().reason(ctx, error)
