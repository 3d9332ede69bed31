"""Manifests that unpack to gigabytes, under a limit of memory: one line on stderr, whatever the command."""

import gzip
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from occsynth.manifest import COLUMNS
from tests.occsynth.test_manifest import ROW, put

ROOT = Path(__file__).parents[3]
MEMORY_BYTES = 300 * 2**20
UNPACKED_BYTES = 4 * 2**30
CONTENTS = {
    "a line without end": (b"x" * 2**24, r"line 2 is longer than 1,048,576 characters"),
    "a row of endless lines": (b'"a\n",' * 2**22, "the row after line 1 is longer than 1,048,576 characters"),
    "zeros": (b"\0" * 2**24, r"line 2 is longer than 1,048,576 characters"),
}


def write_bomb(folder: Path, piece: bytes) -> Path:
    """A manifest of four gigabytes in some megabytes: a gzip file may have any number of members."""
    path = put(folder, ROW, ending=".csv.gz")
    member = gzip.compress(piece, compresslevel=1)
    with path.open("wb") as file:
        file.write(gzip.compress(f"{','.join(COLUMNS)}\n".encode()))
        for _ in range(UNPACKED_BYTES // len(piece)):
            file.write(member)
    return path


# all commands read rows by one reader
CASES = [("verify", what) for what in CONTENTS]
CASES += [(command, "a line without end") for command in ("replay", "publish", "stats")]


@pytest.mark.parametrize(("command", "what"), CASES)
def test_a_manifest_that_unpacks_to_gigabytes_is_one_line(tmp_path: Path, command: str, what: str) -> None:
    piece, message = CONTENTS[what]
    path = write_bomb(tmp_path / "manifests", piece)
    more = {"replay": ["--out", "out"], "publish": ["-o", "published.csv"]}.get(command, [])
    done = subprocess.run(
        [sys.executable, "-m", "occsynth", command, str(path), *more],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES)),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and message in done.stderr
