"""Runs quickstart.ipynb and stores what its cells print and show: `python docs/make_quickstart.py`."""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).parent / "quickstart.ipynb"
PATIENCE_S = 1800
"""For one cell: its commands take half a minute on a free core."""


def executed(folder: Path) -> NotebookNode:
    """The notebook with the outputs of a run in an empty folder; raises CellExecutionError where a cell fails.

    What commands say of their progress (on stderr) is left out, as it differs from run to run.
    """
    notebook: NotebookNode = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "IPYTHONDIR": str(folder / ".ipython"),
        "XDG_CONFIG_HOME": str(folder / ".config"),
    }
    client = NotebookClient(
        notebook,
        timeout=PATIENCE_S,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=environment)
    notebook.metadata.language_info = {"name": "python"}  # not which version it was
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
    return notebook


def main() -> None:
    """Runs the notebook and writes it."""
    with tempfile.TemporaryDirectory() as folder:
        notebook = executed(Path(folder))
    text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    NOTEBOOK.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
