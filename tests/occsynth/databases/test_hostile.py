"""Wrong or malicious label files and folders: each source becomes a listed reject, or there is one clear error."""

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from occsynth.databases import DATABASES
from occsynth.databases.layout import csv_entries, lines_of
from occsynth.databases.record import FaceRecord, Reject
from occsynth.errors import DatabaseLayoutError
from tests.occsynth.databases.trees import AFFECTNET_HEADER, affectnet_row, put, write

VOTES = "9,0,0,0,0,0,0,0,0,0"


def split(root: Path, key: str) -> tuple[list[FaceRecord], list[Reject]]:
    database = DATABASES[key]
    items = list(database.scan(root, database.variants[0].name))
    records = [item for item in items if isinstance(item, FaceRecord)]
    return records, [item for item in items if isinstance(item, Reject)]


def affectnet(root: Path, path: str) -> None:
    put(root / "Manually_Annotated_Images/a.jpg")
    rows = [AFFECTNET_HEADER, affectnet_row("a.jpg", 1), affectnet_row(path, 1)]
    write(root / "Manually_Annotated_file_lists/training.csv", "\n".join(rows))
    write(root / "Manually_Annotated_file_lists/validation.csv", AFFECTNET_HEADER)


def expw(root: Path, path: str) -> None:
    put(root / "origin/a.jpg")
    write(root / "label.lst", f"a.jpg 0 1 2 3 4 5 6\n{path} 0 1 2 3 4 5 6\n")


def table(root: Path, path: str) -> None:
    put(root / "a.jpg")
    write(root / "labels.csv", f"path,expression\na.jpg,fear\n{path},fear\n")


def ferplus(root: Path, path: str) -> None:
    put(root / "FER2013Train/fer0000000.png")
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    rows = [header, f"Training,fer0000000.png,{VOTES}", f"Training,{path},{VOTES}"]
    write(root / "fer2013new.csv", "\n".join(rows))


def raf_db(root: Path, path: str) -> None:
    put(root / "Image/aligned/train_00001_aligned.jpg")
    write(root / "EmoLabel/list_patition_label.txt", f"train_00001.jpg 5\n{path} 5\n")


def fed_ro(root: Path, path: str) -> None:
    put(root / "happy/a.jpg")
    write(root / "list.txt", f"happy/a.jpg\n{path}\n")


LISTS = (affectnet, expw, table, ferplus, raf_db, fed_ro)
PATHS = (
    "../../secret.jpg",
    "/etc/passwd",
    "happy/../../secret.jpg",
    "..\\..\\secret.jpg",
    "C:/secret.jpg",
    "x\0y.jpg",
    "gone.jpg",
    "n" * 5000 + ".jpg",
    "link.jpg",
    "Manually_Annotated_Images",
)


@pytest.mark.parametrize("tree", LISTS, ids=lambda tree: tree.__name__)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: repr(path[:20]))
def test_a_label_file_cannot_lead_out_of_the_root(tree: Callable[[Path, str], None], path: str, tmp_path: Path) -> None:
    outside = put(tmp_path / "secret.jpg")
    root = tmp_path / "raw" / "deep"
    tree(root, path)
    for folder in (root, *(each for each in root.iterdir() if each.is_dir())):
        (folder / "link.jpg").symlink_to(outside)
    key = {"table": "folder"}.get(tree.__name__, tree.__name__.replace("_", "-"))
    records, rejects = split(root, key)
    assert len(records) == 1
    assert rejects
    assert not any(reject.by_protocol for reject in rejects)
    for reject in rejects:
        (reject.source + reject.reason).encode()
        assert (reject.source + reject.reason).isprintable()


