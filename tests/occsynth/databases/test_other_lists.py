"""Lists of known databases in the forms in which others pass them on."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from occsynth.databases import DATABASES
from occsynth.databases.record import FaceRecord, Reject
from occsynth.errors import DatabaseLayoutError
from tests.occsynth.databases.coded_trees import affectnet_automatic, affectnet_list, pixel_table
from tests.occsynth.databases.trees import put, write

RAF_LISTS = {
    "the authors'": ["train_00001.jpg 5", "train_00002.jpg 4", "test_0001.jpg 7"],
    "aligned": ["train_00001_aligned.jpg 5", "train_00002_aligned.jpg 4", "test_0001_aligned.jpg 7"],
    "aligned without ending": ["train_00001_aligned 5", "train_00002_aligned 4", "test_0001_aligned 7"],
    "three columns": ["train_00001_aligned 5 1", "train_00002_aligned 4 0", "test_0001_aligned 7 3"],
    "three columns with names as in the authors'": [
        "train_00001.jpg 5 0.93",
        "train_00002.jpg 4 1.0",
        "test_0001.jpg 7 -",
    ],
    "commas and a header": [
        "image,label",
        "train_00001_aligned.jpg,5",
        "train_00002_aligned.jpg,4",
        "test_0001.jpg, 7",
    ],
    "tabs": ["train_00001.jpg\t5", "train_00002.jpg\t4", "test_0001.jpg\t7"],
    "folders": ["Image/aligned/train_00001_aligned.jpg 5", "aligned/train_00002_aligned.jpg 4", "test/test_0001.jpg 7"],
    "words": ["train_00001.jpg Sadness", "train_00002.jpg happy", "test_0001.jpg NEUTRAL"],
    "capitals": ["Train_00001.jpg 5", "train_00002.JPG 4", "test_0001.jpg 7"],
}
MISSING = {"capitals": 2}
"""Names that are written otherwise than the files, which a Linux file system tells apart."""


def raf_db(root: Path, lines: Sequence[str]) -> None:
    for name in ("train_00001", "train_00002", "test_0001"):
        put(root / f"Image/aligned/{name}_aligned.jpg", side_px=16)
        put(root / f"Image/original/{name}.jpg", side_px=16)
    write(root / "EmoLabel/list_patition_label.txt", "\r\n".join(lines) + "\r\n")


@pytest.mark.parametrize("variant", ["aligned", "original"])
@pytest.mark.parametrize("name", RAF_LISTS)
def test_lists_of_raf_db(name: str, variant: str, tmp_path: Path) -> None:
    raf_db(tmp_path, RAF_LISTS[name])
    items = list(DATABASES["raf-db"].scan(tmp_path, variant))
    records = [item for item in items if isinstance(item, FaceRecord)]
    wanted = [("train", "sadness"), ("train", "happiness"), ("test", "neutral")]
    assert [(record.split, record.expression) for record in records] == wanted[MISSING.get(name, 0) :]
    faults = [item for item in items if isinstance(item, Reject)]
    assert len(faults) == 2 * MISSING.get(name, 0)  # each is missing, and not in the list


def test_a_name_that_is_listed_in_two_forms_counts_once(tmp_path: Path) -> None:
    raf_db(tmp_path, [*RAF_LISTS["the authors'"], "train_00001_aligned 6 1"])
    items = list(DATABASES["raf-db"].scan(tmp_path, "aligned"))
    assert sum(isinstance(item, FaceRecord) for item in items) == 3
    assert [item.reason for item in items if isinstance(item, Reject)] == [
        "listed a second time; the first entry is used"
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=repr)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "mark"])
@pytest.mark.parametrize("line", ["{}/a 1.jpg", "{}/a 1.jpg 5", "{}/a 1.jpg   ", "\t{}/a 1.jpg\t0"])
def test_lists_of_fed_ro(line: str, mark: str, end: str, tmp_path: Path) -> None:
    folders = ("neural", "Happy", "SAD")
    for folder in folders:
        put(tmp_path / folder / "a 1.jpg", side_px=16)
    write(tmp_path / "list.txt", mark + end.join(line.format(folder) for folder in folders) + end)
    items = list(DATABASES["fed-ro"].scan(tmp_path, "default"))
    assert [item.expression for item in items if isinstance(item, FaceRecord)] == ["neutral", "happiness", "sadness"]
    assert len(items) == 3


def test_the_automatic_annotations_of_affectnet_are_a_variant(tmp_path: Path) -> None:
    affectnet_automatic(tmp_path, ["0", "1", "7", "10"])
    records = [item for item in DATABASES["affectnet"].scan(tmp_path, "automatic") if isinstance(item, FaceRecord)]
    assert [(record.source, record.expression, record.split) for record in records] == [
        ("Automatically_Annotated_Images/0/a.jpg", "neutral", "train"),
        ("Automatically_Annotated_Images/1/a.jpg", "happiness", "train"),
    ]
    assert records[0].box_xyxy is not None and records[0].points_xy is not None
    with pytest.raises(DatabaseLayoutError, match="affectnet: Manually_Annotated_file_lists"):
        DATABASES["affectnet"].scan(tmp_path, "default")


@pytest.mark.parametrize(
    ("lists", "images"),
    [
        ("Automatically_annotated_file_list", "Automatically_Annotated_Images"),
        ("Automatically_Annotated", "Automatically_Annotated/Automatically_Annotated_Images"),
        ("", "Automatically_Annotated_compressed/Automatically_Annotated/Automatically_Annotated_Images"),
    ],
)
def test_where_the_automatic_annotations_may_lie(lists: str, images: str, tmp_path: Path) -> None:
    affectnet_automatic(tmp_path / "made", ["0"])
    list_path, image_path = tmp_path / "raw" / lists, tmp_path / "raw" / images
    for path in (list_path, image_path.parent):
        path.mkdir(parents=True, exist_ok=True)
    name = "automatically_annotated.csv"
    (tmp_path / f"made/Automatically_Annotated_file_lists/{name}").rename(list_path / name)
    (tmp_path / "made/Automatically_Annotated_Images").rename(image_path)
    (record,) = DATABASES["affectnet"].scan(tmp_path / "raw", "automatic")
    assert record.source == f"{images}/0/a.jpg"


def test_automatic_annotations_that_are_missing_are_named(tmp_path: Path) -> None:
    affectnet_list(tmp_path, ["0"])
    said = r"Automatically_Annotated_file_lists/automatically_annotated.csv \(of the variant 'automatic'\) not found"
    with pytest.raises(DatabaseLayoutError, match=said):
        DATABASES["affectnet"].scan(tmp_path, "automatic")
    write(tmp_path / "automatically_annotated.csv", "x")
    with pytest.raises(DatabaseLayoutError, match=r"Automatically_Annotated_Images/ \(of the variant 'automatic'\)"):
        DATABASES["affectnet"].scan(tmp_path, "automatic")


def test_ckextended_is_a_variant_with_the_split_of_its_table(tmp_path: Path) -> None:
    pixel_table("ckextended.csv")(tmp_path, "0123456")
    table = tmp_path / "ckextended.csv"
    lines = table.read_text().splitlines()
    lines[1] = lines[1].replace("Training", "PrivateTest")
    table.write_text("\n".join(lines))
    records = [item for item in DATABASES["ck+48"].scan(tmp_path, "extended") if isinstance(item, FaceRecord)]
    assert [(record.expression, record.split) for record in records] == [
        ("anger", "test"), ("disgust", "train"), ("fear", "train"), ("happiness", "train"), ("sadness", "train"),
        ("surprise", "train"), ("neutral", "train"),
    ]  # fmt: skip
    assert not any(record.subject or record.fold is not None for record in records)
    with pytest.raises(DatabaseLayoutError, match="class folders"):
        DATABASES["ck+48"].scan(tmp_path, "last")
    table.unlink()
    with pytest.raises(DatabaseLayoutError, match=r"ckextended.csv \(of the variant 'extended'\) not found"):
        DATABASES["ck+48"].scan(tmp_path, "extended")
