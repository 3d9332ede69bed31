"""From class names as databases write them to the seven canonical expressions."""

from collections.abc import Mapping

from occsynth.databases.record import EXPRESSIONS, Reject

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

LEFT_OUT = ("contempt", "none", "uncertain", "unknown", "no-face", "noface", "nf", "non-face", "other")
"""Classes of some databases that the seven-class protocol leaves out."""


def expression_of(word: str) -> str | None:
    """The canonical expression of a class name in any case, or None."""
    return SYNONYMS.get(word.strip().lower())


def is_class_name(word: str) -> bool:
    """Whether a folder of this name holds a class: one of the seven, or one that the protocol leaves out."""
    return expression_of(word) is not None or word.strip().lower() in LEFT_OUT


def judge(source: str, word: str) -> str | Reject:
    """The canonical expression of a class name, or a reject that says why it has none.

    Args:
        source: of the reject.
        word: class name as the database writes it.
    """
    expression = expression_of(word)
    if expression:
        return expression
    if word.strip().lower() in LEFT_OUT:
        return Reject(source, f"'{word}' is not one of the seven expressions", by_protocol=True)
    return Reject(source, f"unknown class '{word}'; known are {', '.join(EXPRESSIONS)} and their common synonyms")


def judge_code(source: str, code: str, names: Mapping[str, str]) -> str | Reject:
    """As `judge`, for a database that writes its classes as codes.

    Args:
        names: class name by code.
    """
    word = names.get(code.strip())
    if word is None:
        return Reject(source, f"unknown label '{code.strip()[:40]}'; expected one of {', '.join(names)}")
    return judge(source, word)
