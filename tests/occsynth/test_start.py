"""How both programs begin and end: signals at any moment, closed streams, full ones, other encodings, faults."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from occsynth.start import WORDS
from tests.builds import ROOT
from tests.occsynth.small_program import command, environment, run, write_program
from tests.occsynth.test_escapes import HOSTILE

LETTERS = "Müller Żółć 表情"
OTHER_ENCODINGS: dict[str, dict[str, str]] = {
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "strict": {"PYTHONIOENCODING": "latin-1:strict"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The folder of the small program."""
    write_program(tmp_path)
    return tmp_path


def shell(line: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, timeout=60, cwd=ROOT, errors="replace"
    )


def test_what_loads_before_the_guard_is_a_few_modules_of_python() -> None:
    code = "import sys\nbefore = set(sys.modules)\nimport occsynth.__main__, occfer.__main__\n"
    code += "print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    names = set(loaded.stdout.split())
    assert {name for name in names if name.startswith("occ")} == {
        "occsynth", "occsynth.start", "occsynth.__main__", "occfer", "occfer.__main__",
    }  # fmt: skip
    assert not names & {"typer", "typing", "inspect", "pathlib", "threading", "re", "numpy"}


@pytest.mark.parametrize("number", WORDS, ids=lambda number: number.name)
@pytest.mark.parametrize(
    ("name", "variables", "advice"),
    [
        ("build", {"WAIT_IN_IMPORT": "1"}, ""),
        ("build", {}, "; run the same command again to continue"),
        ("late", {}, ""),
        ("swallows", {}, ""),
        ("converts", {}, ""),
        ("children", {}, ""),
    ],
    ids=["import", "command", "late import", "swallowed", "converted", "with children"],
)
def test_a_signal_at_any_moment_is_one_line_and_its_code(
    program: Path, number: signal.Signals, name: str, variables: dict[str, str], advice: str
) -> None:
    with subprocess.Popen(
        command(name),
        cwd=program,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not (program / "ready").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (128 + number, "", f"{WORDS[number]}{advice}\n")


def test_a_signal_that_was_ignored_stays_so(program: Path) -> None:
    """As under nohup: the process goes on, and ends by the next one."""
    ignoring = ["nohup", *command("build")]
    with subprocess.Popen(
        ignoring, cwd=program, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not (program / "ready").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM


def guarded(process: "subprocess.Popen[str]") -> bool:
    """Whether the process handles SIGTERM, which Python itself does not."""
    found = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
    return found is not None and bool(int(found[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6])
@pytest.mark.parametrize(
    "words",
    [
        ("-m", "occsynth", "build", "--db", "demo", "--mode", "r8", "--workers", "1"),
        ("-m", "occfer", "train", "--manifest", str(ROOT / "manifests/demo-r16.csv"), "--fold", "0"),
        ("-m", "occfer", "report", "."),
        ("-m", "occfer.cli", "evaluate", "--checkpoint", "x", "--manifest", "y.csv"),
    ],
    ids=lambda words: words[2],
)
def test_ctrl_c_while_the_real_programs_import(tmp_path: Path, words: tuple[str, ...], delay_s: float) -> None:
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None and not guarded(process):
            time.sleep(0.001)
        time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert "Traceback" not in stderr and "ignored" not in stderr
    if process.returncode != 1:  # it had not ended before
        assert process.returncode == 130, stderr
        assert sum(line.startswith("interrupted") for line in stderr.splitlines()) == 1


@pytest.mark.parametrize("words", ["occsynth modes", "occsynth --help", "occfer --help", "occfer.cli --version"])
@pytest.mark.parametrize(
    ("streams", "code", "said"),
    [
        (">/dev/full", 1, "error: cannot write to stdout: No space left on device\n"),
        (">&-", 1, "error: stdout is closed; send what is printed to a file, or to /dev/null\n"),
        (">&- 2>&-", 1, ""),
        ("2>/dev/full", 0, None),
        ("2>&-", 0, None),
        ("<&-", 0, None),
        ("| true; exit ${PIPESTATUS[0]}", (0, 1), ""),  # 0 if all was written before the pipe was closed
    ],
)
def test_streams_that_cannot_be_written(
    words: str, streams: str, code: int | tuple[int, ...], said: str | None
) -> None:
    done = shell(f"{sys.executable} -m {words} {streams}")
    assert done.returncode in (code if isinstance(code, tuple) else (code,))
    assert done.stderr == (said or "")
    assert bool(done.stdout) == (said is None)


@pytest.mark.parametrize("streams", ["2>/dev/full", "2>&-", "2> >(true)"])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("occsynth modes --bogus", 2),
        ("occsynth verify gone.csv", 1),
        ("occfer nothing", 2),
        ("occfer train --manifest x.csv --config gone.json", 1),
    ],
)
def test_an_error_that_nobody_can_read_keeps_its_code(words: str, code: int, streams: str) -> None:
    done = shell(f"{sys.executable} -m {words} {streams}")
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_a_closed_stream_is_no_file_of_ours(tmp_path: Path) -> None:
    """What is printed must not end in the first file that is opened, which would get the closed stream's number."""
    for closed in ("0<&-", "2>&-", "0<&- 2>&-"):
        out = tmp_path / "few.txt"
        code = f"from occsynth.start import _open_streams; _open_streams(); open({str(out)!r}, 'w').fileno() > 2 or 1/0"
        assert shell(f'{sys.executable} -c "{code}" {closed}').returncode == 0, closed


@pytest.mark.parametrize("variables", OTHER_ENCODINGS.values(), ids=OTHER_ENCODINGS)
@pytest.mark.parametrize("name", [LETTERS, *HOSTILE[:-1]])
def test_an_encoding_that_lacks_a_letter_gets_an_escape(program: Path, variables: dict[str, str], name: str) -> None:
    if "\0" in name or name.startswith("-"):
        name = "x" + name.replace("\0", "")
    done = run(program, "names", name, **variables)
    assert done.returncode == 0, done.stderr
    for printed in (done.stdout, done.stderr):
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f-\x9f]", printed), printed
    assert done.stdout.count(b"\n") == 3 and done.stderr.count(b"\n") == 1
    if name == LETTERS:
        assert rb"\u8868" in done.stdout or rb"\udc" in done.stdout


