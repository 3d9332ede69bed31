"""What every test shares: no test touches the user's caches or remembered roots."""

import os
import sys
from pathlib import Path

import absl.logging
import pytest

# OpenBLAS and torch would start a thread per core in each of the test processes
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Caches and settings go to a folder of this test run."""
    home = tmp_path_factory.mktemp("home")
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        os.environ[name] = str(home / name)
    return home


@pytest.fixture(scope="session", autouse=True)
def captured_stderr_stays_open() -> None:
    """MediaPipe's logging (absl) closes its stream when MLflow or uvicorn set up logging: not that of pytest."""
    absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__
