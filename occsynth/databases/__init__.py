"""The databases: one file each, one line each in `DATABASES`. Importing this loads no heavy library."""

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
from occsynth.databases.record import EXPRESSIONS, Database, FaceRecord, Reject, Variant
from occsynth.errors import UnknownNameError, lookup

__all__ = ["DATABASES", "EXPRESSIONS", "Database", "FaceRecord", "Reject", "Variant", "find_database", "find_variant"]

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
    """The database of that key; raises UnknownNameError with every key there is."""
    return lookup(DATABASES, key, kind="database")


def find_variant(database: Database, name: str = "") -> Variant:
    """A database's variant by name, its first one where none is named; raises UnknownNameError with every name."""
    if not name:
        return database.variants[0]
    for variant in database.variants:
        if variant.name == name:
            return variant
    names = ", ".join(variant.name for variant in database.variants)
    raise UnknownNameError(f"unknown variant '{name}' of {database.key}; choose one of: {names}")
