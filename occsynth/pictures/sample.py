"""Which pairs of a manifest a picture or a page shows, and what it says about each."""

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

from occsynth.errors import ManifestError
from occsynth.manifest import Manifest, Row
from occsynth.modes.occlusion import Occlusion

View = Literal["clean", "occluded", "mask"]
VIEWS: tuple[View, ...] = ("clean", "occluded", "mask")

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One pair that is shown, with the manifest that it comes from."""

    manifest: Manifest
    row: Row

    def file(self, view: View) -> Path | None:
        """The image of that view, or None where the row has none (mode `real` has no clean image and no mask).

        Raises:
            ManifestError: the path leaves the build root, or nothing is there.
        """
        relative: str = getattr(self.row, view)
        if not relative:
            return None
        path = self.manifest.file(relative)
        if not path.is_file():
            raise ManifestError(
                f"{path} not found. The images of {self.manifest.path} are not here: give the manifest inside its "
                "build root, or make them with `occsynth replay`"
            )
        return path

    def occluder(self) -> tuple[str, str]:
        """Category and item: `food`, `banana` for a template; the fill twice for a plain patch; else `real` twice."""
        if not self.row.occlusion:
            return self.row.mode, self.row.mode
        occlusion = Occlusion.from_json(self.row.occlusion)
        if occlusion.fill != "template":
            return occlusion.fill, occlusion.fill
        return occlusion.category or "template", PurePosixPath(occlusion.template).stem

    def part(self) -> str:
        """The split or the fold that the row belongs to, or empty."""
        fold = "" if self.row.fold is None else f"fold {self.row.fold}"
        return ", ".join(filter(None, (self.row.split, fold)))


def percent(share: float | None) -> str:
    """`44 %`, or `?` for what was not measured."""
    return "?" if share is None else f"{100 * share:.0f} %"


def printable(text: str) -> str:
    """The text with every control and other invisible character as one replacement sign, for terminals and pictures."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def balanced_sample(manifests: Sequence[Manifest], count: int, seed: int = 0) -> tuple[list[Sample], int]:
    """Pairs in equal shares of the classes and, within each, of the modes; the same ones on every call.

    Rows are read once, and at most `count` of them a class and mode are held.

    Returns:
        the samples, classes in turn, and how many rows there are in all.

    Raises:
        ManifestError: a manifest cannot be read.
    """
    kept: dict[str, dict[str, list[tuple[int, int, Sample]]]] = defaultdict(lambda: defaultdict(list))
    total = 0
    for manifest in manifests:
        for row in manifest.rows():
            total += 1
            heap = kept[row.expression][row.mode]
            entry = (-_draw(seed, row), total, Sample(manifest, row))  # total: no two entries are equal
            if len(heap) < count:
                heapq.heappush(heap, entry)
            else:
                heapq.heappushpop(heap, entry)
    classes = []
    for turn, (_, modes) in enumerate(sorted(kept.items())):
        queues = [[sample for *_, sample in sorted(heap, reverse=True)] for _, heap in sorted(modes.items())]
        start = turn % len(queues)
        classes.append(_in_turn(queues[start:] + queues[:start]))
    return list(islice(_in_turn(classes), count)), total


def _draw(seed: int, row: Row) -> int:
    text = "\x1f".join((str(seed), row.database, row.mode, row.pair_id))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _in_turn(queues: Sequence[Iterable[Item]]) -> Iterator[Item]:
    for tier in zip_longest(*queues):
        yield from (item for item in tier if item is not None)
