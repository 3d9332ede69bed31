"""docs/benchmarks.md and the table of docs/scale.md, from what was measured."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import COLUMNS, Finding

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
SCALE_PAGE = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
AFFECTNET_IMAGES = 287_401
"""Seven classes: 283,901 for training and 3,500 for validation, see docs/databases.md."""

_HEAD = """# Benchmarks

Written by `python -m benchmarks --write` (`make bench` prints the same). benchmarks/README.md says what is compared
with what. Both sides of a ratio take turns within one run; the ratio is the median of its repeats. Goals were set
before anything was measured.

"""


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def page(findings: Sequence[Finding], machine: str) -> str:
    """The text of docs/benchmarks.md."""
    return f"{_HEAD}Machine: {machine}.\n\n{markdown(COLUMNS, [each.cells() for each in findings])}"


def scale_table(workers: Finding) -> str:
    """AffectNet from the measured rates of one and of two workers, should more workers scale as the second one did."""
    one, efficiency = workers.reference, workers.ratio / 2
    rows = []
    for where, count in (("one core", 1), ("one machine, 16 cores", 16), ("four machines of 16 cores", 64)):
        rate = one * count * (efficiency if count > 1 else 1)
        hours = AFFECTNET_IMAGES / rate / 3600
        rows.append((where, f"{rate:,.0f} images/s", f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"))
    said = (
        f"Measured: {one:.1f} images/s with one worker at 224 px, landmarks included; the second worker made it "
        f"{workers.ratio:.2f} times as fast, {efficiency:.0%} each. Computed for {AFFECTNET_IMAGES:,} images, "
        f"one mode, {efficiency:.0%} at any number of workers:\n\n"
    )
    return said + markdown(("where", "rate", "time"), rows)


def write(findings: Sequence[Finding], machine: str) -> list[Path]:
    """Writes both pages; returns what was written."""
    PAGE.write_text(page(findings, machine), encoding="utf-8")
    workers = [each for each in findings if each.letter == "d"]
    if not workers or not SCALE_PAGE.is_file():
        return [PAGE]
    text = SCALE_PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    SCALE_PAGE.write_text(f"{before}{BEGIN}\n\n{scale_table(workers[0])}\n{END}{after}", encoding="utf-8")
    return [PAGE, SCALE_PAGE]
