"""Writing files: whole or not at all, with an error that says what to do."""

from pathlib import Path

import pytest

from occsynth.errors import BuildError
from occsynth.files import write_atomic


def test_a_write_leaves_the_file_or_nothing(tmp_path: Path) -> None:
    write_atomic(tmp_path / "deep" / "a.bin", b"one")
    write_atomic(tmp_path / "deep" / "a.bin", b"two")
    assert (tmp_path / "deep" / "a.bin").read_bytes() == b"two"
    (tmp_path / "taken.bin").mkdir()
    with pytest.raises(BuildError, match=r"cannot write .*taken\.bin.*run the same command again"):
        write_atomic(tmp_path / "taken.bin", b"three")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["a.bin"]
