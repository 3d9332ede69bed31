"""FER+: two rules for the votes, seven and eight classes, PNG files or the rows of FER2013's own table."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occsynth.build.subset import read_subset
from occsynth.databases import DATABASES, EXPRESSIONS, LabelOptions, find_variant
from occsynth.databases.ferplus import VOTES, plurality
from occsynth.databases.record import SEVEN, FaceRecord, Reject
from occsynth.errors import BuildError, DatabaseLayoutError
from occsynth.pixels.sources import read_source
from tests.occsynth.databases.trees import write

HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
FER2013_CODES = {"neutral": 6, "happiness": 3, "surprise": 5, "sadness": 4, "anger": 0, "disgust": 1, "fear": 2}
ENTRIES = [
    ("Training", "fer0000000.png", "4,0,0,1,3,2,0,0,0,0", "anger"),  # no majority; most votes: neutral
    ("Training", "fer0000001.png", "0,9,0,0,0,0,0,1,0,0", "happiness"),
    ("Training", "", "0,0,0,0,0,0,0,0,0,10", "fear"),  # no face, no name: from here on names and rows differ
    ("Training", "fer0000002.png", "0,0,0,0,0,0,0,8,2,0", "sadness"),  # contempt
    ("PublicTest", "fer0028638.png", "3,0,0,3,2,2,0,0,0,0", "sadness"),  # a tie: the first wins by most votes
    ("PublicTest", "fer0028639.png", "2,0,0,0,0,0,0,0,8,0", "neutral"),  # unknown
    ("PrivateTest", "fer0032220.png", "0,0,10,0,0,0,0,0,0,0", "surprise"),
    ("PrivateTest", "fer0032221.png", "0,0,0,0,5,0,5,0,0,0", "fear"),  # a tie
]
FOLDERS = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}
Entries = Sequence[tuple[str, str, str, str]]


def face(number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(number).integers(0, 256, (48, 48), dtype=np.uint8)


def with_list(root: Path, entries: Entries = ENTRIES, end: str = "\n", mark: str = "") -> Path:
    lines = [HEADER, *(f"{usage},{name},{votes}" for usage, name, votes, _ in entries)]
    return write(root / "fer2013new.csv", mark + end.join(lines) + end)


def with_files(root: Path) -> Path:
    with_list(root)
    for number, (usage, name, _, _) in enumerate(ENTRIES):
        done, content = cv2.imencode(".png", face(number))
        assert done
        if name:
            write(root / FOLDERS[usage] / name, content.tobytes())
    return root


def with_rows(root: Path, entries: Entries = ENTRIES, end: str = "\n", mark: str = "") -> Path:
    with_list(root, entries, end, mark)
    lines = ["emotion,pixels,Usage"]
    for number, (usage, _, _, expression) in enumerate(entries):
        lines.append(f"{FER2013_CODES[expression]},{' '.join(map(str, face(number).ravel().tolist()))},{usage}")
    write(root / "fer2013.csv", mark + end.join(lines) + end)
    return root


def records_of(root: Path, variant: str = "default", labels: LabelOptions = SEVEN) -> dict[str, FaceRecord]:
    items = DATABASES["ferplus"].scan(root, variant, labels)
    return {item.pair_id[-7:]: item for item in items if isinstance(item, FaceRecord)}


WANTED = {
    ("default", 7): {"0000001": "happiness", "0032220": "surprise"},
    ("default", 8): {"0000001": "happiness", "0000002": "contempt", "0032220": "surprise"},
    ("argmax", 7): {"0000000": "neutral", "0000001": "happiness", "0028638": "neutral", "0032220": "surprise",
                    "0032221": "anger"},
    ("argmax", 8): {"0000000": "neutral", "0000001": "happiness", "0000002": "contempt", "0028638": "neutral",
                    "0032220": "surprise", "0032221": "anger"},
}  # fmt: skip


@pytest.mark.parametrize("layout", [with_files, with_rows])
@pytest.mark.parametrize(("variant", "classes"), WANTED)
def test_labels_by_variant_and_number_of_classes(tmp_path: Path, layout: object, variant: str, classes: int) -> None:
    (with_files if layout is with_files else with_rows)(tmp_path)
    found = records_of(tmp_path, variant, LabelOptions(8 if classes == 8 else 7))
    assert {name: record.expression for name, record in found.items()} == WANTED[variant, classes]
    assert all(record.votes for record in found.values())


def test_rows_of_fer2013_give_the_same_records_and_pixels_as_the_files(tmp_path: Path) -> None:
    files, rows = with_files(tmp_path / "files"), with_rows(tmp_path / "rows")
    for variant in ("default", "argmax"):
        by_file, by_row = records_of(files, variant), records_of(rows, variant)
        assert by_file.keys() == by_row.keys()
        for name, record in by_file.items():
            assert replace(by_row[name], source=record.source) == record
            pixels = [read_source(root, found[name].source) for root, found in ((files, by_file), (rows, by_row))]
            assert pixels[0].pixels_sha256 == pixels[1].pixels_sha256


def test_files_are_used_where_there_are_both(tmp_path: Path) -> None:
    with_rows(with_files(tmp_path))
    assert all(record.source.endswith(".png") for record in records_of(tmp_path).values())


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=repr)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "mark"])
def test_line_ends_and_marks_change_nothing(tmp_path: Path, end: str, mark: str) -> None:
    plain = records_of(with_rows(tmp_path / "plain"), "argmax")
    assert records_of(with_rows(tmp_path / "other", end=end, mark=mark), "argmax") == plain


def test_rows_that_are_one_off_are_refused_by_their_part_of_the_set(tmp_path: Path) -> None:
    with_rows(tmp_path)
    table = tmp_path / "fer2013.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *lines[2:], ""]))
    said = r"ferplus: entry 4 of FER\+'s list is Training, but row 4 of .*fer2013.csv is PublicTest: their rows do not"
    with pytest.raises(DatabaseLayoutError, match=said):
        records_of(tmp_path, "argmax")


def many(count: int) -> Entries:
    """Entries of one part of the set, on which both databases agree."""
    entries = []
    for number in range(count):
        word = EXPRESSIONS[number * number % len(EXPRESSIONS)]
        votes = ",".join("10" if word == vote else "0" for vote in VOTES)
        entries.append(("Training", f"fer{number:07d}.png", votes, word))
    return entries


def test_rows_in_another_order_are_refused_by_their_classes(tmp_path: Path) -> None:
    with_rows(tmp_path, many(140))
    assert len(records_of(tmp_path)) == 140
    table = tmp_path / "fer2013.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *lines[2:], lines[1], ""]))
    with pytest.raises(DatabaseLayoutError, match=r"ferplus: of 140 rows of .* have the class that FER\+ gives them"):
        records_of(tmp_path)


def test_a_table_that_ends_early_loses_its_last_images_as_faults(tmp_path: Path) -> None:
    with_rows(tmp_path)
    table = tmp_path / "fer2013.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:5]))
    items = list(DATABASES["ferplus"].scan(tmp_path, "argmax"))
    assert sum(isinstance(item, FaceRecord) for item in items) == 2
    faults = [item for item in items if isinstance(item, Reject) and not item.by_protocol]
    assert {fault.source for fault in faults} == {
        "FER2013Valid/fer0028638.png", "FER2013Test/fer0032220.png", "FER2013Test/fer0032221.png"
    }  # fmt: skip
    assert all("the file has 4" in fault.reason for fault in faults)


def test_a_table_without_its_columns_is_one_error(tmp_path: Path) -> None:
    with_list(tmp_path)
    write(tmp_path / "fer2013.csv", "label;pixels;Usage\n")
    with pytest.raises(DatabaseLayoutError, match=r"ferplus: .*fer2013.csv: it lacks the columns emotion"):
        records_of(tmp_path)


def test_neither_files_nor_rows_is_one_error_that_names_both(tmp_path: Path) -> None:
    with_list(tmp_path)
    with pytest.raises(DatabaseLayoutError, match=r"images ferNNNNNNN.png, .* or fer2013.csv, not found"):
        records_of(tmp_path)


def test_lists_of_occluded_faces_find_rows_by_the_names_of_fer_plus(tmp_path: Path) -> None:
    with_rows(tmp_path)
    listed = write(tmp_path / "list.txt", "2_fer0000001.png 8 2\r\n6_fer0032220.png 8 0\r\n1_fer0000000.png 8 1\r\n")
    choice = read_subset(listed).choose(DATABASES["ferplus"].scan(tmp_path, "default"))
    assert sorted(item.source for item in choice.items) == [
        "FER2013Train/fer0000000.png", "fer2013.csv#row=2", "fer2013.csv#row=7"
    ]  # fmt: skip
    assert not choice.unmatched
    with pytest.raises(BuildError, match="names nothing in this database"):
        read_subset(write(tmp_path / "other.txt", "fer9999999.png\n")).choose(
            DATABASES["ferplus"].scan(tmp_path, "default")
        )


def test_the_default_is_called_majority_too() -> None:
    assert find_variant(DATABASES["ferplus"], "majority") is find_variant(DATABASES["ferplus"])
    assert find_variant(DATABASES["affectnet"], "manual") is find_variant(DATABASES["affectnet"])


@given(st.lists(st.integers(0, 10), min_size=10, max_size=10))
def test_plurality_is_what_its_words_say(votes: list[int]) -> None:
    winner = plurality(votes)
    if not any(votes):
        assert winner is None
        return
    assert winner is not None
    assert all(votes[winner] > vote for vote in votes[:winner])
    assert all(votes[winner] >= vote for vote in votes[winner:])
