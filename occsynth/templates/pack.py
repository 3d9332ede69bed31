"""Occluder templates: a pack is a folder with `index.csv` and RGBA cut-outs in one folder a category."""

import csv
import hashlib
import io
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from occsynth.errors import ManifestError, SourceError, TemplateError
from occsynth.manifest import inside
from occsynth.pixels.decode import MAX_PIXELS
from occsynth.pixels.images import Pixels
from occsynth.pixels.warp import blur, times

CATEGORIES = ("food", "hand", "drink")
INDEX_COLUMNS = (
    "file",
    "category",
    "name",
    "licence",
    "source",
    "attribution",
    "opaque_fraction",
    "see_through",
    "base_edge",
    "skin_tone",
)
OPAQUE_ALPHA = 128
"""A template hides what lies under it from this alpha value on; see-through items lie mostly below."""

Polygon = tuple[tuple[float, float], ...]

_SPRITES_KEPT = 128
_REDUCED_KEPT = 512


def shipped_pack_folder() -> Path:
    """The templates that ship with occsynth: in the installed package, or at the top of a checkout."""
    installed = Path(__file__).parents[1] / "assets" / "templates"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "templates"


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """One decoded template.

    Attributes:
        premultiplied: `(H, W, 4)` uint8, red, green, blue (each times alpha / 255) and alpha.
        opaque_hull_xy: convex hull of the pixels with alpha of at least `OPAQUE_ALPHA`, as pixel corners.
        centroid_xy: mean place of those pixels.
        long_axis_deg: direction of their largest spread, in (-90, 90], x right and y down.
        base_xy: `(2, 2)` ends of the run of visible pixels on the edge where the object goes on outside the picture
            (the cut forearm of a hand), or None for a whole object.
        mean_rgb: mean colour of the opaque pixels.
    """

    premultiplied: Pixels
    opaque_hull_xy: Polygon
    centroid_xy: tuple[float, float]
    long_axis_deg: float
    base_xy: npt.NDArray[np.float64] | None
    mean_rgb: tuple[float, float, float]

    @property
    def wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.premultiplied.shape[1], self.premultiplied.shape[0]


@dataclass(frozen=True, eq=False)
class ReducedSprite:
    """A template as it is warped: shrunk, its edge softened.

    Attributes:
        pixels: `(h, w, 4)` uint8, premultiplied.
    """

    pixels: Pixels

    @cached_property
    def outline_xy(self) -> Polygon:
        """A convex polygon in its pixels, beyond which a warp leaves no trace; empty if no pixel is visible."""
        shown = np.asarray(cv2.extractChannel(self.pixels, 3), np.uint8) > 0
        return _outline(shown, 1.0)  # a bilinear pixel reaches less than one from its centre


@dataclass(frozen=True, slots=True)
class Template:
    """One line of a pack's index. `file` names it in manifests; `base_edge` is `bottom` or empty."""

    file: str
    category: str
    name: str
    licence: str
    source: str
    see_through: bool
    base_edge: str
    skin_tone: str


