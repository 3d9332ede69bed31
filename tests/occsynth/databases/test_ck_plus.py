"""CK+ at its full size, and its irregular cases."""

from collections import Counter
from pathlib import Path

import pytest

from occsynth.databases import DATABASES
from occsynth.databases.counts import count_check
from occsynth.databases.record import FaceRecord, Reject
from tests.occsynth.databases.trees import ck_plus, put, write

# the authors' numbers of labelled sequences, by code
LABELLED = {1: 45, 2: 18, 3: 59, 4: 25, 5: 69, 6: 28, 7: 83}


def scan(root: Path) -> tuple[list[FaceRecord], list[Reject]]:
    items = list(DATABASES["ck+"].scan(root, "default"))
    records = [item for item in items if isinstance(item, FaceRecord)]
    return records, [item for item in items if isinstance(item, Reject)]


@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """593 sequences of 123 subjects, 327 of 118 subjects labelled; every frame is the same file under many names."""
    root = tmp_path_factory.mktemp("ck")
    frame = put(root / "frame.png", side_px=8)
    codes = [code for code, count in LABELLED.items() for _ in range(count)]
    for number in range(593):
        labelled = number < len(codes)
        subject = f"S{5 + number % (118 if labelled else 123):03d}"
        session = f"{1 + number // 118:03d}" if labelled else f"{100 + number // 123:03d}"
        folder = root / "cohn-kanade-images" / subject / session
        folder.mkdir(parents=True)
        last = 4 + number % 3
        for place in range(1, last + 1):
            (folder / f"{subject}_{session}_{place:08d}.png").hardlink_to(frame)
        if labelled:
            name = f"{subject}_{session}_{last:08d}_emotion.txt"
            write(root / "Emotion" / subject / session / name, f"   {codes[number]:.7e}\n")
    return root


def test_full_size_gives_636_images(full_size: Path) -> None:
    records, rejects = scan(full_size)
    assert len(records) == 636
    assert Counter(record.expression for record in records) == {
        "neutral": 327,
        "anger": 45,
        "disgust": 59,
        "fear": 25,
        "happiness": 69,
        "sadness": 28,
        "surprise": 83,
    }
    assert count_check(DATABASES["ck+"].published, {"": len(records)}) == []
    # 18 apexes of contempt and 266 sequences without a label
    assert Counter(reject.reason for reject in rejects) == {
        "'contempt' is not one of the seven expressions": 18,
        "the sequence has no emotion label": 266,
    }
    assert all(reject.by_protocol for reject in rejects)


def test_full_size_gives_ten_subject_disjoint_folds(full_size: Path) -> None:
    records, _ = scan(full_size)
    subjects = sorted({record.subject for record in records})
    assert len(subjects) == 118
    for fold in range(10):
        assert {record.subject for record in records if record.fold == fold} == set(subjects[fold::10])


def test_apex_is_the_last_frame_and_onset_the_first_across_gaps(tmp_path: Path) -> None:
    ck_plus(tmp_path)
    records, _ = scan(tmp_path)
    frames = {record.source.rpartition("_")[2]: record.expression for record in records if record.subject == "S005"}
    assert frames == {"00000001.png": "neutral", "00000005.png": "disgust"}


def test_shipped_points_are_used_and_malformed_ones_left_out(tmp_path: Path) -> None:
    ck_plus(tmp_path)
    for record in scan(tmp_path)[0]:
        assert (record.points_xy is not None) == (record.expression == "neutral")


def test_a_missing_apex_is_a_reject_and_the_onset_stays(tmp_path: Path) -> None:
    ck_plus(tmp_path)
    (tmp_path / "cohn-kanade-images/S005/001/S005_001_00000005.png").unlink()
    records, rejects = scan(tmp_path)
    assert [record.expression for record in records if record.subject == "S005"] == ["neutral"]
    assert any("the label names frame 5, but the last one here is 2" in reject.reason for reject in rejects)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("3.5", "unknown label '3.5'"),
        ("", "unknown label ''"),
        ("glad", "unknown label 'glad'"),
        ("3 3", "unknown label '3 3'"),
        ("nan", "unknown label 'nan'"),
        ("inf", "unknown label 'inf'"),
        (b"\xff\xfe3\0", "unknown label"),
        ("3" * 5000, "unknown label ''"),
    ],
)
def test_a_malformed_label_is_one_reject_of_its_sequence(tmp_path: Path, content: str | bytes, reason: str) -> None:
    ck_plus(tmp_path)
    write(tmp_path / "Emotion/S005/001/S005_001_00000005_emotion.txt", content)
    records, rejects = scan(tmp_path)
    assert not [record for record in records if record.subject == "S005"]
    (fault,) = [reject for reject in rejects if "S005_001_00000005_emotion" in reject.source]
    assert reason in fault.reason
    assert not fault.by_protocol


def put_sequence(root: Path, subject: str, label: str) -> None:
    for frame in (1, 5):
        put(root / f"cohn-kanade-images/{subject}/001/{subject}_001_{frame:08d}.png")
    write(root / f"Emotion/{subject}/001/{subject}_001_00000005_emotion.txt", label)


def test_odd_sequences_are_listed(tmp_path: Path) -> None:
    ck_plus(tmp_path)
    images = tmp_path / "cohn-kanade-images"
    write(tmp_path / "Emotion/S005/001/S005_001_00000004_emotion.txt", "3")  # two labels
    for frame in (2, 5):
        (images / f"S010/002/S010_002_{frame:08d}.png").unlink()  # one frame left
    put(images / "S138/008/S011_003_00000001.png")  # another sequence's frame
    (images / "subject5").mkdir()
    (images / "S005/one").mkdir()
    (images / "S005/001/deeper").mkdir()
    write(tmp_path / "Emotion/S138/008/S138_008_00000005_emotion.txt", "0")
    put_sequence(tmp_path, "S139", "7")
    reasons = {reject.source.partition("/")[2]: reject.reason for reject in scan(tmp_path)[1]}
    assert reasons["S005/001"] == "2 emotion labels instead of one"
    assert "it has 1 frames" in reasons["S010/002"]
    assert "not named like a file of sequence S138_008" in reasons["S138/008/S011_003_00000001.png"]
    assert "not named like a subject's folder" in reasons["subject5"]
    assert "not named like a sequence's folder" in reasons["S005/one"]
    assert reasons["S005/001/deeper"] == "a folder inside a sequence"
    assert "labelled neutral" in reasons["S138/008/S138_008_00000005.png"]


def test_the_layout_error_names_the_missing_half(tmp_path: Path) -> None:
    from occsynth.errors import DatabaseLayoutError

    (tmp_path / "cohn-kanade-images").mkdir()
    with pytest.raises(
        DatabaseLayoutError, match=r"ck\+: Emotion/ not found in .* \(found there: cohn-kanade-images/\)"
    ):
        DATABASES["ck+"].scan(tmp_path, "default")
