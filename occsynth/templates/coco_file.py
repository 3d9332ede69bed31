"""Reading a COCO instances file: its chosen objects by picture, and of each piece that is malformed, what is wrong.

What concerns the whole file is an error. A single annotation, or the entry of its picture, becomes an object with a
fault, so that it is listed among the skipped ones.
"""

import codecs
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from occsynth.errors import TemplateError
from occsynth.reading import parse_json, read_bytes

COCO_CATEGORIES = {
    **dict.fromkeys(
        ("banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake"), "food"
    ),
    **dict.fromkeys(("hand", "hands", "left hand", "right hand"), "hand"),
    **dict.fromkeys(("bottle", "cup"), "drink"),
}
"""COCO categories that are imported by default, and their category in the template pack.

Wine glasses are left out: cut from a photograph, they show the old background through the glass."""

LARGEST_FILE_BYTES = 2**30
MOST_VALUES = 150_000_000
"""Of an annotations file. The instances of COCO's training pictures have 470 MB and some 60 million values."""

_LISTS = ("images", "annotations", "categories")


@dataclass(frozen=True, slots=True)
class CocoPicture:
    """The entry of a picture.

    Attributes:
        file: its name under the folder of pictures; empty where `fault` says why there is none.
        licence, url: empty where the file names none.
        wh: width and height of the picture for which the masks are made; None where the file names none.
        fault: why no object of it can be used.
    """

    file: str
    licence: str = ""
    url: str = ""
    wh: tuple[int, int] | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class CocoObject:
    """A chosen annotation.

    Attributes:
        label: its picture and number, for the list of skipped ones.
        number: its id, or its place in the file where it has none.
        picture: of it.
        coco_name, category: its category in the file, and in the pack; empty where `fault` says why.
        entry: of the file.
        fault: why it cannot be used.
    """

    label: str
    number: str
    picture: CocoPicture
    coco_name: str
    category: str
    entry: dict[str, Any]
    fault: str = ""


def read_objects(annotations: Path, names: Sequence[str] | None, category: str | None) -> list[CocoObject]:
    """The annotations of the chosen categories, sorted by file name and id; last those without a usable picture.

    Args:
        annotations: JSON with `images`, `annotations` and `categories`.
        names: categories of the file; None for those of `COCO_CATEGORIES`.
        category: of all of them in the pack; None for those that `COCO_CATEGORIES` gives.

    Raises:
        TemplateError: it is not a COCO instances file, or a name is unknown.
    """
    content = _load(annotations)
    known = _category_names(content["categories"], annotations)
    chosen = _chosen(known, names, category, annotations)
    pictures = _pictures(content)
    objects: list[tuple[tuple[str, str], CocoObject]] = []
    for place, entry in enumerate(content["annotations"]):
        found = _object(entry, place, known, chosen, pictures)
        if found is not None:
            # padded with zeros, ids that are numbers sort as numbers; a name of the highest character sorts last
            key = (found.picture.file or "\U0010ffff", found.number.zfill(20))
            objects.append((key, found))
    return [found for _, found in sorted(objects, key=lambda each: each[0])]


def _load(annotations: Path) -> dict[str, Any]:
    text = read_bytes(annotations, TemplateError, largest=LARGEST_FILE_BYTES).removeprefix(codecs.BOM_UTF8)
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise TemplateError(f"{annotations} begins with the byte order mark of UTF-16; save it as UTF-8")
    content = parse_json(text, str(annotations), TemplateError, largest=LARGEST_FILE_BYTES, most_values=MOST_VALUES)
    what = f"{annotations} is not a COCO instances file"
    if not isinstance(content, dict):
        raise TemplateError(f"{what}: it holds {_kind(content)}, but needs the lists {', '.join(_LISTS)}")
    for name in _LISTS:
        if name not in content:
            found = ", ".join(map(repr, list(content)[:6])) or "nothing"
            raise TemplateError(f"{what}: it needs the lists {', '.join(_LISTS)}; it has {found[:200]}")
        if not isinstance(content[name], list):
            raise TemplateError(f"{what}: {name} must be a list, but is {_kind(content[name])}")
    if any(isinstance(each, dict) and "segments_info" in each for each in content["annotations"]):
        raise TemplateError(f"{what}, but a panoptic one, whose masks are PNG files; give instances_*.json")
    return content


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _is_id(value: object) -> TypeGuard[int | str]:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _category_names(listed: list[Any], annotations: Path) -> dict[int | str, str]:
    """The categories by id; all of them must be well formed, since a wrong one would mislabel its objects."""
    names: dict[int | str, str] = {}
    for place, each in enumerate(listed):
        where = f"{annotations} is not a COCO instances file: categories[{place}]"
        if not isinstance(each, dict):
            raise TemplateError(f"{where} must be an object, but is {_kind(each)}")
        if not _is_id(each.get("id")) or not isinstance(each.get("name"), str):
            raise TemplateError(f"{where} needs an id, which is a number or a text, and a name, which is a text")
        if each["id"] in names:
            raise TemplateError(f"{where} has the id {each['id']} of another category")
        names[each["id"]] = each["name"]
    twice = next((name for name, count in Counter(names.values()).items() if count > 1), None)
    if twice is not None:
        raise TemplateError(f"{annotations} has two categories of the name '{twice}'")
    return names


