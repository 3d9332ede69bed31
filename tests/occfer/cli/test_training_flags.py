"""`--config FILE`: a file that cannot be used is one line that names it, and the flag where a value is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from occfer.cli.app import app


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "settings.json cannot be read: No such file"),
        (b"", "settings.json is not readable JSON"),
        (b'{"epochs": 1', "settings.json is not readable JSON"),
        (bytes(range(256)), "settings.json is not readable JSON"),
        (b"[" * 100_000, "settings.json is nested too deep"),
        (b"[1]", "settings.json must hold a JSON object"),
        (b'{"epochs": 1.5}', "--epochs 1.5: must be a whole number"),
        (b'{"epochs": true}', "--epochs True: must be a whole number"),
        (b'{"flip": 3}', "--flip 3: must be true or false"),
        (b'{"force": "no"}', "--force 'no': must be true or false"),
        (b'{"backbone": 3}', "--backbone 3: must be a text"),
        (b'{"cache_dir": ["a"]}', "--cache-dir ['a']: must be a path"),
        (b'{"rate": NaN}', "--rate nan: must be finite"),
        (b'{"magic": 1}', "this command has no setting magic"),
        (b'{"manifests": "a.csv"}', "this command has no setting manifests"),
    ],
)
def test_a_file_of_settings_that_cannot_be_used_is_one_line(
    make_build: Callable[..., Path], tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "settings.json"
    if content is not None:
        path.write_bytes(content)
    words = ["train", "--manifest", str(make_build(subjects=1)), "--config", str(path), "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ") and said in line
    assert not (tmp_path / "run").exists()
