"""A small suite of demo faces: two columns of the 28 faces of fold 0."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from occsynth.suites.freeze import freeze
from occsynth.suites.make import make_suite
from occsynth.suites.suite import FILE, Column, Suite, dump_suite

RECIPE = Suite(
    name="small",
    version="1",
    database="demo",
    title="Two columns",
    folds=(0,),
    columns=(
        Column("r16-seen", "r16", "train", ("paper", "seen")),
        Column("eyes-unseen", "eyes", "test", ("paper", "unseen")),
    ),
)


def write_recipe(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(dump_suite(replace(RECIPE, **changes)))
    return folder


@cache
def made_suite() -> Path:
    """The folder of the suite as `occsynth suite make` makes it; once per test process, and not to be written to."""
    folder = Path(mkdtemp(prefix="made-suite-"))
    make_suite(RECIPE, folder, workers=1)
    return folder


@cache
def frozen_suite() -> Path:
    """The frozen folder; once per test process, and not to be written to."""
    folder = Path(mkdtemp(prefix="frozen-suite-"))
    freeze(made_suite(), folder)
    return folder
