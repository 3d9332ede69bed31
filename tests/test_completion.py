"""Shells complete both programs: commands, flags and the values of closed options."""

import os
import subprocess
import sys

import pytest

from tests.builds import ROOT, run_python

CASES = [
    ("occsynth", "ex", {"export"}),
    ("occsynth", "build --fil", {"--fill"}),
    ("occsynth", "build --fill t", {"template"}),
    ("occsynth", "export m.csv --to par", {"parquet"}),
    ("occsynth", "templates a", {"add"}),
    ("occfer", "repr", {"reproduce"}),
    ("occfer", "train --pretrain-e", {"--pretrain-epochs"}),
    ("occfer", "predict --align sim", {"similarity"}),
]


@pytest.mark.parametrize(("program", "typed", "offered"), CASES, ids=[f"{each[0]} {each[1]}" for each in CASES])
def test_bash_is_told_how_to_go_on(program: str, typed: str, offered: set[str]) -> None:
    words = f"{program} {typed}"
    asked = {f"_{program.upper()}_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [sys.executable, "-m", program],
        env={**os.environ, **asked},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.split()) == offered


@pytest.mark.parametrize("program", ["occsynth", "occfer"])
def test_completion_loads_nothing_heavy(program: str) -> None:
    code = (
        f"import sys\nfrom {program}.cli.app import app\nsys.argv = ['{program}']\n"
        f"try:\n    app([], prog_name='{program}')\nexcept SystemExit:\n    pass\n"
        "print({'torch', 'cv2', 'pandas', 'mediapipe', 'numpy'} & set(sys.modules))"
    )
    asked = {f"_{program.upper()}_COMPLETE": "complete_bash", "COMP_WORDS": f"{program} ", "COMP_CWORD": "1"}
    assert run_python(code, **asked).endswith("set()\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("program", ["occsynth", "occfer"])
def test_every_shell_has_a_script(program: str, shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", program, "--show-completion", shell],
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"_{program.upper()}_COMPLETE" in done.stdout
