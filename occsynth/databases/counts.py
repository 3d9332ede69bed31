"""Comparing the counts that authors publish with the counts found here."""

from collections.abc import Mapping

from occsynth.databases.record import SEVEN, Database, LabelOptions, Variant


def published_counts(database: Database, variant: Variant, labels: LabelOptions = SEVEN) -> Mapping[str, int]:
    """The counts that the authors publish for this variant, by split or `total`; empty where none are known."""
    if variant.published is not None:
        return variant.published if labels.classes == 7 else {}
    if labels.classes == 7:
        return database.published
    return {name: count + database.published_contempt[name] for name, count in database.published.items()}


def count_check(published: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """One warning, with both numbers, per count that differs.

    Args:
        published: by split (`train`, `val`, `test`) or `total`.
        found: images by split; where `total` is not given, it is their sum.
    """
    warnings = []
    for name, expected in published.items():
        here = found.get(name, sum(found.values()) if name == "total" else 0)
        if here != expected:
            warnings.append(f"{name}: {expected} images are published, {here} were found here")
    return warnings
