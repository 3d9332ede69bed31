"""`occfer demo`: parse, call, print."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from occfer.cli.options import Device
from occsynth.cli.output import say, warn

HOST = "127.0.0.1"
PORT = 7860


def demo(
    checkpoint: Annotated[
        list[Path],
        typer.Option(
            "--checkpoint",
            metavar="F",
            help="Run folder, model file, or exported .onnx or .pt2 file; a second one is shown beside the first.",
        ),
    ],
    templates: Annotated[
        Path | None,
        typer.Option("--templates", metavar="DIR", help="Template pack; default: the one that ships with occsynth."),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on; by default, only this machine can.")
    ] = HOST,
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = PORT,
    device: Device = "auto",
) -> None:
    """Show a page that recognises a face clean and occluded, with one model or two side by side."""
    with TemporaryDirectory(prefix="occfer-demo-") as folder:
        # read when gradio is imported; its own choice is a folder that all users of a machine share
        os.environ["GRADIO_TEMP_DIR"] = folder
        _serve(checkpoint, templates, host, port, device)


def _serve(checkpoints: list[Path], templates: Path | None, host: str, port: int, device: str) -> None:
    from occfer.demo.page import build_page
    from occfer.demo.server import address_of, is_loopback, listen, serve
    from occfer.demo.views import open_models
    from occfer.faces.chosen_occlusion import ChosenOccluder

    models = open_models(checkpoints, device)
    page = build_page(models, ChosenOccluder(templates))
    with listen(host, port) as listener:
        if not is_loopback(host):
            warn(f"--host {host}: whoever reaches this machine can open the page, without password or encryption")
        say(f"open {address_of(listener)} in a browser; Ctrl-C ends the demo")
        serve(page, listener)