def test_a_program_that_speaks_utf_8_prints_every_letter(program: Path) -> None:
    assert run(program, "names", LETTERS, PYTHONIOENCODING="utf-8").stdout.decode().splitlines()[0] == (
        f"{LETTERS}\t{LETTERS}"
    )


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize("name", [LETTERS, "[red]x[/red] [link=http://x]y[/link] :warning:", "\x1b]0;title\x07"])
def test_a_terminal_shows_names_as_letters(program: Path, encoding: str, name: str) -> None:
    """Bars, boxes and names on a terminal; whatever its encoding lacks is an escape, and no markup is understood."""
    master, slave = pty.openpty()
    variables = environment(PYTHONIOENCODING=encoding, TERM="xterm", COLUMNS="200")
    with subprocess.Popen(command("names", name), cwd=program, env=variables, stdout=slave, stderr=slave) as process:
        os.close(slave)
        seen = read_all(master)
    assert process.returncode == 0, seen
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode(encoding, "replace"))
    assert "Traceback" not in text
    if name == LETTERS:
        assert (LETTERS in text) == (encoding == "utf-8")
    elif name.startswith("["):
        assert text.count(name) >= 6 and "\x1b]8" not in text
    else:
        assert "\x1b]" not in text and r"\x1b]0;title\x07" in text


