"""Which samples of some manifests a trained model is tested on."""

from typing import Literal

from occfer.data.manifests import CONTEMPT, Corpus
from occfer.data.splits import divisions
from occfer.errors import DataError
from occfer.evaluation.seen_faces import databases_of
from occfer.runs.model_info import ModelInfo

PartName = Literal["test", "val", "all"]


def choose_samples(corpus: Corpus, info: ModelInfo, part: PartName, fold: int | None) -> tuple[list[int], list[str]]:
    """The samples to test on, as indices, and for each database a sentence that says which they are.

    Part `test`: the official test part (or else validation part) of a database that has one; the fold of a database
    with folds, if the model was trained on it or a fold was asked for; all samples of any other database; and always
    those of mode `real`. Part `val`: the official validation part, also where that has selected the model. A model of
    seven classes is not tested on contempt.

    Args:
        corpus: the manifests to test on.
        info: of the model, which names the fold that it was not trained on.
        part: `test`, `val` or `all`.
        fold: in place of the model's own.

    Raises:
        DataError: no sample is left, or there is no such fold.
    """
    parts = divisions(corpus)
    own, trained_databases = info.data.get("fold"), databases_of(info)
    leaves_out = CONTEMPT not in info.classes
    indices: list[int] = []
    notes: list[str] = []
    for database in sorted(parts):
        division = parts[database]
        members = [index for index, sample in enumerate(corpus.samples) if sample.database == database]
        taken = fold if fold is not None else own if database in trained_databases else None
        if part == "val":
            chosen, what = [index for index in members if corpus.samples[index].split == "val"], "its official val part"
        elif part == "all" or not division.divides(taken):
            chosen, what = members, "all pairs"
        else:
            if not division.tested_split and taken not in division.folds:
                listed = ", ".join(map(str, division.folds))
                raise DataError(f"fold {taken}: {database} has the folds {listed}; choose one with --fold")
            chosen = [index for index in members if division.tests(corpus.samples[index], taken)]
            what = f"its official {division.tested_split} part" if division.tested_split else f"fold {taken}"
        unknown = {index for index in chosen if corpus.samples[index].expression == CONTEMPT} if leaves_out else set()
        indices += [index for index in chosen if index not in unknown]
        without = f", without {len(unknown)} of {CONTEMPT}, which the model does not know" if unknown else ""
        notes.append(f"{database}: {what}, {len(chosen) - len(unknown)} of {len(members)} pairs{without}")
    if not leaves_out and all(corpus.samples[index].expression != CONTEMPT for index in indices):
        notes.append(f"the model also knows {CONTEMPT}, which no tested pair shows")
    if not indices:
        raise DataError(f"{corpus.names}: no pairs to test on; --rows all takes every pair")
    return sorted(indices), notes
