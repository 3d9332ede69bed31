"""Which rows of some manifests a trained model is tested on."""

from typing import Literal

from occfer.data.manifests import REAL, Corpus, Sample
from occfer.data.splits import tested_split
from occfer.errors import DataError
from occfer.evaluation.seen_faces import databases_of
from occfer.runs.model_facts import ModelFacts

Part = Literal["test", "all"]


def choose_rows(corpus: Corpus, facts: ModelFacts, part: Part, fold: int | None) -> tuple[list[int], list[str]]:
    """The rows to test on, and a sentence for each database that says which.

    Part `test`: the official test part (else the validation part) of a database that has one; the fold of one that has
    folds, if it was trained on or a fold was asked for; all rows of any other, and of mode `real`.

    Args:
        corpus: what is at hand.
        facts: of the model, whose own fold is taken.
        part: `test` or `all`.
        fold: instead of the model's own.

    Raises:
        DataError: no row is left, or a fold does not exist.
    """
    splits = tested_split(corpus.samples) if part == "test" else {}
    own, known = facts.data.get("fold"), databases_of(facts)
    rows: list[int] = []
    notes: list[str] = []
    for database in sorted({sample.database for sample in corpus.samples}):
        members = [index for index, sample in enumerate(corpus.samples) if sample.database == database]
        folds = {corpus.samples[index].fold for index in members} - {None}
        taken = fold if fold is not None else own if database in known else None
        if database in splits:
            chosen = [index for index in members if _is(corpus.samples[index], "split", splits[database])]
            what = f"its official {splits[database]} part"
        elif part == "test" and folds and taken is not None:
            if taken not in folds:
                listed = ", ".join(map(str, sorted(each for each in folds if each is not None)))
                raise DataError(f"fold {taken}: {database} has the folds {listed}; choose one with --fold")
            chosen = [index for index in members if _is(corpus.samples[index], "fold", taken)]
            what = f"fold {taken}"
        else:
            chosen, what = members, "all rows"
        rows += chosen
        notes.append(f"{database}: {what}, {len(chosen)} of {len(members)} rows")
    if not rows:
        names = ", ".join(source.name for source in corpus.sources)
        raise DataError(f"{names}: no test rows; --rows all takes every row")
    return sorted(rows), notes


def _is(sample: Sample, column: str, value: object) -> bool:
    return sample.mode == REAL or getattr(sample, column) == value
