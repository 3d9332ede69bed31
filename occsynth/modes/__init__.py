"""How faces are occluded: the table of modes, how each draws an occlusion, and how the drawn record becomes pixels.

Reading sources, aligning faces and writing files do not belong here, and importing this package loads nothing heavy.
"""

from occsynth.errors import UnknownNameError
from occsynth.modes.mode import Mode

MODES: dict[str, Mode] = {
    "random": Mode("a template anywhere on the face", "anywhere:Anywhere"),
    "eyes": Mode("both eyes and brows hidden", "region:Region", ("eyes",)),
    "mouth": Mode("the mouth hidden", "region:Region", ("mouth",)),
    "r8": Mode("a square of 8/48 of the face's side (2.8 % of its area) at a random place", "square:Square", (8,)),
    "r16": Mode("a square of 16/48 of the face's side (11.1 % of its area) at a random place", "square:Square", (16,)),
    "r24": Mode("a square of 24/48 of the face's side (25 % of its area) at a random place", "square:Square", (24,)),
}
"""The occlusion modes: one file and one line here for each."""

REAL = "real"
"""The mode of databases whose images are occluded already: no clean image, no mask, test only."""

DESCRIPTIONS = {
    **{name: mode.description for name, mode in MODES.items()},
    REAL: "images that are occluded already: no clean image, test only",
}
"""Every name that a row's mode can have, `real` included, with what it means."""

GROUPS = {"table2": ("r8", "r16", "r24", "eyes", "mouth")}
"""Names that stand for several modes, built in one pass over the database."""


def expand(names: str) -> list[str]:
    """The modes that a comma-separated list names, in its order, groups opened, none twice.

    >>> expand("random,table2,r8")
    ['random', 'r8', 'r16', 'r24', 'eyes', 'mouth']

    Raises:
        UnknownNameError: an unknown name, or none; the message lists all names.
    """
    modes: list[str] = []
    for name in filter(None, (part.strip() for part in names.split(","))):
        if name not in DESCRIPTIONS and name not in GROUPS:
            raise UnknownNameError(f"unknown mode '{name}'; choose one of: {', '.join([*DESCRIPTIONS, *GROUPS])}")
        modes += [mode for mode in GROUPS.get(name, (name,)) if mode not in modes]
    if not modes:
        raise UnknownNameError(f"no mode given; choose one of: {', '.join([*DESCRIPTIONS, *GROUPS])}")
    return modes
