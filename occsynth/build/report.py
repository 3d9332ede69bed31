"""What a build reports to its caller."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build made.

    Attributes:
        manifests: the CSV of each mode.
        rows: pairs per mode; `sources` = `rows` + `rejects` + `excluded`.
        sources: images that the scan found, usable or not.
        rejects: sources that should have given a pair but could not.
        excluded: sources that the database's protocol leaves out.
        rejects_csv: the list of rejects and excluded sources of each mode, all with the same content.
        duplicates: groups of equal images across splits, subjects, folds or labels, listed in the JSON.
        duplicates_across: how many of these groups differ in `split`, `subject`, `fold` and `expression`.
        warnings: differences from published counts, and entries of the subset list that were not found.
        seconds: how long it took.
        reused: everything already existed, and nothing was made.
    """

    manifests: list[Path]
    rows: int
    sources: int
    rejects: int
    excluded: int
    rejects_csv: list[Path]
    duplicates: int
    duplicates_across: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    reused: bool = False