@dataclass(eq=False)
class TemplatePack:
    """A folder of templates.

    Attributes:
        folder: where it lies.
        templates: by `file`, sorted.
    """

    folder: Path
    templates: dict[str, Template]
    _groups: dict[tuple[tuple[str, ...], bool], tuple[tuple[Template, ...], ...]] = field(
        default_factory=dict, repr=False
    )
    _sprites: OrderedDict[str, Sprite] = field(default_factory=OrderedDict, repr=False)
    _digests: dict[str, str] = field(default_factory=dict, repr=False)
    _reduced: OrderedDict[tuple[str, tuple[int, int], float], ReducedSprite] = field(
        default_factory=OrderedDict, repr=False
    )

    def __getstate__(self) -> dict[str, object]:
        """Pickled without its decoded sprites, so that it travels lightly to worker processes."""
        return {
            "folder": self.folder,
            "templates": self.templates,
            "_groups": {},
            "_sprites": OrderedDict(),
            "_digests": {},
            "_reduced": OrderedDict(),
        }

    @cached_property
    def sha256(self) -> str:
        """Digest over every template's name, index fields that change pixels, and file bytes."""
        digest = hashlib.sha256()
        for template in self.templates.values():
            line = (template.file, template.category, str(template.see_through), template.base_edge)
            digest.update("\x1f".join((*line, self.file_sha256(template.file), "\n")).encode())
        return digest.hexdigest()

    def groups(self, categories: tuple[str, ...], *, see_through: bool) -> tuple[tuple[Template, ...], ...]:
        """The templates of each of these categories that has any, in the order of their file names.

        Args:
            see_through: also those that the face shows through.

        Raises:
            TemplateError: there is none.
        """
        key = (categories, see_through)
        if key not in self._groups:
            usable = [each for each in self.templates.values() if see_through or not each.see_through]
            groups = (tuple(each for each in usable if each.category == name) for name in categories)
            self._groups[key] = tuple(filter(None, groups))
        if not self._groups[key]:
            kind = "template" if see_through else "template that is not see-through"
            raise TemplateError(
                f"{self.folder} has no {kind} of category {', '.join(categories)}; it has "
                f"{', '.join(sorted({each.category for each in self.templates.values()})) or 'none'}"
            )
        return self._groups[key]

    def file_sha256(self, file: str) -> str:
        """SHA-256 of a template's file; raises TemplateError if it is missing."""
        if file not in self._digests:
            self._digests[file] = hashlib.sha256(self._read(file)).hexdigest()
        return self._digests[file]

    def sprite(self, file: str) -> Sprite:
        """The decoded template; the latest ones are kept. Raises TemplateError."""
        if file not in self._sprites:
            edge = self.templates[file].base_edge if file in self.templates else ""
            self._sprites[file] = _decode_sprite(self._read(file), f"{self.folder / file}", edge)
            while len(self._sprites) > _SPRITES_KEPT:
                self._sprites.popitem(last=False)
        self._sprites.move_to_end(file)
        return self._sprites[file]

    def reduced(self, file: str, wh: tuple[int, int], feather_px: float = 0.0) -> ReducedSprite:
        """The premultiplied pixels shrunk to `wh` by area averaging, edge softened; the latest ones are kept.

        Args:
            feather_px: sigma of the softening in pixels of the shrunken template. It goes inwards: nothing outside
                the template's outline is touched, and at a cut edge it goes on as if the object did.
        """
        key = (file, wh, feather_px)
        if key not in self._reduced:
            sprite = self.sprite(file)
            if wh[0] > sprite.wh[0] or wh[1] > sprite.wh[1]:
                raise ManifestError(f"column occlusion: {file} is {sprite.wh}, not to be enlarged to {wh}")
            shrunk = np.asarray(cv2.resize(sprite.premultiplied, wh, interpolation=cv2.INTER_AREA), np.uint8)
            pixels = soften(shrunk, feather_px) if feather_px > 0 else shrunk
            self._reduced[key] = ReducedSprite(pixels)
            while len(self._reduced) > _REDUCED_KEPT:
                self._reduced.popitem(last=False)
        self._reduced.move_to_end(key)
        return self._reduced[key]

    def _read(self, file: str) -> bytes:
        try:
            return inside(self.folder, file).read_bytes()
        except ManifestError as error:
            raise TemplateError(f"template {error}") from error
        except OSError as error:
            raise TemplateError(f"template {self.folder / file} cannot be read: {error.strerror or error}") from error


def soften(premultiplied: Pixels, sigma_px: float) -> Pixels:
    """Fades the outermost pixels inside the outline to nothing, on integers alone."""
    _, visible = cv2.threshold(premultiplied[:, :, 3], 0, 255, cv2.THRESH_BINARY)
    soft = blur(np.asarray(visible, np.uint8), sigma_px)
    weight = cv2.subtract(soft, cv2.bitwise_not(soft))  # twice as much less 255, not below 0
    return times(premultiplied, np.asarray(cv2.merge([weight] * 4), np.uint8))


