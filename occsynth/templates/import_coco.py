"""Cut-outs from COCO instance files: objects cut out of photographs along their polygons or run-length masks."""

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from occsynth.errors import ManifestError, SourceError, TemplateError
from occsynth.files import inside, is_file, relative_to
from occsynth.pixels.decode import MAX_PIXELS, decode_rgb
from occsynth.pixels.images import Pixels, read_bytes
from occsynth.templates.coco_file import CocoPicture, read_objects
from occsynth.templates.import_folders import CutOut, ImportOptions

_WHOLE_SHARE = 0.8  # an object counts as whole if its largest part has this share of its area
_LONGEST_OUTLINE_PX = 2_000_000


def read_instances(
    annotations: Path, images: Path | None, names: Sequence[str] | None, options: ImportOptions, min_side_px: int
) -> Iterator[CutOut]:
    """The chosen instances of a COCO file, sorted by image and annotation; each is cut out when it is read.

    `CutOut.read` returns a hard alpha. It raises SourceError for crowds, for objects that are tiny, in several parts or
    cut by the border of their picture, for malformed entries and masks, and for pictures that are unreadable or of
    another size than the file says.

    Args:
        annotations: JSON with `images`, `annotations` and `categories`.
        images: folder of the pictures; None to look in the usual places.
        names: categories of the file to import; None for those of `COCO_CATEGORIES`.
        options: its category, if any, holds for all objects; its licence for pictures without one in the file.
        min_side_px: smaller objects are refused before they are cut out.

    Raises:
        TemplateError: it is not a COCO file, a name is unknown, or the folder of pictures is not found; or pycocotools
            is not installed.
    """
    _coco_tools()
    objects = read_objects(annotations, names, options.category)
    files = list(dict.fromkeys(each.picture.file for each in objects if each.picture.file))
    folder = images or _find_images(annotations, files)
    for each in objects:
        if each.fault:
            # "unknown" passes the check for missing licences; the fault is a better reason
            read = partial(_refuse, each.fault)
            yield CutOut(each.label, each.category or None, each.number, "unknown", "unknown", "", read)
            continue
        picture = each.picture
        yield CutOut(
            label=each.label,
            category=each.category,
            name=f"{each.coco_name}_{PurePosixPath(picture.file).stem}_{each.number}",
            licence=picture.licence or options.licence,
            source=options.source and f"{options.source}: {each.label}",
            attribution="; ".join(filter(None, (options.attribution, picture.url))),
            read=partial(_cut, folder, picture, each.entry, min_side_px),
            base_edge=options.base_edge,
        )


def _refuse(reason: str) -> Pixels:
    raise SourceError(reason)


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
        return is_file(inside(folder, relative_to(folder, file)))
    except ManifestError:
        return False


@lru_cache(maxsize=1)
def _read_picture(folder: Path, file: str) -> Pixels:
    """Keeps the latest photograph, since its objects are cut out one after the other."""
    try:
        return decode_rgb(read_bytes(inside(folder, relative_to(folder, file))))
    except ManifestError as error:
        raise SourceError(str(error)) from error


