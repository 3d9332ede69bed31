"""MMI (Pantic et al., 2005; Valstar and Pantic, 2010): videos with one emotion each; onset and peak frame are used.

No list of peak frames is published, so we take the frame of the middle third whose landmarks moved most (`peaks.py`).
The first frame counts as neutral. Sessions that were not filmed from the front are left out.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.parsers import expat

from occsynth.databases.codes import Codes
from occsynth.databases.folds import with_subject_folds
from occsynth.databases.layout import find_folder, list_folder, not_found
from occsynth.databases.record import Database, LabelOptions, Reject, ScanItem, Variant
from occsynth.databases.scanning import face_record, labelled
from occsynth.errors import SourceError

KEY = "mmi"
EXPECTS = "the folder that holds Sessions/, with <number>/session.xml, <name>.avi and <name>.xml in it"
TOPS = ("Sessions", "mmi/Sessions", "MMI/Sessions")
CODES = {
    "1": "anger",
    "2": "disgust",
    "3": "fear",
    "4": "happy",
    "5": "sadness",
    "6": "surprise",
    "7": "other",  # scream
    "8": "other",  # bored
    "9": "other",  # sleepy
}
_SUBJECT = re.compile(r"(S\d{3})[-_]\d+", re.IGNORECASE)
_LARGEST_XML = 1 << 20

Elements = list[tuple[str, dict[str, str]]]
Frames = Callable[[Path, str, str, str], Iterator[ScanItem]]
"""Root, clip, expression, subject -> the clip's records."""


@labelled(KEY, ("default",), EXPECTS)
def scan(root: Path, variant: str, labels: LabelOptions) -> Iterator[ScanItem]:
    """Yields onset and peak of each frontal session with one of the six emotions."""
    codes = Codes(KEY, CODES, labels)
    return with_subject_folds(codes.guard(_items(root, _top(root), codes, _onset_and_peak)))


@labelled(KEY, ("default",), EXPECTS)
def candidates(root: Path, variant: str, labels: LabelOptions) -> Iterator[ScanItem]:
    """Yields every frame that could be the onset or the peak of such a session, without asking the detector."""
    codes = Codes(KEY, CODES, labels)
    return with_subject_folds(codes.guard(_items(root, _top(root), codes, _every_frame)))


def _top(root: Path) -> str:
    top = find_folder(root, TOPS)
    if top is None:
        raise not_found(KEY, root, "Sessions/", EXPECTS)
    return top


def _items(root: Path, top: str, codes: Codes, frames: Frames) -> Iterator[ScanItem]:
    sessions = list_folder(root, top)
    yield from sessions.faults
    yield from (Reject(f"{top}/{name}", "a file beside the sessions' folders") for name in sessions.files)
    for name in sorted(sessions.folders, key=lambda name: (len(name), name)):
        yield from _session(root, f"{top}/{name}", codes, frames)


def _session(root: Path, folder: str, codes: Codes, frames: Frames) -> Iterator[ScanItem]:
    listing = list_folder(root, folder)
    yield from listing.faults
    clips = [name for name in listing.files if name.lower().endswith(".avi")]
    if "session.xml" not in listing.files:
        yield Reject(folder, "no session.xml")
        return
    session = xml_elements(root / folder / "session.xml")
    if isinstance(session, str):
        yield Reject(f"{folder}/session.xml", session)
        return
    view = next((attributes["view"] for tag, attributes in session if tag == "track" and "view" in attributes), "0")
    if view != "0":
        yield Reject(folder, f"view {view}; only view 0, the frontal one, is used", by_protocol=True)
    elif len(clips) != 1:
        yield Reject(folder, f"{len(clips)} .avi files instead of one", by_protocol=not clips)
    else:
        described = f"{clips[0][:-4]}.xml" in listing.files
        if described:
            yield from _clip(root, f"{folder}/{clips[0]}", session, codes, frames)
        else:
            yield Reject(f"{folder}/{clips[0]}", f"no {clips[0][:-4]}.xml, so no emotion label", by_protocol=True)


def _clip(root: Path, source: str, session: Elements, codes: Codes, frames: Frames) -> Iterator[ScanItem]:
    name = source.rpartition("/")[2][:-4]
    description = xml_elements((root / source).with_name(f"{name}.xml"))
    if isinstance(description, str):
        yield Reject(source, f"{name}.xml: {description}")
        return
    emotions = [
        found.get("Value", "") for tag, found in description if tag == "Metatag" and found.get("Name") == "Emotion"
    ]
    if len(emotions) != 1:
        yield Reject(source, f"{len(emotions)} emotion labels instead of one", by_protocol=not emotions)
        return
    expression = codes.judge(source, emotions[0])
    subject = _subject(name, session)
    if isinstance(expression, Reject):
        yield expression
    elif not subject:
        yield Reject(source, "no subject: the name is not like S001-001, and session.xml names no subject")
    else:
        yield from frames(root, source, expression, subject)


def _subject(name: str, session: Elements) -> str:
    match = _SUBJECT.match(name)
    if match:
        return match[1].upper()
    attributes = next((found for tag, found in session if tag == "subject"), {})
    return attributes.get("id", attributes.get("subjectId", ""))


def _onset_and_peak(root: Path, source: str, expression: str, subject: str) -> Iterator[ScanItem]:
    from occsynth.databases import peaks  # loads OpenCV and MediaPipe, which no other database needs
    from occsynth.pixels.source_faults import explained_source_faults

    try:
        with explained_source_faults():
            peak = peaks.find_peak(root / source)
    except SourceError as error:
        yield Reject(source, str(error))
        return
    if isinstance(peak, str):
        yield Reject(source, peak)
        return
    yield face_record(f"{source}#frame=0", "neutral", subject=subject, points_xy=peak.onset_xy)
    yield face_record(f"{source}#frame={peak.frame}", expression, subject=subject, points_xy=peak.peak_xy)


def _every_frame(root: Path, source: str, expression: str, subject: str) -> Iterator[ScanItem]:
    from occsynth.pixels.videos import count_frames  # loads OpenCV, which no other database needs

    for number in range(count_frames(root / source).decoded):
        yield face_record(f"{source}#frame={number}", expression if number else "neutral", subject=subject)


def xml_elements(path: Path) -> Elements | str:
    """The tag and attributes of every element, or what is wrong.

    A document type is refused, and with it every entity: a small file must not expand to a huge one, or read others.
    """
    found: Elements = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda tag, attributes: found.append((tag, attributes))
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_XML + 1)
        if len(content) > _LARGEST_XML:
            return f"larger than {_LARGEST_XML} bytes"
        parser.Parse(content, True)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (expat.ExpatError, _RefusedError) as error:
        return f"not read: {error}"
    return found


class _RefusedError(Exception):
    """Raised inside the parser to stop it."""


def _refuse(*_: object) -> None:
    raise _RefusedError("it declares a document type or an entity, which the files of this database never do")


DATABASE = Database(
    key=KEY,
    title="MMI Facial Expression Database",
    expects=EXPECTS,
    terms="research use only, by signed agreement; videos and images may not be passed on",
    size_px=48,
    variants=(Variant("default", "similarity", cropped=False, note="first frame as neutral, and our peak frame"),),
    scan=scan,
    candidates=candidates,
    has_codes=True,
)
