"""A table of answers as a contestant, for models that only run elsewhere; and the list of pictures to be answered.

Both are CSV. The list has the columns `column, pair_id, picture`; the table has `column, pair_id` and a probability for
each class, such as `happiness` or `p_happy`, and may have more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from occfer.benchmark.contestant import Answers, OnAsked, Question
from occfer.benchmark.result import Provenance, TestedContestant
from occfer.data.manifests import CONTEMPT, EXPRESSIONS
from occfer.data.vocabulary import LONGEST_WORD
from occfer.errors import DataError
from occfer.files import file_sha256, write_csv
from occfer.outside.description import About, expression_of, read_description
from occfer.outside.outputs import scaled
from occsynth.escapes import from_csv
from occsynth.ownership import refuse_foreign_file
from occsynth.reading import read_cells, read_table

KIND = "answers"
KEYS = ("column", "pair_id")
LIST_COLUMNS = (*KEYS, "picture")
PROBABILITY = "p_"
MOST_ROUNDING = 0.1
"""How far from 1 a sum may be: seven probabilities of two digits reach 0.035."""


@dataclass(frozen=True, slots=True, eq=False)
class AnswerTable:
    """Answers that were given elsewhere.

    Attributes:
        facts: see `Contestant`.
        description: who gave them.
        path: of the table, for errors.
        of_pair: the probabilities by column and pair, in the order of the classes.
    """

    facts: TestedContestant
    description: About
    path: Path
    of_pair: dict[tuple[str, str], tuple[float, ...]]

    def provenance(self, questions: tuple[Question, ...]) -> Provenance:
        """See `Contestant`: what the description says; nobody can look whether the model knows the suite's faces."""
        del questions
        return Provenance(trained_on=self.description.trained_on, selected_by=self.description.selected_by)

    def answer(self, question: Question, on_asked: OnAsked) -> Answers:
        """See `Contestant`; raises DataError for a pair without an answer."""
        keys = [(question.column, sample.pair_id) for sample in question.samples]
        missing = [pair_id for column, pair_id in keys if (column, pair_id) not in self.of_pair]
        if missing:
            raise DataError(
                f"--answers {self.path} lacks {len(missing)} of the {len(keys)} pairs of the column "
                f"'{question.column}', '{missing[0][:200]}' first; `occfer benchmark --list-pictures FILE` names all"
            )
        on_asked(len(keys))
        return Answers(scaled(np.array([self.of_pair[key] for key in keys], dtype=np.float64)))


def open_answers(path: Path, describe: Path | None = None) -> AnswerTable:
    """A table of answers as a contestant.

    Args:
        path: a CSV, or one gzipped to `.csv.gz`.
        describe: a TOML file, see `About`.

    Raises:
        DataError: the table cannot be read, has no column of keys or fewer than two classes, answers a pair twice, or
            holds something else than probabilities; the message names the line.
        ConfigError: the description cannot be used.
    """
    description = About() if describe is None else read_description(describe, About)
    where = f"--answers {path}"
    columns = _class_columns(path, where)
    of_pair: dict[tuple[str, str], tuple[float, ...]] = {}
    for number, cells in read_table(path, (*KEYS, *columns), DataError):
        key = (from_csv(cells["column"]), from_csv(cells["pair_id"]))
        if key in of_pair:
            raise DataError(
                f"{where}, line {number}: the pair '{key[1][:200]}' of '{key[0][:200]}' was answered before"
            )
        of_pair[key] = _probabilities([cells[name] for name in columns], f"{where}, line {number}")
    if not of_pair:
        raise DataError(f"{where} holds no answers")
    facts = TestedContestant(
        name=description.name or path.name.partition(".")[0][:LONGEST_WORD],
        kind=KIND,
        sha256=file_sha256(path),
        classes=tuple(columns.values()),
        about=description.about,
    )
    return AnswerTable(facts, description, path, of_pair)


def _class_columns(path: Path, where: str) -> dict[str, str]:
    """The columns that hold probabilities, each with its expression."""
    _, header = next(read_cells(path, DataError, encoding="utf-8-sig"), (0, []))
    names = [name.strip() for name in header]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise DataError(f"{where} has two columns of the name '{twice[:LONGEST_WORD]}'")
    meant = {name: expression_of(name.removeprefix(PROBABILITY)) for name in names}
    found = {name: word for name, word in meant.items() if word in (*EXPRESSIONS, CONTEMPT)}
    if len(found) < 2 or len(set(found.values())) < len(found):
        raise DataError(
            f"{where} must have one column for each class, named {', '.join(EXPRESSIONS)}; its columns are "
            f"{', '.join(names)[:300] or 'none'}"
        )
    return found


def _probabilities(cells: Sequence[str], where: str) -> tuple[float, ...]:
    try:
        values = tuple(map(float, cells))
    except ValueError:
        raise DataError(f"{where}: {', '.join(cells)[:200]} are not numbers") from None
    if not all(0 <= value <= 1 for value in values) or abs(sum(values) - 1) > MOST_ROUNDING:
        raise DataError(f"{where}: {', '.join(cells)[:200]} are not probabilities: they sum to {sum(values):.3g}")
    return values


def write_picture_list(path: Path, questions: Iterable[Question], *, overwrite: bool = False) -> int:
    """Writes the list of all pictures that must be answered, and returns how many there are.

    Args:
        path: of the CSV; pictures are absolute paths.
        questions: of a suite, the clean faces among them.
        overwrite: whether a file that is no such list may be replaced.

    Raises:
        DataError: the file is there and is no such list, or cannot be written.
    """
    refuse_foreign_file(path, "occfer benchmark", DataError, overwrite=overwrite, is_own=_is_list)
    lines = [
        (question.column, sample.pair_id, str(file.resolve()))
        for question in questions
        for sample, file in zip(question.samples, question.files, strict=True)
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_csv(path, LIST_COLUMNS, lines)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror or error}); choose another place") from error
    return len(lines)


def _is_list(path: Path) -> bool:
    """Whether a file begins as such lists do: CSV has no place for a mark."""
    wanted = ",".join(LIST_COLUMNS).encode() + b"\n"
    try:
        with path.open("rb") as file:
            return file.read(len(wanted)) == wanted
    except OSError:
        return False
