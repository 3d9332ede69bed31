"""The command line: every command on demo faces, the wording of errors, exit codes, plain pipes, and Ctrl-C."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from occsynth import __version__, doctor
from occsynth.build import build as building
from occsynth.cli.app import app
from occsynth.databases import DATABASES
from occsynth.modes import DESCRIPTIONS, GROUPS
from occsynth.option_values import ALIGNMENTS, BACKENDS, EDGES, FILLS, IMAGE_FORMATS, IMPORT_KINDS, SQUARES_AT
from occsynth.pixels.images import ENDINGS
from tests.builds import DEMO_ROOT, STEMS

OCCSYNTH = (sys.executable, "-c", "from occsynth.cli.app import main; main()")
ROOT = Path(__file__).parents[3]
NOT_PLAIN = re.compile("[\x1b│┃┏╭─━]")


def call(*words: object, code: int = 0) -> tuple[str, str]:
    """What a command prints on stdout and stderr; it must end with `code`."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result.stdout, result.stderr


def error(*words: object, code: int = 1) -> str:
    """The single line that a failing command prints on stderr."""
    stdout, stderr = call(*words, code=code)
    assert stdout == ""
    assert stderr.count("\n") == 1
    return stderr.rstrip("\n")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build root with five demo faces in two modes; `printed.txt` is what the build printed."""
    folder = tmp_path_factory.mktemp("built")
    few = folder / "few.txt"
    few.write_text("\n".join(STEMS))
    words = ("--db", "demo", "--mode", "r16,eyes", "--subset", few, "--workers", 1, "--out", folder / "b")
    (folder / "b").mkdir()
    (folder / "b/printed.txt").write_text(call("build", *words)[0])
    return folder / "b"


@pytest.fixture
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No root is remembered."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_a_build_ends_with_manifests_rows_rejects_and_the_next_command(built: Path) -> None:
    lines = (built / "printed.txt").read_text().splitlines()
    assert re.fullmatch(r"5 pairs in each of 2 modes from 5 sources, in \d+\.\d s", lines[0])
    folder = built / "manifests"
    assert lines[1:] == [
        f"manifest\t{folder}/demo-r16-few.csv\t5 rows",
        f"manifest\t{folder}/demo-eyes-few.csv\t5 rows",
        "rejects\t0 of 5 sources",
        f"next\toccsynth preview {folder}/demo-r16-few.csv -o {built}/demo-r16-few.png",
    ]


def test_the_next_command_runs(built: Path) -> None:
    command = (built / "printed.txt").read_text().splitlines()[-1].partition("\toccsynth ")[2]
    assert call(*command.split())[0] == f"sheet\t{built}/demo-r16-few.png\t5 of 5 pairs\n"
    assert (built / "demo-r16-few.png").read_bytes().startswith(b"\x89PNG")


def test_paths_below_the_current_folder_are_relative(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built)
    words = ("--db", "demo", "--mode", "r16", "--subset", "../few.txt", "--workers", 1, "--out", ".")
    lines = call("build", *words)[0].splitlines()
    assert lines[0] == "5 pairs from 5 sources, already built"
    assert lines[1] == "manifest\tmanifests/demo-r16-few.csv\t5 rows"


def test_rejects_are_counted_and_their_list_is_named(tmp_path: Path) -> None:
    face = (DEMO_ROOT / "images/s001/s001_anger.jpg").read_bytes()
    for name, content in (("good.jpg", face), ("cut.jpg", face[:3000]), ("empty.jpg", b"")):
        (tmp_path / "raw/anger").mkdir(parents=True, exist_ok=True)
        (tmp_path / "raw/anger" / name).write_bytes(content)
    words = ["build", "--db", "folder", "--root", tmp_path / "raw", "--mode", "r8", "--workers", 1]
    listed = tmp_path / "b/manifests/folder-r8.rejects.csv"
    stdout, _ = call(*words, "--out", tmp_path / "b")
    assert stdout.startswith("1 pair from 3 sources")
    assert f"rejects\t2 of 3 sources; see {listed}\n" in stdout
    assert len(listed.read_text().splitlines()) == 3
    said = error(*words, "--out", tmp_path / "c", "--strict")
    assert said.startswith("error: --strict: 2 of 3 sources gave no pair")
    assert said.endswith(f"{tmp_path}/c/manifests/folder-r8.rejects.csv")
    assert (tmp_path / "c/manifests/folder-r8.csv").exists()


def test_published_replayed_verified(built: Path, tmp_path: Path) -> None:
    source = built / "manifests/demo-eyes-few.csv"
    assert call("publish", source, "-o", tmp_path / "p.csv")[0] == f"manifest\t{tmp_path}/p.csv\n"
    stdout, _ = call("replay", tmp_path / "p.csv", "--out", tmp_path / "r", "--workers", 1)
    again = tmp_path / "r/manifests/demo-eyes-few.csv"
    assert stdout == f"5 rows replayed pixel for pixel; 0 of them were already there\nmanifest\t{again}\n"
    assert f"5 rows match {again}\n" in call("verify", again, "--workers", 1)[0]
    next((tmp_path / "r/data/demo-eyes-few/mask").rglob("*.png")).unlink()
    stdout, stderr = call("verify", again, "--workers", 1, code=1)
    assert stdout.endswith(": file not found\n")
    assert stderr == (
        f"error: 1 problem in 5 rows of {again}. Delete each file that is named, or the manifest if its rows are "
        "wrong, and run the command again that made the build\n"
    )


def test_names_in_a_foreign_manifest_do_not_steer_the_terminal(built: Path, tmp_path: Path) -> None:
    for ending in (".csv", ".json"):
        path = tmp_path / f"m/demo-r16-few{ending}"
        path.parent.mkdir(exist_ok=True)
        text = (built / f"manifests/{path.name}").read_text()
        path.write_text(text.replace("images/s001/s001_anger", "images/\x1b[2Jevil"))
    stdout, stderr = call("verify", tmp_path / "m/demo-r16-few.csv", "--workers", 1, code=1)
    assert "images/\\x1b[2Jevil\t" in stdout
    assert "\x1b" not in stdout + stderr


def test_a_page_leaves_lists_of_rejects_out(built: Path, tmp_path: Path) -> None:
    every = sorted((built / "manifests").glob("*.csv"))
    assert any(path.name.endswith(".rejects.csv") for path in every)
    stdout, _ = call("preview", *every, "-o", tmp_path / "g.html", "--count", 6)
    assert re.fullmatch(rf"gallery\t{tmp_path}/g\.html\t6 of 10 pairs, 0\.\d MB\n", stdout)


def test_stats(built: Path, tmp_path: Path) -> None:
    stdout, _ = call("stats", built / "manifests/demo-r16-few.csv", "-o", tmp_path / "s.png")
    for line in ("Pairs by class", "Hidden share", "r16\t5\t100 %", f"figure\t{tmp_path}/s.png"):
        assert line in stdout.splitlines()
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_landmarks_come_out_the_same(built: Path) -> None:
    path = built / "manifests/demo-r16-few.landmarks.npz"
    before = path.read_bytes()
    path.unlink()
    assert call("landmarks", built / "manifests/demo-r16-few.csv")[0] == f"landmarks\t{path}\n"
    assert path.read_bytes() == before
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["points_xy"].shape == (5, 68, 2)


def test_modes() -> None:
    lines = call("modes")[0].splitlines()
    assert [line.split("\t")[0] for line in lines] == ["mode", *DESCRIPTIONS, *GROUPS]
    assert lines[-1] == "table2\tr8, r16, r24, eyes, mouth in one pass over the database"


def test_modes_are_measured() -> None:
    header, line = (
        each.split("\t") for each in call("modes", "--measure", "upper-90", "--fill", "black")[0].splitlines()
    )
    assert header[:5] == ["mode", "fill", "by its name", "picture", "face"]
    assert line[:3] == ["upper-90", "black", "90 % of the face"] and line[4] == "90.0 %"
    assert "give it modes" in call("modes", "--fill", "black", code=2)[1]
    assert error("modes", "--measure", "upper-100").startswith(
        "error: unknown mode 'upper-100'; choose one of: random,"
    )


@pytest.mark.usefixtures("own_settings")
def test_databases_and_a_remembered_root(tmp_path: Path) -> None:
    lines = [line.split("\t") for line in call("databases")[0].splitlines()]
    assert [line[0] for line in lines] == ["key", *DATABASES]
    assert {len(line) for line in lines} == {7}
    assert lines[1][-1] == "-"
    raw = tmp_path / "raw"
    raw.mkdir()
    stdout, _ = call("databases", "set", "ck+", raw)
    assert stdout.startswith(f"ck+ is at {raw} (kept in {tmp_path}/config/")
    assert call("databases")[0].splitlines()[1].endswith(f"\t{raw}")
    said = error("build", "--db", "ck+", "--mode", "r8", "--out", tmp_path / "b")
    assert said.startswith(f"error: ck+: cohn-kanade-images/ not found in {raw}")


def test_templates_are_listed_and_added(tmp_path: Path) -> None:
    stdout, stderr = call("templates")
    assert len(stdout.splitlines()) == 107
    assert stderr.endswith(": 21 drink, 23 food, 27 hand, 35 wear\n")
    words = ["templates", "add", ROOT / "templates/food", "--category", "food", "--out", tmp_path / "pack"]
    assert "no licence for 23 of 23" in error(*words)
    stdout, _ = call(*words, "--licence", "CC0-1.0", "--source", "own work", "--limit", 2)
    assert stdout.splitlines()[0] == f"added\t2 templates to {tmp_path}/pack"
    assert stdout.splitlines()[-1] == f"next\toccsynth templates --templates {tmp_path}/pack"
    assert call("templates", "--templates", tmp_path / "pack")[0].count("CC0-1.0\town work") == 2


def test_doctor_fails_where_a_check_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [doctor.Check("python", True, "3"), doctor.Check("opencv", False, "two wheels")]
    monkeypatch.setattr(doctor, "run_doctor", lambda: checks)
    stdout, stderr = call("doctor", code=1)
    assert stdout == "ok\tpython\t3\nFAIL\topencv\ttwo wheels\n"
    assert stderr == "error: 1 of 2 checks failed: opencv\n"
    monkeypatch.setattr(doctor, "run_doctor", lambda: checks[:1])
    assert call("doctor")[1] == ""


def test_version_and_help() -> None:
    assert call("--version")[0] == f"occsynth {__version__}\n"
    for words in ([], ["build"], ["databases"], ["databases", "set"], ["templates", "add"], ["replay"], ["preview"]):
        assert "Usage: " in call(*words, "--help")[0]


def test_every_command_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    commands: Any = get_command(app)
    missing = [name for name in commands.commands if f"occsynth {name}" not in readme]
    assert not missing


@pytest.mark.usefixtures("own_settings")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build", "--db", "ck", "--mode", "r8"], "unknown database 'ck'; choose one of: ck+, ck+48, raf-db"),
        (["build", "--db", "demo", "--mode", "r32"], "unknown mode 'r32'; choose one of: random, eyes, mouth, r8"),
        (["build", "--db", "demo", "--mode", "real"], "--mode real is for images that are already occluded"),
        (["build", "--db", "fed-ro", "--mode", "r8"], "fed-ro: its images are already occluded; use --mode real"),
        (["build", "--db", "ck+", "--mode", "r8"], "ck+: no --root was given and none is remembered. --root must be"),
        (["build", "--db", "demo", "--mode", "r8", "--size", "4"], "--size 4 is outside 8 to 4096 pixels"),
        (["build", "--db", "demo", "--mode", "r8", "--variant", "x"], "unknown demo variant 'x'; choose one of"),
        (["build", "--db", "demo", "--mode", "r8", "--category", "sea"], "no template of category sea in"),
        (["build", "--db", "demo", "--mode", "r8", "--scheduler", "a:1"], "--scheduler needs --backend dask"),
        (["build", "--db", "demo", "--mode", "r8", "--slurm", "time=5"], "--slurm needs --backend slurm"),
        (["build", "--db", "demo", "--mode", "r8", "--slurm", "gpus=1"], "--backend slurm needs --slurm time=MINUTES"),
        (["databases", "set", "ck", "."], "unknown database 'ck'; choose one of: ck+"),
        (["databases", "set", "ck+", "nowhere"], "nowhere is not a folder; give the one that holds the raw database"),
        (["templates", "--templates", "nowhere"], "nowhere/index.csv not found. A template pack is a folder"),
        (["templates", "add", "nowhere"], "nowhere not found. Give a folder of cut-outs or a COCO instances JSON"),
        (["verify", "nowhere.csv"], "nowhere.csv not found. Build it with `occsynth build`"),
        (["stats", "nowhere.txt"], "nowhere.txt: a manifest is a .csv or .csv.gz file"),
        (["replay", "nowhere.csv", "--out", "x"], "nowhere.csv not found"),
        (["publish", "nowhere.csv", "-o", "x.csv"], "nowhere.csv not found"),
        (["preview", "nowhere.csv", "-o", "x.png"], "nowhere.csv not found"),
        (["landmarks", "nowhere.csv"], "nowhere.csv not found"),
    ],
)
def test_an_error_is_one_line(words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = error(*words)
    assert line.startswith("error: ")
    assert said in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build", "--db", "demo"], "Missing option '--mode'"),
        (["build", "--db", "demo", "--mode", "r8", "--fill", "red"], "'red' is not one of"),
        (["build", "--db", "demo", "--mode", "r8", "--workers", "0"], "--workers"),
        (["preview", "x.csv", "-o", "x.jpg"], "x.jpg is neither .png (a contact sheet) nor .html (a gallery)"),
        (["verify"], "Missing argument 'MANIFEST'"),
        (["bild"], "No such command 'bild'"),
        (["databases", "get"], "No such command 'get'"),
        (["build", "--db", "demo", "--mode", "r8", "--colour", "x"], "No such option"),
    ],
)
def test_usage_errors_end_with_2(words: list[str], said: str) -> None:
    assert said in call(*words, code=2)[1]


def test_a_system_library_that_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(building, "build", broken)
    line = error("build", "--db", "demo", "--mode", "r8")
    assert line.startswith("error: missing system libraries: libGL.so.1")
    assert line.endswith("apt-get install -y libgl1")


def test_an_unforeseen_os_error_is_one_line(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/data/x")

    monkeypatch.setattr(building, "build", broken)
    assert error("build", "--db", "demo", "--mode", "r8") == "error: cannot use /data/x: Permission denied"
    manifest = built / "manifests/demo-r16-few.csv"
    assert f"error: cannot write {manifest}/x.csv" in error("publish", manifest, "-o", manifest / "x.csv")


@pytest.mark.parametrize(
    ("module", "words", "said"),
    [
        ("build.build.build", ["build", "--db", "demo", "--mode", "r8"], "interrupted; run the same command again"),
        ("sharing.verify.verify", ["verify", "{manifest}"], "interrupted"),
    ],
)
def test_an_interrupt_is_one_line_and_130(
    built: Path, monkeypatch: pytest.MonkeyPatch, module: str, words: list[str], said: str
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"occsynth.{module}", interrupted)
    manifest = str(built / "manifests/demo-r16-few.csv")
    assert error(*(word.format(manifest=manifest) for word in words), code=130).startswith(said)


MEDIAPIPE_LOG = re.compile(r"[IWE]\d{4} \d\d:\d\d:|WARNING: Logging before InitGoogle|INFO: Created TensorFlow Lite")


def test_ctrl_c_in_the_middle_and_the_same_command_again(tmp_path: Path) -> None:
    (tmp_path / "most.txt").write_text("\n".join(path.stem for path in sorted(DEMO_ROOT.rglob("*.jpg"))[:120]))
    words = ("--db", "demo", "--mode", "r16", "--subset", tmp_path / "most.txt", "--out", tmp_path / "b")
    command = [*OCCSYNTH, "build", *map(str, words), "--workers", "2"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=ROOT
    ) as process:
        while process.poll() is None and not list(tmp_path.glob("b/data/*/clean/**/*.png")):
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert stdout == ""
    # a worker that is stopped while it loads the model may leave the log lines of MediaPipe's C++ code
    said = [line for line in stderr.splitlines() if not MEDIAPIPE_LOG.match(line)]
    assert said == ["interrupted; run the same command again to continue"]
    assert not list(tmp_path.glob("b/manifests/*.csv"))
    assert call("build", *words, "--workers", 1)[0].startswith("120 pairs from 120 sources")


@pytest.mark.parametrize("words", [["--help"], ["build", "--help"], ["databases"], ["modes"], ["templates"]])
def test_a_pipe_gets_plain_unwrapped_text(words: list[str]) -> None:
    environment = {**os.environ, "COLUMNS": "40", "FORCE_COLOR": "", "TERM": "xterm-256color"}
    done = subprocess.run(
        [*OCCSYNTH, *words], capture_output=True, text=True, check=True, cwd=ROOT, env=environment, timeout=60
    )
    assert not NOT_PLAIN.search(done.stdout + done.stderr)
    if words == ["databases"]:
        assert len(done.stdout.splitlines()) == 1 + len(DATABASES)
    if "--help" in words:
        assert max(map(len, done.stdout.splitlines())) > 100


def on_terminal(*words: object) -> str:
    """What a command shows on a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm"}
    shown = b""
    with subprocess.Popen(
        [*OCCSYNTH, *map(str, words)], stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=environment
    ) as process:
        os.close(theirs)
        while select.select([ours], [], [], 60)[0]:
            try:
                read = os.read(ours, 1 << 16)
            except OSError:  # Linux's way to say that the other side is gone
                break
            if not read:
                break
            shown += read
    os.close(ours)
    assert process.returncode == 0, shown.decode()
    return shown.decode()