def test_every_row_is_a_record_or_a_reject(tmp_path: Path) -> None:
    affectnet(tmp_path, "a.jpg")
    with (tmp_path / "Manually_Annotated_file_lists/training.csv").open("ab") as file:
        file.write(b"\n\n,,,\nonly.jpg\n\xff\xfe.jpg,1,1,1,1,,1,0,0\na.jpg,1,1,-4,x,1;2;3,2\n,,,,,,1\n")
    records, rejects = split(tmp_path, "affectnet")
    assert [record.source for record in records] == ["Manually_Annotated_Images/a.jpg"]
    reasons = sorted(reject.reason.partition(";")[0] for reject in rejects)
    assert reasons == [
        "listed a second time",
        "listed a second time",
        "listed, but its name is not UTF-8",
        "the line has 1 cells",
        "the line has 7 cells",
    ]


def test_a_malformed_box_or_points_are_gone_on_without(tmp_path: Path) -> None:
    affectnet(tmp_path, "a.jpg")
    row = "a.jpg,1,1,nan,5,1;2;3,2,0,0\n"
    write(tmp_path / "Manually_Annotated_file_lists/training.csv", row)
    (record,), _ = split(tmp_path, "affectnet")
    assert (record.box_xyxy, record.points_xy, record.expression) == (None, None, "sadness")


def test_box_and_points_are_read(tmp_path: Path) -> None:
    affectnet(tmp_path, "b.jpg")
    (record,), _ = split(tmp_path, "affectnet")
    assert record.box_xyxy == (10, 12, 80, 84)
    assert record.points_xy is not None
    assert record.points_xy[1] == (12, 13)


def test_a_list_that_is_missing_is_listed(tmp_path: Path) -> None:
    affectnet(tmp_path, "a.jpg")
    (tmp_path / "Manually_Annotated_file_lists/validation.csv").unlink()
    _, rejects = split(tmp_path, "affectnet")
    assert "Manually_Annotated_file_lists/validation.csv" in [reject.source for reject in rejects]


def test_columns_in_another_order_are_read_by_name(tmp_path: Path) -> None:
    put(tmp_path / "Manually_Annotated_Images/a.jpg")
    write(tmp_path / "training.csv", "expression,subDirectory_filePath\n3,a.jpg\n")
    records, _ = split(tmp_path, "affectnet")
    assert [record.expression for record in records] == ["surprise"]


def test_an_endless_line_is_one_clear_error(tmp_path: Path) -> None:
    path = write(tmp_path / "label.lst", "ok\n" + "x" * (1 << 17))
    with pytest.raises(DatabaseLayoutError, match=r"label.lst, line 2: longer than any line"):
        list(lines_of(path))


def test_an_endless_field_is_one_clear_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'a,b\n"' + "x" * 200_000)
    with pytest.raises(DatabaseLayoutError, match=r"a.csv cannot be read after line 1: field larger than field limit"):
        list(csv_entries(path))


def test_fer2013_without_its_header_is_one_clear_error(tmp_path: Path) -> None:
    write(tmp_path / "fer2013.csv", "0,1 2 3 4,Training\n")
    with pytest.raises(DatabaseLayoutError, match="it lacks the columns emotion, pixels, Usage; it has: 0, 1 2 3 4"):
        split(tmp_path, "fer2013")


def test_ferplus_without_a_column_is_one_clear_error(tmp_path: Path) -> None:
    write(tmp_path / "fer2013new.csv", "Usage,Image name,neutral\n")
    with pytest.raises(
        DatabaseLayoutError, match=r"lacks the columns happiness, .*; it has: Usage, Image name, neutral"
    ):
        split(tmp_path, "ferplus")


def test_ferplus_images_may_lie_in_one_folder(tmp_path: Path) -> None:
    for folder in ("", "images"):
        root = tmp_path / f"raw{folder}"
        ferplus(root, "fer0000001.png")
        put(root / folder / "fer0000000.png")
        (root / "FER2013Train/fer0000000.png").unlink()
        (root / "FER2013Train").rmdir()
        records, rejects = split(root, "ferplus")
        assert [record.source for record in records] == [f"{folder}/fer0000000.png".lstrip("/")]
        assert [reject.reason for reject in rejects] == ["listed, but missing"]