def _chosen(
    known: Mapping[int | str, str], names: Sequence[str] | None, category: str | None, annotations: Path
) -> dict[int | str, tuple[str, str]]:
    """The chosen categories by their id in the file: name in the file, category in the pack."""
    ids = {name: number for number, name in known.items()}
    wanted = [name for name in ids if name in COCO_CATEGORIES] if names is None else list(names)
    listed = ", ".join(sorted(ids)) or "none"
    if not wanted:
        raise TemplateError(
            f"{annotations} has no category that is imported by default; name some with --coco-categories "
            f"(and --category for the pack's). It has: {listed[:1000]}"
        )
    for name in wanted:
        if name not in ids:
            raise TemplateError(f"{annotations} has no category '{name}'; it has: {listed[:1000]}")
        if category is None and name not in COCO_CATEGORIES:
            raise TemplateError(f"is '{name}' food, hand or drink? Give its category in the pack with --category")
    return {ids[name]: (name, category or COCO_CATEGORIES[name]) for name in wanted}


def _pictures(content: dict[str, Any]) -> dict[int | str, CocoPicture]:
    listed = content.get("licenses")
    licences = {
        each["id"]: each["name"]
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, dict) and _is_id(each.get("id")) and isinstance(each.get("name"), str)
    }
    pictures: dict[int | str, CocoPicture] = {}
    for each in content["images"]:
        if not isinstance(each, dict) or not _is_id(each.get("id")):
            continue  # its annotations are told that there is no such picture
        number = each["id"]
        pictures[number] = (
            CocoPicture("", fault=f"two pictures have the id {number}")
            if number in pictures
            else _picture(each, licences)
        )
    return pictures


def _picture(entry: dict[str, Any], licences: Mapping[int | str, str]) -> CocoPicture:
    file, width, height = entry.get("file_name"), entry.get("width"), entry.get("height")
    if not isinstance(file, str) or not file:
        return CocoPicture("", fault=f"the entry of its picture, {entry['id']}, has no file_name that is a text")
    if (width, height) != (None, None) and not (_is_side(width) and _is_side(height)):
        return CocoPicture(file, fault="the width and height of its picture are no whole numbers above zero")
    licence = entry.get("license")
    urls = (url for url in (entry.get("flickr_url"), entry.get("coco_url")) if isinstance(url, str) and url)
    return CocoPicture(
        file,
        licences.get(licence, "") if isinstance(licence, int | str) else "",
        next(urls, ""),
        None if width is None or height is None else (width, height),
    )


def _is_side(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _object(
    entry: Any,
    place: int,
    known: Mapping[int | str, str],
    chosen: Mapping[int | str, tuple[str, str]],
    pictures: Mapping[int | str, CocoPicture],
) -> CocoObject | None:
    """An annotation; None if its category was not chosen."""
    where = f"annotations[{place}]"
    nowhere = CocoPicture("")
    if not isinstance(entry, dict):
        return CocoObject(where, where, nowhere, "", "", {}, f"it must be an object, but is {_kind(entry)}")
    number = str(entry["id"])[:40] if _is_id(entry.get("id")) else where
    category_id, image_id = entry.get("category_id"), entry.get("image_id")
    if not _is_id(category_id) or category_id not in known:
        fault = "it names no category_id" if category_id is None else f"no category has its id {_short(category_id)}"
        return CocoObject(f"annotation {number}", number, nowhere, "", "", entry, fault)
    if category_id not in chosen:
        return None
    coco_name, category = chosen[category_id]
    picture = pictures.get(image_id) if _is_id(image_id) else None
    if picture is None:
        fault = "it names no image_id" if image_id is None else f"no picture has its id {_short(image_id)}"
        picture = CocoPicture("", fault=fault)
    label = f"{picture.file}, annotation {number}" if picture.file else f"annotation {number}"
    return CocoObject(label, number, picture, coco_name, category, entry, picture.fault)


def _short(value: object) -> str:
    return repr(value)[:40]
