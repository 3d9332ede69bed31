"""Small raw databases of demo faces, with the layout, the odd spellings and the faults of the real ones."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from occsynth.databases.demo import ROOT
from occsynth.databases.record import EXPRESSIONS
from occsynth.pixels.images import Pixels


@dataclass(frozen=True, slots=True)
class Expected:
    """What a scan of a tree must yield.

    Attributes:
        records: by split, or by the empty text where the database has none.
        protocol: rejects that the protocol asks for.
        faults: other rejects, by a part of their source or reason.
    """

    records: Mapping[str, int]
    protocol: int = 0
    faults: tuple[str, ...] = field(default=())


@cache
def face_bytes(subject: int, expression: str, ending: str = ".jpg", side_px: int = 96) -> bytes:
    """The bytes of an image file of a demo face of `side_px`."""
    image = cv2.resize(demo_image(subject, expression), (side_px, side_px), interpolation=cv2.INTER_AREA)
    done, content = cv2.imencode(ending, image)
    assert done
    return content.tobytes()


def put(path: Path, subject: int = 1, expression: str = "neutral", side_px: int = 96) -> Path:
    """Writes a demo face in the format of the path's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(face_bytes(subject, expression, path.suffix.lower(), side_px))
    return path


def write(path: Path, text: str | bytes = "") -> Path:
    """Writes text or bytes, and creates the folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def points_text(separator: str = " ", count: int = 68) -> str:
    """`count` lines of made-up points."""
    return "".join(f"   {10 + i * 0.5:.7e}{separator}{20 + i * 0.25:.7e}\n" for i in range(count))


def ck_plus(root: Path) -> dict[str, Expected]:
    """Four labelled sequences (one contempt), an unlabelled one, one with an empty label folder, and faults."""
    sequences = {("S005", "001"): 3, ("S010", "002"): 7, ("S011", "003"): 1, ("S138", "008"): 2}
    for number, ((subject, session), code) in enumerate(sequences.items(), start=1):
        frames = root / "cohn-kanade-images" / subject / session
        for frame in (1, 2, 5):  # a gap
            put(frames / f"{subject}_{session}_{frame:08d}.png", number, "anger" if frame == 5 else "neutral")
        label = root / "Emotion" / subject / session / f"{subject}_{session}_00000005_emotion.txt"
        write(label, f"   {code:.7e}\n")
        landmarks = root / "Landmarks" / subject / session
        write(landmarks / f"{subject}_{session}_00000001_landmarks.txt", points_text())
        write(landmarks / f"{subject}_{session}_00000005_landmarks.txt", "no points\n")
    put(root / "cohn-kanade-images/S005/002/S005_002_00000001.png")  # unlabelled: no folder
    put(root / "cohn-kanade-images/S005/003/S005_003_00000001.png")
    (root / "Emotion/S005/003").mkdir(parents=True)  # unlabelled: an empty folder
    write(root / "cohn-kanade-images/S005/.DS_Store", b"\0\0\0\1Bud1")
    write(root / "cohn-kanade-images/S005/001/._S005_001_00000001.png", b"\0")
    put(root / "cohn-kanade-images/S005/001/copy of S005_001_00000001.png")
    write(root / "Emotion/S010/004/S010_004_00000019_emotion.txt", "   3.0000000e+00\n")
    return {"default": Expected({"": 4 + 3}, protocol=3, faults=("copy of", "S010_004_00000019_emotion.txt"))}


def ck48(root: Path) -> dict[str, Expected]:
    """Two sequences of three frames, contempt and a misnamed file."""
    for subject, folder in ((1, "happy"), (2, "anger")):
        for frame in (12, 13, 14):
            put(root / folder / f"S{subject:03d}_001_{frame:08d}.png", subject, "anger", side_px=48)
    put(root / "contempt/S138_001_00000010.png", 3, side_px=48)
    put(root / "happy/happy1.png", 3, side_px=48)
    return {
        "last-three": Expected({"": 6}, protocol=1, faults=("happy1.png",)),
        "last": Expected({"": 2}, protocol=5, faults=("happy1.png",)),
    }


def raf_db(root: Path) -> dict[str, Expected]:
    """The list with its spelling and CRLF, a missing image, an unlisted one, and an unknown label."""
    base = root / "basic"
    lines = []
    for number in range(1, 8):
        for split in ("train", "test"):
            name = f"{split}_{number:05d}" if split == "train" else f"{split}_{number:04d}"
            lines.append(f"{name}.jpg {number}")
            put(base / f"Image/aligned/{name}_aligned.jpg", number, "fear")
            put(base / f"Image/original/{name}.jpg", number, "fear")
            attributes = points_text("\t", 5) + "0\n1\n2\n"
            write(base / f"Annotation/manual/{name}_manu_attri.txt", attributes)
    lines += ["train_00099.jpg 4", "train_00001.jpg 4", "train_00098.jpg ?", "rubbish"]
    put(base / "Image/aligned/train_00098_aligned.jpg")
    put(base / "Image/original/train_00098.jpg")
    put(base / "Image/aligned/train_00097_aligned.jpg")
    put(base / "Image/original/train_00097.jpg")
    write(base / "EmoLabel/list_patition_label.txt", "\r\n".join(lines) + "\r\n")
    faults = ("train_00099", "train_00001", "train_00098", "line=18", "train_00097")
    expected = Expected({"train": 7, "test": 7}, faults=faults)
    return {"aligned": expected, "original": expected}


AFFECTNET_HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
)


def affectnet_row(path: str, code: str | int) -> str:
    """A line of the CSV release."""
    points = ";".join(str(10 + i) for i in range(136))
    return f"{path},10,12,70,72,{points},{code},-0.5,0.25"


def affectnet(root: Path) -> dict[str, Expected]:
    """The CSV release: a header in one of the lists, all eleven codes, an unknown one, and a missing image."""
    images = root / "Manually_Annotated_Images"
    training = [AFFECTNET_HEADER]
    for code in (*range(11), "x"):
        put(images / f"{code}/a{code}.jpg", 1, "anger")
        training.append(affectnet_row(f"{code}/a{code}.jpg", code))
    training.append(affectnet_row("9/missing.jpg", 1))
    put(images / "1/val.JPG", 2, "happiness")
    write(root / "Manually_Annotated_file_lists/training.csv", "\n".join(training) + "\n")
    write(root / "Manually_Annotated_file_lists/validation.csv", affectnet_row("1/val.JPG", 1) + "\r\n")
    return {"default": Expected({"train": 7, "test": 1}, protocol=4, faults=("x/ax", "missing.jpg"))}


def affectnet_npy(root: Path) -> dict[str, Expected]:
    """The npy release: codes as text arrays, contempt, a missing annotation, and one that needs pickle."""
    for folder, names in (("train_set", ("0", "1", "7")), ("val_set", ("3",))):
        (root / folder / "annotations").mkdir(parents=True)
        for code in names:
            put(root / folder / f"images/{code}.jpg", 1, "neutral")
            np.save(root / folder / f"annotations/{code}_exp.npy", np.array(code))
            np.save(root / folder / f"annotations/{code}_lnd.npy", np.arange(136, dtype=np.float64))
    put(root / "train_set/images/50.jpg")
    put(root / "train_set/images/51.jpg")
    np.save(root / "train_set/annotations/51_exp.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return {"default": Expected({"train": 2, "test": 1}, protocol=1, faults=("50.jpg", "51.jpg"))}


def sfew(root: Path) -> dict[str, Expected]:
    """Aligned and original stills; the validation folder under its later name; a test set without labels."""
    for name, aligned in (("Train", "Train_Aligned_Faces"), ("Val", "Val_Aligned_Faces_new")):
        for number, folder in enumerate(("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"), start=1):
            for top in (f"{name}/{aligned}", name):
                put(root / top / folder / f"Airheads_00051924{number}_00000005.png", number, "sadness")
    write(root / "Train/Train_Aligned_Faces.zip", b"PK")
    put(root / "Test/Test_Aligned_Faces/unknown.png")
    expected = Expected({"train": 7, "test": 7}, protocol=1)
    return {"aligned": expected, "original": expected}


def write_clip(path: Path, images: list[Pixels]) -> Path:
    """An MJPEG video of BGR frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = (images[0].shape[1], images[0].shape[0])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, size)
    for image in images:
        writer.write(image)
    writer.release()
    return path


