"""Passes that draw uneven classes alike."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occfer.data.balance import balanced_pass, earlier_draws
from occfer.data.passes import Passes
from occfer.data.random_streams import stream_rng


@given(counts=st.lists(st.integers(1, 40), min_size=1, max_size=8), seed=st.integers(0, 99))
@settings(deadline=None)
def test_classes_are_drawn_alike_and_samples_of_a_class_too(counts: list[int], seed: int) -> None:
    indices = np.arange(10, 10 + sum(counts))
    labels = np.concatenate([np.full(10, -1), np.repeat(np.arange(len(counts)), counts)])
    drawn = balanced_pass(indices, labels, np.random.default_rng(seed))
    assert len(drawn) == len(indices)
    of_class = Counter(labels[drawn].tolist())
    quota = len(indices) // len(counts)
    assert of_class.keys() <= set(range(len(counts)))
    assert all(of_class[label] in (quota, quota + 1) for label in range(len(counts)))
    of_sample = Counter(drawn.tolist())
    for label in range(len(counts)):
        times = {of_sample[index] for index in indices[labels[indices] == label].tolist()}
        assert max(times) - min(times) <= 1


def test_a_pass_is_a_function_of_its_number_and_takes_other_samples_of_a_large_class() -> None:
    labels = np.array([0] * 50 + [1] * 10)
    indices = np.arange(60)
    passes = [Passes(indices, 8, 0, "student", balanced=labels) for _ in range(2)]
    first, again = ([each.batch(number).tolist() for number in range(16)] for each in passes)
    assert first == again == [passes[0].batch(number).tolist() for number in range(16)]
    epochs = [Counter(index for batch in first[start : start + 8] for index in batch) for start in (0, 8)]
    assert [sum(each.values()) for each in epochs] == [60, 60] and epochs[0] != epochs[1]
    assert all(sum(count for index, count in each.items() if labels[index] == 1) == 30 for each in epochs)


@pytest.mark.parametrize("world_size", [1, 2])
def test_without_balance_a_pass_is_the_one_of_version_0_1(world_size: int) -> None:
    passes = Passes(np.arange(21), 8, 3, "student", world_size)
    order = stream_rng(3, "student", "pass", 1).permutation(np.arange(21))
    assert np.array_equal(
        np.concatenate([passes.batch(3 + number) for number in range(3)]), order[: 21 // world_size * world_size]
    )


@given(st.lists(st.integers(0, 5), max_size=40))
def test_earlier_draws_count_what_came_before(order: list[int]) -> None:
    earlier = earlier_draws(np.array(order, dtype=np.int64))
    assert earlier.tolist() == [order[:place].count(sample) for place, sample in enumerate(order)]
