"""What modes hide of the demo faces, and whether their descriptions and the documentation say so."""

import re
from functools import cache

import pytest

from occsynth.hidden_shares import HiddenShares, hidden_shares
from occsynth.modes import MODES, SQUARES, expand, find_mode
from occsynth.option_values import Fill, SquareAt
from tests.builds import ROOT

SIDES_OF_48 = {"r8": 8, "r16": 16, "r24": 24}
LINE = re.compile(r"^\| `([\w-]+)` \| (template|black) \| ([^|]+) \| ([^%]+) % \|(.*) \|$", re.MULTILINE)


@cache
def measured(mode: str, fill: Fill, square_at: SquareAt = "picture") -> HiddenShares:
    (found,) = hidden_shares([mode], [fill], square_at)
    return found


def documented() -> list[tuple[SquareAt, str, Fill, str, list[float]]]:
    """The lines of both tables: where squares lie, mode, fill, what the name says, and the shares in per cent."""
    page = (ROOT / "docs/modes.md").read_text(encoding="utf-8")
    first, second = page.partition("## How much is hidden")[2].partition("## Fills")[0].split("--square-at face`:")
    lines: list[tuple[SquareAt, str, Fill, str, list[float]]] = []
    parts: tuple[tuple[SquareAt, str], ...] = (("picture", first), ("face", second))
    for square_at, part in parts:
        for mode, fill, named, picture, others in LINE.findall(part):
            shares = [float(picture), *(float(each.strip(" %")) for each in others.split("|"))]
            lines.append((square_at, mode, fill, named, shares))
    return lines


def shares_of(found: HiddenShares) -> list[float]:
    return [100 * share for share in (found.picture, found.face, found.eyes, found.mouth, found.misses_face)]


@pytest.mark.parametrize("mode", SQUARES)
def test_a_square_hides_what_its_name_says_and_a_template_in_it_less(mode: str) -> None:
    plain, template = measured(mode, "black"), measured(mode, "template")
    assert plain.picture == pytest.approx((SIDES_OF_48[mode] / 48) ** 2)
    assert plain.picture == pytest.approx(MODES[mode].picture_fraction)
    assert plain.faces == template.faces == 280
    hides, template_hides = re.findall(r"([\d.]+) %", MODES[mode].description)
    assert float(hides) == pytest.approx(100 * plain.picture, abs=0.051)
    assert float(template_hides) == pytest.approx(100 * template.picture, rel=0.07)
    assert template.picture < 0.45 * plain.picture


@pytest.mark.parametrize("mode", SQUARES)
def test_squares_on_the_face_never_miss_it_and_hide_more_of_it(mode: str) -> None:
    anywhere, on_face = measured(mode, "black"), measured(mode, "black", "face")
    assert on_face.misses_face == 0
    assert on_face.picture == anywhere.picture
    if mode != "r24":  # it has few places to lie at, with its middle on the face or not
        assert on_face.face > 1.1 * anywhere.face


def test_fills_hide_alike_and_the_share_of_a_name_is_met() -> None:
    found = {fill: measured("cover-40", fill) for fill in ("black", "mean", "noise")}
    assert len({shares_of(each)[1] for each in found.values()}) == 1
    assert found["black"].face == pytest.approx(0.4, abs=0.005)
    assert found["black"].partial == 0


def test_the_documentation_lists_every_mode_with_what_its_name_says() -> None:
    lines = documented()
    assert {mode for at, mode, *_ in lines if at == "picture"} >= {*MODES, "upper-40", "cover-20"}
    assert {(mode, fill) for at, mode, fill, *_ in lines if at == "face"} == {
        (mode, fill) for mode in SQUARES for fill in ("template", "black")
    }
    assert all(named == (find_mode(mode).named_share or "-") for _, mode, _, named, _ in lines)
    command = re.findall(r"--measure (\S+)\n", (ROOT / "docs/modes.md").read_text(encoding="utf-8"))[0]
    assert list(dict.fromkeys(mode for at, mode, *_ in lines if at == "picture")) == expand(command)


@pytest.mark.slow
def test_the_documented_shares_are_those_that_are_measured() -> None:
    for square_at, mode, fill, _, shares in documented():
        assert shares == pytest.approx(shares_of(measured(mode, fill, square_at)), abs=0.051), (mode, fill, square_at)
        assert measured(mode, fill, square_at).partial == 0
