"""A benchmark asks every column once, and its figures are those of a count by hand."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from occfer.benchmark.contestant import Answers, OnAsked, Question
from occfer.benchmark.result import Provenance, read_benchmark
from occfer.benchmark.result import TestedContestant as ContestantFacts
from occfer.benchmark.result import TestedSuite as SuiteFacts
from occfer.benchmark.run import run_benchmark
from occfer.benchmark.suites import AskedColumn, ReadySuite
from occfer.data.arrays import Float64Array
from occfer.data.manifests import read_corpus
from occfer.errors import DataError, ReportError
from occfer.metrics.result_files import read_result
from tests.occfer.toy_builds import WORDS, Build, without_clean, write_build

MODES = ("r16", "eyes", "mouth")


FACTS = ContestantFacts("guesser", "test", "ab" * 32, WORDS)


@dataclass
class Guesser:
    """Answers by a draw from the column's name, and remembers what it was asked."""

    facts: ContestantFacts = FACTS
    fails_at: str = ""
    asked: list[str] = field(default_factory=list)

    def provenance(self, questions: Sequence[Question]) -> Provenance:
        assert [question.column for question in questions] == list(MODES)
        return Provenance(overlap=2)

    def answer(self, question: Question, on_asked: OnAsked) -> Answers:
        if question.column == self.fails_at:
            raise KeyboardInterrupt
        self.asked.append(question.column)
        assert all(path.is_file() for path in question.files)
        assert all(("/clean/" in str(path)) == (question.view == "clean") for path in question.files)
        on_asked(len(question.samples))
        return Answers(self.probabilities(question), ("a note",))

    def probabilities(self, question: Question) -> Float64Array:
        rng = np.random.default_rng(list(question.column.encode()))
        drawn = rng.random((len(question.samples), len(self.facts.classes)))
        return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))


@pytest.fixture
def suite(tmp_path: Path) -> ReadySuite:
    builds = [Build(name=f"toy-{mode}", mode=mode, subjects=3) for mode in MODES]
    corpora = [read_corpus([write_build(tmp_path / "builds", build)]) for build in builds]
    columns = tuple(
        AskedColumn(("seen", mode), corpus.manifests[0].sha256, Question(mode, "occluded", corpus))
        for mode, corpus in zip(MODES, corpora, strict=True)
    )
    return ReadySuite(SuiteFacts("toy", "1", "cd" * 32, "toy"), columns)


def test_the_figures_are_those_of_a_count_by_hand(suite: ReadySuite, tmp_path: Path) -> None:
    guesser = Guesser()
    found = run_benchmark(suite, guesser, tmp_path / "out")
    assert guesser.asked == ["clean", *MODES]
    right = {}
    for column in (suite.clean, *suite.columns):
        answers = guesser.probabilities(column.question).argmax(axis=1)
        truth = [WORDS.index(sample.expression) for sample in column.question.samples]
        right[column.question.column] = sum(int(a == b) for a, b in zip(answers, truth, strict=True))
    n = 3 * len(WORDS)
    assert {each.name: each.correct for each in (found.clean, *found.columns)} == right
    assert {each.n for each in found.columns} == {n} and {each.subjects for each in found.columns} == {3}
    mean = sum(right[mode] for mode in MODES) / n / 3
    assert found.mean.accuracy == pytest.approx(mean) and found.mean.columns == 3
    assert [(each.name, each.columns) for each in found.groups] == [("seen", 3), ("r16", 1), ("eyes", 1), ("mouth", 1)]
    assert found.relative_drop == pytest.approx((right["clean"] / n - mean) / (right["clean"] / n))
    assert found.columns[1].drop == pytest.approx((right["clean"] - right["eyes"]) / n)
    assert found.worst.correct == min(right[mode] for mode in MODES)
    assert (found.real, found.provenance.overlap, found.notes) == (None, 2, ("a note",))
    assert read_benchmark(tmp_path / "out") == found
    kept = read_result(tmp_path / "out/columns/eyes")
    assert int(kept.right.sum()) == right["eyes"]


