"""Commands replace only what they made, and only one process works in a folder."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from occsynth.ownership import LOCK, MARK, OWNER, maker_of, owned_folder, refuse_foreign_file, take_turn


class Fault(Exception):  # noqa: N818 - short, since every line names it
    """What a caller asks to be raised."""


def test_a_new_folder_is_made_and_remembers_its_maker(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a"
    with owned_folder(folder, "occfer train", Fault):
        facts = json.loads((folder / OWNER).read_text())
        assert facts["made_by"] == "occfer train" and facts["process"] == os.getpid() and facts["since"]
    assert (folder / OWNER).read_text() == '{"made_by": "occfer train"}\n', (
        "what is left must not tell one run from another"
    )
    assert maker_of(folder) == "occfer train"


def test_the_same_command_may_come_again(tmp_path: Path) -> None:
    for _ in range(2):
        with owned_folder(tmp_path / "a", "occfer train", Fault):
            (tmp_path / "a" / "config.json").write_text("{}")


def test_a_foreign_folder_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("mine")
    told = r"holds files that `occfer train` did not make, such as config\.json.*--overwrite"
    with pytest.raises(Fault, match=told), owned_folder(tmp_path, "occfer train", Fault):
        pytest.fail("the block must not run")
    assert list(tmp_path.iterdir()) == [tmp_path / "config.json"]
    assert (tmp_path / "config.json").read_text() == "mine"


def test_a_folder_of_another_command_is_foreign(tmp_path: Path) -> None:
    with owned_folder(tmp_path / "a", "occfer train", Fault):
        (tmp_path / "a" / "metrics.json").write_text("{}")
    with (
        pytest.raises(Fault, match="was made by `occfer train`"),
        owned_folder(tmp_path / "a", "occfer evaluate", Fault),
    ):
        pytest.fail("the block must not run")
    assert maker_of(tmp_path / "a") == "occfer train"


def test_a_command_without_the_flag_gives_its_own_advice(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("mine")
    with (
        pytest.raises(Fault, match=r"such as config\.json\. Choose another$"),
        owned_folder(tmp_path, "occfer train", Fault, advice="Choose another"),
    ):
        pytest.fail("the block must not run")


def test_what_a_killed_process_left_half_written_makes_no_folder_foreign(tmp_path: Path) -> None:
    (tmp_path / f".{'0' * 32}.part").write_text("")
    with owned_folder(tmp_path, "occfer train", Fault):
        pass


def test_a_new_folder_goes_again_if_nothing_was_written_before_the_error(tmp_path: Path) -> None:
    for writes in (False, True):
        with pytest.raises(ZeroDivisionError), owned_folder(tmp_path / "a", "occfer train", Fault):
            if writes:
                (tmp_path / "a" / "log").write_text("")
            raise ZeroDivisionError
        assert (tmp_path / "a").exists() == writes
    (tmp_path / "empty").mkdir()
    with pytest.raises(ZeroDivisionError), owned_folder(tmp_path / "empty", "occfer train", Fault):
        raise ZeroDivisionError
    assert (tmp_path / "empty").is_dir(), "it was there before"


def test_overwrite_and_the_work_of_an_earlier_version_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with owned_folder(tmp_path, "occfer train", Fault, made_before=lambda folder: (folder / "config.json").is_file()):
        pass
    (tmp_path / OWNER).unlink()
    with owned_folder(tmp_path, "occfer train", Fault, overwrite=True):
        pass


HOLD = """
import sys, time
from pathlib import Path
from occsynth.ownership import owned_folder
with owned_folder(Path(sys.argv[1]), "occfer train", RuntimeError):
    print("in", flush=True)
    time.sleep(60)
"""


def test_the_second_comer_is_told_who_is_there_and_a_killed_one_leaves_it_free(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    with subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None and first.stdout.readline() == "in\n"
        for _ in range(2):  # being refused must not take the lock or the owner's name away
            told = rf"is in use by `occfer train` \(process {first.pid} on .*, since 20"
            with pytest.raises(Fault, match=told), owned_folder(folder, "occfer train", Fault):
                pytest.fail("the block must not run")
        first.send_signal(signal.SIGKILL)
        first.wait()
    time.sleep(0.1)
    with owned_folder(folder, "occfer train", Fault):
        pass
    assert {path.name for path in folder.iterdir()} == {OWNER, LOCK}


def test_an_error_in_the_block_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), owned_folder(tmp_path / "a", "occfer train", Fault):
        raise ZeroDivisionError
    with owned_folder(tmp_path / "a", "occfer train", Fault):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with (
        pytest.raises(Fault, match="cannot be written to"),
        owned_folder(tmp_path / "a", "occfer train", Fault),
    ):
        pytest.fail("the block must not run")
    tmp_path.chmod(0o700)


def test_a_file_in_the_folders_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with (
        pytest.raises(Fault, match="cannot be written to"),
        owned_folder(tmp_path / "a", "occfer train", Fault),
    ):
        pytest.fail("the block must not run")
    assert (tmp_path / "a").read_text() == "mine"


def test_a_foreign_file_is_refused_and_an_own_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    refuse_foreign_file(path, "occfer report", Fault)
    path.write_text("mine")
    with pytest.raises(Fault, match=f"{path} already exists and was not made by `occfer report`.*--overwrite"):
        refuse_foreign_file(path, "occfer report", Fault)
    refuse_foreign_file(path, "occfer report", Fault, overwrite=True)
    path.write_text(f"<!doctype html><meta name=generator content='{MARK.format('occfer report')}'>")
    refuse_foreign_file(path, "occfer report", Fault)
    with pytest.raises(Fault):
        refuse_foreign_file(path, "occsynth stats", Fault)


def test_a_mark_at_the_end_counts_and_one_in_the_middle_does_not(tmp_path: Path) -> None:
    mark = MARK.format("occfer reconstruct")
    path = tmp_path / "figure.pdf"
    path.write_text("x" * 100_000 + mark + "x" * 4000)
    refuse_foreign_file(path, "occfer reconstruct", Fault)
    path.write_text("x" * 100_000 + mark + "x" * 5000)
    with pytest.raises(Fault):
        refuse_foreign_file(path, "occfer reconstruct", Fault)


def test_a_format_without_a_place_for_a_mark_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("source,frame")
    refuse_foreign_file(path, "occfer predict", Fault, is_own=lambda each: each.read_text() == "source,frame")
    with pytest.raises(Fault):
        refuse_foreign_file(path, "occfer predict", Fault, is_own=lambda each: each.read_text() == "other")


def test_an_entry_of_a_cache_is_made_by_one_at_a_time(tmp_path: Path) -> None:
    entry = tmp_path / "cache" / "entry"
    with ExitStack() as first:
        assert take_turn(first, entry, "occfer train") == ""
        assert take_turn(first, tmp_path / "cache" / "other", "occfer train") == ""
        with ExitStack() as second:
            told = take_turn(second, entry, "occfer tune", wait_s=0.0)
            assert told.startswith(f"`occfer train` (process {os.getpid()} on ")
    with ExitStack() as second:
        assert take_turn(second, entry, "occfer tune", wait_s=0.0) == ""
    assert {path.name for path in entry.parent.iterdir()} == {f".entry{LOCK}", f".other{LOCK}"}


def test_a_folder_and_a_dangling_link_are_no_place_for_a_file(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="is a folder"):
        refuse_foreign_file(tmp_path, "occfer report", Fault, overwrite=True)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(Fault, match="already exists"):
        refuse_foreign_file(tmp_path / "link", "occfer report", Fault)
