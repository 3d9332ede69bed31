"""Cross-validation folds, one rule for every database without an official split."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from occsynth.databases.record import FaceRecord, ScanItem

FOLDS = 10
_MOST_FOLDS = 1000


def subject_folds(subjects: Iterable[str], folds: int = FOLDS) -> dict[str, int]:
    """The fold of each subject: fold k holds `sorted_subjects[k::folds]`, so that sizes differ by one at most.

    Args:
        folds: how many; with fewer subjects than that, one per subject.
    """
    ordered = sorted(set(subjects))
    count = min(folds, len(ordered))
    return {subject: place % count for place, subject in enumerate(ordered)}


def with_subject_folds(items: Iterable[ScanItem]) -> Iterator[ScanItem]:
    """Yields the rejects as they come, then every record with its subject's fold.

    Holds all records in memory, so it is for small databases only.
    """
    records: list[FaceRecord] = []
    for item in items:
        if isinstance(item, FaceRecord):
            records.append(item)
        else:
            yield item
    folds = subject_folds(record.subject for record in records)
    for record in records:
        yield replace(record, fold=folds[record.subject])


def fold_number(text: str) -> int | None:
    """A fold as a table writes it, from 0 to 999; None for any other text."""
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdecimal() and int(digits[:9]) < _MOST_FOLDS else None


def two_folds(folds_by_subject: Mapping[str, Iterable[int]]) -> str | None:
    """What is wrong if a person is in several folds, so that a model could be tested on people it was trained on."""
    for subject, folds in folds_by_subject.items():
        if len(numbers := sorted(set(folds))) > 1:
            listed = " and ".join(map(str, numbers[:2]))
            return f"subject {subject[:60]} is in the folds {listed}; each person must be in one fold"
    return None


def hashed_fold(source: str, folds: int = FOLDS) -> int:
    """The fold of an image whose database names neither subjects nor a split: from the hash of its path.

    All faces of one image get the same fold, which does not depend on the other images. This is our own rule, not one
    of any author, and it cannot keep a person out of two folds.
    """
    path = source.partition("#")[0]
    return int.from_bytes(hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()[:8], "big") % folds
