"""Every database that writes its classes as codes, with one image for each label that a test gives it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from occsynth.databases import affectnet, ck48, ck_plus, expw, fer2013, mmi, raf_db
from tests.occsynth.databases.trees import AFFECTNET_HEADER, affectnet_row, demo_image, put, write, write_clip

Mangle = Callable[[str], str]
"""What is done to the text of a list before it is written."""


def as_it_is(text: str) -> str:
    """The list unchanged."""
    return text


def raf_list(root: Path, labels: Sequence[str], mangle: Mangle = as_it_is) -> None:
    """RAF-DB's one list."""
    lines = []
    for number, label in enumerate(labels, 1):
        put(root / f"Image/aligned/train_{number:05d}_aligned.jpg", side_px=16)
        lines.append(f"train_{number:05d}.jpg {label}")
    write(root / "EmoLabel/list_patition_label.txt", mangle("\n".join(lines) + "\n"))


def affectnet_list(root: Path, labels: Sequence[str], mangle: Mangle = as_it_is, *, kind: str = "Manually") -> None:
    """The CSV release: everything in the training list."""
    lines = [AFFECTNET_HEADER]
    for number, label in enumerate(labels):
        put(root / f"{kind}_Annotated_Images/{number}/a.jpg", side_px=16)
        lines.append(affectnet_row(f"{number}/a.jpg", label))
    name = "training" if kind == "Manually" else "automatically_annotated"
    write(root / f"{kind}_Annotated_file_lists/{name}.csv", mangle("\n".join(lines) + "\n"))


def affectnet_automatic(root: Path, labels: Sequence[str], mangle: Mangle = as_it_is) -> None:
    """The automatic annotations."""
    affectnet_list(root, labels, mangle, kind="Automatically")


def affectnet_npy(root: Path, labels: Sequence[str], mangle: Mangle = as_it_is) -> None:
    """The npy release: a file per label."""
    import numpy as np

    for number, label in enumerate(labels):
        put(root / f"train_set/images/{number}.jpg", side_px=16)
        (root / "train_set/annotations").mkdir(parents=True, exist_ok=True)
        np.save(root / f"train_set/annotations/{number}_exp.npy", np.array(label))


def pixel_table(name: str) -> Callable[..., None]:
    """FER2013's kind of table under a name."""

    def made(root: Path, labels: Sequence[str], mangle: Mangle = as_it_is) -> None:
        lines = ["emotion,pixels,Usage"]
        lines += [f"{label},{' '.join(str((number * 37 + at) % 256) for at in range(16))},Training"
                  for number, label in enumerate(labels)]  # fmt: skip
        write(root / name, mangle("\n".join(lines) + "\n"))

    return made


def fer2013_folders(root: Path, labels: Sequence[str], mangle: Mangle = as_it_is) -> None:
    """Class folders that are named by codes."""
    for number, label in enumerate(labels):
        put(root / f"train/{label}/{number}.jpg", side_px=16)


def expw_list(root: Path, labels: Sequence[str], mangle: Mangle = as_it_is) -> None:
    """ExpW's list of faces."""
    lines = []
    for number, label in enumerate(labels):
        put(root / f"origin/{number}.jpg", side_px=16)
        lines.append(f"{number}.jpg 0 1 2 9 9 50.5 {label}")
    write(root / "label.lst", mangle("\n".join(lines) + "\n"))


def ck_plus_labels(root: Path, labels: Sequence[str], mangle: Mangle = as_it_is) -> None:
    """A labelled sequence of two frames for each label, by a subject of its own."""
    for number, label in enumerate(labels, 1):
        subject = f"S{number:03d}"
        for frame in (1, 2):
            put(root / f"cohn-kanade-images/{subject}/001/{subject}_001_{frame:08d}.png", side_px=16)
        write(root / f"Emotion/{subject}/001/{subject}_001_00000002_emotion.txt", mangle(f"   {label}\n"))


def mmi_sessions(root: Path, labels: Sequence[str], mangle: Mangle = as_it_is) -> None:
    """A session of nine frames for each label."""
    neutral, peak = demo_image(1, "neutral"), demo_image(1, "surprise")
    for number, label in enumerate(labels, 1):
        folder, name = root / f"Sessions/{number}", f"S{number:03d}-001"
        write(folder / "session.xml", f'<session sessionId="{number}"><track view="0"/></session>')
        write(folder / f"{name}.xml", mangle(f'<tagset><Metatag Name="Emotion" Value="{label}"/></tagset>\n'))
        write_clip(folder / f"{name}.avi", [peak if frame == 4 else neutral for frame in range(9)])


CODED: dict[str, tuple[str, str, dict[str, str], Callable[..., None]]] = {
    "raf-db": ("raf-db", "aligned", raf_db.CODES, raf_list),
    "affectnet": ("affectnet", "default", affectnet.CODES, affectnet_list),
    "affectnet automatic": ("affectnet", "automatic", affectnet.CODES, affectnet_automatic),
    "affectnet npy": ("affectnet", "default", affectnet.CODES, affectnet_npy),
    "fer2013": ("fer2013", "default", fer2013.CODES, pixel_table("fer2013.csv")),
    "fer2013 folders": ("fer2013", "default", fer2013.CODES, fer2013_folders),
    "ckextended": ("ck+48", "extended", ck48.CODES, pixel_table("ckextended.csv")),
    "expw": ("expw", "default", expw.CODES, expw_list),
    "ck+": ("ck+", "default", {code: name for code, name in ck_plus.CODES.items() if code != "0"}, ck_plus_labels),
    "mmi": ("mmi", "default", mmi.CODES, mmi_sessions),
}
"""By name: key, variant, the scheme that its lists use, and the tree."""
LISTED = [name for name in CODED if name not in ("affectnet npy", "fer2013 folders")]
"""Those whose labels are text in a file."""