def class_folders(root: Path) -> Path:
    put(root / "happy/a.png")
    return root


def test_links_and_devices_are_listed_and_never_followed(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw")
    outside = put(tmp_path / "elsewhere/b.png")
    (root / "happy/out.png").symlink_to(outside)
    (root / "happy/nowhere.png").symlink_to("gone.png")
    (root / "happy/loop").symlink_to("../happy")
    (root / "happy/in.png").symlink_to("a.png")
    (root / "sad").symlink_to(outside.parent)
    os.mkfifo(root / "happy/pipe.png")
    records, rejects = split(root, "folder")
    assert sorted(record.source for record in records) == ["happy/a.png", "happy/in.png"]
    assert {reject.source: reject.reason.partition(",")[0] for reject in rejects} == {
        "happy/out.png": "leads out of the root",
        "happy/nowhere.png": "a link that leads nowhere",
        "happy/loop": "a link to a folder",
        "sad": "a link to a folder",
        "happy/pipe.png": "neither a file nor a folder",
    }


def test_a_top_folder_that_is_a_link_out_of_the_root_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "raw"
    root.mkdir()
    (root / "cohn-kanade-images").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatabaseLayoutError, match="is a link that leads out of"):
        DATABASES["ck+"].scan(root, "default")


def test_odd_file_names_give_safe_pair_ids_or_rejects(tmp_path: Path) -> None:
    root = class_folders(tmp_path)
    for name in (
        "a b.png",
        "a_b.png",
        "ü.png",
        "-rf.png",
        "x#1.png",
        "back\\slash.png",
        "new\nline.png",
        ".hidden.png",
    ):
        put(root / "happy" / name)
    (root / os.fsdecode(b"happy/\xff.png")).write_bytes(b"x")
    records, rejects = split(root, "folder")
    assert len(records) == 6
    assert len({record.pair_id for record in records}) == 6
    assert len(rejects) == 4
    for source in (*(record.source for record in records), *(reject.source for reject in rejects)):
        source.encode()


def test_a_folder_without_permission_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = class_folders(tmp_path)

    def denied(path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DatabaseLayoutError, match="cannot be read: Permission denied"):
        split(root, "folder")


def test_splits_beside_other_folders_are_listed(tmp_path: Path) -> None:
    put(tmp_path / "train/happy/a.png")
    put(tmp_path / "extra/happy/a.png")
    put(tmp_path / "train/stray.png")
    records, rejects = split(tmp_path, "folder")
    assert [record.split for record in records] == ["train"]
    assert sorted(reject.source for reject in rejects) == ["extra", "train/stray.png"]


def test_a_table_with_splits_needs_one_in_each_row(tmp_path: Path) -> None:
    for name in "abcd":
        put(tmp_path / f"{name}.png")
    rows = ["Path,Expression,Split,Subject", "a.png,happy,training,p1", "b.png,sad,test,p2", "c.png,sad,,p3", "d.png"]
    write(tmp_path / "any.csv", "\n".join(rows))
    records, rejects = split(tmp_path, "folder")
    assert [(record.split, record.subject, record.fold) for record in records] == [
        ("train", "p1", None),
        ("test", "p2", None),
    ]
    assert [reject.reason.partition(",")[0] for reject in rejects] == [
        "split '' is not one of train",
        "the line has no path or no expression",
    ]


def test_without_split_and_subject_folds_come_from_the_hash(tmp_path: Path) -> None:
    for number in range(40):
        put(tmp_path / f"happy/{number}.png", side_px=8)
    records, _ = split(tmp_path, "folder")
    assert {record.split for record in records} == {""}
    assert len({record.fold for record in records}) > 5
    before = {record.source: record.fold for record in records}
    (tmp_path / "happy/7.png").unlink()
    assert all(before[record.source] == record.fold for record in split(tmp_path, "folder")[0])


