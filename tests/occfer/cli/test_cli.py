"""The command line of occfer: flags, output, exit codes, plain pipes; and the commands of docs/occfer.md."""

import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from typer.main import get_command
from typer.testing import CliRunner

from occfer.cli import options as cli_options
from occfer.cli.app import app
from occfer.cli.commands import NEEDS_TRAIN
from occfer.cli.progress import PlainLines
from occfer.config import TrainConfig
from occfer.config_fields import flag
from occfer.evaluation.tested_samples import PartName
from occfer.faces.live_occlusion import live_occluder
from occfer.method_table import METHOD_TABLE
from occfer.metrics.figure_files import FORMATS
from occfer.runs.run_folder import open_run
from occfer.setting import PANELS
from occsynth import __version__
from tests.builds import ROOT, run_python
from tests.occfer.toy_builds import Build, write_build

MakeBuild = Callable[..., Path]
QUICK = (
    *("--backbone", "tiny", "--weights", "none", "--epochs", "1", "--pretrain-epochs", "1", "--batch-size", "8"),
    *("--device", "cpu", "--no-figures"),
)
ANSI = re.compile("\x1b")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_backbone: None) -> None:
    """Commands run in the test's folder, with the backbone `tiny`."""
    monkeypatch.chdir(tmp_path)


