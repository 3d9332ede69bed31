"""What occsynth says of long work without a terminal, by a clock that the test turns."""

from pathlib import Path

import pytest

from occsynth.cli import output
from occsynth.cli.pace import Clock, Counts, duration
from tests.occsynth.cli.test_cli import call
from tests.occsynth.synthetic_build import make_build

STEPS = (0, 1000, 2000, 4000)


def lines(total: int, step_s: float, counts: tuple[int, ...]) -> list[str]:
    said: list[str] = []
    now = [0.0]
    tell = Counts(said.append, Clock(lambda: now[0]))
    for done in counts:
        tell("pairs", done, total)
        now[0] += step_s
    return said


def test_a_line_per_minute_has_share_rate_and_time_left() -> None:
    assert lines(36_000, 20, tuple(range(0, 36_001, 1500))) == [
        f"pairs: {done:,} of 36,000 ({100 * done / 36_000:.0f} %), 75/s, {duration((36_000 - done) / 75)} left"
        for done in range(4500, 36_001, 4500)
    ]


def test_what_takes_less_than_a_minute_says_nothing() -> None:
    assert lines(8000, 19, STEPS) == []


def test_a_total_that_is_not_known_is_left_out() -> None:
    assert lines(0, 60, STEPS) == ["pairs: 1,000, 17/s", "pairs: 2,000, 17/s", "pairs: 4,000, 33/s"]


def test_slow_work_has_a_rate_too_and_work_that_stands_has_none() -> None:
    assert lines(40, 120, (0, 2, 2)) == [
        "pairs: 2 of 40 (5 %), 0.0167/s, 0:38:00 left",
        "pairs: 2 of 40 (5 %)",
    ]


def test_what_an_earlier_call_made_does_not_count_as_speed() -> None:
    """Its chunks are only looked at, in seconds; from the second line on the rate is that of the work."""
    said: list[str] = []
    now = [0.0]
    tell = Counts(said.append, Clock(lambda: now[0]))
    for at_s, done in ((0, 0), (5, 20_000), (65, 20_600), (125, 21_200)):
        now[0] = at_s
        tell("pairs", done, 36_000)
    assert said[-1] == "pairs: 21,200 of 36,000 (59 %), 10/s, 0:24:40 left"


def test_durations_have_hours() -> None:
    assert duration(3725.4) == "1:02:05"


def test_each_phase_begins_anew() -> None:
    said: list[str] = []
    now = [0.0]
    tell = Counts(said.append, Clock(lambda: now[0]))
    tell("scan", 500, 0)
    now[0] = 59
    tell("pairs", 0, 100)
    now[0] = 118
    tell("pairs", 50, 100)
    assert said == []


@pytest.mark.parametrize("command", ["verify", "export"])
def test_commands_say_it_on_stderr(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is a minute later."""
    manifest = make_build(tmp_path / "b", 4)
    minutes = iter(range(0, 60_000, 60))
    monkeypatch.setattr(output, "Counts", lambda say: Counts(say, Clock(lambda: float(next(minutes)))))
    words = ("--workers", 1) if command == "verify" else ("--to", "webdataset", "-o", tmp_path / "out")
    code = 1 if command == "verify" else 0  # the hashes of a build by hand are made up
    stdout, stderr = call(command, manifest.path, *words, code=code)
    phase = "pairs" if command == "verify" else "samples"
    assert f"{phase}: 4 of 4 (100 %)" in stderr
    assert f"{phase}:" not in stdout
