"""Under which terms a database comes, as occsynth knows them: whoever shares a model or a manifest must mind them."""

from occsynth.databases import DATABASES


def title_of(database: str) -> str:
    """What people call a database; its key where occsynth does not know it."""
    return DATABASES[database].title if database in DATABASES else database


def terms_of(database: str) -> str:
    """The terms of a database in a few words."""
    return DATABASES[database].terms if database in DATABASES else "terms unknown to occsynth: ask whoever made it"
