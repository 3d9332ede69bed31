"""CK+, the Extended Cohn-Kanade database (Lucey et al., CVPR-W 2010): onset and apex of the labelled sequences.

593 sequences of 123 subjects, 327 of them labelled. Images: the apex (last) frame of the 309 labelled sequences that
are not contempt, and the onset (first) frame of all 327 as neutral: 636 (Pan et al., ACM MM 2019).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from occsynth.databases.codes import Codes
from occsynth.databases.folds import with_subject_folds
from occsynth.databases.layout import find_folder, join, list_folder, not_found, read_text
from occsynth.databases.points import points_of_lines
from occsynth.databases.record import Database, LabelOptions, PointTuples, Reject, ScanItem, Variant
from occsynth.databases.scanning import face_record, labelled
from occsynth.databases.subject_folders import sequence_folders

KEY = "ck+"
EXPECTS = (
    "the folder that holds cohn-kanade-images/ and Emotion/ (and Landmarks/), as unzipped from the authors' archives"
)
IMAGES = ("cohn-kanade-images", "extended-cohn-kanade-images/cohn-kanade-images", "extended-cohn-kanade-images")
EMOTIONS = ("Emotion", "Emotion_labels/Emotion", "Emotion_labels")
LANDMARKS = ("Landmarks", "Landmarks/Landmarks")
CODES = {
    "0": "neutral",
    "1": "anger",
    "2": "contempt",
    "3": "disgust",
    "4": "fear",
    "5": "happy",
    "6": "sadness",
    "7": "surprise",
}
_SUBJECT = re.compile(r"S\d{3,4}")
_SEQUENCE = re.compile(r"\d{3}")
_FRAME = re.compile(r"(S\d{3,4})_(\d{3})_(\d{8})\.png", re.IGNORECASE)
_LABEL = re.compile(r"(S\d{3,4})_(\d{3})_(\d{8})_emotion\.txt", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Copy:
    """Where a copy's folders lie under its root, and how its labels are read."""

    root: Path
    images: str
    emotions: str
    landmarks: str | None
    codes: Codes


@labelled(KEY, ("default",), EXPECTS)
def scan(root: Path, variant: str, labels: LabelOptions) -> Iterator[ScanItem]:
    """Yields onset and apex of the labelled sequences, and a reject for every other sequence."""
    images, emotions = find_folder(root, IMAGES), find_folder(root, EMOTIONS)
    if images is None:
        raise not_found(KEY, root, f"{IMAGES[0]}/", EXPECTS)
    if emotions is None:
        raise not_found(KEY, root, f"{EMOTIONS[0]}/", EXPECTS)
    codes = Codes(KEY, CODES, labels, unused="0")
    copy = _Copy(root, images, emotions, find_folder(root, LANDMARKS), codes)
    return with_subject_folds(codes.guard(_items(copy)))


def _items(copy: _Copy) -> Iterator[ScanItem]:
    with_images: list[str] = []
    for item in _sequences(copy.root, copy.images):
        if isinstance(item, Reject):
            yield item
        else:
            with_images.append(item)
    only_labelled: list[str] = []
    for item in _sequences(copy.root, copy.emotions):
        if isinstance(item, Reject):
            yield item
        elif item not in with_images:
            only_labelled.append(item)
    for sequence in with_images:
        yield from _sequence(copy, sequence)
    for sequence in only_labelled:
        files = list_folder(copy.root, join(copy.emotions, sequence)).files
        yield from (
            Reject(f"{copy.emotions}/{sequence}/{name}", "labelled, but the images of its sequence are missing")
            for name in files
        )


def _sequences(root: Path, top: str) -> Iterator[str | Reject]:
    """Yields `S005/001` for each sequence folder below `top`, and a reject for whatever does not belong there."""
    for item in sequence_folders(root, top, _SUBJECT, "S005"):
        if isinstance(item, Reject):
            yield item
            continue
        subject, name = item
        if _SEQUENCE.fullmatch(name):
            yield f"{subject}/{name}"
        else:
            yield Reject(f"{top}/{subject}/{name}", "not named like a sequence's folder, such as 001")


def _numbered(root: Path, folder: str, sequence: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, str] | Reject]:
    """Yields frame number and path of each file that is named like one of this sequence, and rejects for the others."""
    listing = list_folder(root, folder)
    yield from listing.faults
    yield from (Reject(f"{folder}/{name}", "a folder inside a sequence") for name in listing.folders)
    for name in listing.files:
        match = pattern.fullmatch(name)
        if match and f"{match[1]}/{match[2]}".upper() == sequence:
            yield int(match[3]), f"{folder}/{name}"
        else:
            yield Reject(f"{folder}/{name}", f"not named like a file of sequence {sequence.replace('/', '_')}")


def _sequence(copy: _Copy, sequence: str) -> Iterator[ScanItem]:
    frames: list[tuple[int, str]] = []
    labels: list[tuple[int, str]] = []
    for found, folder, pattern in ((frames, copy.images, _FRAME), (labels, copy.emotions, _LABEL)):
        for item in _numbered(copy.root, f"{folder}/{sequence}", sequence, pattern):
            if isinstance(item, Reject):
                yield item
            else:
                found.append(item)
    here = f"{copy.images}/{sequence}"
    if not labels:
        yield Reject(here, "the sequence has no emotion label", by_protocol=True)
    elif len(labels) > 1:
        yield Reject(here, f"{len(labels)} emotion labels instead of one")
    elif len(frames) < 2:
        yield Reject(here, f"labelled, but it has {len(frames)} frames: onset and apex need two")
    else:
        yield from _onset_and_apex(copy, sorted(frames), labels[0], sequence)


def _onset_and_apex(
    copy: _Copy, frames: list[tuple[int, str]], label: tuple[int, str], sequence: str
) -> Iterator[ScanItem]:
    (_, onset), (last, apex) = frames[0], frames[-1]
    labelled_frame, label_path = label
    code = " ".join((read_text(copy.root / label_path, 1000) or "").split())
    expression = copy.codes.judge(label_path, code)
    if isinstance(expression, Reject) and not expression.by_protocol:
        yield expression
        return
    subject = sequence.partition("/")[0]
    yield face_record(onset, "neutral", subject=subject, points_xy=_points(copy, sequence, onset))
    if isinstance(expression, Reject):
        yield replace(expression, source=apex)
    elif expression == "neutral":
        yield Reject(apex, "labelled neutral: it has no apex of an expression", by_protocol=True)
    elif labelled_frame > last:
        yield Reject(
            apex, f"the apex is missing: the label names frame {labelled_frame}, but the last one here is {last}"
        )
    else:
        yield face_record(apex, expression, subject=subject, points_xy=_points(copy, sequence, apex))


def _points(copy: _Copy, sequence: str, frame: str) -> PointTuples | None:
    """The 68 points that the database ships for a frame, or None if their file is missing or malformed."""
    if copy.landmarks is None:
        return None
    name = frame.rpartition("/")[2][: -len(".png")]
    return points_of_lines(read_text(copy.root / copy.landmarks / sequence / f"{name}_landmarks.txt"), 68)


DATABASE = Database(
    key=KEY,
    title="Extended Cohn-Kanade (CK+)",
    expects=EXPECTS,
    terms="research use only, by signed agreement; images may not be passed on",
    size_px=48,
    variants=(Variant("default", "similarity", cropped=False, note="onset and apex of the labelled sequences"),),
    scan=scan,
    published={"total": 636},
    published_contempt={"total": 18},
    has_contempt=True,
    has_codes=True,
)
