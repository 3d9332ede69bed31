"""The import paths that the documentation of version 0.1 named keep working."""

import subprocess
import sys

import pytest

from tests.builds import ROOT, run_python

PATHS = [
    "from occfer.api import Expressions, Face, Recogniser, Run, TrainConfig, aligner_of, load, train",
    "from occfer.train import train",
    "from occfer.predict import load",
    "from occfer.config import TrainConfig",
    "from occfer.errors import ConfigError, OccFERError",
    "from occfer.losses import LOSSES, loss_inequality, reconstruction, similarity, total",
    "from occfer.methods import METHODS",
    "from occfer.baselines import BASELINES",
    "from occsynth.occluder import Occluder",
    "from occsynth.manifest import open_manifest",
    "from occsynth.databases import DATABASES",
    "from occsynth.errors import OccSynthError",
]


@pytest.mark.parametrize("line", PATHS)
def test_an_import_path_of_version_0_1_works(line: str) -> None:
    assert run_python(f"{line}\nprint('imported')").strip() == "imported"


def test_the_names_are_those_of_the_rooms() -> None:
    code = (
        "import occfer.api, occfer.load, occfer.predict, occfer.train, occfer.training.train\n"
        "assert occfer.train.train is occfer.training.train.train is occfer.api.train\n"
        "assert occfer.predict.load is occfer.load.load is occfer.api.load\nprint('same')"
    )
    assert run_python(code).strip() == "same"


@pytest.mark.parametrize("module", ["occfer", "occfer.cli", "occsynth"])
def test_programs_start_as_modules(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[0] == module.partition(".")[0]
