"""From a manifest row to its images: what replay writes and verify compares with. MediaPipe is not needed."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import cv2

from occsynth.errors import ManifestError, ReplayError, SourceError, TemplateError
from occsynth.faces.align import Alignment, align_image
from occsynth.manifest import Manifest, Row
from occsynth.modes import REAL
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.render import render
from occsynth.pixels.images import Pixels, pixels_sha256
from occsynth.pixels.source_faults import SOURCE_FAULTS, explained_source_faults
from occsynth.pixels.sources import Source, read_source
from occsynth.templates.pack import TemplatePack, load_pack

CHUNK_ROWS = 32
"""Rows that a worker takes at a time."""

ROW_FAULTS = (SourceError, ManifestError, ReplayError, TemplateError, MemoryError, *SOURCE_FAULTS)
"""What a row that cannot be made again raises; anything else (disk full, no permission) ends the whole run."""

ImageRole = Literal["clean", "occluded", "mask"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What rendering any row of a manifest needs besides the row; it travels to the workers.

    Attributes:
        raw_root: where the sources are.
        pack_folder: the templates; empty where none are needed.
        size_px: side of the aligned face.
        opencv: version that decoded the sources at build time.
    """

    raw_root: str
    pack_folder: str
    size_px: int
    opencv: str


def recipe_of(manifest: Manifest, raw_root: Path, templates: Path | None) -> Recipe:
    """The recipe of a manifest's rows; raises ReplayError for another template pack than the build's."""
    opencv = manifest.info.versions.get("opencv", "unknown")
    return Recipe(str(raw_root.resolve()), _pack_folder(manifest, templates), manifest.info.size_px, opencv)


def _pack_folder(manifest: Manifest, templates: Path | None) -> str:
    info = manifest.info
    if not info.template_pack_sha256:
        return ""
    pack = load_pack(templates)
    if not pack.is_known_as(info.template_pack_sha256):
        raise ReplayError(
            f"{manifest.path} was built with template pack '{info.template_pack}' of digest "
            f"{info.template_pack_sha256}, but the one in {pack.folder} has {pack.sha256}; "
            "give the folder of the original pack with --templates"
        )
    return str(pack.folder.resolve())


@dataclass(frozen=True, slots=True)
class RowImage:
    """One image that a row names: its path under the build root and the hash of its pixels."""

    role: ImageRole
    path: str
    sha256: str


def images_of_row(row: Row) -> list[RowImage]:
    """A row's images: clean, occluded and mask; with mode `real` only the occluded one."""
    images = (
        RowImage("clean", row.clean, row.clean_pixels_sha256),
        RowImage("occluded", row.occluded, row.occluded_pixels_sha256),
        RowImage("mask", row.mask, row.mask_pixels_sha256),
    )
    return [image for image in images if image.path]


@dataclass(frozen=True, slots=True, eq=False)
class RemadeImages:
    """A row's images, made again from its source.

    Attributes:
        pixels: by role.
        source_bytes_differ: the source's file differs from the one that was built from, though it holds the same
            pixels.
    """

    pixels: dict[ImageRole, Pixels]
    source_bytes_differ: bool


def make_images(recipe: Recipe, row: Row) -> RemadeImages:
    """Makes a row's images from its source and checks them against the row's hashes.

    Raises:
        ReplayError: the source is missing, is another file, or is decoded to different pixels here; the template is
            another one; or an image comes out with different pixels. The message says which.
        ManifestError: the row is malformed.
    """
    source = _source(recipe, row)
    clean = align_image(source.pixels, Alignment.from_json(row.align), recipe.size_px)
    pixels: dict[ImageRole, Pixels] = {"occluded": clean}
    if row.mode != REAL:
        occlusion = Occlusion.from_json(row.occlusion)
        pack = _pack(recipe.pack_folder) if occlusion.fill == "template" else None
        if pack and pack.file_sha256(occlusion.template) != occlusion.template_sha256:
            raise ReplayError(f"template {occlusion.template} is not the file whose SHA-256 the row records")
        rendered = render(clean, occlusion, pack)
        pixels = {"clean": clean, "occluded": rendered.image, "mask": rendered.mask}
    for image in images_of_row(row):
        if image.role not in pixels or pixels_sha256(pixels[image.role]) != image.sha256:
            raise ReplayError(
                f"its {image.role} image comes out with different pixels than the manifest records, though the "
                "source's pixels are right: the row was edited, or this version of occsynth renders differently"
            )
    return RemadeImages(pixels, source.sha256 != row.source_sha256)


def _source(recipe: Recipe, row: Row) -> Source:
    try:
        with explained_source_faults():
            source = read_source(Path(recipe.raw_root), row.source)
    except SourceError as error:
        raise ReplayError(f"source {row.source}: {error}") from error
    if source.pixels_sha256 == row.source_pixels_sha256:
        return source
    # equal bytes with different pixels are the fault of the decoder; different bytes are another file
    if source.sha256 != row.source_sha256:
        raise ReplayError(
            f"source {row.source} is not the file that the manifest was built from (its SHA-256 is "
            f"{source.sha256[:12]}..., not {row.source_sha256[:12]}...)"
        )
    raise ReplayError(
        f"source {row.source} is the right file, but OpenCV {cv2.__version__} here decodes it to different pixels than "
        f"OpenCV {recipe.opencv} did at build time: the decoder differs, not the recipe"
    )


@cache
def _pack(folder: str) -> TemplatePack | None:
    return load_pack(Path(folder)) if folder else None
