"""Cut-outs from COCO instance files: objects cut out of photographs along their polygons or run-length masks."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.errors import ManifestError, SourceError, TemplateError
from occsynth.files import inside
from occsynth.pixels.decode import MAX_PIXELS, decode_rgb
from occsynth.pixels.images import Pixels
from occsynth.templates.import_folders import CutOut, ImportOptions

COCO_CATEGORIES = {
    **dict.fromkeys(
        ("banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake"), "food"
    ),
    **dict.fromkeys(("hand", "hands", "left hand", "right hand"), "hand"),
    **dict.fromkeys(("bottle", "cup"), "drink"),
}
"""COCO categories that are imported by default, and their category in the template pack.

Wine glasses are left out: cut from a photograph, they show the old background through the glass."""

_WHOLE_SHARE = 0.8  # an object counts as whole if its largest part has this share of its area


@dataclass(frozen=True, slots=True)
class _Picture:
    file: str
    licence: str
    url: str
    objects: list[dict[str, Any]]


def read_instances(
    annotations: Path, images: Path | None, names: Sequence[str] | None, options: ImportOptions, min_side_px: int
) -> Iterator[CutOut]:
    """The chosen instances of a COCO file, sorted by image and annotation; each is cut out when it is read.

    `CutOut.read` returns a hard alpha. It raises SourceError for crowds, for objects that are tiny, in several parts or
    cut by the border of their picture, for malformed masks and for unreadable pictures.

    Args:
        annotations: JSON with `images`, `annotations` and `categories`.
        images: folder of the pictures; None to look in the usual places.
        names: categories of the file to import; None for those of `COCO_CATEGORIES`.
        options: its category, if any, holds for all objects; its licence for pictures without one in the file.
        min_side_px: smaller objects are refused before they are cut out.

    Raises:
        TemplateError: it is not a COCO file, a name is unknown, or the folder of pictures is not found.
    """
    content = _load(annotations)
    try:
        categories = _chosen(content["categories"], names, options.category, annotations)
        pictures = _pictures(content, categories)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise TemplateError(f"{annotations} is not a COCO instances file: {error!r}") from error
    folder = images or _find_images(annotations, [each.file for each in pictures])
    for described in pictures:
        for each in described.objects:
            coco_name, category = categories[each["category_id"]]
            number = each.get("id", "?")
            yield CutOut(
                label=f"{described.file}, annotation {number}",
                category=category,
                name=f"{coco_name}_{PurePosixPath(described.file).stem}_{number}",
                licence=described.licence or options.licence,
                source=options.source and f"{options.source}: {described.file}, annotation {number}",
                attribution="; ".join(filter(None, (options.attribution, described.url))),
                read=partial(_cut, folder, described.file, each, min_side_px),
                base_edge=options.base_edge,
            )


def _load(annotations: Path) -> dict[str, Any]:
    try:
        content = json.loads(annotations.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TemplateError(f"{annotations} is not readable JSON: {error}") from error
    if not isinstance(content, dict) or not {"images", "annotations", "categories"} <= content.keys():
        raise TemplateError(
            f"{annotations} is not a COCO instances file: it needs the lists images, annotations and categories"
        )
    return content


def _chosen(
    listed: list[dict[str, Any]], names: Sequence[str] | None, category: str | None, annotations: Path
) -> dict[int, tuple[str, str]]:
    """The chosen categories by their id in the file: name in the file, category in the pack."""
    ids = {str(each["name"]): each["id"] for each in listed}
    wanted = [name for name in ids if name in COCO_CATEGORIES] if names is None else list(names)
    known = ", ".join(sorted(ids)) or "none"
    if not wanted:
        raise TemplateError(
            f"{annotations} has no category that is imported by default; name some with --coco-categories "
            f"(and --category for the pack's). It has: {known}"
        )
    for name in wanted:
        if name not in ids:
            raise TemplateError(f"{annotations} has no category '{name}'; it has: {known}")
        if category is None and name not in COCO_CATEGORIES:
            raise TemplateError(f"is '{name}' food, hand or drink? Give its category in the pack with --category")
    return {ids[name]: (name, category or COCO_CATEGORIES[name]) for name in wanted}


def _pictures(content: dict[str, Any], categories: dict[int, tuple[str, str]]) -> list[_Picture]:
    """The pictures with chosen objects, sorted by file name, and their objects sorted by id."""
    licences = {each["id"]: str(each.get("name") or "") for each in content.get("licenses") or []}
    objects: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for each in content["annotations"]:
        if each["category_id"] in categories:
            objects[each["image_id"]].append(each)
    pictures = [
        _Picture(
            str(each["file_name"]),
            licences.get(each.get("license"), ""),
            str(each.get("flickr_url") or each.get("coco_url") or ""),
            # padded with zeros, ids that are numbers sort as numbers
            sorted(objects[each["id"]], key=lambda one: str(one.get("id", "")).zfill(20)),
        )
        for each in content["images"]
        if each["id"] in objects
    ]
    return sorted(pictures, key=lambda each: each.file)


def _find_images(annotations: Path, files: Sequence[str]) -> Path:
    split = annotations.stem.removeprefix("instances_")
    beside, above = annotations.parent, annotations.parent.parent
    folders = [beside, beside / "images", beside / split, above / split, above / "images", above / "images" / split]
    for folder in folders:
        if not files or any(_is_there(folder, file) for file in files[:20]):
            return folder
    looked = ", ".join(str(folder) for folder in folders)
    raise TemplateError(f"the pictures of {annotations} were not found in {looked}; name their folder with --images")


def _is_there(folder: Path, file: str) -> bool:
    try:
        return inside(folder, file).is_file()
    except ManifestError:
        return False


@lru_cache(maxsize=1)
def _read_picture(folder: Path, file: str) -> Pixels:
    """Keeps the latest photograph, since its objects are cut out one after the other."""
    try:
        return decode_rgb(inside(folder, file).read_bytes())
    except ManifestError as error:
        raise SourceError(str(error)) from error
    except OSError as error:
        raise SourceError(f"{folder / file} cannot be read: {error.strerror or error}") from error


def _cut(folder: Path, file: str, annotation: dict[str, Any], min_side_px: int) -> Pixels:
    if annotation.get("iscrowd"):
        raise SourceError("a crowd, not one object")
    box = annotation.get("bbox")
    if isinstance(box, list) and len(box) == 4 and max(_numbers(box)[2:]) < min_side_px:
        raise SourceError(f"too small: its longer side must be {min_side_px} pixels")
    rgb = _read_picture(folder, file)
    mask = decode_segmentation(annotation.get("segmentation"), (rgb.shape[1], rgb.shape[0]))
    whole = _largest_part(mask)
    ys, xs = np.nonzero(whole)
    height, width = whole.shape
    if xs.min() <= 1 or ys.min() <= 1 or xs.max() >= width - 2 or ys.max() >= height - 2:
        raise SourceError("cut by the border of its picture")
    return np.dstack([rgb, whole * np.uint8(255)])


def _largest_part(mask: Pixels) -> Pixels:
    """The mask's largest connected part; refuses objects in several parts, which something in front of them hides."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = statistics[1:, cv2.CC_STAT_AREA]
    if not len(areas):
        raise SourceError("its mask is empty")
    if areas.max() < _WHOLE_SHARE * areas.sum():
        raise SourceError("in several parts: something lies in front of it")
    return np.asarray(labels == 1 + int(areas.argmax()), np.uint8)


