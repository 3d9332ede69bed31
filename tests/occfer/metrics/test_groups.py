"""Pairs in groups: bins of coverage that suit the modes, and groups in an order that people expect."""

import pytest

from occfer.metrics.groups import EVEN_FACE_EDGES, FACE_EDGES, MODE_ORDER, MODE_WITH_SHARE, by_value, groups_of
from occfer.metrics.predictions import PredictedPair
from occsynth.modes import EXAMPLES, FAMILIES, MODES


def pair(mode: str, coverage_face: float | None) -> PredictedPair:
    return PredictedPair(
        pair_id=f"{mode}-{coverage_face}", database="toy", mode=mode, subject="s1", fold=0, category="food",
        coverage_face=coverage_face, coverage_eyes=None, coverage_mouth=None, truth="anger",
    )  # fmt: skip


def bins(*pairs: PredictedPair) -> dict[str, int]:
    return {group.label: int(group.members.sum()) for group in groups_of(pairs) if group.by == "coverage of the face"}


def test_bins_are_even_where_a_mode_has_a_share_in_its_name() -> None:
    shares = [0.0, 0.04, 0.17, 0.2, 0.23, 0.37, 0.4, 0.43, 0.97]
    plain = bins(*(pair("random", share) for share in shares))
    assert plain == {"none": 1, "to 5 %": 1, "10 to 20 %": 2, "20 to 30 %": 1, "30 to 50 %": 3, "50 to 100 %": 1}
    even = {"none": 1, "to 5 %": 1, "15 to 25 %": 3, "35 to 45 %": 3, "95 to 100 %": 1}
    assert bins(*(pair("upper-20", share) for share in shares)) == even
    assert bins(*(pair("random", share) for share in shares), pair("cover-40", None)) == even


def test_what_is_within_three_points_of_a_named_ten_shares_a_bin() -> None:
    assert len(EVEN_FACE_EDGES) == 12
    for tens in range(10, 100, 10):
        found = bins(*(pair(f"cover-{tens}", tens / 100 + off) for off in (-0.03, 0.0, 0.03)))
        assert list(found.values()) == [3]
        assert list(found) == [f"{tens - 5} to {tens + 5} %"]


@pytest.mark.parametrize("mode", EXAMPLES)
def test_the_modes_with_a_share_are_those_of_occsynth(mode: str) -> None:
    assert MODE_WITH_SHARE.fullmatch(mode)
    assert set(MODE_WITH_SHARE.pattern.partition(")")[0].strip("(").split("|")) == set(FAMILIES)
    assert not any(map(MODE_WITH_SHARE.fullmatch, (*MODES, *MODE_ORDER)))
    assert FACE_EDGES[-1] == EVEN_FACE_EDGES[-1] == 1.0


def test_modes_are_sorted_by_their_numbers() -> None:
    modes = ("upper-40", "cover-60", "random", "upper-5", "r16", "cover-7", "eyes")
    found = [value for value, _ in by_value([pair(mode, None) for mode in modes], "mode", MODE_ORDER)]
    assert found == ["eyes", "r16", "random", "cover-7", "cover-60", "upper-5", "upper-40"]
