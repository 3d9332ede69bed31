"""SFEW 2.0, static facial expressions in the wild (Dhall et al., 2011, 2015): stills from films, in class folders."""

from collections.abc import Iterator
from pathlib import Path

from occsynth.databases.class_folders import class_folder_items, has_class_folders
from occsynth.databases.layout import find_folder, list_folder, not_found
from occsynth.databases.record import Database, Reject, ScanItem, Variant
from occsynth.databases.scanning import checked

KEY = "sfew"
EXPECTS = (
    "the folder that holds Train/ and Val/, with Train_Aligned_Faces/ and Val_Aligned_Faces/ (or ..._new/) in them"
)
SETS = {"Train": "train", "Val": "test"}  # the test labels are withheld: validation is the test


def _candidates(name: str, variant: str) -> list[str]:
    if variant == "original":
        return [name, f"{name}/{name}"]
    aligned = [f"{name}_Aligned_Faces{ending}" for ending in ("", "_new")]
    return [path for each in aligned for path in (f"{name}/{each}/{each}", f"{name}/{each}", f"{each}/{each}", each)]


@checked(KEY, ("aligned", "original"), EXPECTS)
def scan(root: Path, variant: str) -> Iterator[ScanItem]:
    """Yields the images of Train as train and those of Val as test."""
    tops: dict[str, str] = {}
    for name, split in SETS.items():
        found = [path for path in _candidates(name, variant) if has_class_folders(root, path)]
        if not found:
            looked_for = f"{name}/ with class folders" if variant == "original" else f"{name}/{name}_Aligned_Faces/"
            raise not_found(KEY, root, f"{looked_for} (of the variant '{variant}')", EXPECTS)
        tops[split] = found[0]
    return _items(root, tops)


def _items(root: Path, tops: dict[str, str]) -> Iterator[ScanItem]:
    for split, top in tops.items():
        others = tuple(name for name in list_folder(root, top).folders if "Aligned_" in name or name in SETS)
        yield from class_folder_items(root, top, split, skipped=others)
    if find_folder(root, ["Test"]):
        yield Reject("Test", "the test set's labels are withheld by the authors", by_protocol=True)


DATABASE = Database(
    key=KEY,
    title="Static Facial Expressions in the Wild (SFEW 2.0)",
    expects=EXPECTS,
    terms="research use only, by signed agreement; stills from films, which may not be passed on",
    size_px=144,
    variants=(
        Variant("aligned", "none", cropped=True, note="the authors' aligned faces; Val is the test"),
        Variant(
            "original",
            "similarity",
            cropped=False,
            note="whole stills; Val is the test",
            published={"train": 958, "test": 436},
        ),
    ),
    scan=scan,
    published={"train": 891, "test": 431},
)
