"""A description of a manifest in Croissant 1.0 (MLCommons), the vocabulary by which data sets are found and checked."""

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from occsynth.databases import DATABASES
from occsynth.errors import BuildError, ManifestError
from occsynth.exchange.samples import NUMBERS, VIEWS
from occsynth.files import is_file, write_atomic
from occsynth.manifest import Manifest, columns
from occsynth.ownership import refuse_foreign_file
from occsynth.pixels.images import ENDINGS
from occsynth.reading import read_json

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
_TERMS = (
    *("citeAs", "column", "extract", "field", "fileProperty", "fileObject", "fileSet", "format", "includes"),
    *("isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex"),
    *("repeated", "replace", "samplingRate", "separator", "source", "subField", "transform", "equivalentProperty"),
)
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS},
}
"""The meaning of the words, as Croissant prescribes it."""
_KINDS = {**dict.fromkeys((*NUMBERS, "fold"), "sc:Float"), "seed": "sc:Integer"}
"""Types of columns that hold no text; a fold is a whole number, but may be missing, as only a float may."""
MEANINGS = {
    "pair_id": "name of the pair",
    "expression": "class of the face, in a word; empty in a published manifest",
    "subject": "person; empty where the database names none, and in a published manifest",
    "split": "train, val, test, or empty where the database has no official split",
    "fold": "fold of the cross-validation, from 0",
    "mode": "how the occlusion was drawn",
    "clean": "path of the face without occlusion, under the build root",
    "occluded": "path of the face with the occlusion",
    "mask": "path of the mask of what is hidden",
    "occlusion": "record from which the occlusion is rendered, as JSON",
    "coverage_face": "hidden share of the face, 0 to 1",
    "coverage_eyes": "hidden share of the eyes",
    "coverage_mouth": "hidden share of the mouth",
    "votes": "how many voters chose each class",
}


def describe(manifest: Manifest, out: Path, *, overwrite: bool = False) -> Path:
    """Writes the description; the same manifest in the same place gives the same bytes.

    Args:
        manifest: of a build, or published.
        out: the `.json` to write, in the build root or above it; for a manifest without images, such as a published
            one, in its folder or above. Paths in the description are relative to it.
        overwrite: replace a file that is no such description.

    Returns:
        `out`.

    Raises:
        BuildError: `out` lies elsewhere, holds something else, or cannot be written.
        ManifestError: the manifest cannot be read.
    """
    if out.suffix != ".json":
        raise BuildError(f"{out} is no .json: give the name of the file to write, such as croissant.json")
    lowest = manifest.root if _has_images(manifest) else manifest.path.parent.resolve()
    folder = out.parent.resolve()
    if not lowest.is_relative_to(folder):
        raise BuildError(
            f"{out} would not lie beside what it describes, which it names by relative paths; type -o "
            f"{lowest / 'croissant.json'}"
        )
    if out.resolve() == manifest.beside(".json").resolve():
        raise BuildError(f"{out} belongs to the manifest itself; give the description another name")
    refuse_foreign_file(out, "occsynth export", BuildError, overwrite=overwrite, is_own=partial(_describes, manifest))
    content = description(manifest, folder)
    write_atomic(out, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    return out


def _has_images(manifest: Manifest) -> bool:
    """Whether the images are there, as far as the first row tells: a manifest that was passed on has none."""
    first = next(manifest.rows(), None)
    return first is not None and not manifest.info.withheld and is_file(manifest.file(first.occluded))


def _describes(manifest: Manifest, path: Path) -> bool:
    """Whether a file is an earlier description of a manifest of that name."""
    try:
        content = read_json(path, ValueError)
    except ValueError:
        return False
    return content.get("conformsTo") == CONFORMS_TO and content.get("name") == manifest.info.name


def description(manifest: Manifest, folder: Path) -> dict[str, Any]:
    """The content of a description that lies in `folder`, as JSON-LD."""
    info = manifest.info
    database = DATABASES.get(info.database)
    has_images = _has_images(manifest)
    what = "pairs" if has_images else "rows of a manifest, which lets occsynth make the images again, of pairs"
    csv = "manifest.csv"
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": info.name,
        "description": (
            f"{info.rows} {what} of clean and occluded faces with masks: occlusion mode {info.mode} of occsynth on the "
            f"database {database.title if database else info.database}"
        ),
        "conformsTo": CONFORMS_TO,
        "license": database.terms if database else "that of the database",
        "version": f"{info.schema}.0.0",
        "keywords": ["facial expression recognition", "occlusion", info.database, info.mode],
        "isLiveDataset": False,
        "rai:personalSensitiveInformation": (
            "Faces and expressions are data about people. What may be done with them, the terms of the database say"
        ),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": csv,
                "name": csv,
                "description": "The manifest, a row for each pair.",
                "contentUrl": _under(folder, manifest.path),
                "encodingFormat": "text/csv",
                "sha256": _sha256(manifest.path),
            },
            *(_images(manifest, folder) if has_images else []),
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "pairs",
                "name": "pairs",
                "key": {"@id": "pairs/pair_id"},
                "field": [
                    {
                        "@type": "cr:Field",
                        "@id": f"pairs/{name}",
                        "name": name,
                        "description": MEANINGS.get(name, f"column {name} of the manifest"),
                        "dataType": _KINDS.get(name, "sc:Text"),
                        "source": {"fileObject": {"@id": csv}, "extract": {"column": name}},
                    }
                    for name in columns(votes=manifest.has_votes)
                ],
            }
        ],
    }


def _images(manifest: Manifest, folder: Path) -> list[dict[str, Any]]:
    """The images of each view, as sets of files; they lie where the first row's do."""
    first = next(manifest.rows(), None)
    sets = []
    for view in VIEWS:
        relative = getattr(first, view) if first else ""
        if not relative:  # mode `real`
            continue
        image_format = "png" if view == "mask" else manifest.info.format
        pair_path = f"{first.pair_id}{ENDINGS[image_format]}" if first else ""
        above = manifest.file(relative.removesuffix(f"/{pair_path}"))
        sets.append(
            {
                "@type": "cr:FileSet",
                "@id": view,
                "name": view,
                "description": f"The images of the column {view}.",
                "encodingFormat": f"image/{image_format}",
                "includes": f"{_under(folder, above)}/**/*{ENDINGS[image_format]}",
            }
        )
    return sets


def _under(folder: Path, path: Path) -> str:
    resolved = path.resolve()
    if not resolved.is_relative_to(folder):
        raise ManifestError(f"{path} does not lie in {folder}, where the description would; it may be a link")
    return quote(resolved.relative_to(folder).as_posix())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
