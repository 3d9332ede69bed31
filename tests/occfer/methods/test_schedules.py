"""Learning rates as a function of an update's number."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn, optim

from occfer.methods import ScheduledRates
from occfer.methods.schedules import Schedule
from occfer.settings import Decay
from tests.occfer.methods.stage2 import configured


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        ("constant", [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("linear", [0.5, 1, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]),
        ("cosine", [0.5, 1, *((1 + math.cos(math.pi * each / 10)) / 2 for each in range(10))]),
        ("step", [0.5, 1, 1, 1, 1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]),
    ],
)
def test_a_schedule_over_twelve_updates_two_of_them_warm_up(decay: Decay, expected: list[float]) -> None:
    schedule = Schedule(decay, warmup=2, updates=12)
    assert [schedule.factor(number) for number in range(12)] == pytest.approx(expected)


@pytest.mark.parametrize("decay", ["constant", "linear", "cosine", "step"])
@given(warmup=st.integers(0, 50), updates=st.integers(0, 50))
def test_rates_rise_then_never_rise_again_and_stay_positive(decay: Decay, warmup: int, updates: int) -> None:
    """A stage may be shorter than its warm-up, and a benchmark goes on after its end."""
    schedule = Schedule(decay, warmup, updates)
    factors = [schedule.factor(number) for number in range(120)]
    assert factors[:warmup] == sorted(factors[:warmup]) and factors[warmup:] == sorted(factors[warmup:], reverse=True)
    assert all(0 < each <= 1 for each in factors[:updates]) and all(0 <= each <= 1 for each in factors)


def test_each_group_of_an_optimizer_keeps_its_own_rate() -> None:
    optimizer = optim.SGD([{"params": nn.Linear(1, 1).parameters(), "lr": rate} for rate in (0.5, 0.25)])
    rates = ScheduledRates(optimizer, configured(schedule="linear", warmup_epochs=0.5), epochs=2, updates_per_epoch=4)
    seen = []
    for number in (0, 1, 2, 7, 2):
        rates.set(number)
        seen.append([group["lr"] for group in optimizer.param_groups])
    assert seen == [[0.25, 0.125], [0.5, 0.25], [0.5, 0.25], pytest.approx([0.5 / 6, 0.25 / 6]), [0.5, 0.25]]