def _cut(folder: Path, picture: CocoPicture, annotation: dict[str, Any], min_side_px: int) -> Pixels:
    if annotation.get("iscrowd"):
        raise SourceError("a crowd, not one object")
    box = annotation.get("bbox")
    if box is not None and max(_numbers(box, "bbox", 4)[2:]) < min_side_px:
        raise SourceError(f"too small: its longer side must be {min_side_px} pixels")
    rgb = _read_picture(folder, picture.file)
    height, width = rgb.shape[:2]
    if picture.wh not in (None, (width, height)):
        said = "x".join(map(str, picture.wh or ()))
        raise SourceError(f"its picture is {width}x{height}, but the file says {said}: it is another one, or scaled")
    mask = decode_segmentation(annotation.get("segmentation"), (width, height))
    whole = _largest_part(mask)
    ys, xs = np.nonzero(whole)
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
    """A COCO `segmentation` as `(H, W)` uint8 of zeros and ones, as COCO's own tools make it.

    Polygons are joined. Run lengths go down the columns and start with a run of zeros; they come as a list or as COCO's
    compressed text.

    Raises:
        SourceError: malformed, or made for a picture of another size.
        TemplateError: pycocotools is not installed.
    """
    if segmentation is None:
        raise SourceError("it has no mask")
    width, height = image_wh
    if isinstance(segmentation, list):
        parts = [_numbers(part, "polygon") for part in _polygons(segmentation)]
        return _decoded(_outlines(parts, image_wh), image_wh) if parts else np.zeros((height, width), np.uint8)
    if not isinstance(segmentation, dict):
        raise SourceError("its mask is malformed: it must be a list of polygons or an object with size and counts")
    said_height, said_width = (int(side) for side in _whole_numbers(segmentation.get("size"), "size", 2))
    if (said_width, said_height) != image_wh:
        raise SourceError(f"its mask is {said_width}x{said_height}, but its picture is {width}x{height}")
    counts = segmentation.get("counts")
    # pycocotools trusts what it is given, so even compressed text is read here first
    runs = decode_run_lengths(counts) if isinstance(counts, str) else _whole_numbers(counts, "counts")
    if any(run < 0 for run in runs) or sum(runs) != width * height:
        raise SourceError(f"its mask is malformed: run lengths add up to {sum(runs)}, not {width * height}")
    return _decoded([{"size": [height, width], "counts": runs}], image_wh)


def _polygons(segmentation: list[Any]) -> list[Any]:
    if segmentation and all(isinstance(each, int | float) for each in segmentation):
        raise SourceError("its mask is malformed: a flat list of numbers; COCO has a list of polygons, as in [[...]]")
    return segmentation


def _outlines(parts: list[list[float]], image_wh: tuple[int, int]) -> list[list[float]]:
    """The polygons, if pycocotools can be trusted with them: it takes as much memory as their outlines are long."""
    reach, length = 2 * max(image_wh), 0.0
    for part in parts:
        if len(part) < 6 or len(part) % 2:
            raise SourceError(f"its mask is malformed: a polygon has {len(part)} numbers, not two for each corner")
        points_xy = np.array(part).reshape(-1, 2)
        if np.abs(points_xy).max() > reach:
            raise SourceError("its mask is malformed: polygon holds numbers out of range, far outside its picture")
        length += float(np.abs(points_xy - np.roll(points_xy, 1, axis=0)).max(axis=1).sum())
    if length > _LONGEST_OUTLINE_PX:
        raise SourceError(f"its mask is malformed: its outline is longer than {_LONGEST_OUTLINE_PX:,} pixels")
    return parts


def _decoded(encoded: list[Any], image_wh: tuple[int, int]) -> Pixels:
    tools = _coco_tools()
    width, height = image_wh
    return np.ascontiguousarray(tools.decode(tools.merge(tools.frPyObjects(encoded, height, width))), np.uint8)


def _coco_tools() -> ModuleType:
    try:
        return import_module("pycocotools.mask")
    except ModuleNotFoundError:
        raise TemplateError("COCO files are read with pycocotools: pip install 'occsynth[coco]'") from None


def _numbers(values: object, name: str, count: int | None = None) -> list[float]:
    if not isinstance(values, list) or count not in (None, len(values)):
        wanted = "a list of numbers" if count is None else f"a list of {count} numbers"
        raise SourceError(f"its mask is malformed: {name} must be {wanted}")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        raise SourceError(f"its mask is malformed: {name} holds something else than numbers")
    if not all(abs(value) <= MAX_PIXELS for value in values):  # so NaN is none
        raise SourceError(f"its mask is malformed: {name} holds numbers out of range")
    return [float(value) for value in values]


def _whole_numbers(values: object, name: str, count: int | None = None) -> list[int]:
    numbers = _numbers(values, name, count)
    if not all(number.is_integer() and number >= 0 for number in numbers):
        raise SourceError(f"its mask is malformed: {name} holds numbers that are not whole, or below zero")
    return list(map(int, numbers))


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