def load_pack(folder: Path | None = None) -> TemplatePack:
    """The template pack in `folder`, default the one that ships with occsynth.

    Raises:
        TemplateError: no index, columns missing, a file missing, or a name that leaves the folder.
    """
    folder = shipped_pack_folder() if folder is None else folder
    index = folder / "index.csv"
    try:
        with index.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in INDEX_COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise TemplateError(f"{index}: columns missing: {', '.join(missing)}")
            entries = [_template(row, index, folder) for row in reader]
    except FileNotFoundError:
        raise TemplateError(
            f"{index} not found. A template pack is a folder with an index.csv; "
            "`occsynth templates add` makes one from a folder of RGBA images"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TemplateError(f"{index} cannot be read: {error}") from error
    if not entries:
        raise TemplateError(f"{index} lists no template")
    return TemplatePack(folder, {each.file: each for each in sorted(entries, key=lambda each: each.file)})


def _template(row: dict[str, str], index: Path, folder: Path) -> Template:
    name = row["file"] or ""
    try:
        path = inside(folder, name)
    except ManifestError as error:
        raise TemplateError(f"{index}: {error}") from error
    if not path.is_file():
        raise TemplateError(f"{index} lists {name}, which is not in {folder}")
    if not row["licence"] or not row["source"]:
        raise TemplateError(f"{index}: {name} has no licence or no source; fill both in")
    if row["base_edge"] not in ("", "bottom"):
        raise TemplateError(f"{index}: {name}: base_edge is '{row['base_edge']}'; 'bottom' or nothing is understood")
    see_through = row["see_through"].strip().lower() == "true"
    text = (name, row["category"], row["name"], row["licence"], row["source"])
    return Template(*text, see_through, row["base_edge"], row["skin_tone"] or "")


def _decode_sprite(content: bytes, where: str, base_edge: str) -> Sprite:
    if _is_too_large(content):
        raise TemplateError(f"{where} has more than {MAX_PIXELS:,} pixels")
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    if image is None or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 4:
        raise TemplateError(f"{where} is not an 8-bit RGBA image")
    rgba = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA), np.uint8)
    alpha = cv2.extractChannel(rgba, 3)
    opaque = alpha >= OPAQUE_ALPHA
    if np.count_nonzero(opaque) < 8:  # wholly see-through: its visible pixels stand in
        opaque = alpha > 0
    if np.count_nonzero(opaque) < 8:
        raise TemplateError(f"{where} is empty: hardly a pixel is visible")
    try:
        return _measure(rgba, opaque, base_edge)
    except SourceError as error:
        raise TemplateError(f"{where}: {error}") from error


def _is_too_large(content: bytes) -> bool:
    """By the file's header; what is no image at all is left to the decoder."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.size[0] * image.size[1] > MAX_PIXELS
    except Image.DecompressionBombError:
        return True
    except Exception:  # Pillow's plugins raise many kinds for damaged files
        return False


def _measure(rgba: Pixels, opaque: npt.NDArray[np.bool_], base_edge: str) -> Sprite:
    alpha = cv2.extractChannel(rgba, 3)
    weights = cv2.merge([alpha, alpha, alpha, np.full_like(alpha, 255)])
    ys, xs = np.nonzero(opaque)
    x, y = xs - xs.mean(), ys - ys.mean()
    angle = 0.5 * math.degrees(math.atan2(2 * float((x * y).mean()), float((x * x).mean() - (y * y).mean())))
    # sums are whole numbers: no rounding on the way to them is left in the means
    red, green, blue, _ = (round(mean * len(xs)) / len(xs) for mean in cv2.mean(rgba, opaque.view(np.uint8)))
    return Sprite(
        premultiplied=times(rgba, np.asarray(weights, np.uint8)),
        opaque_hull_xy=_outline(opaque, 0.5),
        centroid_xy=(float(xs.mean()), float(ys.mean())),
        long_axis_deg=angle,
        base_xy=_base(rgba[:, :, 3]) if base_edge == "bottom" else None,
        mean_rgb=(red, green, blue),
    )


def _outline(shown: npt.NDArray[np.bool_], reach: float) -> Polygon:
    """Convex hull of pixels, each a square that reaches so far from its centre."""
    rows = np.flatnonzero(shown.any(axis=1))  # the ends of every row are enough
    if not len(rows):
        return ()
    shown = shown[rows]
    left, right = shown.argmax(axis=1) - reach, shown.shape[1] - 1 - shown[:, ::-1].argmax(axis=1) + reach
    corners = [np.stack([x, rows + y], axis=1) for x in (left, right) for y in (-reach, reach)]
    hull = cv2.convexHull(np.concatenate(corners).astype(np.float32)).reshape(-1, 2)
    return tuple((float(x), float(y)) for x, y in hull)


def _base(alpha: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    visible = np.nonzero(alpha[-1] > 0)[0]
    if not len(visible):
        raise SourceError("its index says that it goes on below the bottom edge, but no pixel there is visible")
    bottom = alpha.shape[0] - 1
    return np.array([[visible[0], bottom], [visible[-1], bottom]], np.float64)
