"""The faces that ship with occsynth: 40 rendered people with seven expressions each (CC0-1.0)."""

from collections.abc import Iterator
from pathlib import Path

from occsynth.databases.codes import Codes
from occsynth.databases.folder_table import table_items
from occsynth.databases.layout import find_file, not_found
from occsynth.databases.record import SEVEN, Database, ScanItem, Variant
from occsynth.databases.scanning import checked

KEY = "demo"
EXPECTS = "left out: the faces ship with occsynth"
ROOT = Path(__file__).resolve().parent.parent / "assets" / "demo_faces"


@checked(KEY, ("default",), EXPECTS)
def scan(root: Path, variant: str) -> Iterator[ScanItem]:
    """Yields a record for each entry of `labels.csv`, with subject-disjoint folds."""
    if find_file(root, ["labels.csv"]) is None:
        raise not_found(KEY, root, "labels.csv", EXPECTS)
    return table_items(KEY, root, "labels.csv", Codes(KEY, {}, SEVEN))


DATABASE = Database(
    key=KEY,
    title="Demo faces (rendered, no real people)",
    expects=EXPECTS,
    terms="CC0-1.0: no conditions; rendered faces, no evidence about people",
    size_px=96,
    variants=(Variant("default", "similarity", cropped=False, note="ten folds of four subjects"),),
    scan=scan,
    published={"total": 280},
    needs_root=False,
)
