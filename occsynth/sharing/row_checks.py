"""What verify checks on each row: its columns, its images, and - with the raw database - that they follow from it."""

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from occsynth.databases.record import CONTEMPT, EXPRESSIONS
from occsynth.errors import ManifestError, SourceError
from occsynth.faces.align import Alignment
from occsynth.files import inside
from occsynth.manifest import ManifestInfo, Row
from occsynth.modes import REAL
from occsynth.modes.occlusion import Occlusion
from occsynth.parallel import one_opencv_thread
from occsynth.pixels.decode import decode_rgb
from occsynth.pixels.images import Pixels, encode, pixels_sha256, read_grey, read_rgb
from occsynth.sharing.remake import ROW_FAULTS, ImageRole, Recipe, images_of_row, make_images

_SHA256 = re.compile("[0-9a-f]{64}")
_JPEG_BLOCK_PX = 8
_JPEG_TOLERANCE = 3
"""Grey levels by which two JPEG decoders may differ on the same bytes."""


def verify_chunk(
    root: str, info: ManifestInfo, recipe: Recipe | None, rows: list[Row]
) -> tuple[int, list[tuple[str, str]]]:
    """Checks some rows.

    Args:
        root: the build root.
        recipe: to make the images again and compare; None checks only what is on disk.

    Returns:
        How many rows were checked, and `(pair_id, what is wrong)` for each problem.
    """
    with one_opencv_thread():
        found = [(row.pair_id, what) for row in rows for what in _row(Path(root), info, recipe, row)]
    return len(rows), found


def _row(root: Path, info: ManifestInfo, recipe: Recipe | None, row: Row) -> Iterator[str]:
    yield from _columns(info, row)
    images: dict[ImageRole, Pixels] = {}
    for image in images_of_row(row):
        try:
            file = inside(root, image.path)
            pixels = read_grey(file) if image.role == "mask" else read_rgb(file)
        except (ManifestError, SourceError, cv2.error) as error:
            yield f"{image.path}: {error}"
            continue
        if pixels.shape[:2] != (info.size_px, info.size_px):
            yield f"{image.path}: {pixels.shape[1]}x{pixels.shape[0]} pixels instead of {info.size_px}x{info.size_px}"
            continue
        images[image.role] = pixels
        exact = info.format == "png" or image.role == "mask"
        if exact and pixels_sha256(pixels) != image.sha256:
            yield f"{image.path}: its pixels do not match the manifest"
    if len(images) == 3:
        yield from _equal_outside(images, exact=info.format == "png")
    if recipe is not None:
        yield from _rendered_again(recipe, info, row, images)


def _columns(info: ManifestInfo, row: Row) -> Iterator[str]:
    """What is malformed in a row, or contradicts the JSON."""
    real = info.mode == REAL
    for name, value, wanted in (
        ("database", row.database, info.database),
        ("mode", row.mode, info.mode),
        ("seed", row.seed, info.seed),
    ):
        if value != wanted:
            yield f"{name} is {value}, but the manifest's {name} is {wanted}"
    for name, word, known in (
        ("expression", row.expression, EXPRESSIONS if info.classes == 7 else (*EXPRESSIONS, CONTEMPT)),
        ("split", row.split, ("test",) if real else ("", "train", "val", "test")),
        ("landmarks", row.landmarks, ("found", "padded", "fallback")),
    ):
        if word not in known:
            yield f"{name} '{word}' is not one of {', '.join(filter(None, known))}"
    if row.fold is not None and row.fold < 0:
        yield f"fold {row.fold} is negative"
    shares = (row.coverage_face, row.coverage_eyes, row.coverage_mouth)
    if any((share is None) != real for share in shares):
        yield "coverage without an occlusion" if real else "coverage is missing"
    try:
        inside(Path("/"), row.source.partition("#")[0])
        Alignment.from_json(row.align)
        if not real:
            yield from _occlusion(Occlusion.from_json(row.occlusion), info)
    except ManifestError as error:
        yield str(error)
    yield from _image_columns(row, real=real)


def _occlusion(occlusion: Occlusion, info: ManifestInfo) -> Iterator[str]:
    if occlusion.fill != info.fill:
        yield f"occlusion has fill {occlusion.fill}, but the manifest's fill is {info.fill}"
    if occlusion.fill == "template":
        inside(Path("/"), occlusion.template)
        if not _SHA256.fullmatch(occlusion.template_sha256):
            yield f"hash of template '{occlusion.template_sha256}' is not a SHA-256"


def _image_columns(row: Row, *, real: bool) -> Iterator[str]:
    images = images_of_row(row)
    wanted_roles = ["occluded"] if real else ["clean", "occluded", "mask"]
    if [image.role for image in images] != wanted_roles:
        named = ", ".join(image.role for image in images) or "none"
        yield f"images named: {named}; mode {row.mode} has {', '.join(wanted_roles)}"
    for image in images:
        if not image.path.rpartition(".")[0].endswith(f"/{row.pair_id}"):
            yield f"{image.role} path '{image.path}' does not end in the row's pair_id"
    hashes = [("source", row.source_sha256), ("source pixels", row.source_pixels_sha256)]
    for what, digest in hashes + [(image.role, image.sha256) for image in images]:
        if not _SHA256.fullmatch(digest):
            yield f"hash of {what} '{digest}' is not a SHA-256"


def _equal_outside(images: dict[ImageRole, Pixels], *, exact: bool) -> Iterator[str]:
    """Clean and occluded are bit-equal outside the mask; in JPEG, in every block that the mask does not touch."""
    outside = images["mask"] == 0
    if not exact:  # JPEG encodes each 8x8 block on its own, so a block without mask pixels decodes the same in both
        side = np.ones((_JPEG_BLOCK_PX, _JPEG_BLOCK_PX), np.uint8)
        height, width = outside.shape
        rows, columns = -(-height // _JPEG_BLOCK_PX), -(-width // _JPEG_BLOCK_PX)
        touched = np.zeros((rows * _JPEG_BLOCK_PX, columns * _JPEG_BLOCK_PX), bool)
        touched[:height, :width] = ~outside
        blocks = touched.reshape(rows, _JPEG_BLOCK_PX, columns, _JPEG_BLOCK_PX).any(axis=(1, 3))
        outside = np.kron(blocks, side)[:height, :width] == 0
    changed = int(np.count_nonzero((images["clean"] != images["occluded"]).any(axis=2) & outside))
    if changed:
        where = "outside the mask" if exact else "in blocks that the mask does not touch"
        yield f"clean and occluded differ in {changed} pixels {where}"


def _rendered_again(recipe: Recipe, info: ManifestInfo, row: Row, images: dict[ImageRole, Pixels]) -> Iterator[str]:
    try:
        made = make_images(recipe, row)
        if info.format == "png":
            return  # its hashes were compared with the file's pixels and with the rendered pixels
        for role in ("clean", "occluded"):
            if role in images and role in made.pixels:
                # compared after encoding: the hashes are of the pixels before it
                expected = decode_rgb(encode(made.pixels[role], info.format)).astype(np.int16)
                if np.abs(expected - images[role]).max() > _JPEG_TOLERANCE:
                    yield f"its {role} image differs from the JPEG that its recipe makes"
    except ROW_FAULTS as error:
        yield f"rendered again from its source: {error}"
