"""Answers that were given elsewhere: whose they are, which faces they are about, and what is no answer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occfer.errors import DataError
from occfer.files import write_csv
from occfer.outside.answer_table import AnswerTable, open_answers, write_picture_list
from occsynth.reading import read_table
from tests.fuzzing import changed_bytes, fuzzed, read_or_refused
from tests.occfer.outside.networks import question_of

HEADER = ("column", "pair_id", "p_happy", "sad", "Neutral", "seconds")
LINES = (("r16", "a/1", 0.7, 0.2, 0.1, 3), ("clean", "a/1", 0.2, 0.3, 0.51, 3), ("r16", "=2", 0, 0, 1, 3))


def table(path: Path, *lines: tuple[object, ...], header: tuple[str, ...] = HEADER) -> Path:
    write_csv(path, header, lines)
    return path


def test_answers_are_found_by_column_and_pair(make_build: Callable[..., Path], tmp_path: Path) -> None:
    question = question_of(make_build(subjects=2))
    clean = question_of(make_build(subjects=2), "clean")
    rng = np.random.default_rng(0)
    wanted = {
        (each.column, sample.pair_id): rng.dirichlet(np.ones(3))
        for each in (question, clean)
        for sample in each.samples
    }
    shuffled = [(*key, *wanted[key], 0) for key in sorted(wanted, key=lambda key: key[1][::-1])]
    found = open_answers(table(tmp_path / "theirs.csv", *shuffled))
    assert (found.facts.name, found.facts.kind) == ("theirs", "answers")
    assert found.facts.classes == ("happiness", "sadness", "neutral")
    for each in (question, clean):
        counts: list[int] = []
        given_back = found.answer(each, counts.append).probabilities
        np.testing.assert_allclose(given_back, [wanted[each.column, sample.pair_id] for sample in each.samples])
        assert counts == [14]
    assert found.provenance((question,)).overlap is None


def test_a_description_says_whose_they_are(tmp_path: Path) -> None:
    (tmp_path / "who.toml").write_text('name = "Their model"\ntrained_on = ["raf-db"]\n')
    found = open_answers(table(tmp_path / "a.csv", *LINES), tmp_path / "who.toml")
    assert found.facts.name == "Their model" and found.provenance(()).trained_on == ("raf-db",)
    assert found.of_pair["r16", "=2"] == (0, 0, 1), "a name that a spreadsheet would run comes back as it was"


@pytest.mark.parametrize(
    ("lines", "header", "message"),
    [
        ((*LINES, LINES[0]), HEADER, "line 5: the pair 'a/1' of 'r16' was answered before"),
        ((("r16", "a", 0.7, 0.2, -0.1, 0),), HEADER, "line 2: 0.7, 0.2, -0.1 are not probabilities"),
        ((("r16", "a", 0.7, 0.2, 0.9, 0),), HEADER, "not probabilities: they sum to 1.8"),
        ((("r16", "a", 0.7, "nan", 0.3, 0),), HEADER, "not probabilities"),
        ((("r16", "a", 0.7, "", 0.3, 0),), HEADER, "line 2: 0.7, , 0.3 are not numbers"),
        ((), HEADER, "holds no answers"),
        (LINES, ("column", "id", *HEADER[2:]), "columns missing: pair_id"),
        (LINES, ("column", "pair_id", "happy", "joy", "sad", "s"), "must have one column for each class, named anger"),
        (LINES, ("column", "pair_id", "happy", "b", "c", "d"), "must have one column for each class"),
        (LINES, ("column", "pair_id", "happy", "sad", "sad", "d"), "two columns of the name 'sad'"),
    ],
)
def test_what_is_no_table_of_answers(
    tmp_path: Path, lines: tuple[tuple[object, ...], ...], header: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        open_answers(table(tmp_path / "a.csv", *lines, header=header))


def test_a_missing_pair_is_one_clear_line(make_build: Callable[..., Path], tmp_path: Path) -> None:
    question = question_of(make_build(subjects=2))
    kept = [("r16", sample.pair_id, 0.5, 0.5, 0, 0) for sample in question.samples[1:]]
    found = open_answers(table(tmp_path / "a.csv", *kept))
    first = question.samples[0].pair_id
    with pytest.raises(DataError, match=f"lacks 1 of the 14 pairs of the column 'r16', '{first}' first"):
        found.answer(question, lambda done: None)
    with pytest.raises(DataError, match="lacks 14 of the 14 pairs of the column 'clean'"):
        found.answer(question_of(make_build(subjects=2), "clean"), lambda done: None)


def test_the_list_of_pictures_can_be_answered(make_build: Callable[..., Path], tmp_path: Path) -> None:
    manifest = make_build(subjects=2)
    questions = (question_of(manifest, "clean"), question_of(manifest))
    path = tmp_path / "pictures.csv"
    assert write_picture_list(path, questions) == 28
    listed = [cells for _, cells in read_table(path, ("column", "pair_id", "picture"), DataError)]
    assert all(Path(cells["picture"]).is_file() for cells in listed)
    assert len({cells["picture"] for cells in listed}) == 28
    answered = table(tmp_path / "a.csv", *((cells["column"], cells["pair_id"], 1, 0, 0, 0) for cells in listed))
    for question in questions:
        assert open_answers(answered).answer(question, lambda done: None).probabilities.shape == (14, 3)
    assert write_picture_list(path, questions) == 28, "its own list is replaced"
    path.write_text("mine\n")
    with pytest.raises(DataError, match="already exists and was not made by"):
        write_picture_list(path, questions)
    assert path.read_text() == "mine\n"


@given(st.data())
@fuzzed(0.5)
def test_fuzz_a_table_of_answers(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.csv"
    path.write_bytes(data.draw(changed_bytes(table(path, *LINES).read_bytes())))
    found = read_or_refused(lambda: open_answers(path), DataError)
    assert found is None or isinstance(found, AnswerTable)
