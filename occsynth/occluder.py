"""`Occluder`: the occlusions of occsynth as a plain callable on images, for data loaders and notebooks."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from occsynth.errors import TemplateError, lookup
from occsynth.faces.landmarks import fallback_landmarks
from occsynth.faces.regions import MESH_POINTS
from occsynth.modes import default_look, find_mode
from occsynth.modes.face import Choices, Face, Regions
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.render import Rendered, render
from occsynth.modes.seeds import Stream, key_stream
from occsynth.option_values import (
    CATEGORIES,
    FILLS,
    LOOKS,
    SQUARES_AT,
    TEMPLATE_SPLITS,
    Fill,
    Look,
    SquareAt,
    TemplateSplit,
)
from occsynth.pixels.images import Pixels, pixels_sha256
from occsynth.templates.pack import TemplatePack, load_pack


@dataclass(frozen=True, slots=True, eq=False)
class Occluded:
    """What an `Occluder` returns.

    Attributes:
        image: `(H, W, 3)` uint8 RGB, bit-equal to the input wherever `mask` is 0.
        mask: `(H, W)` uint8, how much each pixel is covered or shaded.
        occlusion: the record, from which `occsynth.modes.render.render` gives the same pixels again.
    """

    image: Pixels
    mask: Pixels
    occlusion: Occlusion


class Occluder:
    """Draws an occlusion for an image and renders it.

    The draw depends only on the seed, the mode, the epoch and the image's key - not on earlier draws nor on the
    process - so an occluder can be pickled into the workers of any data loader.

    >>> import numpy as np
    >>> from occsynth.occluder import Occluder
    >>> face = np.full((96, 96, 3), 128, np.uint8)  # an aligned RGB face; grey here
    >>> occluded = Occluder("eyes", fill="black")(face, key="s001_anger")
    >>> occluded.image.shape, occluded.mask.shape
    ((96, 96, 3), (96, 96))
    >>> bool((occluded.image == face)[occluded.mask == 0].all())  # equal outside the mask
    True
    >>> again = Occluder("eyes", fill="black")(face, key="s001_anger")
    >>> again.occlusion == occluded.occlusion  # the same key draws the same occlusion
    True

    Args:
        mode: a name that `occsynth.modes.find_mode` knows, such as `eyes` or `upper-40`.
        templates: a pack, its folder, or None for the one that ships with occsynth.
        seed: any integer; another one draws other occlusions.
        fill: what hides the face: one of `occsynth.option_values.FILLS`.
        categories: template categories to draw from; default those of `occsynth.option_values.CATEGORIES`, or all of
            a pack that has none of them.
        colour_match: pull a template's brightness half-way towards the face's.
        shadow: draw a contact shadow under templates.
        keep_colour: leave templates and noise coloured where the face is grey.
        look: one of `occsynth.option_values.LOOKS`; default that of the mode, see `occsynth.modes.default_look`.
        square_at: where the squares of r8, r16 and r24 lie: one of `occsynth.option_values.SQUARES_AT`.
        template_split: which templates of the pack are drawn: one of `occsynth.option_values.TEMPLATE_SPLITS`.

    Raises:
        UnknownNameError: unknown mode, fill, look, place of squares or template split.
        TemplateError: the pack cannot be used, or has no template of these categories or that the mode wears; or
            `colour_match` or `shadow` is given with the look `natural`, which decides both by itself.
    """

    def __init__(
        self,
        mode: str,
        templates: TemplatePack | Path | str | None = None,
        seed: int = 0,
        *,
        fill: Fill = "template",
        categories: tuple[str, ...] | None = None,
        colour_match: bool = False,
        shadow: bool = False,
        keep_colour: bool = False,
        look: Look | None = None,
        square_at: SquareAt = "picture",
        template_split: TemplateSplit = "all",
    ) -> None:
        wears = find_mode(mode).wears
        lookup(dict.fromkeys(FILLS), fill, kind="fill")
        look = look or default_look(mode)
        lookup(dict.fromkeys(LOOKS), look, kind="look")
        lookup(dict.fromkeys(SQUARES_AT), square_at, kind="place of squares")
        lookup(dict.fromkeys(TEMPLATE_SPLITS), template_split, kind="template split")
        if look == "natural" and (colour_match or shadow):
            raise TemplateError(
                "look natural decides brightness and shadow by itself: leave colour_match and shadow out"
            )
        pack = None
        if fill == "template":
            pack = (
                templates if isinstance(templates, TemplatePack) else load_pack(Path(templates) if templates else None)
            )
        categories = _categories(pack, categories)
        self.mode, self.seed = mode, seed
        self.choices = Choices(
            pack, fill, categories, colour_match, shadow, keep_colour, look, square_at, template_split
        )
        if pack is not None and wears:
            pack.worn_groups(wears, split=template_split)

    def __call__(
        self,
        image: Pixels,
        *,
        key: str = "",
        epoch: int = 0,
        points_xy: npt.NDArray[np.floating] | None = None,
    ) -> Occluded:
        """Occludes one image, which is left untouched.

        Args:
            image: `(H, W, 3)` uint8 RGB, an aligned face.
            key: the image's identity, such as its pair_id; default a digest of its pixels. The record lets a guess of
                the key be checked: leave it out where the record is published and the key is not.
            epoch: another number draws another occlusion for the same image.
            points_xy: `(478, 2)` mesh points in pixels; default those of a canonical face that fills the image.

        Raises:
            ValueError: the image has another shape or type, or no pixels; or the points have another shape or are not
                finite.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"image must be (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}")
        if not image.size:
            raise ValueError(f"image must have pixels, but is {image.shape[1]} wide and {image.shape[0]} high")
        if points_xy is not None and (points_xy.shape != (MESH_POINTS, 2) or not np.isfinite(points_xy).all()):
            raise ValueError(f"points_xy must be ({MESH_POINTS}, 2) finite numbers; these are {points_xy.shape}")
        stream = key_stream(self.seed, self.mode, f"{key or pixels_sha256(image)}@{epoch}")
        rendered, occlusion = self.draw(image, stream, points_xy)
        return Occluded(rendered.image, rendered.mask, occlusion)

    def draw(
        self, image: Pixels, stream: Stream, points_xy: npt.NDArray[np.floating] | None
    ) -> tuple[Rendered, Occlusion]:
        """Draws from a stream and renders, as a build does."""
        if points_xy is None:
            face = Face(image, _assumed_regions((image.shape[1], image.shape[0])))
        else:
            face = Face.with_points(image, points_xy)
        occlusion = self.sample(face, stream)
        return render(image, occlusion, self.choices.pack), occlusion

    def sample(self, face: Face, stream: Stream) -> Occlusion:
        """Draws the record alone; `occsynth.modes.render.render` turns it into pixels."""
        return find_mode(self.mode).sample(stream.rng(), face, self.choices, stream.noise_key())


@lru_cache(maxsize=8)
def _assumed_regions(wh: tuple[int, int]) -> Regions:
    return Regions(fallback_landmarks(wh, None).points_xy, wh)


def _categories(pack: TemplatePack | None, wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    if pack is None:
        return wanted or CATEGORIES
    present = sorted({each.category for each in pack.templates.values()})
    if wanted is None:
        return tuple(name for name in CATEGORIES if name in present) or tuple(present)
    unknown = [name for name in wanted if name not in present]
    if unknown:
        raise TemplateError(
            f"no template of category {', '.join(unknown)} in {pack.folder}; it has {', '.join(present)}"
        )
    return wanted