def call(*words: object, code: int = 0) -> tuple[str, str]:
    """What a command prints on stdout and stderr; it must end with `code`."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    assert not ANSI.search(result.output)
    return result.stdout, result.stderr


def error(*words: object, code: int = 1) -> str:
    """The last line that a failing command prints on stderr; nothing may be on stdout."""
    stdout, stderr = call(*words, code=code)
    assert stdout == ""
    return stderr.rstrip("\n").splitlines()[-1]


def options_of(command: str) -> dict[str, Any]:
    """Flag to default of a command."""
    group: Any = get_command(app)
    return {name: each.default for each in group.commands[command].params for name in each.opts}


def test_every_field_of_the_configuration_has_its_flag_and_default() -> None:
    flags = options_of("train")
    for field in fields(TrainConfig):
        name = flag(field.name)
        assert name in flags, name
        if field.name not in ("manifests", "test_manifests", "fold", "out"):
            assert flags[name] == field.default, name


def test_closed_options_take_what_the_library_takes() -> None:
    assert get_args(cli_options.FigureFormat) == FORMATS
    assert get_args(cli_options.RowsChoice) == get_args(PartName)


def test_flags_take_the_choices_of_their_fields() -> None:
    hints = {name: get_args(hint) for name, hint in get_type_hints(TrainConfig).items() if get_origin(hint) is Literal}
    assert {"pairing", "device", "similarity_space"} <= hints.keys()
    for name, choices in hints.items():
        _, stderr = call("train", "--manifest", "a.csv", flag(name), "magic", code=2)
        assert f"'{flag(name)}'" in stderr and all(f"'{choice}'" in stderr for choice in choices), stderr


def test_help_lists_the_flags_of_training_in_panels() -> None:
    stdout, _ = call("train", "--help")
    titles = [line.removesuffix(":") for line in stdout.splitlines() if re.fullmatch(r"\w[\w ]*:", line)]
    assert titles == ["Options", *(panel.capitalize() for panel in PANELS)]
    losses = stdout.partition("\nLosses:\n")[2].partition("\n\n")[0]
    assert "--lambda-sim" in losses and "--rate" not in losses


@pytest.mark.parametrize("command", ["train", "evaluate", "reconstruct", "methods"])
def test_help_is_plain_in_a_pipe(command: str) -> None:
    stdout, _ = call(command, "--help")
    assert stdout.startswith(f"Usage: root {command}") or f" {command} " in stdout.splitlines()[0]
    assert not re.search("[│╭─]", stdout)


def test_version() -> None:
    assert call("--version")[0] == f"occfer {__version__}\n"


def test_train_evaluate_reconstruct(make_build: MakeBuild, tmp_path: Path) -> None:
    manifest = make_build(subjects=6)
    stdout, stderr = call("train", "--manifest", manifest, "--fold", 0, *QUICK[:-1])
    run = open_run(Path("runs/toy-r16-full-fold0"))
    lines = stdout.splitlines()
    assert re.fullmatch(
        r"full on toy-r16, fold 0: accuracy 0\.\d{3}, 95 % interval 0\.\d{3} to 0\.\d{3}, n = 14 .*", lines[0]
    )
    told = ["clean faces", "run folder", "model", "predictions", "figures"]
    assert [line.split("\t")[0] for line in lines[1:]] == told
    for line in lines[2:]:
        assert all(Path(path).exists() for path in line.split("\t")[1].split())
    for stage in ("occluded-branch", "clean-branch", "guidance"):
        assert re.search(
            rf"^{stage} epoch 1/1: total \S+ sup \S+ .*val accuracy \S+ val uar \S+, \d+ images/s", stderr, re.MULTILINE
        )
    assert re.search(r"guidance .* sim \S+ lir \S+ adv \S+ rec \S+ d \S+ d accuracy \S+ val accuracy", stderr)

    stdout, stderr = call("evaluate", "--checkpoint", run.folder, "--manifest", manifest, "--device", "cpu")
    assert stdout.splitlines()[0].startswith(
        f"full on toy (r16): accuracy {run.metrics['accuracy']:.3f}, 95 % interval"
    )
    assert "toy: fold 0, 14 of 42 pairs" in stderr
    assert stdout.count("\nhappiness\t2\t") == 1 and "\nr16\t14\t" in stdout
    made = {path.name for path in (run.folder / "evaluation/toy-r16").glob("[!.]*")}
    images = {f"{name}.png" for name in ("confusion", "by_mode", "by_coverage", "reliability")}
    assert made == images | {"environment.json", "metrics.json", "predictions.csv"}

    stdout, _ = call("reconstruct", "--checkpoint", run.checkpoint, "--manifest", manifest, "-o", "grid.svg")
    assert re.match(r"7 faces, mean squared error 0\.\d{4} ", stdout)
    assert Path("grid.svg").stat().st_size > 1000


def test_all_folds_and_resume(make_build: MakeBuild) -> None:
    words = ("train", "--manifest", make_build(), "--method", "resnet", "--fold", "all", *QUICK)
    stdout, stderr = call(*words)
    assert stdout.startswith("resnet on toy-r16, all folds: accuracy ")
    assert re.search(r"\nover 3 folds: mean accuracy 0\.\d{3}, deviation 0\.\d{3}\n", stdout)
    assert "fold 2 (3 of 3)" in stderr
    assert json.loads(Path("runs/toy-r16-resnet-folds/metrics.json").read_text())["n"] == 42
    assert "holds runs already: continue with --resume" in error(*words)
    assert call(*words, "--resume")[0] == stdout


@pytest.mark.parametrize("mode", ["r16", "eyes", "manifest"])
def test_live_occlusions_train_on_other_pictures(make_build: MakeBuild, mode: str) -> None:
    manifest = make_build()
    words = ("train", "--manifest", manifest, "--method", "resnet", "--fold", 0, *QUICK)
    call(*words, "--out", "fixed")
    call(*words, "--out", "live", "--live-occlusion", mode)
    fixed, live = (open_run(Path(name)).predictions.read_text() for name in ("fixed", "live"))
    assert fixed != live
    assert error(*words, "--out", "none", "--live-occlusion", "r32").startswith(
        "error: --live-occlusion r32: unknown mode 'r32'; choose one of"
    )


def test_live_occlusions_know_the_landmarks(make_build: MakeBuild) -> None:
    """With landmarks beside the manifest, the eyes of a face that is upside down are hidden."""
    manifest = make_build(size_px=48)
    manifests = [manifest, make_build(name="another-r16", database="another", size_px=48)]
    image = np.full((96, 96, 3), 128, dtype=np.uint8)
    plain = live_occluder("eyes", manifests, seed=0)
    upright = np.abs(plain(image, "toy/s000_anger", "r16", 0).astype(int) - 128).sum(axis=(1, 2))
    assert np.array_equal(plain(image, "toy/s000_anger", "r16", 0), plain(image, "toy/s000_anger", "r16", 0))
    assert not np.array_equal(plain(image, "toy/s000_anger", "r16", 0), plain(image, "toy/s000_anger", "r16", 1))
    five = np.array([(16.4, 22.2), (31.5, 22.1), (24.0, 30.7), (17.8, 39.6), (30.3, 39.5)])
    points = np.zeros((68, 2), dtype=np.float32)
    points[36:42], points[42:48], points[30], points[48], points[54] = five  # iBUG: eyes, nose tip, mouth corners
    np.savez(manifest.with_suffix(".landmarks.npz"), pair_ids=np.array(["s000_anger"]), points_xy=47 - points[None])
    turned = live_occluder("eyes", manifests, seed=0)(image, "toy/s000_anger", "r16", 0)
    other = live_occluder("eyes", manifests, seed=0)(image, "another/s000_anger", "r16", 0)
    assert np.array_equal(
        other, plain(image, "another/s000_anger", "r16", 0)
    )  # the same pair_id in another database is another face
    below = np.abs(turned.astype(int) - 128).sum(axis=(1, 2))
    rows = np.arange(96)
    assert np.average(rows, weights=upright) < 48 < np.average(rows, weights=below)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "fulll"], "error: unknown method 'fulll'; choose one of: resnet, sim, "),
        (["--backbone", "vgg"], "error: unknown backbone 'vgg'; choose one of: resnet50, "),
        (["--optimizer", "lamb"], "error: unknown optimizer 'lamb'; choose one of: adam, adamw, sgd"),
        (["--lambda-lir", "2"], "error: --lambda-lir 2 is above 1: "),
        (
            ["--method", "full", "--pairing", "unpaired"],
            "error: --method full cannot be trained with --pairing unpaired",
        ),
        (["--fold", "9"], "error: --fold 9: toy has the folds 0, 1, 2"),
        (["--weights", "no.pth"], "error: --weights no.pth: no such file"),
        (["--batch-size", "1"], "error: --batch-size 1: must be at least 2"),
        (["--manifest", "gone.csv"], "gone.csv not found. Build it with `occsynth build`"),
    ],
)
def test_errors_are_one_line(make_build: MakeBuild, words: list[str], message: str) -> None:
    given = ["train", "--manifest", make_build(), *QUICK]
    given += [] if "--fold" in words else ["--fold", 0]
    assert message in error(*given, *words)


def test_a_manifest_with_folds_needs_one(make_build: MakeBuild) -> None:
    said = error("train", "--manifest", make_build(), *QUICK)
    assert said.endswith("toy comes with folds (0, 1, 2): choose the one to test on with --fold, or --fold all")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--manifest", "a.csv", "--fold", "two"],
        ["--manifest", "a.csv", "--pairing", "twins"],
        ["--manifest", "a.csv", "--epochs", "many"],
        ["--manifest", "a.csv", "--no-such-flag"],
    ],
)
def test_wrong_usage_exits_with_2(words: list[str]) -> None:
    _, stderr = call("train", *words, code=2)
    assert "Usage" in stderr


def test_a_failed_start_leaves_nothing_in_the_way(make_build: MakeBuild) -> None:
    words = ("train", "--manifest", make_build(), "--method", "resnet", "--fold", 0, *QUICK)
    assert "no such file" in error(*words, "--weights", "gone.pth")
    call(*words)
    assert "--out runs/toy-r16-resnet-fold0 holds a run already: continue with --resume" in error(*words)


def test_evaluation_says_what_is_wrong(make_build: MakeBuild) -> None:
    manifest = make_build()
    said = error("evaluate", "--checkpoint", "nowhere", "--manifest", manifest)
    assert said == "error: nowhere not found; checkpoints are in the folder checkpoints/ of a run folder"
    call("train", "--manifest", manifest, "--method", "sim", "--fold", 0, *QUICK)
    run = "runs/toy-r16-sim-fold0"
    assert "--allow-overlap" in error("evaluate", "--checkpoint", run, "--manifest", manifest, "--rows", "all")
    assert "trains no decoder" in error("reconstruct", "--checkpoint", run, "--manifest", manifest)


def test_methods_lists_every_method() -> None:
    lines = call("methods")[0].splitlines()
    assert [line.split("\t")[0] for line in lines[1:]] == list(METHOD_TABLE)
    assert "full\tOurs (all four losses)\tsup, sim, lir, adv, rec\tclean branch, discriminator, decoder\t" in "\n".join(
        lines
    )


def test_only_the_first_process_prints(make_build: MakeBuild, monkeypatch: pytest.MonkeyPatch) -> None:
    call("train", "--manifest", make_build(), "--method", "resnet", "--fold", 0, *QUICK)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("occfer.training.train.train", lambda config, **_: open_run(config.out))
    words = ("--out", "runs/toy-r16-resnet-fold0", "--resume")
    assert call("train", "--manifest", "builds/manifests/toy-r16.csv", "--method", "resnet", *QUICK, *words)[0] == ""


def test_ctrl_c_says_how_to_continue(make_build: MakeBuild, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("occfer.training.train.train", interrupted)
    said = error("train", "--manifest", make_build(), "--fold", 0, *QUICK, code=130)
    assert said == "interrupted; to continue, type the same command with --resume --out runs/toy-r16-full-fold0"


START = "from tests.occfer import toy_builds\ntoy_builds.add_tiny_backbone()\nfrom occfer.cli.app import main\nmain()"


def test_a_terminal_sees_a_bar_with_every_loss_term(make_build: MakeBuild, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    words = ["train", "--manifest", str(make_build()), "--fold", "0", *QUICK, "--log-every", "1", "--epochs", "20"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [sys.executable, "-c", START, *words], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=slave
    ) as process:
        os.close(slave)
        seen = b""
        while select.select([master], [], [], 60)[0]:
            try:
                read = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            seen += read
        stdout = process.communicate(timeout=60)[0]
    os.close(master)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())
    assert process.returncode == 0, text
    assert re.search(r"guidance +[━╸╺]+ epoch \d+/20  \d+ images/s  0:00:\d\d left", text)
    assert re.search(r"total \S+ sup \S+ sim \S+ lir \S+ adv \S+ rec \S+ d \S+", text)
    assert re.search(r"guidance: 20 epochs, best val accuracy 0\.\d{3}", text)
    assert stdout.decode().startswith("full on toy-r16, fold 0: accuracy ")


@pytest.mark.slow
def test_a_run_after_ctrl_c_and_resume_has_an_uninterrupted_runs_result(tmp_path: Path) -> None:
    manifest = write_build(tmp_path / "builds", Build())
    words = ["train", "--manifest", str(manifest), "--method", "sim", "--fold", "0", *QUICK, "--epochs", "12"]

    def begin(*more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", START, *words, *more]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    process = begin("--out", "killed")
    log = tmp_path / "killed" / "metrics.csv"
    until = time.monotonic() + 120
    while not (log.is_file() and "guidance,2," in log.read_text()):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert stdout == "" and stderr.rstrip().endswith("--resume --out killed")
    assert "Traceback" not in stderr
    results = []
    for more in (("--out", "killed", "--resume"), ("--out", "undisturbed")):
        process = begin(*more)
        process.communicate(timeout=300)
        assert process.returncode == 0
        results.append((tmp_path / more[1] / "predictions.csv").read_bytes())
    assert results[0] == results[1]


def test_without_torch_every_command_says_what_to_install() -> None:
    code = (
        "import sys\nsys.modules['torch'] = None\nfrom occfer.cli.app import main\n"
        "sys.argv = ['occfer', 'train', '--manifest', 'a.csv']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    print(end.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == f"error: {NEEDS_TRAIN}"
    assert done.stdout.strip() == "1"


@pytest.mark.parametrize("package", ["lightning_fabric", "safetensors.torch", "scipy", "sklearn.metrics"])
def test_a_missing_part_of_the_extra_is_one_line(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise ModuleNotFoundError(f"No module named '{package}'", name=package)

    monkeypatch.setattr("occfer.training.train.train", missing)
    assert error("train", "--manifest", "a.csv") == f"error: {NEEDS_TRAIN}"


def test_a_device_out_of_memory_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr("occfer.training.train.train", full)
    said = error("train", "--manifest", "a.csv")
    assert said == (
        "error: memory of the device ran out (CUDA out of memory.); lower --batch-size or --size, or free some"
    )


def test_commands_import_nothing_heavy_before_they_run() -> None:
    code = (
        "import sys, occfer.cli.app\n"
        "print({'torch', 'cv2', 'pandas', 'mediapipe', 'matplotlib', 'numpy', 'scipy', 'sklearn'} & set(sys.modules))"
    )
    assert run_python(code).strip() == "set()"


def step(round_: int, **terms: float) -> dict[str, Any]:
    epoch = (round_ - 1) // 4 + 1
    event = {"event": "step", "stage": "guidance", "epoch": epoch, "epochs": 3, "round": round_, "rounds": 12}
    return event | {"images_per_s": 100.0, "total": 1.0} | terms


def test_plain_progress_prints_a_line_per_epoch_and_one_per_minute() -> None:
    said: list[str] = []
    now = [0.0]
    lines = PlainLines(said.append, lambda: now[0])
    for round_ in range(1, 13):
        lines(step(round_, **({"val_accuracy": 0.5} if round_ % 4 == 0 else {})))
        now[0] += 10 if round_ < 9 else 61
    assert said == [
        "guidance epoch 1/3: total 1.000, 100 images/s",
        "guidance epoch 1/3: total 1.000 val accuracy 0.500, 100 images/s, 0:01:20 left",
        "guidance epoch 2/3: total 1.000 val accuracy 0.500, 100 images/s, 0:00:40 left",
        "guidance epoch 3/3: total 1.000, 100 images/s, 0:00:31 left",
        "guidance epoch 3/3: total 1.000, 100 images/s, 0:00:20 left",
        "guidance epoch 3/3: total 1.000 val accuracy 0.500, 100 images/s, 0:00:00 left",
    ]
    lines({"event": "note", "text": "hello"})
    lines({"event": "pack", "done": 1, "rows": 2})
    lines({"event": "pack", "done": 2, "rows": 2})
    assert said[-2:] == ["hello", "decoded: 2 pairs"]
    for done in range(0, 9000, 1000):
        lines({"event": "predict", "done": done, "rows": 9000})
        now[0] += 35
    lines({"event": "predict", "done": 9000, "rows": 9000})
    assert said[-5:] == [
        "predicted: 2,000 of 9,000 (22 %), 29/s, 0:04:05 left",
        "predicted: 4,000 of 9,000 (44 %), 29/s, 0:02:55 left",
        "predicted: 6,000 of 9,000 (67 %), 29/s, 0:01:45 left",
        "predicted: 8,000 of 9,000 (89 %), 29/s, 0:00:35 left",
        "predicted: 9000 pairs",
    ]


DOCS = (ROOT / "docs" / "occfer.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ").strip()
    for block in re.findall(r"^```console\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("$ ")
]


def test_the_commands_of_the_docs_run(tmp_path: Path) -> None:
    """On a toy build instead of the demo database, with a tiny network and one epoch per stage."""
    build = Build(name="demo-r16", database="demo", subjects=4, folds=2)
    write_build(tmp_path / "builds", build)
    for mode in ("eyes", "r8", "r24", "mouth", "random"):
        write_build(tmp_path / "builds", Build(name=f"demo-{mode}", database="demo", mode=mode, subjects=4, folds=2))
    assert len(COMMANDS) == 9
    for command in COMMANDS:
        program, *words = shlex.split(command)
        if program == "occsynth":
            continue  # the README's test runs the build
        assert program == "occfer", command
        for name, value in (("--epochs", "1"), ("--pretrain-epochs", "1"), ("--backbone", "tiny"), ("--size", "24")):
            if name in words:
                words[words.index(name) + 1] = value
        if words[0] == "train":
            words += ["--batch-size", "8", "--device", "cpu"]
            assert {"--epochs", "--pretrain-epochs", "--backbone"} <= set(words), f"{command} would take long here"
        said = call(*words)[0]
        if words[0] != "train":
            assert call(*words)[0] == said, "what a command has made, it may make again"


def test_the_snippet_of_the_docs_runs(make_build: MakeBuild, capsys: pytest.CaptureFixture[str]) -> None:
    make_build(name="demo-r16", database="demo", subjects=4, folds=2)
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    quick = 'weights="none", backbone="tiny", pretrain_epochs=1, device="cpu"'
    exec(snippet.replace('weights="none"', quick), {})  # noqa: S102 - our own page
    assert re.match(r"0\.\d+ \{'low': ", capsys.readouterr().out)


def test_progress_shows_the_terms_of_every_loss() -> None:
    said: list[str] = []
    step = {"event": "step", "stage": "guidance", "epoch": 1, "epochs": 1, "round": 3, "rounds": 3, "images_per_s": 9.0}
    PlainLines(said.append)(
        step | {"d": 0.5, "sup": 2.0, "kd": 0.25, "total": 2.5, "val_accuracy": 0.5, "val_loss": 1.0}
    )
    assert said == ["guidance epoch 1/1: total 2.500 sup 2.000 kd 0.250 d 0.500 val accuracy 0.500, 9 images/s"]