def test_the_faces_of_one_image_get_boxes_and_ids_of_their_own(tmp_path: Path) -> None:
    expw(tmp_path, "a.jpg")
    write(tmp_path / "label.lst", "a.jpg 0 1 2 30 40 9.5 6\na.jpg 1 5 6 70 80 9.5 0\n")
    first, second = split(tmp_path, "expw")[0]
    assert (first.pair_id, second.pair_id) == ("origin/a-face0", "origin/a-face1")
    assert first.box_xyxy == (2, 1, 30, 40)  # the list has the top before the left
    assert first.fold == second.fold


def test_fed_ro_lists_are_followed_and_what_they_leave_out_is_listed(tmp_path: Path) -> None:
    fed_ro(tmp_path, "neural/b.jpg 4")
    put(tmp_path / "neural/b.jpg")
    put(tmp_path / "neural/c.jpg")
    records, rejects = split(tmp_path, "fed-ro")
    assert {record.source: record.expression for record in records} == {
        "happy/a.jpg": "happiness",
        "neural/b.jpg": "neutral",
    }
    assert rejects == [Reject("neural/c.jpg", "not in list.txt")]


def test_raf_points_are_the_pictures_left_first_and_only_of_the_original(tmp_path: Path) -> None:
    raf_db(tmp_path, "train_00002.jpg")
    put(tmp_path / "Image/original/train_00001.jpg")
    text = "60 20\n20 22\n40 40\n55 60\n25 61\n1\n0\n3\n"
    write(tmp_path / "Annotation/manual/train_00001_manu_attri.txt", text)
    scan = DATABASES["raf-db"].scan
    (original,) = [item for item in scan(tmp_path, "original") if isinstance(item, FaceRecord)]
    assert original.points_xy == ((20, 22), (60, 20), (40, 40), (25, 61), (55, 60))
    assert split(tmp_path, "raf-db")[0][0].points_xy is None


def test_aligned_images_with_plain_names_are_found(tmp_path: Path) -> None:
    raf_db(tmp_path, "train_00002.jpg")
    put(tmp_path / "Image/aligned/train_00002.jpg")
    assert len(split(tmp_path, "raf-db")[0]) == 2


def test_oulu_takes_the_first_and_the_last_three_frames(tmp_path: Path) -> None:
    for frame in (*range(8), 10):
        put(tmp_path / f"VL/Strong/P001/Fear/{frame:03d}.jpeg", side_px=8)
    records, _ = split(tmp_path, "oulu-casia")
    assert {record.source[-8:-5]: record.expression for record in records} == {
        "000": "neutral",
        "006": "fear",
        "007": "fear",
        "010": "fear",
    }


@pytest.mark.parametrize("key", ["affectnet", "expw", "folder"])
def test_memory_does_not_grow_with_the_rows(key: str, tmp_path: Path) -> None:
    rows = {
        "affectnet": ("training.csv", lambda number: f"{number % 50}/{number}.jpg,1,1,2,2,,1,0,0\n"),
        "expw": ("label.lst", lambda number: f"{number}.jpg 0 1 2 3 4 5 6\n"),
        "folder": ("labels.csv", lambda number: f"{number}.jpg,fear\n" if number else "path,expression\n"),
    }
    name, row = rows[key]
    (tmp_path / "Manually_Annotated_Images").mkdir()
    (tmp_path / "origin").mkdir()
    write(tmp_path / name, "".join(map(row, range(5000))))
    blocks = []
    for place, _ in enumerate(DATABASES[key].scan(tmp_path, DATABASES[key].variants[0].name)):
        if place in (500, 4900):
            gc.collect()
            blocks.append(sys.getallocatedblocks())
    assert blocks[1] < blocks[0] + 1000  # one object per entry would be 4,400