def test_a_terminal_gets_a_drawn_table() -> None:
    assert re.search(r"│ r16 +│ a square of 16/48", on_terminal("modes"))


def test_a_terminal_gets_progress_with_rate_and_time_left(tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("\n".join(STEMS))
    words = ("--db", "demo", "--mode", "r8", "--subset", tmp_path / "few.txt", "--workers", 1, "--out", tmp_path / "b")
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", on_terminal("build", *words))
    assert re.search(r"pairs .* 5/5 +[\d,-]+/s +\d:\d\d:\d\d", shown)
    assert "5 pairs from 5 sources" in shown


def choices(command: str, flag: str) -> tuple[str, ...]:
    """The words that an option takes, from the help; versions of typer differ in the brackets."""
    found = re.search(rf"{flag} [<\[](\S+)[>\]]", call(*command.split(), "--help")[0])
    assert found, flag
    return tuple(found[1].split("|"))


def test_closed_options_take_the_words_of_the_library() -> None:
    assert choices("build", "--fill") == FILLS
    assert choices("build", "--align") == ALIGNMENTS
    assert choices("build", "--square-at") == choices("modes", "--square-at") == SQUARES_AT
    assert choices("build", "--format") == IMAGE_FORMATS == tuple(ENDINGS)
    assert choices("build", "--backend") == choices("replay", "--backend") == BACKENDS
    assert choices("templates add", "--kind") == IMPORT_KINDS
    assert choices("templates add", "--base-edge") == ("auto", "none", *EDGES[1:])


def test_the_help_of_mode_names_every_mode_and_group() -> None:
    (line,) = (line for line in call("build", "--help")[0].splitlines() if "--mode " in line)
    assert all(re.search(rf"\b{name}\b", line.partition("Modes")[2]) for name in (*DESCRIPTIONS, *GROUPS))
