"""Lists of a user's own that name no columns: a path and its label in each line, in one list or in one per split."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from occsynth.databases.codes import Codes
from occsynth.databases.folder_table import SPLITS
from occsynth.databases.folds import hashed_fold
from occsynth.databases.layout import IMAGE_ENDINGS, file_fault, lines_of, list_folder, listed_path
from occsynth.databases.record import Reject, ScanItem
from occsynth.databases.scanning import face_record
from occsynth.errors import DatabaseLayoutError

_ENDINGS = (".txt", ".lst", ".list")
_LINE = re.compile(
    rf"(.+?(?:{'|'.join(map(re.escape, IMAGE_ENDINGS))}))\s*[,;\s]\s*([^\s,;]+)(?:[\s,;].*)?", re.IGNORECASE
)
"""A path, which may hold blanks, a label, which may not, and maybe more."""


def find_lists(root: Path) -> tuple[dict[str, str], list[Reject]]:
    """The lists in a root with the split of each, and a reject by protocol for each list that is not used.

    Used are those that are named after splits; else the one of the name labels; else the only one. A file counts as a
    list if its first line is a path of an image with a label.
    """
    lists = {name: SPLITS.get(_stem(name), "") for name in list_folder(root).files if _is_list(root / name)}
    used = {name: split for name, split in lists.items() if split}
    if not used:
        named = [name for name in lists if name.rpartition(".")[0].lower() == "labels"] if len(lists) > 1 else lists
        used = dict.fromkeys(named, "") if len(named) == 1 else {}
    why = f"not used, because of {' and '.join(used)}"
    if not used:
        why = (
            f"{' and '.join(lists)} could each be the list of labels: name the one to use labels.txt, or those of the "
            "splits train.txt, val.txt and test.txt"
        )
    return used, [Reject(name, why, by_protocol=True) for name in lists if name not in used]


def _stem(name: str) -> str:
    return re.sub(r"[-_ .](list|labels?)$", "", name.rpartition(".")[0].lower())


def _is_list(path: Path) -> bool:
    if not path.name.lower().endswith(_ENDINGS):
        return False
    try:
        line = next((line for _, line in lines_of(path)), "")
    except DatabaseLayoutError:  # any file may end in .txt
        return False
    return _LINE.fullmatch(line) is not None


def list_items(root: Path, lists: dict[str, str], codes: Codes) -> Iterator[ScanItem]:
    """Yields a record or reject for each line; where lists name no split, folds come from the hash of the path.

    Raises:
        DatabaseLayoutError: a list is unreadable; after its last line, if its codes do not fit.
    """
    return (item for name, split in lists.items() for item in _items(root, name, split, codes.again()))


def _items(root: Path, name: str, split: str, codes: Codes) -> Iterator[ScanItem]:
    lines = lines_of(root / name)
    return codes.guard(_item(root, f"{name}#line={number}", line, split, codes) for number, line in lines)


def _item(root: Path, here: str, line: str, split: str, codes: Codes) -> ScanItem:
    match = _LINE.fullmatch(line)
    if match is None:
        return Reject(here, f"'{line[:60]}' is not of the form 'folder/name.jpg 3'")
    source = listed_path(root, match[1])
    expression = codes.judge(source, match[2])
    fault = file_fault(root, source)
    if isinstance(expression, Reject) or fault:
        return expression if isinstance(expression, Reject) else Reject(source, fault or "")
    record = face_record(source, expression, split=split)
    return record if split else replace(record, fold=hashed_fold(source))