def read_all(master: int) -> bytes:
    seen = b""
    while True:
        try:
            read = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not read:
            break
        seen += read
    os.close(master)
    return seen


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("MemoryError()", "error: memory ran out (MemoryError); lower --size, or free some"),
        ("MemoryError('no 3 GB')", "error: memory ran out (no 3 GB); lower --size, or free some"),
        ("RuntimeError('std::bad_alloc')", "error: memory ran out (std::bad_alloc); lower --size, or free some"),
        ("OSError(12, 'Cannot allocate memory')", "error: memory ran out ([Errno 12] Cannot allocate memory)"),
        ("ImportError('libtorch.so: failed to map segment from shared object')", "error: memory ran out (libtorch.so"),
        (
            'RuntimeError("DefaultCPUAllocator: can\'t allocate memory: you tried to allocate 9 bytes")',
            "error: memory ran out (DefaultCPUAllocator",
        ),
        ('RuntimeError("can\'t start new thread")', "error: memory ran out (can't start new thread)"),
        (
            "RuntimeError('unable to allocate shared memory(shm) for file </torch_1>')",
            "error: shared memory (/dev/shm) ran out (unable",
        ),
        ("OSError(28, 'No space left on device', '/dev/shm/x')", "error: shared memory (/dev/shm) ran out ("),
        ("RuntimeError('CUDA out of memory.')", "error: memory of the device ran out (CUDA out of memory.)"),
        ("OSError(28, 'No space left on device', 'x.csv')", "error: cannot use x.csv: No space left on device"),
        (
            "FileNotFoundError(2, 'No such file', '/dev/shm/out of memory')",
            "error: cannot use /dev/shm/out of memory: ",
        ),
        (
            '\'{"out": "run\\udcff/x"}\'.encode()',
            'error: a name holds bytes that are not UTF-8, near \'{"out": "run\\udcff/x"}\'; rename',
        ),
        ("BrokenPipeError(32, 'Broken pipe')", "error: cannot use: Broken pipe"),
        ("OccSynthError('x' * 10_000_000 + ': rename it')", "error: xxxx"),
        ("OccSynthError('a\\x1b[31m\\r\\nb')", "error: a\\x1b[31m b"),
    ],
)
def test_an_error_that_is_known_is_one_line(program: Path, error: str, said: str) -> None:
    done = run(program, "fails", error)
    assert done.returncode == 1 and done.stdout == b""
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1 and lines[0].startswith(said)
    assert len(lines[0]) < 6000 and (not error.endswith("rename it')") or lines[0].endswith(": rename it"))


@pytest.mark.parametrize(
    "error", ["ValueError('\\x1b[31m\\u202e')", "RecursionError()", "UnicodeError('é')", "KeyError(3)"]
)
def test_a_fault_keeps_its_traceback_and_says_what_it_is(program: Path, error: str) -> None:
    done = run(program, "fails", error)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 1
    assert lines[0] == "Traceback (most recent call last):" and any("raise error" in line for line in lines)
    assert lines[-1].startswith("error: a fault of small itself (") and lines[-1].endswith(
        "report it with the lines above"
    )
    assert b"\x1b" not in done.stderr


@pytest.mark.parametrize("words", ["occsynth verify x.csv", "occsynth build --db demo --mode r8", "occfer report ."])
@pytest.mark.parametrize("limit_kb", [200_000, 300_000, 600_000, 900_000])
def test_little_memory_is_one_line(words: str, limit_kb: int) -> None:
    done = shell(f"ulimit -v {limit_kb}; {sys.executable} -m {words}")
    assert done.returncode == 1 and done.stdout == ""
    assert re.fullmatch(r"error: memory ran out \(less than \d+ MB are free\); [^\n]*\n", done.stderr)


def test_programs_that_need_no_memory_run_without(tmp_path: Path) -> None:
    for words in ("occsynth modes", "occsynth databases", "occsynth --help", "occfer --help"):
        assert shell(f"ulimit -v 200000; {sys.executable} -m {words}").returncode == 0, words
