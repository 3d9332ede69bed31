"""(a) From file to file with one alpha-blended occluder, on one core at 224 px.

Three loops over the same files take short turns, so that other load on the machine hits all alike: the first only
decodes and encodes; the second also draws an occluder with `Occluder`; the third also resizes and pastes one in numpy
float32, as public generators do. The third has its templates decoded beforehand, knows sizes and places in advance and
touches only the pixels under the template: nothing in it is slow on purpose. Every loop has the decoder deliver the
channel order that it works in.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.faces import demo_paths
from benchmarks.measure import Finding, rates, scratch
from occsynth.occluder import Occluder
from occsynth.pixels.images import Pixels, read_rgb
from occsynth.templates.pack import load_pack

_BLOCK = 40
_WARM_UP = 4
"""Rounds that are not measured: after them the template pack keeps nearly every template in nearly every size."""

Change = Callable[[int, Pixels], Pixels]
Loop = tuple[int, Change]
"""The colour order that its decoder is asked for, and what it does to the image."""


@dataclass(frozen=True, slots=True)
class Paste:
    """What the numpy loop pastes: a template's BGRA pixels, and their size and upper left corner on the face."""

    bgra: Pixels
    wh: tuple[int, int]
    corner_xy: tuple[int, int]


def plan(paths: list[Path], occluder: Occluder, epoch: int) -> list[Paste]:
    """The templates that `Occluder` draws, in the same sizes and at the same places, but not turned."""
    pack = load_pack()
    pastes = []
    for path in paths:
        record = occluder(read_rgb(path), key=path.stem, epoch=epoch).occlusion
        if record.affine is None or record.sprite_wh is None:
            raise RuntimeError("the occlusion has no template")
        a, b, c, d, e, f = record.affine
        scale = abs(a * e - b * d) ** -0.5
        wh = (max(1, round(record.sprite_wh[0] * scale)), max(1, round(record.sprite_wh[1] * scale)))
        middle = np.linalg.solve(np.array([[a, b], [d, e]]), np.array(record.sprite_wh) / 2 - (c, f))
        bgra = cv2.imread(str(pack.folder / record.template), cv2.IMREAD_UNCHANGED)
        corner = (round(float(middle[0]) - wh[0] / 2), round(float(middle[1]) - wh[1] / 2))
        pastes.append(Paste(np.asarray(bgra, np.uint8), wh, corner))
    return pastes


def paste_float32(image: Pixels, paste: Paste) -> Pixels:
    """Resizes, cuts off what lies outside the picture, converts to float32 and blends."""
    sprite = cv2.resize(paste.bgra, paste.wh, interpolation=cv2.INTER_AREA)
    (x0, y0), (height, width) = paste.corner_xy, image.shape[:2]
    left, top = max(0, -x0), max(0, -y0)
    sprite = sprite[top : height - y0, left : width - x0]
    under = image[y0 + top : y0 + top + sprite.shape[0], x0 + left : x0 + left + sprite.shape[1]]
    alpha = sprite[:, :, 3:].astype(np.float32) / 255
    under[:] = alpha * sprite[:, :, :3] + (1 - alpha) * under
    return image


def file_to_file(source: Path, target: Path, index: int, loop: Loop) -> float:
    """Seconds for one image."""
    colours, change = loop
    start = time.perf_counter()
    image = cv2.imread(str(source), colours)
    cv2.imwrite(str(target), change(index, np.asarray(image, np.uint8)))
    return time.perf_counter() - start


def loops(paths: list[Path], occluder: Occluder, epoch: int) -> dict[str, Loop]:
    """The three loops; each epoch draws other occluders."""
    pastes = plan(paths, Occluder("random"), epoch)

    def ours(index: int, rgb: Pixels) -> Pixels:
        occluded = occluder(rgb, key=paths[index].stem, epoch=epoch).image
        return np.asarray(cv2.cvtColor(occluded, cv2.COLOR_RGB2BGR), np.uint8)

    return {
        "bare": (cv2.IMREAD_COLOR_BGR, lambda _, bgr: bgr),
        "ours": (cv2.IMREAD_COLOR_RGB, ours),
        "numpy": (cv2.IMREAD_COLOR_BGR, lambda index, bgr: paste_float32(bgr, pastes[index])),
    }


def one_round(paths: list[Path], three: dict[str, Loop], folder: Path, ending: str) -> dict[str, float]:
    """Seconds that each loop took for all files, in turns of `_BLOCK` files; each turn another one goes first."""
    seconds = dict.fromkeys(three, 0.0)
    names = list(three)
    for turn, start in enumerate(range(0, len(paths), _BLOCK)):
        for name in names[turn % 3 :] + names[: turn % 3]:
            for index in range(start, min(start + _BLOCK, len(paths))):
                target = folder / f"{name}-{paths[index].stem}{ending}"
                seconds[name] += file_to_file(paths[index], target, index, three[name])
    return seconds


def measure(images: int = 280, repeats: int = 7) -> list[Finding]:
    """The goals are for JPEG; the lines for PNG are for information."""
    findings = []
    with scratch() as folder:
        for kind, ending, goals in (("JPEG", ".jpg", (0.75, 1.4)), ("PNG", ".png", (None, None))):
            paths = [folder / f"{path.stem}{ending}" for path in demo_paths()[:images]]
            for path, source in zip(paths, demo_paths(), strict=False):
                cv2.imwrite(str(path), np.asarray(cv2.imread(str(source))))
            occluder = Occluder("random")
            epochs = range(_WARM_UP + repeats)
            rounds = [one_round(paths, loops(paths, occluder, epoch), folder, ending) for epoch in epochs][_WARM_UP:]
            ours, bare, plain = ([each[body] for each in rounds] for body in ("ours", "bare", "numpy"))
            what = f"{kind} to {kind} with one occluder, against"
            findings += [
                rates("a", f"{what} decoding and encoding alone", ours, bare, len(paths), goals[0]),
                rates("a", f"{what} a numpy float32 paste", ours, plain, len(paths), goals[1]),
            ]
    return findings
