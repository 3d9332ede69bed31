"""The databases: how each lies on disk and what its labels mean, with one file and one line in `DATABASES` for each.

Reading pixels and finding faces do not belong here, except for `peaks.py`, which a scan imports only where it must look
at frames, so that importing this package loads nothing heavy.
"""

from occsynth.databases import (
    affectnet,
    ck48,
    ck_plus,
    demo,
    expw,
    fed_ro,
    fer2013,
    ferplus,
    folder,
    jaffe,
    kdef,
    mmi,
    oulu_casia,
    raf_db,
    sfew,
)
from occsynth.databases.record import EXPRESSIONS, Database, FaceRecord, LabelOptions, Reject, Variant
from occsynth.errors import lookup

__all__ = [
    "DATABASES",
    "EXPRESSIONS",
    "Database",
    "FaceRecord",
    "LabelOptions",
    "Reject",
    "Variant",
    "find_database",
    "find_variant",
]

DATABASES: dict[str, Database] = {
    "ck+": ck_plus.DATABASE,
    "ck+48": ck48.DATABASE,
    "raf-db": raf_db.DATABASE,
    "affectnet": affectnet.DATABASE,
    "sfew": sfew.DATABASE,
    "mmi": mmi.DATABASE,
    "oulu-casia": oulu_casia.DATABASE,
    "fed-ro": fed_ro.DATABASE,
    "fer2013": fer2013.DATABASE,
    "ferplus": ferplus.DATABASE,
    "jaffe": jaffe.DATABASE,
    "kdef": kdef.DATABASE,
    "expw": expw.DATABASE,
    "folder": folder.DATABASE,
    "demo": demo.DATABASE,
}


def find_database(key: str) -> Database:
    """The database of that key; raises UnknownNameError, which lists all keys."""
    return lookup(DATABASES, key, kind="database")


def find_variant(database: Database, name: str = "") -> Variant:
    """A database's variant by name, or its first one if no name is given.

    Raises:
        UnknownNameError: no variant has that name; the message lists them all.
    """
    variants = {known: each for each in database.variants for known in (each.name, each.also) if known}
    return lookup(variants, name, kind=f"{database.key} variant") if name else database.variants[0]
