"""From class names as databases write them to the canonical expressions."""

from collections.abc import Mapping

from occsynth.databases.record import CONTEMPT, EXPRESSIONS, SEVEN, LabelOptions, Reject
from occsynth.errors import BuildError

SYNONYMS: Mapping[str, str] = {
    **{name: name for name in EXPRESSIONS},
    "angry": "anger",
    "disgusted": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "neural": "neutral",  # FED-RO's own spelling
    "sad": "sadness",
    "surprised": "surprise",
    "suprise": "surprise",  # misspelt so in some copies
}

_LARGEST_CODE = 1e6

LEFT_OUT = (CONTEMPT, "none", "uncertain", "unknown", "no-face", "noface", "nf", "non-face", "other")
"""Classes of some databases that the seven-class protocol leaves out; of these, the eight classes have contempt."""


def expression_of(word: str) -> str | None:
    """The canonical expression of a class name in any case, or None."""
    return SYNONYMS.get(word.strip().lower())


def is_class_name(word: str) -> bool:
    """Whether a folder of this name holds a class: one of the seven, or one that the protocol leaves out."""
    return expression_of(word) is not None or word.strip().lower() in LEFT_OUT


def judge(source: str, word: str, labels: LabelOptions = SEVEN) -> str | Reject:
    """The canonical expression of a class name, or a reject that says why it has none.

    Args:
        source: of the reject.
        word: class name as the database writes it.
        labels: with eight classes, contempt is an expression too.
    """
    expression = expression_of(word)
    if expression:
        return expression
    if labels.classes == 8 and word.strip().lower() == CONTEMPT:
        return CONTEMPT
    if word.strip().lower() in LEFT_OUT:
        number = "seven" if labels.classes == 7 else "eight"
        return Reject(source, f"'{word}' is not one of the {number} expressions", by_protocol=True)
    if word.strip().isdecimal():
        return Reject(
            source, f"'{word[:40]}' is a number; say what it means, such as --labels {word.strip()[:9]}=happy"
        )
    return Reject(source, f"unknown class '{word}'; known are {', '.join(EXPRESSIONS)} and their common synonyms")


def parse_scheme(text: str) -> tuple[tuple[str, str], ...]:
    """What `--labels` says: pairs of a code, or a word of one's own, and the class that it stands for.

    >>> parse_scheme("1=surprise,2=fear")
    (('1', 'surprise'), ('2', 'fear'))

    Raises:
        BuildError: a part is no such pair, a class is unknown, or a code stands there twice.
    """
    scheme: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        code, equals, word = (each.strip() for each in part.partition("="))
        if not (code and equals and word):
            raise BuildError(f"--labels: '{part[:60]}' is no code with its class; write --labels 1=surprise,2=fear,...")
        if not is_class_name(word):
            known = ", ".join((*EXPRESSIONS, *LEFT_OUT))
            raise BuildError(f"--labels: '{part[:60]}' names the unknown class '{word[:40]}'; known are {known}")
        code = whole_number(code) or code.lower()
        if code in scheme:
            raise BuildError(f"--labels gives the code {code[:40]} twice")
        scheme[code] = expression_of(word) or word.lower()
    return tuple(sorted(scheme.items(), key=lambda item: (whole_number(item[0]) is None, len(item[0]), item[0])))


def whole_number(text: str) -> str | None:
    """A whole number as it is written shortest, `3` for `03` and `3.0000000e+00`; None for any other text."""
    try:
        value = float(text.strip()[:40])
    except ValueError:
        return None
    return str(int(value)) if abs(value) < _LARGEST_CODE and value.is_integer() else None
