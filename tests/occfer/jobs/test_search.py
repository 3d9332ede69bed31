"""What a search keeps on disk: a killed one, a full disk and a damaged file change nothing about its trials."""

import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from occfer.config import TrainConfig
from occfer.jobs.search import RESULT, TABLE, Search
from occfer.jobs.search_space import TuneOptions, Value, choices
from occfer.jobs.trial_file import FILE, JOURNAL
from occfer.jobs.trial_jobs import TrialFailure, TrialScore, study_name
from tests.occfer.damage import DAMAGES, damage
from tests.occfer.engine.killed_runs import finish, start
from tests.occfer.toy_builds import Build, write_build

GRID = {"lambda_sim": (0.1, 1.0, 9.0), "rate": (1e-3, 1e-2), "epochs": (3.0, 5.0)}
DISK_FULL, DIVERGED = TrialFailure(lasting=False), TrialFailure(lasting=True)


# shared batches and clean faces conflict, and each alone is better than neither
CONFLICTING: dict[str, tuple[Value, ...]] = {
    "lambda_adv": (0.02,), "discriminator_batch": ("fresh", "shared"), "clean_share": (0.0, 0.1, 0.25),
    "rate": (1e-3, 1e-2),
}  # fmt: skip


def score_of(config: TrainConfig) -> TrialScore:
    accuracy = 1 / (1 + abs(config.lambda_sim - 2) + 100 * config.rate)
    return TrialScore(round(accuracy, 1), 1 - accuracy + config.epochs / 1000)


def score_of_conflicting(config: TrainConfig) -> TrialScore:
    accuracy = 0.3 * (config.discriminator_batch == "shared") + config.clean_share + 10 * config.rate
    return TrialScore(accuracy, 1 - accuracy)


@dataclass
class Runs:
    """Scores configurations by a formula in place of a training.

    Attributes:
        score: the formula.
        dies_at: the round of trials during which the search is killed, counted from 0.
        failing: what configurations return that have the learning rate of a key.
    """

    score: Callable[[TrainConfig], TrialScore] = score_of
    dies_at: int = -1
    failing: dict[float, TrialFailure] = field(default_factory=dict)
    rounds: int = 0
    asked: list[TrainConfig] = field(default_factory=list)

    def __call__(self, configs: Sequence[TrainConfig]) -> list[TrialScore | TrialFailure]:
        self.rounds += 1
        if self.rounds - 1 == self.dies_at:
            raise KeyboardInterrupt
        self.asked += configs
        return [self.failing.get(config.rate) or self.score(config) for config in configs]


@pytest.fixture
def options(make_build: Callable[..., Path], tmp_path: Path) -> TuneOptions:
    base = TrainConfig(manifests=(make_build(subjects=1),), method="sim", epochs=1)
    return TuneOptions(base=base, grid=GRID, trials=14, out=tmp_path / "tune")


@pytest.fixture
def conflicting(options: TuneOptions) -> TuneOptions:
    return replace(options, base=replace(options.base, method="adv"), grid=CONFLICTING, trials=99)


def search(options: TuneOptions, run: Runs) -> list[str]:
    """A call of `occfer tune`; returns what it says."""
    said: list[str] = []
    options.out.mkdir(exist_ok=True)
    going = Search(options, run, said.append)
    going.retry()
    going.walk()
    going.sample()
    going.finish()
    return said


def results(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (FILE, RESULT, TABLE)}


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_search_killed_in_every_round_ends_in_the_trials_of_an_undisturbed_one(
    options: TuneOptions, tmp_path: Path, at_once: int
) -> None:
    options = replace(options, at_once=at_once)
    undisturbed = Runs()
    search(replace(options, out=tmp_path / "undisturbed"), undisturbed)
    for _ in range(undisturbed.rounds - 1):
        with pytest.raises(KeyboardInterrupt):
            search(options, Runs(dies_at=1))  # each call finishes one round
    search(options, Runs())
    assert results(options.out) == results(tmp_path / "undisturbed")


def test_what_a_full_disk_made_fail_is_tried_again_and_a_divergence_is_not(options: TuneOptions) -> None:
    options = replace(options, trials=30)
    said = search(options, Runs(failing={1e-3: DISK_FULL, 1e-2: DIVERGED}))
    (study,) = json.loads((options.out / FILE).read_text())["studies"].values()
    failed = [trial["params"] for trial in study["failed"]]
    assert len(failed) == 12 and all(params["rate"] == 1e-3 for params in failed)
    assert said[-1] == "trials that failed for a reason that may be gone: 12; call again to try again"
    again = Runs()
    search(options, again)
    asked = [{name: getattr(config, name) for name in GRID} for config in again.asked]
    assert asked[: len(failed)] == failed
    assert not any(params["rate"] == 1e-2 for params in asked)
    (study,) = json.loads((options.out / FILE).read_text())["studies"].values()
    assert study["failed"] == []


