"""Images in folders that are named after classes, as several databases have them."""

from collections.abc import Callable, Iterator
from pathlib import Path

from occsynth.databases.labels import is_class_name, judge
from occsynth.databases.layout import is_image_name, join, list_folder, walk
from occsynth.databases.record import Reject, ScanItem
from occsynth.databases.scanning import face_record


def has_class_folders(root: Path, folder: str, is_class: Callable[[str], bool] = is_class_name) -> bool:
    """Whether a folder holds at least one folder that is named after a class."""
    return any(map(is_class, list_folder(root, folder).folders))


def class_folder_items(
    root: Path,
    top: str,
    split: str = "",
    skipped: tuple[str, ...] = (),
    judged: Callable[[str, str], str | Reject] = judge,
) -> Iterator[ScanItem]:
    """Yields a record for each image at any depth below the class folders of `top`, and a reject for each other file.

    Files in `top` itself that are not images, such as archives and documents, are ignored.

    Args:
        top: path under the root.
        split: of every record.
        skipped: folders of `top` that are not classes and are read elsewhere.
        judged: source and folder's name -> expression.
    """
    listing = list_folder(root, top)
    yield from listing.faults
    strays = filter(is_image_name, listing.files)
    yield from (Reject(join(top, name), "an image beside the class folders") for name in strays)
    for folder in listing.folders:
        if folder in skipped:
            continue
        for source in walk(root, join(top, folder)):
            if isinstance(source, Reject):
                yield source
            elif not is_image_name(source):
                yield Reject(source, "not named as an image")
            else:
                expression = judged(source, folder)
                if isinstance(expression, Reject):
                    yield expression
                else:
                    yield face_record(source, expression, split=split)