def decode_segmentation(segmentation: object, image_wh: tuple[int, int]) -> Pixels:
    """A COCO `segmentation` as `(H, W)` uint8 of zeros and ones.

    Polygons are filled at sub-pixel precision (COCO counts from the corner of the first pixel) and joined. Run lengths
    go down the columns and start with a run of zeros; they come as a list or as COCO's compressed text.

    Raises:
        SourceError: malformed, or made for a picture of another size.
    """
    try:
        if isinstance(segmentation, list):
            return _fill_polygons([_numbers(part) for part in segmentation], image_wh)
        if isinstance(segmentation, dict):
            height, width = (int(side) for side in segmentation["size"])
            counts = segmentation["counts"]
            if (width, height) != image_wh:
                raise SourceError(f"its mask is {width}x{height}, but its picture is {image_wh[0]}x{image_wh[1]}")
            runs = decode_run_lengths(counts) if isinstance(counts, str) else [int(run) for run in counts]
            return _fill_runs(runs, image_wh)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SourceError(f"its mask is malformed: {error!r}") from error
    raise SourceError("it has no mask")


def _numbers(values: Any) -> list[float]:
    numbers = [float(value) for value in values]
    if not np.isfinite(numbers).all() or max(map(abs, numbers), default=0.0) > MAX_PIXELS:
        raise SourceError("its box or polygon holds numbers out of range")
    return numbers


def _fill_polygons(parts: Sequence[Sequence[float]], image_wh: tuple[int, int]) -> Pixels:
    width, height = image_wh
    mask = np.zeros((height, width), np.uint8)
    for part in parts:
        if len(part) < 6 or len(part) % 2:
            raise ValueError(f"a polygon has {len(part)} numbers")
        points_xy = np.clip(np.array(part).reshape(-1, 2), -1.0, (width + 1.0, height + 1.0)) - 0.5
        # in sixteenths of a pixel; one part at a time, since one call for all leaves holes where parts overlap
        cv2.fillPoly(mask, [np.rint(points_xy * 16).astype(np.int32)], [1], shift=4)
    return mask


def _fill_runs(runs: Sequence[int], image_wh: tuple[int, int]) -> Pixels:
    width, height = image_wh
    if any(run < 0 for run in runs) or sum(runs) != width * height:
        raise ValueError(f"run lengths add up to {sum(runs)}, not {width * height}")
    values = (np.arange(len(runs)) % 2).astype(np.uint8)
    columns: npt.NDArray[np.uint8] = np.repeat(values, runs)
    return np.ascontiguousarray(columns.reshape(width, height).T)


def decode_run_lengths(text: str) -> list[int]:
    """Run lengths from COCO's compressed text.

    Each number is split into groups of five bits, the lowest first. Each group is one character: its code minus 48, of
    which the sixth bit says that more groups follow. The highest bit of the last group is the sign. From the fourth
    number on, the text holds the difference from the number two before.

    Raises:
        SourceError: a character is out of range, or the text ends inside a number.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64 or shift > 60:
            raise SourceError("its compressed mask is malformed")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise SourceError("its compressed mask ends inside a number")
    return runs
