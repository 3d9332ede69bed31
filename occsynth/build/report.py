"""What a build tells whoever started it."""

from dataclasses import dataclass, field
from pathlib import Path

"""Called with a phase (`scan`, `pairs`, `manifest`), how much is done, and the total (0 while unknown)."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build made.

    Attributes:
        manifests: one CSV a mode.
        rows: pairs a mode; `sources` = `rows` + `rejects` + `excluded`.
        rejects: sources that should have given a pair and could not; `excluded` ones the protocol leaves out.
        rejects_csv: where both are listed, one file a mode (with the same content).
        duplicates: groups of equal images in different splits or of different subjects, listed in the JSON.
        warnings: differences from published counts, entries of the subset list that were not found.
        reused: everything was there already.
    """

    manifests: list[Path]
    rows: int
    sources: int
    rejects: int
    excluded: int
    rejects_csv: list[Path]
    duplicates: int
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    reused: bool = False
