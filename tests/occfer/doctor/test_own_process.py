"""A check's process: whatever becomes of it, the caller gets one line, and nothing goes on running."""

import os
import time
from functools import partial
from pathlib import Path

import pytest

from occfer.doctor.own_process import in_own_process
from tests.occfer.doctor import made_work


def test_an_answer(tmp_path: Path) -> None:
    ended = in_own_process(made_work.answers, tmp_path / "log", 60)
    assert (ended.answer, ended.fault, ended.log) == (42, "", "")


def test_an_error_is_one_line_with_a_log(tmp_path: Path) -> None:
    ended = in_own_process(made_work.raises, tmp_path / "log", 60)
    assert (ended.answer, ended.fault) == (None, "ValueError: two lines")
    assert ended.log.startswith("said before\n") and "Traceback" in ended.log


def test_a_process_that_dies(tmp_path: Path) -> None:
    ended = in_own_process(made_work.dies, tmp_path / "log", 60)
    assert ended.answer is None
    assert ended.fault == "its process ended without an answer (exit code -9), perhaps because memory ran out"


def test_one_that_waits_too_long_is_stopped_with_what_it_has_started(tmp_path: Path) -> None:
    note = tmp_path / "child"
    ended = in_own_process(partial(made_work.waits_with_a_child, note), tmp_path / "log", 5)
    assert ended.answer is None and ended.fault == "it was not done after 5 s, its limit, and was stopped"
    child = int(note.read_text())
    until = time.monotonic() + 60
    while _runs(child):
        assert time.monotonic() < until, "the started process goes on"
        time.sleep(0.05)


def _runs(process: int) -> bool:
    """Whether a process is there and no zombie that nobody has waited for."""
    try:
        os.kill(process, 0)
        return ") Z" not in Path(f"/proc/{process}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_what_cannot_be_sent_is_an_error_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(AttributeError):
        in_own_process(lambda: 1, tmp_path / "log", 5)
