"""Writes docs/benchmarks.md and the table in docs/scale.md from the findings."""

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

Written by `python -m benchmarks --write` (`make bench` prints the same). benchmarks/README.md describes what is
compared with what. Both sides of a ratio take turns within one run, and the ratio is the median over the repeats. The
goals were set before anything was measured.

"""


_MISSED = """
## Goals that are not reached

"""

_WHY = {
    "a": """\
An `Occluder` adds about sixty short NumPy and OpenCV calls per image, between a decoder and an encoder that flush the
CPU caches. The warp takes about two fifths of that time: fixed-point maps, made in NumPy, and `cv2.remap`.
`cv2.warpAffine` would take a third of the warp's time, but gives other pixels on a processor without AVX2, where a
manifest would then not replay. The rest is drawing the record, blending in exact integers, and the mask. Compiled code
would be faster, but would have to be built for every platform.
""",
    "b": """\
Besides reading and writing, a build aligns (a warp of the whole face), draws the occluder as in (a), hashes the source
and three images, looks up landmarks in their cache, measures coverage, checks paths, writes each file under a temporary
name first, and writes and merges rows.
""",
}
"""By letter: why a goal is missed. The page shows it only if the goal is missed."""


def missed(findings: Sequence[Finding]) -> str:
    """By how much each missed goal is missed, and why; empty if all are reached."""
    parts = []
    for letter in dict.fromkeys(each.letter for each in findings if each.verdict == "not reached"):
        lines = [_shortfall(each) for each in findings if each.letter == letter and each.verdict == "not reached"]
        parts.append("".join(lines) + "\n" + _WHY.get(letter, ""))
    return _MISSED + "\n".join(parts) if parts else ""


def _shortfall(finding: Finding) -> str:
    line = f"- ({finding.letter}) {finding.what}: {finding.ratio:.2f} instead of {finding.goal:g}."
    if finding.unit != "images/s" or finding.goal is None or not finding.goal < 1:
        return f"{line}\n"
    ours_us, reference_us = 1e6 / finding.ours, 1e6 / finding.reference
    spare_us = reference_us / finding.goal - reference_us
    return (
        f"{line} It adds {ours_us - reference_us:,.0f} µs to {reference_us:,.0f} µs; the goal leaves {spare_us:,.0f}.\n"
    )


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def page(findings: Sequence[Finding], machine: str) -> str:
    """The text of docs/benchmarks.md."""
    table = markdown(COLUMNS, [each.cells() for each in findings])
    return f"{_HEAD}Machine: {machine}.\n\n{table}{missed(findings)}"


def scale_table(workers: Finding) -> str:
    """Times for AffectNet, computed from the rates of one and two workers as if more workers scaled like the second."""
    one, efficiency = workers.reference, workers.ratio / 2
    rows = []
    for where, count in (("one core", 1), ("one machine, 16 cores", 16), ("four machines of 16 cores", 64)):
        rate = one * count * (efficiency if count > 1 else 1)
        hours = AFFECTNET_IMAGES / rate / 3600
        rows.append((where, f"{rate:,.0f} images/s", f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"))
    introduction = (
        f"Measured: {one:.1f} images/s with one worker at 224 px, landmarks included; two workers were "
        f"{workers.ratio:.2f} times as fast, an efficiency of {efficiency:.0%}. Computed from that for "
        f"{AFFECTNET_IMAGES:,} images and one mode, with the same efficiency at any number of workers:\n\n"
    )
    return introduction + markdown(("where", "rate", "time"), rows)


def write(findings: Sequence[Finding], machine: str) -> list[Path]:
    """Writes both pages and returns the paths of those written."""
    PAGE.write_text(page(findings, machine), encoding="utf-8")
    workers = [each for each in findings if each.letter == "d"]
    if not workers or not SCALE_PAGE.is_file():
        return [PAGE]
    text = SCALE_PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    SCALE_PAGE.write_text(f"{before}{BEGIN}\n\n{scale_table(workers[0])}\n{END}{after}", encoding="utf-8")
    return [PAGE, SCALE_PAGE]
