"""How faces are occluded: the table of modes, how each draws an occlusion, and how the drawn record becomes pixels.

Reading sources, aligning faces and writing files do not belong here, and importing this package loads nothing heavy.
"""

import re
from functools import cache

from occsynth.errors import UnknownNameError
from occsynth.modes.mode import Family, Mode
from occsynth.option_values import Look


def _square(side_of_48: int, *, hides: str, template_hides: str) -> Mode:
    """A mode of squares, with the shares of the picture that `occsynth modes --measure` finds on the demo faces."""
    return Mode(
        f"a square of {side_of_48}/48 of the picture's side at a random place: plain, it hides {hides} of the picture; "
        f"a template in it about {template_hides}",
        "square:Square",
        (side_of_48,),
        picture_fraction=(side_of_48 / 48) ** 2,
    )


MODES: dict[str, Mode] = {
    "random": Mode("a template anywhere on the face", "anywhere:Anywhere"),
    "eyes": Mode("both eyes and brows hidden", "region:Region", ("eyes",)),
    "mouth": Mode("the mouth hidden", "region:Region", ("mouth",)),
    "r8": _square(8, hides="2.8 %", template_hides="1.1 %"),
    "r16": _square(16, hides="11.1 %", template_hides="4.4 %"),
    "r24": _square(24, hides="25 %", template_hides="9.9 %"),
    "sunglasses": Mode("sunglasses worn over the eyes", "worn:Worn", wears=("sunglasses",)),
    "mask": Mode("a mask or scarf worn over nose, mouth and chin", "worn:Worn", wears=("mask", "scarf")),
}
"""The occlusion modes: one file and one line here for each."""

FAMILIES: dict[str, Family] = {
    "upper": Family("the upper NN % of the face hidden", "part:Part", ("upper",)),
    "lower": Family("the lower NN % of the face hidden", "part:Part", ("lower",)),
    "left": Family("the left NN % of the face hidden, as seen in the picture", "part:Part", ("left",)),
    "right": Family("the right NN % of the face hidden, as seen in the picture", "part:Part", ("right",)),
    "cover": Family("NN % of the face hidden at a random place", "cover:Cover"),
}
"""Modes with a share in their name, from `upper-1` to `upper-99`: one line here for all of a kind."""

_IN_FAMILY = re.compile(f"({'|'.join(FAMILIES)})-([1-9][0-9]?)")

EXAMPLES = tuple(f"{name}-{percent}" for name, family in FAMILIES.items() for percent in family.examples)
"""Some modes of every family."""

SQUARES = ("r8", "r16", "r24")
"""The modes whose squares `--square-at` places."""

REAL = "real"
"""The mode of databases whose images are occluded already: no clean image, no mask, test only."""

DESCRIPTIONS = {
    **{name: mode.description for name, mode in MODES.items()},
    **{f"{name}-NN": f"{family.description}; NN is 1 to 99" for name, family in FAMILIES.items()},
    REAL: "images that are occluded already: no clean image, test only",
}
"""Every name that a row's mode can have, `real` included, with what it means; NN stands for a share in per cent."""

GROUPS = {"table2": ("r8", "r16", "r24", "eyes", "mouth")}
"""Names that stand for several modes, built in one pass over the database."""

_OF_THE_PAPER = ("random", "eyes", "mouth", "r8", "r16", "r24")

OTHER_LOOK: Look = "pasted"
"""The look of the modes that the paper does not have; docs/results/ferplus.md has the measurement that decided it."""


def default_look(mode: str) -> Look:
    """How templates look in a mode unless the user says otherwise: pasted in the paper's."""
    return "pasted" if mode in _OF_THE_PAPER else OTHER_LOOK


@cache  # one `Mode`, which keeps what it has made, for each name
def find_mode(name: str) -> Mode:
    """The mode of a name.

    >>> find_mode("r16") is MODES["r16"], find_mode("upper-40").description
    (True, 'the upper 40 % of the face hidden')

    Raises:
        UnknownNameError: there is none; the message lists all names. `real` is none, since it draws nothing.
    """
    if name in MODES:
        return MODES[name]
    found = _IN_FAMILY.fullmatch(name)
    if not found:
        raise _unknown(name, [known for known in DESCRIPTIONS if known != REAL])
    return FAMILIES[found[1]].mode(int(found[2]))


def is_mode(name: str) -> bool:
    """Whether a row's mode can have this name, `real` included."""
    return name == REAL or name in MODES or bool(_IN_FAMILY.fullmatch(name))


def _unknown(name: str, names: list[str]) -> UnknownNameError:
    listed = f"choose one of: {', '.join(names)}, where NN is a share in per cent, from 1 to 99, as in upper-40"
    return UnknownNameError(f"unknown mode '{name}'; {listed}" if name else f"no mode given; {listed}")


def expand(names: str) -> list[str]:
    """The modes that a comma-separated list names, in its order, groups opened, none twice.

    >>> expand("random,table2,r8")
    ['random', 'r8', 'r16', 'r24', 'eyes', 'mouth']

    Raises:
        UnknownNameError: an unknown name, or none; the message lists all names.
    """
    modes: list[str] = []
    for name in filter(None, (part.strip() for part in names.split(","))):
        if name not in GROUPS and not is_mode(name):
            raise _unknown(name, [*DESCRIPTIONS, *GROUPS])
        modes += [mode for mode in GROUPS.get(name, (name,)) if mode not in modes]
    if not modes:
        raise _unknown("", [*DESCRIPTIONS, *GROUPS])
    return modes