def test_combinations_that_conflict_are_skipped_for_good_and_the_best_of_the_others_is_found(
    conflicting: TuneOptions,
) -> None:
    run = Runs(score_of_conflicting)
    said = search(conflicting, run)
    (study,) = json.loads((conflicting.out / FILE).read_text())["studies"].values()
    skipped = [trial for trial in study["trials"] if trial["conflict"]]
    assert study["failed"] == [] and len(study["trials"]) == 2 * 3 * 3  # every combination, of which two by three
    assert len(skipped) == 2 * 3 and len(run.asked) == 4 * 3
    for trial in skipped:
        params = trial["params"]
        assert trial["score"] is None and params["discriminator_batch"] == "shared" and params["clean_share"] > 0
        reason = f"--discriminator-batch shared with --clean-share {params['clean_share']:g} would tell the"
        assert trial["conflict"].startswith(reason)
        (line,) = [line for line in said if line.startswith(f"trial {trial['number']} (")]
        assert line.endswith(f", --rate {params['rate']:g}: skipped: {trial['conflict']}")
    stays = "--clean-share stays 0 in the walk: every other value conflicts with the best settings so far"
    assert said.count(stays) == 1
    best = json.loads((conflicting.out / RESULT).read_text())
    assert (best["discriminator_batch"], best["clean_share"], best["rate"]) == ("shared", 0.0, 1e-2)
    assert len((conflicting.out / TABLE).read_text().splitlines()) == 1 + 4 * 3

    recorded, again = results(conflicting.out), Runs(score_of_conflicting)
    said = search(conflicting, again)
    assert again.asked == [] and results(conflicting.out) == recorded
    assert not any("skipped" in line for line in said)


@pytest.mark.parametrize("trials", [3, 4, 9, 99])
@pytest.mark.parametrize("at_once", [1, 3])
def test_a_killed_search_with_combinations_that_conflict_ends_in_the_trials_of_an_undisturbed_one(
    conflicting: TuneOptions, tmp_path: Path, at_once: int, trials: int
) -> None:
    conflicting = replace(conflicting, at_once=at_once, trials=trials)
    undisturbed = Runs(score_of_conflicting)
    search(replace(conflicting, out=tmp_path / "undisturbed"), undisturbed)
    assert len(undisturbed.asked) == min(trials, 4 * 3)  # what is skipped takes no trial's place
    for _ in range(undisturbed.rounds - 1):
        with pytest.raises(KeyboardInterrupt):
            search(conflicting, Runs(score_of_conflicting, dies_at=1))
    search(conflicting, Runs(score_of_conflicting))
    assert results(conflicting.out) == results(tmp_path / "undisturbed")


@pytest.mark.parametrize("name", [FILE, RESULT, TABLE])
@pytest.mark.parametrize("how", DAMAGES, ids=list(DAMAGES))
def test_a_damaged_file_of_a_search_is_made_again(options: TuneOptions, name: str, how: str) -> None:
    search(options, Runs())
    wanted = results(options.out)
    damage(options.out / name, how)
    said = search(options, Runs())
    assert results(options.out) == wanted
    told = [line for line in said if line.endswith("; the trials are found again among the finished runs")]
    assert len(told) == (name == FILE and how != "missing")


def test_searches_of_other_grids_in_the_same_folder_are_kept(options: TuneOptions) -> None:
    search(options, Runs())
    first = results(options.out)
    search(replace(options, grid={"rate": (1e-4,)}, trials=3), Runs())
    assert len(json.loads((options.out / FILE).read_text())["studies"]) == 2
    repeated = Runs()
    search(options, repeated)
    assert repeated.asked == []
    assert {name: results(options.out)[name] for name in (RESULT, TABLE)} == {
        name: first[name] for name in (RESULT, TABLE)
    }


def test_a_search_over_words_and_switches_goes_on_with_values_of_their_types(options: TuneOptions) -> None:
    grid: dict[str, tuple[Value, ...]] = {"flip": (True, False), "schedule": ("linear",), "size_px": (48,)}
    options = replace(options, grid={"lambda_sim": (3.0,)} | grid, trials=9)
    search(options, Runs())
    (study,) = json.loads((options.out / FILE).read_text())["studies"].values()
    tried = [trial["params"] for trial in study["trials"]]
    assert {(type(each["flip"]), type(each["schedule"])) for each in tried} == {(bool, str)}
    assert {each["size_px"] for each in tried} == {None, 48}
    repeated = Runs()
    assert len(tried) == 8
    assert "continuing after 8 trials" in search(options, repeated)
    assert repeated.asked == []


