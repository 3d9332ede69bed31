"""Folders of subjects that hold one folder per sequence, as CK+ and Oulu-CASIA have them."""

import re
from collections.abc import Iterator
from pathlib import Path

from occsynth.databases.layout import list_folder
from occsynth.databases.record import Reject


def sequence_folders(
    root: Path, top: str, subject_name: re.Pattern[str], example: str
) -> Iterator[tuple[str, str] | Reject]:
    """Yields `(subject, sequence)` for each folder in a subject's folder, and a reject for whatever else is there.

    Args:
        top: path under the root of the folder that holds the subjects' folders.
        subject_name: matches the name of a subject's folder.
        example: such a name, for the reject of a folder with another name.
    """
    subjects = list_folder(root, top)
    yield from subjects.faults
    yield from (Reject(f"{top}/{name}", "a file beside the subjects' folders") for name in subjects.files)
    for subject in subjects.folders:
        if not subject_name.fullmatch(subject):
            yield Reject(f"{top}/{subject}", f"not named like a subject's folder, such as {example}")
            continue
        sequences = list_folder(root, f"{top}/{subject}")
        yield from sequences.faults
        yield from (Reject(f"{top}/{subject}/{name}", "a file beside the sequences") for name in sequences.files)
        yield from ((subject, name) for name in sequences.folders)
