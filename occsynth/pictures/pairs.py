"""The pairs that a picture or a page shows: which ones, their images, and what is written about them."""

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar, get_args

from occsynth.errors import ManifestError
from occsynth.manifest import Manifest, Row
from occsynth.modes.occlusion import Occlusion

MAKER = "occsynth preview"
"""Who makes sheets and galleries; they carry it as their mark, see `occsynth.ownership`."""

PairImage = Literal["clean", "occluded", "mask"]
"""An image of a pair, by the column of the manifest that names its file."""

PAIR_IMAGES: tuple[PairImage, ...] = get_args(PairImage)

Element = TypeVar("Element")


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One pair: a row, with the manifest that it comes from."""

    manifest: Manifest
    row: Row

    def file(self, image: PairImage) -> Path | None:
        """The file of an image, or None if the row has no such image (mode `real` has no clean image and no mask).

        Raises:
            ManifestError: the path leaves the build root, or the file is missing.
        """
        relative: str = getattr(self.row, image)
        if not relative:
            return None
        path = self.manifest.file(relative)
        if not path.is_file():
            raise ManifestError(
                f"{path} not found. The images of {self.manifest.path} are missing: give the manifest inside its "
                "build root, or make them with `occsynth replay`"
            )
        return path

    def occluder(self) -> tuple[str, str]:
        """Category and name: `food`, `banana` for a template; the fill twice for a plain patch; else `real` twice."""
        if not self.row.occlusion:
            return self.row.mode, self.row.mode
        occlusion = Occlusion.from_json(self.row.occlusion)
        if occlusion.fill != "template":
            return occlusion.fill, occlusion.fill
        return occlusion.category or "template", PurePosixPath(occlusion.template).stem

    def split_or_fold(self) -> str:
        """The split and the fold that the row belongs to, as far as it has them; else empty."""
        fold = "" if self.row.fold is None else f"fold {self.row.fold}"
        return ", ".join(filter(None, (self.row.split, fold)))


def percent(share: float | None) -> str:
    """A share as text, such as `44 %`; `?` if it was not measured."""
    return "?" if share is None else f"{100 * share:.0f} %"


def balanced_pairs(manifests: Sequence[Manifest], count: int, seed: int = 0) -> tuple[list[Pair], int]:
    """Draws pairs in equal shares of the classes and, within each class, of the modes; the same ones on every call.

    Rows are read once, and at most `count` of them per class and mode are kept in memory.

    Args:
        manifests: what to draw from.
        count: how many pairs at most.
        seed: another number draws other pairs.

    Returns:
        the pairs, with classes taking turns, and the number of rows of all manifests.

    Raises:
        ManifestError: a manifest cannot be read.
    """
    kept: dict[str, dict[str, list[tuple[int, int, Pair]]]] = defaultdict(lambda: defaultdict(list))
    total = 0
    for manifest in manifests:
        for row in manifest.rows():
            total += 1
            heap = kept[row.expression][row.mode]
            # `total` differs between entries, so that the heap never has to compare two pairs
            entry = (-_draw(seed, row), total, Pair(manifest, row))
            if len(heap) < count:
                heapq.heappush(heap, entry)
            else:
                heapq.heappushpop(heap, entry)
    classes = []
    for turn, (_, modes) in enumerate(sorted(kept.items())):
        queues = [[pair for *_, pair in sorted(heap, reverse=True)] for _, heap in sorted(modes.items())]
        start = turn % len(queues)
        classes.append(_in_turn(queues[start:] + queues[:start]))
    return list(islice(_in_turn(classes), count)), total


def _draw(seed: int, row: Row) -> int:
    """A random number that depends on the row alone, so that the drawn pairs do not depend on the order of rows."""
    text = "\x1f".join((str(seed), row.database, row.mode, row.pair_id))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _in_turn(queues: Sequence[Iterable[Element]]) -> Iterator[Element]:
    for tier in zip_longest(*queues):
        yield from (item for item in tier if item is not None)
