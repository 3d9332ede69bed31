"""Lists of a user's own that name no columns: a path and its label in each line, in one list or in one per split."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from occsynth.databases.codes import Codes
from occsynth.databases.folder_table import SPLITS
from occsynth.databases.folds import hashed_fold
from occsynth.databases.layout import file_fault, is_image_name, lines_of, list_folder, listed_path
from occsynth.databases.record import Reject, ScanItem
from occsynth.databases.scanning import face_record
from occsynth.errors import DatabaseLayoutError

_ENDINGS = (".txt", ".lst", ".list")
_LINE = re.compile(r"(.+?)\s*[,;\s]\s*(\S+)")
"""A path, which may hold blanks, and a label, which may not."""


def find_lists(root: Path) -> dict[str, str]:
    """The lists in a root and the split of each: one per split, named after it, or one for all, without a split.

    A file counts as a list if its first line is a path of an image with a label.
    """
    lists = {name: SPLITS.get(_stem(name), "") for name in list_folder(root).files if _is_list(root / name)}
    with_split = {name: split for name, split in lists.items() if split}
    return with_split or (lists if len(lists) == 1 else {name: "" for name in lists if _stem(name) == "labels"})


def _stem(name: str) -> str:
    return re.sub(r"[-_ .]?(list|labels?)$", "", name.rpartition(".")[0].lower()) or "labels"


def _is_list(path: Path) -> bool:
    if not path.name.lower().endswith(_ENDINGS):
        return False
    try:
        line = next((line for _, line in lines_of(path)), "")
    except DatabaseLayoutError:  # any file may end in .txt
        return False
    match = _LINE.fullmatch(line)
    return match is not None and is_image_name(match[1])


def list_items(root: Path, lists: dict[str, str], codes: Codes) -> Iterator[ScanItem]:
    """Yields a record or reject for each line; where lists name no split, folds come from the hash of the path.

    Raises:
        DatabaseLayoutError: a list is unreadable; after the last line, if the codes do not fit.
    """
    return codes.guard(
        _item(root, f"{name}#line={number}", line, split, codes)
        for name, split in lists.items()
        for number, line in lines_of(root / name)
    )


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
