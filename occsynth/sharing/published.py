"""Whether a manifest is as `occsynth.sharing.publish` leaves it, so that it may go to people one does not know."""

from dataclasses import fields, replace

from occsynth.errors import ManifestError
from occsynth.manifest import Manifest, ManifestInfo
from occsynth.reading import read_json
from occsynth.sharing.publish import NOTES, WITHHELD, draws_tell_names, numbered


def refuse_unpublished(manifest: Manifest) -> None:
    """Looks at every row and at every key of the JSON beside them.

    Raises:
        ManifestError: the manifest holds something that `publish` withholds; the message says what and where.
    """
    if what := _told_by_info(manifest) or _told_by_rows(manifest):
        raise ManifestError(
            f"{manifest.path} is no published manifest: {what}. Share what `occsynth publish` makes of the build"
        )


def _told_by_info(manifest: Manifest) -> str:
    info = manifest.info
    unknown = sorted(read_json(manifest.beside(".json"), ManifestError).keys() - {each.name for each in fields(info)})
    found = {
        "it does not withhold " + ", ".join(name for name in WITHHELD if name not in info.withheld): (
            not set(WITHHELD) <= set(info.withheld)
        ),
        "it is of schema 1, whose draws tell who guesses the names of files that the guess is right": (
            draws_tell_names(info)
        ),
        "its JSON names duplicates": bool(info.duplicates),
        "its JSON counts the faces of each class": "class" in info.counts,
        "its JSON holds the digest of a list of names": bool(info.subset_sha256 or info.folds_sha256),
        f"its JSON has notes on what is withheld ({', '.join(sorted(info.notes.keys() - set(NOTES)))})": (
            not info.notes.keys() <= set(NOTES)
        ),
        f"its JSON has keys that this version does not know ({', '.join(unknown)[:200]})": bool(unknown),
        "its JSON names the folder of the build": info.root != ManifestInfo.__dataclass_fields__["root"].default,
    }
    return next((what for what, is_so in found.items() if is_so), "")


def _told_by_rows(manifest: Manifest) -> str:
    count = 0
    withheld = manifest.info.withheld
    for count, row in enumerate(manifest.rows(), 1):
        digest = "" if "source_sha256" in withheld else row.source_sha256
        bare = replace(numbered(row, count), source_sha256=digest)
        if bare != row:
            told = next(each.name for each in fields(row) if getattr(row, each.name) != getattr(bare, each.name))
            return f"row {count} still tells its {told}"
    return "" if count == manifest.info.rows else f"it has {count} rows, though its JSON says {manifest.info.rows}"
