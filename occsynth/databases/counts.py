"""Published counts against found ones."""

from collections.abc import Mapping

from occsynth.databases.record import Database, Variant


def published_counts(database: Database, variant: Variant) -> Mapping[str, int]:
    """The counts that authors publish for this variant, by split or `total`; empty where none are known."""
    return database.published if variant.published is None else variant.published


def count_check(published: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """One warning, with both numbers, for each count that differs.

    Args:
        published: by split (`train`, `val`, `test`) or `total`.
        found: images by split; `total` is their sum where it is not given.
    """
    warnings = []
    for name, expected in published.items():
        here = found.get(name, sum(found.values()) if name == "total" else 0)
        if here != expected:
            warnings.append(f"{name}: {expected} images are published, {here} were found here")
    return warnings
