"""Cut-outs from folders: RGBA images, images with masks, and other template packs with an `index.csv`."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from occsynth.errors import ManifestError, SourceError, TemplateError
from occsynth.files import inside, relative_to
from occsynth.option_values import EDGES, Edge
from occsynth.pixels.decode import decode_rgb
from occsynth.pixels.images import Pixels, read_bytes
from occsynth.reading import read_table
from occsynth.templates.cut_out import decode_mask, decode_rgba

IMAGE_ENDINGS = {".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".jpg", ".jpeg"}


@dataclass(frozen=True, slots=True, eq=False)
class CutOut:
    """Something that may become a template.

    Attributes:
        label: its name in the list of skipped cut-outs.
        category: its category in the pack; None if neither a sub-folder nor an option names one.
        name: its name in the pack.
        licence, source, attribution: for the index.
        read: returns `(H, W, 4)` uint8, straight alpha; raises SourceError.
        base_edge: where the object goes on outside the picture; None if it is not known.
        see_through: whether a face shows through; None to measure it from the alpha.
        skin_tone: for the index.
    """

    label: str
    category: str | None
    name: str
    licence: str
    source: str
    attribution: str
    read: Callable[[], Pixels]
    base_edge: Edge | None = None
    see_through: bool | None = None
    skin_tone: str = ""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the options of an import say about all its cut-outs, see `CutOut`."""

    licence: str
    source: str
    attribution: str
    category: str | None
    base_edge: Edge | None

    def cut_out(self, label: str, category: str | None, name: str, read: Callable[[], Pixels]) -> CutOut:
        """A cut-out with these credentials; the option's category takes precedence over the folder's."""
        category = self.category or category
        return CutOut(label, category, name, self.licence, self.source, self.attribution, read, self.base_edge)


def read_rgba_folder(folder: Path, options: ImportOptions) -> Iterator[CutOut]:
    """Every file under `folder`; the first sub-folder is the category, deeper ones become part of the name."""
    for relative in _files(folder):
        category, name = _category_and_name(relative)
        yield options.cut_out(relative.as_posix(), category, name, partial(_read_rgba, folder, relative.as_posix()))


def read_masks_folder(folder: Path, options: ImportOptions) -> Iterator[CutOut]:
    """The images under `images/`, each cut out by the mask of the same stem under `masks/`.

    Raises:
        TemplateError: one of the two folders is missing.
    """
    images, masks = folder / "images", folder / "masks"
    for each in (images, masks):
        if not each.is_dir():
            raise TemplateError(f"{each} not found. A folder of images and masks must hold images/ and masks/")
    masks_by_stem = _by_stem(masks)
    for stem, alike in _by_stem(images).items():
        fitting = masks_by_stem.pop(stem, [])
        for relative in alike:
            category, name = _category_and_name(relative)
            read = partial(_read_with_mask, folder, relative, fitting[0] if fitting else None)
            if len(alike) > 1 or len(fitting) > 1:
                names = ", ".join([*(f"images/{each}" for each in alike), *(f"masks/{each}" for each in fitting)][:4])
                read = partial(_refuse, f"which image and mask belong together is unclear: {names}")
            yield options.cut_out(f"images/{relative.as_posix()}", category, name, read)
    for mask in chain.from_iterable(masks_by_stem.values()):
        read = partial(_refuse, f"no image of that name in {images}")
        yield options.cut_out(f"masks/{mask.as_posix()}", None, mask.stem, read)


def _by_stem(folder: Path) -> dict[Path, list[Path]]:
    files: dict[Path, list[Path]] = defaultdict(list)
    for each in _files(folder):
        files[each.with_suffix("")].append(each)
    return files


def read_pack_folder(folder: Path, category: str | None) -> Iterator[CutOut]:
    """The templates of another pack, with the licence and source in its `index.csv`; unlisted files are skipped.

    Raises:
        TemplateError: the index cannot be read, or lacks a column, a licence or a source.
    """
    index = folder / "index.csv"
    rows = [row for _, row in read_table(index, ("file", "licence", "source"), TemplateError)]
    if not rows:
        raise TemplateError(f"{index}: it has no rows")
    unnamed = [row["file"] for row in rows if not (row["licence"].strip() and row["source"].strip())]
    if unnamed:
        raise TemplateError(
            f"{index}: {len(unnamed)} of {len(rows)} rows have no licence or no source, such as {unnamed[0]}; "
            "a template pack needs both: fill in the cells or remove the rows"
        )
    for row in rows:
        yield _from_index(folder, row, category)
    listed = {relative_to(folder, row["file"]) for row in rows} | {"index.csv"}
    for relative in _files(folder):
        if relative.as_posix() not in listed and relative.suffix.lower() in IMAGE_ENDINGS:
            read = partial(_refuse, f"not listed in {index}, so it has no licence")
            # "unknown" passes the check for missing licences; the refusal above gives a better reason
            yield CutOut(relative.as_posix(), category, relative.stem, "unknown", "unknown", "", read)


def _from_index(folder: Path, row: dict[str, str], category: str | None) -> CutOut:
    edge = next((edge for edge in EDGES if edge == row.get("base_edge", "").strip()), None)
    see_through = {"true": True, "false": False}.get(row.get("see_through", "").strip().lower())
    return CutOut(
        label=row["file"],
        category=category or row.get("category", "").strip() or _category_and_name(Path(row["file"]))[0],
        name=row.get("name", "").strip() or Path(row["file"]).stem,
        licence=row["licence"],
        source=row["source"],
        attribution=row.get("attribution", ""),
        read=partial(_read_rgba, folder, row["file"]),
        base_edge=edge,
        see_through=see_through,
        skin_tone=row.get("skin_tone", "").strip(),
    )


def _files(folder: Path) -> list[Path]:
    """Files below a folder, relative to it, hidden ones left out, sorted, since file systems list in any order."""
    found = (each.relative_to(folder) for each in folder.rglob("*") if each.is_file())
    return sorted((each for each in found if not any(part.startswith(".") for part in each.parts)), key=Path.as_posix)


def _category_and_name(relative: Path) -> tuple[str | None, str]:
    *folders, _ = relative.parts
    return (folders[0] if folders else None), "_".join([*folders[1:], relative.stem])


def _read_bytes(folder: Path, relative: str) -> bytes:
    if Path(relative).suffix.lower() not in IMAGE_ENDINGS:
        raise SourceError(f"not an image file: its name must end in one of {', '.join(sorted(IMAGE_ENDINGS))}")
    try:
        return read_bytes(inside(folder, relative_to(folder, relative)))
    except ManifestError as error:
        raise SourceError(str(error)) from error


def _read_rgba(folder: Path, relative: str) -> Pixels:
    return decode_rgba(_read_bytes(folder, relative))


def _read_with_mask(folder: Path, relative: Path, mask: Path | None) -> Pixels:
    if mask is None:
        raise SourceError(f"no mask of that name in {folder / 'masks'}")
    rgb = decode_rgb(_read_bytes(folder / "images", relative.as_posix()))
    alpha = decode_mask(_read_bytes(folder / "masks", mask.as_posix()))
    if alpha.shape != rgb.shape[:2]:
        raise SourceError(
            f"its mask has {alpha.shape[1]}x{alpha.shape[0]} pixels, but the image has {rgb.shape[1]}x{rgb.shape[0]}"
        )
    return np.dstack([rgb, alpha])


def _refuse(reason: str) -> Pixels:
    raise SourceError(reason)
