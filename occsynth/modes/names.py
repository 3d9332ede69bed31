"""Names and one-line descriptions of the modes, without the imports that sampling needs: for `--help` and lists."""

from occsynth.errors import UnknownNameError

REAL = "real"
"""The mode of databases whose images are occluded already: no clean image, no mask, test only."""

DESCRIPTIONS = {
    "random": "a template anywhere on the face",
    "eyes": "both eyes and brows hidden",
    "mouth": "the mouth hidden",
    "r8": "a square of 8/48 of the face's side (2.8 % of its area) at a random place",
    "r16": "a square of 16/48 of the face's side (11.1 % of its area) at a random place",
    "r24": "a square of 24/48 of the face's side (25 % of its area) at a random place",
    REAL: "images that are occluded already: no clean image, test only",
}

GROUPS = {"table2": ("r8", "r16", "r24", "eyes", "mouth")}
"""Names that stand for several modes, built in one pass over the database."""


def expand(names: str) -> list[str]:
    """The modes of a comma-separated list, groups opened, in order, none twice.

    Raises:
        UnknownNameError: naming what there is.
    """
    modes: list[str] = []
    for name in filter(None, (part.strip() for part in names.split(","))):
        if name not in DESCRIPTIONS and name not in GROUPS:
            raise UnknownNameError(f"unknown mode '{name}'; choose one of: {', '.join([*DESCRIPTIONS, *GROUPS])}")
        modes += [mode for mode in GROUPS.get(name, (name,)) if mode not in modes]
    if not modes:
        raise UnknownNameError(f"no mode given; choose one of: {', '.join([*DESCRIPTIONS, *GROUPS])}")
    return modes
