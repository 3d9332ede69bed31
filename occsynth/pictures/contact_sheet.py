"""The contact sheet: a few pairs of a build on one PNG, labelled with what their rows say."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from occsynth.errors import BuildError, ManifestError, SourceError
from occsynth.escapes import for_figure
from occsynth.faces.landmark_file import open_landmarks
from occsynth.faces.regions import Points
from occsynth.files import write_atomic
from occsynth.manifest import Manifest
from occsynth.ownership import MARK, refuse_foreign_file
from occsynth.pictures.pairs import MAKER, PAIR_IMAGES, Pair, PairImage, balanced_pairs, percent
from occsynth.pixels.images import Pixels, read_grey, read_rgb

_SMALLEST_TILE_PX = 144  # room for the labels; smaller faces are enlarged by a whole factor
_LARGEST_TILE_PX = 256
_GAP_PX = 10
_MARGIN_PX = 16
_LINE_PX = 17
_NAMES_PX = 84
_INK, _GREY, _PAPER = (17, 17, 17), (90, 90, 90), (255, 255, 255)
_POINT, _POINT_EDGE = (230, 159, 0), (0, 0, 0)  # orange on black stands out from skin, colour-blind or not


@dataclass(frozen=True, slots=True)
class Sheet:
    """A contact sheet that was written.

    Attributes:
        path: the PNG.
        shown: number of pairs on it.
        total: number of pairs in the manifests.
        notes: what is missing on it, and why.
    """

    path: Path
    shown: int
    total: int
    notes: list[str]


def contact_sheet(
    manifests: Sequence[Manifest],
    out: Path,
    *,
    count: int = 8,
    columns: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Sheet:
    """Draws some pairs, in equal shares of the classes: clean, occluded, mask and landmarks below each other.

    Args:
        manifests: manifests of one or several builds, such as the modes of `table2`.
        out: PNG to write.
        count: how many pairs at most.
        columns: how many of them side by side; default up to eight.
        seed: another number shows other pairs.
        overwrite: replace `out` even if it is no earlier sheet.

    Raises:
        ManifestError: there are no rows, or an image is missing or damaged.
        BuildError: `out` is no earlier sheet, or cannot be written.
    """
    refuse_foreign_file(out, MAKER, BuildError, overwrite=overwrite)
    pairs, total = balanced_pairs(manifests, count, seed)
    if not pairs:
        raise ManifestError(f"{manifests[0].path} has no rows to show")
    points, notes = _landmarks(manifests, pairs)
    tiles = _tile_names(pairs, points)
    if "clean" not in tiles:
        notes.append("no clean images and masks: the occlusions are real")
    title = ", ".join(dict.fromkeys(manifest.info.name for manifest in manifests))
    caption = [for_figure(line, 500) for line in (f"{title}: {len(pairs)} of {total:,} pairs", *notes)]
    across = min(columns or 8, len(pairs))
    bands = [pairs[start : start + across] for start in range(0, len(pairs), across)]
    tile_px = max(_tile_side(manifest.info.size_px) for manifest in manifests)
    sheet = _Canvas(across, len(bands), tile_px, tiles, caption)
    for number, band in enumerate(bands):
        sheet.draw_band(number, band, points)
    buffer = io.BytesIO()
    mark = PngInfo()
    mark.add_text("Software", MARK.format(MAKER))
    sheet.image.save(buffer, "PNG", optimize=True, pnginfo=mark)
    write_atomic(out, buffer.getvalue())
    return Sheet(out, len(pairs), total, notes)


def _tile_names(pairs: Sequence[Pair], points: dict[Pair, Points]) -> list[str]:
    """What each pair shows below each other: images that any pair has, and landmarks."""
    images = [image for image in PAIR_IMAGES if any(getattr(pair.row, image) for pair in pairs)]
    return [*images, *(["landmarks"] if points else [])]


def _landmarks(manifests: Sequence[Manifest], pairs: Sequence[Pair]) -> tuple[dict[Pair, Points], list[str]]:
    """The `(68, 2)` points of each pair that has them, and notes on why others have none."""
    found: dict[Pair, Points] = {}
    notes = []
    for manifest in manifests:
        path = manifest.beside(".landmarks.npz")
        wanted = {pair.row.pair_id: pair for pair in pairs if pair.manifest is manifest}
        if not path.is_file():
            notes.append(f"no landmarks: {path.name} is missing; `occsynth landmarks` makes it")
            continue
        try:
            names, points_xy = open_landmarks(path)
        except ManifestError:
            notes.append(f"no landmarks: {path.name} is damaged; `occsynth landmarks` makes it again")
            continue
        at = np.flatnonzero(np.isin(names, list(wanted)))
        found |= {wanted[str(names[index])]: points_xy[index] for index in at if np.isfinite(points_xy[index]).all()}
    return found, notes


def _tile_side(size_px: int) -> int:
    return min(_LARGEST_TILE_PX, size_px * -(-_SMALLEST_TILE_PX // size_px))


def _open(pair: Pair, image: PairImage) -> Pixels | None:
    path = pair.file(image)
    if path is None:
        return None
    try:
        return read_grey(path) if image == "mask" else read_rgb(path)
    except SourceError as error:
        raise ManifestError(f"{path}: {error}; `occsynth verify` lists all damaged images") from error


def _fit(pixels: Pixels, tile_px: int) -> tuple[Image.Image, float]:
    """The image at the size of a tile, and its scale: a whole number for small faces, so that their pixels show."""
    image = Image.fromarray(pixels)
    side = max(image.size)
    if side > tile_px:
        factor = tile_px / side
        wh = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        return image.resize(wh, Image.Resampling.BOX), factor
    whole = tile_px // side
    return image.resize((image.width * whole, image.height * whole), Image.Resampling.NEAREST), float(whole)


def _label(pair: Pair) -> list[str]:
    row = pair.row
    category, item = pair.occluder()
    what = f"{row.mode}, {category}" if category != row.mode else row.mode
    lines = [row.expression, what, item if item != category else ""]
    if row.coverage_face is not None:
        lines.append(f"hides {percent(row.coverage_face)} of face")
        lines.append(f"eyes {percent(row.coverage_eyes)}, mouth {percent(row.coverage_mouth)}")
    return [for_figure(line) for line in lines if line]


class _Canvas:
    """The sheet while it is drawn: bands of columns, each column a stack of tiles above the label of a pair."""

    def __init__(self, across: int, bands: int, tile_px: int, tiles: Sequence[str], caption: Sequence[str]) -> None:
        self.tile_px, self.tiles = tile_px, tiles
        self._band_px = len(tiles) * (tile_px + _GAP_PX) + 5 * _LINE_PX + 2 * _GAP_PX
        self._top = _MARGIN_PX + len(caption) * (_LINE_PX + 4) + _GAP_PX
        width = 2 * _MARGIN_PX + _NAMES_PX + across * (tile_px + _GAP_PX)
        self.image = Image.new("RGB", (width, self._top + bands * self._band_px + _MARGIN_PX - _GAP_PX), _PAPER)
        self._draw = ImageDraw.Draw(self.image)
        self._title, self._text = ImageFont.load_default(17), ImageFont.load_default(13)
        for number, line in enumerate(caption):
            place = (_MARGIN_PX, _MARGIN_PX + number * (_LINE_PX + 4))
            font, ink = (self._text, _GREY) if number else (self._title, _INK)
            self._draw.text(place, self._cut(line, font, width - 2 * _MARGIN_PX), font=font, fill=ink)

    def draw_band(self, number: int, pairs: Sequence[Pair], points: dict[Pair, Points]) -> None:
        top = self._top + number * self._band_px
        for position, name in enumerate(self.tiles):
            y = top + position * (self.tile_px + _GAP_PX) + self.tile_px // 2
            self._draw.text((_MARGIN_PX, y), name, font=self._text, fill=_INK, anchor="lm")
        for column, pair in enumerate(pairs):
            left = _MARGIN_PX + _NAMES_PX + column * (self.tile_px + _GAP_PX)
            for position, name in enumerate(self.tiles):
                self._tile(pair, name, (left, top + position * (self.tile_px + _GAP_PX)), points.get(pair))
            below = top + len(self.tiles) * (self.tile_px + _GAP_PX) - 4
            for line_number, line in enumerate(_label(pair)):
                text = self._cut(line, self._text, self.tile_px)
                ink = _GREY if line_number else _INK
                self._draw.text((left, below + line_number * _LINE_PX), text, font=self._text, fill=ink)

    def _tile(self, pair: Pair, name: str, left_top: tuple[int, int], points_xy: Points | None) -> None:
        images: dict[str, PairImage] = {image: image for image in PAIR_IMAGES}
        drawn = name == "landmarks"
        background: PairImage = "clean" if pair.row.clean else "occluded"
        pixels = _open(pair, background if drawn else images[name])
        if pixels is None or (drawn and points_xy is None):
            return
        tile, factor = _fit(pixels, self.tile_px)
        x0, y0 = (start + (self.tile_px - side) // 2 for start, side in zip(left_top, tile.size, strict=True))
        self.image.paste(tile, (x0, y0))
        self._draw.rectangle((x0 - 1, y0 - 1, x0 + tile.width, y0 + tile.height), outline=(190, 190, 190))
        if drawn and points_xy is not None:
            for x, y in points_xy:
                # pixel centres are whole numbers, so the image starts half a pixel before the first one
                centre = np.array((x0 + (x + 0.5) * factor - 0.5, y0 + (y + 0.5) * factor - 0.5))
                if not ((x0, y0) <= centre).all() or not (centre < (x0 + tile.width, y0 + tile.height)).all():
                    continue
                self._draw.ellipse((*(centre - 2), *(centre + 2)), fill=_POINT, outline=_POINT_EDGE)

    def _cut(self, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room_px: int) -> str:
        if self._draw.textlength(text, font=font) <= room_px:
            return text
        while text and self._draw.textlength(text + "...", font=font) > room_px:
            text = text[:-1]
        return text + "..."
