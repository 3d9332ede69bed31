"""Cross-validation folds, one rule for every database without an official split."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from occsynth.databases.record import FaceRecord, Reject

FOLDS = 10


def subject_folds(subjects: Iterable[str], folds: int = FOLDS) -> dict[str, int]:
    """Fold k holds `sorted_subjects[k::folds]`: nobody is in two folds, and sizes differ by one at most.

    Args:
        folds: how many; as many as there are subjects where those are fewer.
    """
    ordered = sorted(set(subjects))
    count = min(folds, len(ordered))
    return {subject: place % count for place, subject in enumerate(ordered)}


def with_subject_folds(items: Iterable[FaceRecord | Reject]) -> Iterator[FaceRecord | Reject]:
    """Rejects as they come, then every record with its subject's fold. Holds the records: for small databases."""
    records: list[FaceRecord] = []
    for item in items:
        if isinstance(item, FaceRecord):
            records.append(item)
        else:
            yield item
    folds = subject_folds(record.subject for record in records)
    for record in records:
        yield replace(record, fold=folds[record.subject])


def hashed_fold(source: str, folds: int = FOLDS) -> int:
    """The fold of an image whose database names neither subjects nor a split: from the hash of its path.

    Every face of one image gets one fold, and the fold of an image never depends on which others there are. It is our
    rule, no author's, and cannot keep a person out of two folds.
    """
    path = source.partition("#")[0]
    return int.from_bytes(hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()[:8], "big") % folds
