"""What the pages say training costs by arithmetic is what is counted on the networks as they are."""

import re
from collections.abc import Callable

import pytest

from benchmarks import arithmetic
from benchmarks.arithmetic import CARDS, FULL, costs, kept_mb, naive_ratios, patch_cost, state_mb
from benchmarks.train_step import NAIVE, SIDE_PX
from occfer.methods import METHODS
from tests.builds import ROOT


def words(path: str) -> str:
    """A page with every line break as a space."""
    return re.sub(r"\s+", " ", (ROOT / path).read_text(encoding="utf-8"))


def rows(table: str) -> list[list[str]]:
    """The cells of the lines of a Markdown table, without the line under its head."""
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    return [cells for cells in found if not all(set(cell) <= {"-"} for cell in cells)]


def section(path: str, title: str) -> str:
    text = (ROOT / path).read_text(encoding="utf-8")
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    ("path", "title", "table"),
    [
        ("docs/performance.md", "What a GPU run is expected to reach", arithmetic.performance_table),
        ("docs/reproduce.md", "Hours on one GPU", arithmetic.hours_table),
    ],
)
def test_the_tables_of_the_pages_are_the_counted_ones(path: str, title: str, table: Callable[[], str]) -> None:
    counted, shown = rows(table()), rows(section(path, title))
    assert len(counted) > 5
    assert shown == counted


def test_the_count_is_that_of_the_layers() -> None:
    """A transposed convolution of a 4x4 kernel multiplies 16 times for each cell and each pair of channels."""
    first, second, third = 28**2 * 512 * 64, 56**2 * 64 * 32, 112**2 * 32 * 3
    found = costs("resnet50", 224)
    assert found.decoder == pytest.approx(16 * (first + second + third) / 1e9)
    maps = ((14, 512, 128), (7, 128, 256), (4, 256, 512), (2, 512, 1024), (1, 1024, 1))
    assert found.discriminator == pytest.approx(sum(9 * side**2 * given * made for side, given, made in maps) / 1e9)
    assert costs("resnet50", 224, 256).decoder > 6 * found.decoder


def test_a_round_is_the_sum_of_its_turns() -> None:
    one = arithmetic.Costs(branch=10.0, feature=4.0, decoder=2.0, discriminator=1.0)
    assert one.round() == one.round(("sim", "lir")) == 30
    assert one.round(("rec",)) == 36
    # two features, then three passes over two faces; in the student's turn there and back to its input
    assert one.round(("adv",)) == 30 + 8 + 6 + 2
    assert one.round(FULL, ("discriminator", "student")) == 52 + 6 + 10


def test_the_text_below_the_tables_follows_from_them() -> None:
    page = words("docs/performance.md")
    found = costs("resnet50", 224)
    share = found.round() / found.round(FULL)
    pretrain_min, guide_min = 2 * 30 * 12_271 / 1000 / 60, 30 * 12_271 / (1000 * share) / 60
    hours = (pretrain_min + guide_min) * 280_000 / 12_271 / 60
    assert f"and `full` at about {share:.2f} R" in page
    assert f"RAF-DB takes {pretrain_min:.0f} minutes, and 30 epochs of `full` take {guide_min:.0f} minutes" in page
    assert f"take {280_000 / 12_271:.0f} times as long, {hours:.0f} hours in all" in page
    pairs = round(1000 * share, -1)
    assert f"At {pairs:.0f} pairs of 224 px per second that is {pairs * 2 * 3 * 224**2 / 1e6:.0f} MB/s" in page
    rest = words("docs/reproduce.md")
    sizes = [f"{costs('resnet50', size_px).branch:.2f} at {size_px}" for size_px in (48, 88, 144, 224)]
    patches = [patch_cost(global_unit=each) for each in (False, True)]
    first, *others = sizes
    assert f"(ResNet-50: {first} px, {', '.join(others)}; PG-CNN {patches[0]:.1f}, gACNN {patches[1]:.1f})" in rest
    assert "R is assumed to be " + ", ".join(f"{rate:,} ({card})" for card, rate in CARDS.items()) in rest
    weights = arithmetic.weights()
    assert weights["full"] == weights["adv+rec"] and {weights[name] for name in ("sim", "lir", "resnet-long")} == {1.0}
    counts = (
        f"A round of `adv` counts {weights['adv']} times as much as a plain one, of `rec` {weights['rec']} times, of "
        f"`adv+rec` and `full` {weights['full']} times"
    )
    assert counts in rest


def test_the_memory_is_that_of_the_tensors() -> None:
    page = words("docs/performance.md")
    trained, teacher = (each / 1e3 for each in state_mb("resnet50"))
    plain, full = (kept_mb("resnet50", 224, losses) for losses in ((), FULL))
    assert f"{trained:.1f} GB for weights" in page and f"({4 * teacher:.1f} GB of the student alone)" in page
    assert f"{teacher:.1f} GB for the teacher" in page
    assert f"per face {plain:.0f} MB for `resnet-long` or {full:.0f} MB for `full`" in page
    both = (4 * teacher + 32 * plain / 1e3, trained + teacher + 32 * full / 1e3)
    assert f"about {both[0]:.1f} and {both[1]:.1f} GB" in page
    assert "A 48 px face needs a twentieth" in page and 19 < full / kept_mb("resnet50", 48, FULL) < 22


def test_the_goals_of_the_shortcut_lie_below_what_it_saves() -> None:
    readme, docstring = words("benchmarks/README.md"), words("benchmarks/train_step.py")
    for method, variants in NAIVE.items():
        ratios = naive_ratios("resnet50", SIDE_PX, method)
        assert {players for players, _ in variants.values()} == ratios.keys()
        for players, goal in variants.values():
            assert f"{ratios[players]:.2f}" in readme and f"{ratios[players]:.2f} times" in docstring
            assert goal is None or 1 < goal < ratios[players]
    found = costs("resnet50", SIDE_PX)
    full, two = (found.round(METHODS[method].losses) for method in ("full", "sim+lir"))
    parts = (
        f"costs {found.branch:.3f}, up to the shared feature {found.feature:.3f}, the decoder {found.decoder:.3f}, the "
        f"discriminator {found.discriminator:.3f};"
    )
    assert parts in docstring and f"A round of `full` then costs {full:.3f}." in docstring
    assert f"`sim+lir` costs {two:.3f}, or {two + found.branch:.3f} with the whole teacher" in docstring
