"""What `occsynth templates add` prints of an import."""

from pathlib import Path

import pytest

from occsynth.cli.templates import _print_summary
from occsynth.templates.add import ImportSummary, SkippedCutOut


@pytest.mark.parametrize(
    "kinds, last", [(8, "\t1\treason h"), (9, "\t1\tfor 1 other reason"), (12, "\t4\tfor 4 other reasons")]
)
def test_reasons_that_are_not_shown_are_counted(
    kinds: int, last: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skipped = [SkippedCutOut("a.png", f"reason {'abcdefghijkl'[number]}") for number in range(kinds)]
    _print_summary(ImportSummary(tmp_path, [], skipped, []))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"skipped\t{kinds}" and lines[-2] == last
    assert sum(int(line.split("\t")[1]) for line in lines[2:-1]) == kinds
