"""Makes the pictures of modes.md from the demo faces: `python docs/make_pictures.py [FOLDER]`."""

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from occsynth.databases.demo import ROOT
from occsynth.faces.align import align_image, align_points, similarity_alignment
from occsynth.faces.landmarks import detect_landmarks
from occsynth.faces.regions import five_points
from occsynth.modes import MODES
from occsynth.modes.face import Choices, Face
from occsynth.modes.render import render
from occsynth.modes.seeds import row_stream
from occsynth.modes.worn import worn
from occsynth.occluder import Occluder
from occsynth.option_values import FILLS, Look
from occsynth.pixels.images import Pixels
from occsynth.pixels.sources import Source, read_source
from occsynth.templates.pack import Template, TemplatePack, load_pack
from occsynth.templates.wear import KINDS

PICTURES = Path(__file__).parent / "pictures"
STEMS = ("s001_anger", "s009_surprise", "s017_neutral", "s023_happiness")
SIDE_PX = 96
_LABEL_PX = 96
_GAP_PX = 4

LOOKS: tuple[tuple[str, Look, bool], ...] = (
    ("colour kept", "pasted", True),
    ("pasted", "pasted", False),
    ("natural", "natural", False),
)


def source(stem: str) -> Source:
    """The picture of a demo face."""
    return read_source(ROOT, f"images/{stem.partition('_')[0]}/{stem}.jpg")


def demo_face(stem: str) -> Face:
    """A demo face, aligned, with its landmarks."""
    pixels = source(stem).pixels
    landmarks = detect_landmarks(pixels)
    if landmarks is None:
        raise SystemExit(f"no face found in {stem}")
    alignment = similarity_alignment(five_points(landmarks.points_xy), landmarks.image_wh, SIDE_PX)
    return Face.with_points(align_image(pixels, alignment, SIDE_PX), align_points(landmarks.points_xy, alignment))


def occluded(face: Face, stem: str, occluder: Occluder) -> Pixels:
    """The face as a build with seed 0 would occlude it."""
    stream = row_stream(occluder.seed, occluder.mode, source(stem).pixels_sha256)
    rendered, _ = occluder.draw(face.pixels, stream, face.regions.points_xy)
    return rendered.image


def wearing(face: Face, template: Template, pack: TemplatePack) -> Pixels:
    """The face with a template that is worn."""
    record = worn(np.random.default_rng(0), pack, template, face, Choices(pack))
    return render(face.pixels, record, pack).image


def in_grey_from(face: Face, small_px: int) -> Face:
    """The face in grey, enlarged from a small picture."""
    grey = cv2.cvtColor(face.pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (small_px, small_px), interpolation=cv2.INTER_AREA)
    pixels = cv2.cvtColor(cv2.resize(small, face.wh, interpolation=cv2.INTER_LINEAR), cv2.COLOR_GRAY2RGB)
    return Face(np.asarray(pixels, np.uint8), face.regions)


def grid(rows: Sequence[tuple[str, Sequence[Pixels]]]) -> Image.Image:
    """Images in rows, each row with its name on the left; in few colours, for a small file."""
    columns = max(len(images) for _, images in rows)
    step = SIDE_PX + _GAP_PX
    sheet = Image.new("RGB", (_LABEL_PX + columns * step, len(rows) * step - _GAP_PX), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, (name, images) in enumerate(rows):
        draw.text((4, number * step + SIDE_PX // 2), name, fill="black", font=font, anchor="lm")
        for column, image in enumerate(images):
            sheet.paste(Image.fromarray(image), (_LABEL_PX + column * step, number * step))
    return sheet.quantize(160, kmeans=1)  # without its second look at the colours, greys get a tint


def main(folder: Path) -> None:
    """Writes modes.png, fills.png, extras.png, wear.png, coverage.png, grey.png and looks.png into the folder."""
    pack = load_pack()
    faces = {stem: demo_face(stem) for stem in STEMS}
    clean = ("clean", [face.pixels for face in faces.values()])

    def row(occluder: Occluder) -> list[Pixels]:
        return [occluded(face, stem, occluder) for stem, face in faces.items()]

    modes = [clean, *((mode, row(Occluder(mode, pack))) for mode in MODES)]
    fills = [
        (
            fill,
            [
                image
                for mode in ("eyes", "mouth", "r16", "random")
                for image in row(Occluder(mode, pack, fill=fill))[:1]
            ],
        )
        for fill in FILLS
    ]
    extras = [
        (name, row(Occluder("random", pack, categories=("hand",), colour_match=match, shadow=shadow)))
        for name, match, shadow in (("plain", False, False), ("colour match", True, False), ("shadow", False, True))
    ]
    wear = [
        (kind, [wearing(face, each, pack) for face, each in zip(faces.values(), worn_alike[::step], strict=False)])
        for kind in KINDS
        for worn_alike in pack.worn_groups((kind,))
        for step in [len(worn_alike) // len(faces)]
    ]
    shares = ("upper-20", "upper-40", "lower-40", "left-40", "right-60", "cover-20", "cover-40", "cover-60")
    coverage = [(mode, row(Occluder(mode, pack)) + row(Occluder(mode, fill="black"))) for mode in shares]
    greyed = {stem: in_grey_from(face, 48) for stem, face in faces.items()}
    looks, grey = (
        [
            (
                name,
                [
                    occluded(face, stem, Occluder(mode, pack, look=look, keep_colour=keep_colour))
                    for mode in ("random", "r24")
                    for stem, face in of.items()
                ],
            )
            for name, look, keep_colour in LOOKS
            if of is greyed or not keep_colour
        ]
        for of in (faces, greyed)
    )
    sheets: dict[str, Sequence[tuple[str, Sequence[Pixels]]]] = {
        "modes": modes,
        "fills": fills,
        "extras": extras,
        "wear": wear,
        "coverage": coverage,
        "grey": grey,
    }
    sheets["looks"] = looks
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in sheets.items():
        grid(rows).save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES)