def test_a_killed_benchmark_goes_on_without_asking_twice(suite: ReadySuite, tmp_path: Path) -> None:
    first = Guesser(fails_at="mouth")
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(suite, first, tmp_path / "out")
    assert first.asked == ["clean", "r16", "eyes"] and not (tmp_path / "out/benchmark.json").exists()
    (tmp_path / "out/columns/eyes/predictions.csv").write_text("cut by a power failure")
    second = Guesser()
    found = run_benchmark(suite, second, tmp_path / "out")
    assert second.asked == ["eyes", "mouth"]
    assert found == run_benchmark(suite, Guesser(), tmp_path / "whole")
    assert (tmp_path / "out/benchmark.json").read_bytes() == (tmp_path / "whole/benchmark.json").read_bytes()


@pytest.mark.parametrize("changed", ["contestant", "classes", "suite", "column"])
def test_answers_of_another_contestant_or_to_another_suite_do_not_count(
    changed: str, suite: ReadySuite, tmp_path: Path
) -> None:
    run_benchmark(suite, Guesser(), tmp_path / "out")
    other = Guesser()
    if changed == "contestant":
        other = Guesser(facts=replace(FACTS, sha256="ef" * 32))
    elif changed == "classes":
        other = Guesser(facts=replace(FACTS, classes=WORDS[::-1]))
    elif changed == "suite":
        suite = replace(suite, facts=replace(suite.facts, digest="ef" * 32))
    else:
        suite = replace(suite, columns=(*suite.columns[:2], replace(suite.columns[2], sha256="ef" * 32)))
    run_benchmark(suite, other, tmp_path / "out")
    assert other.asked == (["mouth"] if changed == "column" else ["clean", *MODES])


def test_what_has_no_digest_is_asked_each_time(suite: ReadySuite, tmp_path: Path) -> None:
    for _ in range(2):
        guesser = Guesser(facts=replace(FACTS, sha256=""))
        run_benchmark(suite, guesser, tmp_path / "out")
        assert guesser.asked == ["clean", *MODES]


def test_a_class_that_is_not_known_is_never_answered_right(suite: ReadySuite, tmp_path: Path) -> None:
    found = run_benchmark(suite, Guesser(facts=replace(FACTS, classes=WORDS[1:])), tmp_path / "out")
    assert "it does not know anger: every answer to such a face counts as wrong" in found.notes
    kept = read_result(tmp_path / "out/columns/r16")
    assert not any(kept.right[index] for index, pair in enumerate(kept.pairs) if pair.truth == "anger")


def test_real_occlusions_are_a_column_of_their_own(suite: ReadySuite, tmp_path: Path) -> None:
    build = Build(name="toy-real", mode="real", subjects=2, edit=lambda rows: [without_clean(row) for row in rows])
    corpus = read_corpus([write_build(tmp_path / "real", build)])
    real = AskedColumn((), corpus.manifests[0].sha256, Question("real", "occluded", corpus))
    found = run_benchmark(replace(suite, real=real), Guesser(), tmp_path / "out")
    assert found.real is not None and (found.real.n, found.real.kind, found.real.drop) == (14, "real", None)
    assert found.mean.columns == 3
    entries = json.loads((tmp_path / "out/results.json").read_text())
    assert {entry["dataset"]["task_id"] for entry in entries} >= {"clean", "mean", "worst", "real"}


@dataclass
class Wrong(Guesser):
    """Says what is no probability."""

    what: str = ""

    def probabilities(self, question: Question) -> Float64Array:
        found = super().probabilities(question)
        if self.what == "shape":
            return found[:, :-1]
        if self.what == "rows":
            return found[:-1]
        if self.what == "logits":
            return found * 10
        found[0, :2] = {"nan": [np.nan, 0], "negative": [-1, found[0, :2].sum() + 1]}[self.what]
        return found


@pytest.mark.parametrize("what", ["shape", "rows", "logits", "nan", "negative"])
def test_what_is_no_probability_is_refused(what: str, suite: ReadySuite, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="guesser, column clean: "):
        run_benchmark(suite, Wrong(what=what), tmp_path / "out")
    assert not (tmp_path / "out/columns/clean/metrics.json").exists()


def test_a_folder_of_the_users_is_left_alone(suite: ReadySuite, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("mine")
    with pytest.raises(ReportError, match="give --overwrite"):
        run_benchmark(suite, Guesser(), tmp_path / "out")
    run_benchmark(suite, Guesser(), tmp_path / "out", overwrite=True)
    assert (tmp_path / "out/thesis.txt").read_text() == "mine"
