"""What a user says of another model in a few lines of TOML: what it is shown, what its outputs mean, who trained it.

Each kind of contestant has its keys: those of `About` for answers, `Described` for functions, `Network` for ONNX files.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, TypeVar

from occfer.data.manifests import CONTEMPT, EXPRESSIONS
from occfer.data.vocabulary import LONGEST_WORD, MOST_CLASSES
from occfer.errors import ConfigError
from occfer.runs.model_info import LARGEST_SIDE_PX
from occsynth.reading import read_toml, record_of

NO_CLASS = "-"
"""Stands for an output that is no expression of a suite, such as the valence of a network with several tasks."""
OTHER_WORDS = {
    "angry": "anger",
    "disgusted": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "neutrality": "neutral",
    "sad": "sadness",
    "surprised": "surprise",
    "contemptuous": "contempt",
}
"""What others call the expressions of occsynth."""
MOST_TEXT = 500
FURTHEST_CROP = 2.0
"""Sides beyond the stored face; what lies there is the repeated edge."""

SMALLEST_CROP = 0.05

Box = tuple[float, float, float, float]
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Who a model is, and how it came to be.

    Attributes:
        name: what tables call it; empty takes the name of its file.
        about: such as its network.
        trained_on: databases.
        selected_by: what chose it among others, in words.
    """

    name: str = ""
    about: str = ""
    trained_on: tuple[str, ...] = ()
    selected_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described(About):
    """What a model is shown, and what its outputs mean.

    Attributes:
        size_px: side of the images that it takes; 0: as they are stored.
        crop: left, top, right and bottom of what it is shown, as shares of the side of the stored face; numbers below 0
            and above 1 reach beyond it.
        classes: in the order of its outputs: words of occsynth or of `OTHER_WORDS`, or `NO_CLASS`.
    """

    size_px: int = 0
    crop: Box = WHOLE
    classes: tuple[str, ...] = EXPRESSIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Network(Described):
    """What a network takes besides: how the numbers of a pixel are made.

    A value from 0 to 255 becomes `(value / 255 * scale - mean) / std`.

    Attributes:
        colour: order of the channels; a grey image is repeated for a network that takes three.
        scale: what white becomes, such as 1 or 255.
        mean, std: one number, or one per channel in the network's own order.
    """

    size_px: int
    classes: tuple[str, ...]
    colour: Literal["rgb", "bgr", "grey"] = "rgb"
    scale: float = 1.0
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0


DescriptionT = TypeVar("DescriptionT", bound=About)


def read_description(path: Path, kind: type[DescriptionT]) -> DescriptionT:
    """A description from its file.

    Args:
        path: a TOML file.
        kind: of the contestant that it describes.

    Raises:
        ConfigError: the file cannot be read; or a key is missing, unknown for this kind, or has an impossible value.
    """
    content = read_toml(path, ConfigError)
    keys = [field.name for field in fields(kind)]
    if unknown := [name for name in content if name not in keys]:
        raise ConfigError(
            f"--describe {path}: the key '{unknown[0][:LONGEST_WORD]}' says nothing here; known are {', '.join(keys)}"
        )
    found = record_of(kind, content, f"--describe {path}", ConfigError)
    if wrong := next(_faults(found), ""):
        raise ConfigError(f"--describe {path}: {wrong}")
    return found


def _faults(found: About) -> Iterator[str]:
    """What is impossible about a description."""
    words, texts = (found.name, *found.trained_on), (found.about, found.selected_by)
    if any(len(word) > LONGEST_WORD for word in words) or any(len(text) > MOST_TEXT for text in texts):
        yield f"a name has more than {LONGEST_WORD} letters, or a text more than {MOST_TEXT}"
    if len(found.trained_on) > MOST_CLASSES:
        yield f"trained_on has more than {MOST_CLASSES} entries"
    if isinstance(found, Described):
        yield from _faults_of_faces(found)
        yield from _faults_of_classes(found.classes)
    if isinstance(found, Network):
        yield from _faults_of_numbers(found)


def _faults_of_faces(found: Described) -> Iterator[str]:
    lowest = 1 if isinstance(found, Network) else 0
    if not lowest <= found.size_px <= LARGEST_SIDE_PX:
        yield f"size_px is {found.size_px}; it must be between {lowest} and {LARGEST_SIDE_PX}"
    left, top, right, bottom = found.crop
    near = all(-FURTHEST_CROP <= each <= 1 + FURTHEST_CROP for each in found.crop)
    if not near or right - left < SMALLEST_CROP or not math.isclose(right - left, bottom - top, abs_tol=1e-3):
        yield (
            f"crop is {list(found.crop)}; it must be a square of left, top, right and bottom, as shares of the stored "
            "face's side, such as [0, 0, 1, 1]"
        )


def _faults_of_classes(classes: Sequence[str]) -> Iterator[str]:
    if len(classes) > MOST_CLASSES:
        yield f"classes holds {len(classes):,} outputs, more than {MOST_CLASSES}"
        return
    known = (*EXPRESSIONS, CONTEMPT)
    words = [expression_of(word) for word in classes]
    for word, meant in zip(classes, words, strict=True):
        if meant not in (*known, NO_CLASS):
            yield (
                f"the class '{word[:LONGEST_WORD]}' is none of occsynth's ({', '.join(known)}); write "
                f"'{NO_CLASS}' for an output that is no expression"
            )
    named = [word for word in words if word != NO_CLASS]
    yield from (f"two classes mean {word}" for word in named if named.count(word) > 1)
    if len(named) < 2:
        yield f"classes names {len(named)} expressions; a model tells at least two apart"


def _faults_of_numbers(found: Network) -> Iterator[str]:
    channels = 1 if found.colour == "grey" else 3
    for name, numbers in (("mean", _numbers(found.mean)), ("std", _numbers(found.std))):
        if len(numbers) not in (1, channels):
            yield f"{name} holds {len(numbers)} numbers; give one, or one for each of {channels} channels"
    if min(found.scale, *_numbers(found.std)) <= 0:
        yield "scale and std must be numbers above 0"


def _numbers(value: float | tuple[float, ...]) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,)


def expression_of(word: str) -> str:
    """An expression by the word of occsynth, in any case: `happiness` for `Happy`; other words stay as they are.

    >>> expression_of("Angry"), expression_of("surprise"), expression_of("sleepy")
    ('anger', 'surprise', 'sleepy')
    """
    plain = word.strip().lower()
    return OTHER_WORDS.get(plain, plain)


def named_outputs(classes: Sequence[str]) -> tuple[list[int], tuple[str, ...]]:
    """Which outputs are expressions, and which ones these are.

    >>> named_outputs(("Happy", "-", "sad"))
    ([0, 2], ('happiness', 'sadness'))
    """
    words = [expression_of(word) for word in classes]
    kept = [index for index, word in enumerate(words) if word != NO_CLASS]
    return kept, tuple(words[index] for index in kept)