def demo_image(subject: int, expression: str) -> Pixels:
    """A demo face at its own size, BGR."""
    image = cv2.imread(str(ROOT / f"images/s{subject:03d}/s{subject:03d}_{expression}.jpg"))
    assert image is not None
    return np.asarray(image, np.uint8)


def _mmi_session(root: Path, number: int, *, code: str | None, view: str = "0", frames: int = 9) -> None:
    folder, name = root / f"Sessions/{number}", f"S{number:03d}-001"
    track = f'<track trackNumber="1" type="video" view="{view}" filename="{name}.avi" />'
    write(folder / "session.xml", f'<?xml version="1.0"?>\n<session sessionId="{number}">{track}</session>\n')
    if code is not None:
        tags = f'<Metatag Name="Quality" Value="5"/><Metatag Name="Emotion" Value="{code}"/>'
        write(folder / f"{name}.xml", f'<?xml version="1.0"?>\n<tagset>{tags}</tagset>\n')
    neutral, peak = demo_image(number, "neutral"), demo_image(number, "surprise")
    images = [peak if frame == frames // 2 else neutral for frame in range(frames)]
    write_clip(folder / f"{name}.avi", images)


def mmi(root: Path) -> dict[str, Expected]:
    """Two frontal sessions, one in two views, one without an emotion, one of a scream, and one with hostile XML."""
    _mmi_session(root, 1, code="6")
    _mmi_session(root, 2, code="1")
    _mmi_session(root, 3, code="2", view="2")
    _mmi_session(root, 4, code=None)
    _mmi_session(root, 5, code="7")
    _mmi_session(root, 6, code="3")
    hostile = '<!DOCTYPE x [<!ENTITY a "b">]><tagset><Metatag Name="Emotion" Value="1"/></tagset>'
    write(root / "Sessions/6/S006-001.xml", hostile)
    return {"default": Expected({"": 4}, protocol=3, faults=("S006-001",))}


def oulu_casia(root: Path) -> dict[str, Expected]:
    """Two people with two sequences in two lights; one sequence too short; a stray file."""
    for light, people in (("VL/Strong", (1, 2)), ("NI/Weak", (1,))):
        for person in people:
            for expression in ("Anger", "Happiness"):
                for frame in (0, 1, 2, 3, 10):
                    shown = "neutral" if frame == 0 else "anger"
                    put(root / f"B_OriginalImg/{light}/P{person:03d}/{expression}/{frame:03d}.jpeg", person, shown)
    put(root / "B_OriginalImg/VL/Strong/P001/Fear/000.jpeg")
    write(root / "B_OriginalImg/VL/Strong/P001/Anger/notes.txt", "x")
    faults = ("P001/Fear", "notes.txt")
    return {"vl-strong": Expected({"": 16}, faults=faults), "ni-weak": Expected({"": 8})}


def fed_ro(root: Path) -> dict[str, Expected]:
    """Class folders with the authors' spelling, and documents beside them."""
    for number, folder in enumerate(("neural", "disgust", "fear", "anger", "happy", "surprise", "sad"), start=1):
        put(root / folder / f"{number} (1).jpg", number, "neutral")
    write(root / "README.txt", "FED-RO\n")
    write(root / "happy/broken.txt", "x")
    return {"default": Expected({"test": 7}, faults=("broken.txt",))}


def fer2013(root: Path) -> dict[str, Expected]:
    """The CSV: every class in every split, an unknown class, and an unknown split."""
    image = cv2.imdecode(np.frombuffer(face_bytes(1, "neutral", ".png", 48), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    pixels = " ".join(map(str, image.ravel().tolist()))
    rows = ["emotion,pixels,Usage"]
    rows += [f"{code},{pixels},{usage}" for usage in ("Training", "PublicTest", "PrivateTest") for code in range(7)]
    rows += [f"x,{pixels},Training", f"0,{pixels},Elsewhere"]
    write(root / "fer2013.csv", "\n".join(rows) + "\n")
    return {"default": Expected({"train": 7, "val": 7, "test": 7}, faults=("row=22", "row=23"))}


def fer2013_folders(root: Path) -> dict[str, Expected]:
    """Class folders, as public copies have them."""
    for split in ("train", "test"):
        for folder in ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"):
            put(root / split / folder / f"{split}_{folder}.jpg", 1, "neutral", side_px=48)
    return {"default": Expected({"train": 7, "test": 7})}


def ferplus(root: Path) -> dict[str, Expected]:
    """Votes for each outcome of the majority rule, a name that the real list has twice, entries without an image."""
    votes = [
        ("Training", "fer0000000.png", "4,0,0,1,3,2,0,0,0,0"),  # 4 of 9 once the single vote is dropped: none
        ("Training", "fer0000002.png", "6,0,1,1,0,0,1,1,0,0"),  # 6 of 6: neutral
        ("Training", "fer0000003.png", "0,5,0,0,0,0,0,5,0,0"),  # a tie: none
        ("Training", "fer0006953.png", "0,8,0,0,0,0,0,2,0,0"),
        ("Training", "fer0006953.png", "0,0,9,0,0,0,0,0,1,0"),
        ("PublicTest", "fer0028638.png", "0,0,0,0,0,0,0,9,1,0"),  # contempt
        ("PublicTest", "fer0028639.png", "0,0,0,8,2,0,0,0,0,0"),
        ("PrivateTest", "fer0032220.png", "0,0,0,0,0,0,8,0,0,2"),
        ("PrivateTest", "fer0032221.png", "0,0,0,0,0,0,0,0,9,1"),  # unknown
        ("PrivateTest", "", "0,0,0,0,0,0,0,0,0,10"),  # no face, no name
        ("PrivateTest", "fer0032222.png", "0,10,0,0,0,0,0,0,0,0"),  # its image is missing
        ("PrivateTest", "fer0032223.png", "0,ten,0,0,0,0,0,0,0,0"),
    ]
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    write(root / "fer2013new.csv", "\r\n".join([header, *(",".join(row) for row in votes)]) + "\r\n")
    folders = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}
    for usage, name, _ in votes:
        if name and name != "fer0032222.png":
            put(root / folders[usage] / name, 1, "neutral", side_px=48)
    records = {"train": 2, "val": 1, "test": 1}
    return {"default": Expected(records, protocol=6, faults=("fer0032222", "fer0032223"))}


def jaffe(root: Path) -> dict[str, Expected]:
    """Two women, all seven expressions, a document and a misnamed picture."""
    codes = dict(zip(("AN", "DI", "FE", "HA", "NE", "SA", "SU"), EXPRESSIONS, strict=True))
    for number, subject in enumerate(("KA", "YM"), start=1):
        for place, (code, expression) in enumerate(codes.items(), start=1):
            put(root / f"{subject}.{code}1.{place + 38}.tiff", number, expression)
    write(root / "README_FIRST.txt", "x")
    put(root / "KA.XX1.99.tiff")
    put(root / "portrait.tiff")
    return {"default": Expected({"": 14}, faults=("KA.XX1.99.tiff", "portrait.tiff"))}


def kdef(root: Path) -> dict[str, Expected]:
    """Two people, five angles, and the kind of misnamed picture that the real database has."""
    for number, person in enumerate(("AF01", "BM02"), start=1):
        for code in ("AF", "AN", "DI", "HA", "NE", "SA", "SU"):
            for angle in ("S", "HL") if code == "AF" else ("S",):
                put(root / f"KDEF/{person}/{person}{code}{angle}.JPG", number, "fear")
    put(root / "KDEF/AF01/AF31V.JPG")
    write(root / "KDEF/readme.pdf", "x")
    return {
        "frontal": Expected({"": 14}, protocol=2, faults=("AF31V",)),
        "all": Expected({"": 16}, faults=("AF31V",)),
    }


def expw(root: Path) -> dict[str, Expected]:
    """Two faces in one image, a box without area, a missing image, an unknown label, a repeated line."""
    put(root / "image/origin/afraid_man_100.jpg", 1, "fear")
    put(root / "image/origin/happy girl_7.jpg", 2, "happiness")
    lines = [
        "afraid_man_100.jpg 0 10 12 80 82 24.6 2",
        "afraid_man_100.jpg 1 5 6 40 41 12.1 6",
        "happy girl_7.jpg 0 10 12 80 82 24.6 3",
        "afraid_man_100.jpg 2 40 12 80 40 24.6 3",
        "gone.jpg 0 10 12 80 82 24.6 3",
        "afraid_man_100.jpg 3 10 12 80 82 24.6 x",
        "afraid_man_100.jpg 0 10 12 80 82 24.6 2",
        "afraid_man_100.jpg 0 10",
    ]
    write(root / "label/label.lst", "\n".join(lines) + "\n")
    return {"default": Expected({"": 3}, faults=("line=4", "gone.jpg", "line=6", "second time", "line=8"))}


def folder(root: Path) -> dict[str, Expected]:
    """Splits and classes under synonyms, a class that is left out, an unknown one, and files that are not images."""
    for split in ("train", "valid", "test"):
        for name in ("angry", "Happy", "neutral"):
            put(root / split / name / "one.png", 1, "neutral")
    put(root / "train/happiness/deeper/two.jpg", 2, "happiness")
    put(root / "train/contempt/three.png")
    put(root / "train/confused/four.png")
    put(root / "train/angry/one.jpg")
    write(root / "test/angry/notes.txt", "x")
    expected = Expected(
        {"train": 4, "val": 3, "test": 3}, protocol=1, faults=("confused/four", "train/angry/one.png", "notes.txt")
    )
    return {"default": expected, "cropped": expected}


def folder_table(root: Path) -> dict[str, Expected]:
    """A table with subjects, one of whose entries names none."""
    rows = [("path", "expression", "subject")]
    for subject in range(1, 13):
        path = put(root / f"pictures/p{subject}.png", subject, "fear")
        rows.append((str(path.relative_to(root)), "scared", f"person {subject}"))
    put(root / "pictures/nobody.png")
    rows.append(("pictures/nobody.png", "sad", ""))
    with (root / "labels.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(rows)
    expected = Expected({"": 12}, faults=("nobody.png",))
    return {"default": expected, "cropped": expected}


def demo(root: Path) -> dict[str, Expected]:
    """Four subjects of the demo database, in its layout."""
    rows = [("path", "subject", "expression", "sex", "age_group", "ethnicity")]
    for subject in range(1, 5):
        for expression in EXPRESSIONS:
            name = f"images/s{subject:03d}/s{subject:03d}_{expression}.jpg"
            put(root / name, subject, expression)
            rows.append((name, f"s{subject:03d}", expression, "female", "young", "asian"))
    with (root / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return {"default": Expected({"": 28})}


TREES: dict[str, Callable[[Path], dict[str, Expected]]] = {
    "ck+": ck_plus,
    "ck+48": ck48,
    "raf-db": raf_db,
    "affectnet": affectnet,
    "sfew": sfew,
    "mmi": mmi,
    "oulu-casia": oulu_casia,
    "fed-ro": fed_ro,
    "fer2013": fer2013,
    "ferplus": ferplus,
    "jaffe": jaffe,
    "kdef": kdef,
    "expw": expw,
    "folder": folder,
    "demo": demo,
}
"""For every key of `DATABASES`: makes its tree in an empty folder and returns what each variant must yield."""

OTHER_TREES: dict[str, tuple[str, Callable[[Path], dict[str, Expected]]]] = {
    "affectnet npy": ("affectnet", affectnet_npy),
    "fer2013 folders": ("fer2013", fer2013_folders),
    "folder table": ("folder", folder_table),
}
"""Other releases and forms of the same databases: database key and tree by name."""
