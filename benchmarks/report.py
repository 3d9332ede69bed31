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


_MISSED = """
## Goals that are not reached

"""

_WHY = {
    "a": """\
What an `Occluder` adds is some sixty short calls of NumPy and OpenCV for one image, made between a decoder and an
encoder that empty the caches. About two fifths of it are the warp: fixed-point maps, made in NumPy, and `cv2.remap`.
`cv2.warpAffine` takes a third of that time, and gives other pixels on a processor without AVX2, so that a manifest
would not replay there. Drawing the record, blending exact integers and the mask take the rest. Code compiled for it
would be faster, but would have to be built for every platform.
""",
    "b": """\
What a build adds to reading and writing: the alignment (a warp of the whole face), the occluder as in (a), hashes of
the source and of three images, landmarks from their cache, the measured coverage, checked paths, files that are
written under another name first, rows and their merge.
""",
}
"""Reasons by letter, said only where a goal is missed."""


def missed(findings: Sequence[Finding]) -> str:
    """What is missing to each goal that is not reached, and why; empty if all are."""
    parts = []
    for letter in dict.fromkeys(each.letter for each in findings if each.verdict == "not reached"):
        lines = [_shortfall(each) for each in findings if each.letter == letter and each.verdict == "not reached"]
        parts.append("".join(lines) + "\n" + _WHY.get(letter, ""))
    return _MISSED + "\n".join(parts) if parts else ""


def _shortfall(finding: Finding) -> str:
    said = f"- ({finding.letter}) {finding.what}: {finding.ratio:.2f} instead of {finding.goal:g}."
    if finding.unit != "images/s" or finding.goal is None or not finding.goal < 1:
        return f"{said}\n"
    ours_us, reference_us = 1e6 / finding.ours, 1e6 / finding.reference
    spare_us = reference_us / finding.goal - reference_us
    return (
        f"{said} It adds {ours_us - reference_us:,.0f} µs to {reference_us:,.0f} µs; the goal leaves {spare_us:,.0f}.\n"
    )


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def page(findings: Sequence[Finding], machine: str) -> str:
    """The text of docs/benchmarks.md."""
    table = markdown(COLUMNS, [each.cells() for each in findings])
    return f"{_HEAD}Machine: {machine}.\n\n{table}{missed(findings)}"


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
