"""From a manifest row to its images: what replay writes and verify compares with. No MediaPipe is needed."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import cv2

from occsynth.errors import ManifestError, ReplayError, SourceError, TemplateError
from occsynth.faces.align import Alignment, align_image
from occsynth.manifest import Manifest, Row
from occsynth.modes import REAL
from occsynth.modes.render import Occlusion, render
from occsynth.pixels.images import Pixels, pixels_sha256
from occsynth.pixels.sources import Source, read_source
from occsynth.templates.pack import TemplatePack, load_pack

CHUNK_ROWS = 32
"""Rows that a worker takes at a time."""

ROW_FAULTS = (SourceError, ManifestError, ReplayError, TemplateError, ValueError, cv2.error)
"""What a row that cannot be made again raises; anything else (disk full, no permission) ends the whole run."""

Kind = Literal["clean", "occluded", "mask"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What every row needs besides itself; it travels to the workers.

    Attributes:
        pack_folder: the templates; empty where none are needed.
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
    if pack.sha256 != info.template_pack_sha256:
        raise ReplayError(
            f"{manifest.path} was built with template pack '{info.template_pack}' of digest "
            f"{info.template_pack_sha256}, and the one in {pack.folder} has {pack.sha256}; "
            "give the folder of the same pack with --templates"
        )
    return str(pack.folder.resolve())


@dataclass(frozen=True, slots=True)
class Named:
    """One image that a row names: its path under the build root and the hash of its pixels."""

    kind: Kind
    path: str
    sha256: str


def named_images(row: Row) -> list[Named]:
    """A row's images: clean, occluded, mask; of mode `real` the occluded one alone."""
    images = (
        Named("clean", row.clean, row.clean_pixels_sha256),
        Named("occluded", row.occluded, row.occluded_pixels_sha256),
        Named("mask", row.mask, row.mask_pixels_sha256),
    )
    return [image for image in images if image.path]


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A row's images as its recipe makes them.

    Attributes:
        images: by kind.
        other_bytes: the source's file is another one, though it holds the same pixels.
    """

    images: dict[Kind, Pixels]
    other_bytes: bool


def make_images(recipe: Recipe, row: Row) -> Made:
    """Makes a row's images from its source and checks them against the row's hashes.

    Raises:
        ReplayError: the source is missing, another file, or decoded otherwise here; the template is another one;
            or an image comes out with other pixels. Says which.
        ManifestError: the row is malformed.
    """
    source = _source(recipe, row)
    clean = align_image(source.pixels, Alignment.from_json(row.align), recipe.size_px)
    images: dict[Kind, Pixels] = {"occluded": clean}
    if row.mode != REAL:
        occlusion = Occlusion.from_json(row.occlusion)
        pack = _pack(recipe.pack_folder) if occlusion.fill == "template" else None
        if pack and pack.file_sha256(occlusion.template) != occlusion.template_sha256:
            raise ReplayError(f"template {occlusion.template} is not the file that the row names by its SHA-256")
        rendered = render(clean, occlusion, pack)
        images = {"clean": clean, "occluded": rendered.image, "mask": rendered.mask}
    for image in named_images(row):
        if image.kind not in images or pixels_sha256(images[image.kind]) != image.sha256:
            raise ReplayError(
                f"its {image.kind} image comes out with other pixels than the manifest names, though the source's "
                "pixels are the right ones: the manifest was changed, or this is another version of occsynth"
            )
    return Made(images, source.sha256 != row.source_sha256)


def _source(recipe: Recipe, row: Row) -> Source:
    try:
        source = read_source(Path(recipe.raw_root), row.source)
    except SourceError as error:
        raise ReplayError(f"source {row.source}: {error}") from error
    if source.pixels_sha256 == row.source_pixels_sha256:
        return source
    if source.sha256 != row.source_sha256:
        raise ReplayError(
            f"source {row.source} is another file than the manifest was built from (SHA-256 {source.sha256[:12]}..., "
            f"not {row.source_sha256[:12]}...)"
        )
    raise ReplayError(
        f"source {row.source} is the right file, but OpenCV {cv2.__version__} here decodes it to other pixels than "
        f"OpenCV {recipe.opencv} did: it is the decoder, not the recipe"
    )


@cache
def _pack(folder: str) -> TemplatePack | None:
    return load_pack(Path(folder)) if folder else None
