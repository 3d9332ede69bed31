"""Which templates of a pack are held out for testing, so that a network can be tested on occluders that it never saw.

The rule is fixed and looks at names alone. Templates whose names differ only in the last word, such as `mug_red` and
`mug_white`, are a family and stay together, since they share a shape. In each category (and kind of wear) the families
are taken in the order of the SHA-256 of `category/family`, and each is held out as long as no more than a third of the
category's templates, rounded, then is.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable

HELD_OUT = 1 / 3
"""Share of the templates of a category that are held out."""


def held_out(templates: Iterable[tuple[str, str, str]]) -> frozenset[str]:
    """The files that are held out.

    A category of one family has none that could be, and a category all of whose families are too large holds out the
    smallest.

    >>> sorted(held_out((f"cup/{name}.png", "cup", name) for name in ("mug_red", "mug_white", "glass", "jar")))
    ['cup/glass.png']

    Args:
        templates: file, category and name of each. The kind of what is worn belongs to the category.
    """
    categories: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for file, category, name in templates:
        categories[category][family(name)].append(file)
    return frozenset(file for category, families in categories.items() for file in _third(category, families))


def family(name: str) -> str:
    """A template's name without its last word.

    >>> family("mug_red"), family("water")
    ('mug', 'water')
    """
    return name.rpartition("_")[0] or name


def _third(category: str, families: dict[str, list[str]]) -> list[str]:
    if len(families) < 2:
        return []
    by_hash = sorted(families, key=lambda each: hashlib.sha256(f"{category}/{each}".encode()).hexdigest())
    most = round(sum(map(len, families.values())) * HELD_OUT)
    chosen: list[str] = []
    for each in by_hash:
        if len(chosen) + len(families[each]) <= most:
            chosen += families[each]
    return chosen or families[min(by_hash, key=lambda each: len(families[each]))]