def test_a_number_in_place_of_a_switch_is_left_out(options: TuneOptions) -> None:
    options = replace(options, grid={"flip": (True, False), "lambda_sim": (0.1,)}, trials=2)
    search(options, Runs())
    content = json.loads((options.out / FILE).read_text())
    del content["checksums"]
    (study,) = content["studies"].values()
    for trial in study["trials"]:
        trial["params"]["flip"] = int(trial["params"]["flip"])
    (options.out / FILE).write_text(json.dumps(content))
    again = Runs()
    search(options, again)
    assert len(again.asked) == 2


def test_a_search_over_numbers_has_the_name_that_it_had_in_version_0_1(options: TuneOptions) -> None:
    base = TrainConfig.from_stored({name: options.base.to_json()[name] for name in ("manifests", "method", "epochs")})
    options = replace(options, base=base)
    assert study_name(options, choices(options)) == "bb2b6530ebe5950b69a4b2e5"


def journal_of_version_0_1(options: TuneOptions) -> Path:
    """Four trials as version 0.1 left them: two finished, one failed, one that was killed."""
    options.out.mkdir()
    path = options.out / JOURNAL
    searched = choices(options)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(path))), study_name=study_name(options, searched),
        direction="maximize",
    )  # fmt: skip
    space: dict[str, Any] = {
        name: optuna.distributions.CategoricalDistribution(values) for name, values in searched.items()
    }
    for weight, rate in ((0.1, 2e-5), (1.0, 2e-5), (3.0, 2e-5), (9.0, 2e-5)):
        study.enqueue_trial({"lambda_sim": weight, "rate": rate, "epochs": 1})
        trial = study.ask(space)
        if weight < 9:
            trial.set_user_attr("phase", "walk")
        if weight < 3:
            score = score_of(replace(options.base, lambda_sim=weight))
            trial.set_user_attr("loss", score.loss)
            study.tell(trial, score.accuracy)
        elif weight < 9:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return path


def test_a_search_of_version_0_1_goes_on(options: TuneOptions) -> None:
    journal_of_version_0_1(options)
    run = Runs()
    said = search(options, run)
    assert "continuing after 2 trials" in said
    assert {(config.lambda_sim, config.rate) for config in run.asked} >= {(3.0, 2e-5), (9.0, 2e-5)}
    assert not {(0.1, 2e-5, 1), (1.0, 2e-5, 1)} & {(each.lambda_sim, each.rate, each.epochs) for each in run.asked}
    assert run.asked[0].lambda_sim == 3.0, "nobody knows why it failed, so it comes first"


@pytest.mark.parametrize("how", DAMAGES, ids=list(DAMAGES))
def test_a_damaged_journal_of_version_0_1_loses_no_more_than_its_trials(options: TuneOptions, how: str) -> None:
    damage(journal_of_version_0_1(options), how)
    said = search(options, Runs())
    if how != "missing":
        assert any("is damaged" in line for line in said) or how in ("empty", "other JSON", "a flipped byte")
    assert len((options.out / TABLE).read_text().splitlines()) == 1 + options.trials


def test_a_journal_is_read_up_to_its_last_whole_line(options: TuneOptions) -> None:
    path = journal_of_version_0_1(options)
    path.write_bytes(path.read_bytes()[:-3])
    said = search(options, Runs())
    assert "continuing after 2 trials" in said
    assert any(line.startswith(f"{path} is damaged after line ") for line in said)


@pytest.mark.slow
def test_a_search_is_killed_for_real(tmp_path: Path) -> None:
    """By SIGKILL, before and after files get their names; each process reaches some moments more."""
    manifest = write_build(tmp_path / "builds", Build())
    small = "--backbone tiny --weights none --batch-size 8 --device cpu --workers 1 --epochs 1 --pretrain-epochs 1"
    words = ["tune", "--manifest", str(manifest), "--method", "sim", *small.split(), "--trials", "6"]
    words += ["--grid", "lambda-sim=0.1,9", "--grid", "rate=1e-2"]
    moments = ("before a rename", "after a rename")
    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
    assert finish(start(tmp_path / "undisturbed", words, moments)) == 0
    passed = len((tmp_path / "undisturbed" / "trace").read_text().splitlines())
    for number in range(3, passed, passed // 7):
        code = finish(start(tmp_path / "killed", words, moments, number))
        assert code in (0, -signal.SIGKILL), (tmp_path / "killed" / "said").read_text()
    assert finish(start(tmp_path / "killed", words)) == 0, (tmp_path / "killed" / "said").read_text()
    assert results(tmp_path / "killed" / "tune") == results(tmp_path / "undisturbed" / "tune")
