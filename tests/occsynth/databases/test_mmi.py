"""MMI: which sessions are used, and the search for the peak frame."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from occsynth.databases import DATABASES, peaks
from occsynth.databases.mmi import xml_elements
from occsynth.databases.peaks import Peak, find_peak, search_peak, shape_motion
from occsynth.databases.record import FaceRecord, Reject
from occsynth.faces.landmarks import Landmarks, detect_landmarks
from occsynth.faces.regions import IBUG68
from occsynth.pixels.images import Pixels
from tests.occsynth.databases.trees import demo_image, write, write_clip
from tests.occsynth.databases.trees import mmi as mmi_tree


def grey_clip(path: Path, count: int) -> Path:
    """A clip whose frame k has grey level 20 k everywhere, from which the fake detector reads k."""
    return write_clip(path, [np.full((64, 64, 3), 20 * number, np.uint8) for number in range(count)])


class Detector:
    """A fake detector: it shifts the lower half of its landmarks by each frame's amount; other frames have no face."""

    def __init__(self, moved_px: dict[int, float]) -> None:
        rng = np.random.Generator(np.random.Philox(1))
        self.face = rng.uniform(10, 50, (478, 2)).astype(np.float32)
        self.moved_px = moved_px
        self.asked: list[int] = []

    def __call__(self, rgb: Pixels) -> Landmarks | None:
        frame = round(float(rgb.mean()) / 20)
        self.asked.append(frame)
        if frame not in self.moved_px:
            return None
        points = self.face.copy()
        points[IBUG68[48:]] += self.moved_px[frame]
        return Landmarks(points + 3 * frame, (64, 64), "found", 0)  # the head moves as well


def rotated(image: Pixels, turn: int) -> Pixels:
    return np.asarray(cv2.rotate(image, turn), np.uint8)


def test_the_peak_moves_most_within_the_middle_third(tmp_path: Path) -> None:
    clip = grey_clip(tmp_path / "a.avi", 10)
    detector = Detector({0: 0, 2: 30, 3: 1, 4: 6, 5: 5, 8: 40})
    assert search_peak(clip, detector) == Peak(4)
    assert detector.asked == [0, 3, 4, 5]


def test_the_first_of_equals_wins(tmp_path: Path) -> None:
    clip = grey_clip(tmp_path / "a.avi", 9)
    assert search_peak(clip, Detector({0: 0, 3: 2, 4: 2, 5: 2})) == Peak(3)


@pytest.mark.parametrize(
    ("count", "faces", "reason"),
    [
        (2, {0: 0, 1: 1}, "2 frames could be decoded; onset and peak need at least 3"),
        (9, {4: 1}, "no face found in its first frame"),
        (9, {0: 0, 8: 1}, "no face found in its middle third"),
    ],
)
def test_a_clip_without_a_peak_says_why(tmp_path: Path, count: int, faces: dict[int, float], reason: str) -> None:
    assert search_peak(grey_clip(tmp_path / "a.avi", count), Detector(faces)) == reason


@pytest.mark.parametrize("share", [0.4, 0.5, 0.6])
def test_a_clip_that_is_cut_has_no_peak(tmp_path: Path, share: float) -> None:
    """Its middle third would be another one, and version 0.1 took a frame of it."""
    clip = grey_clip(tmp_path / "a.avi", 12)
    content = clip.read_bytes()
    start = content.index(b"movi")
    clip.write_bytes(content[: start + int((len(content) - start) * share)])
    detector = Detector({number: number for number in range(12)})
    reason = search_peak(clip, detector)
    assert isinstance(reason, str) and reason.startswith("cut: its header names 12 frames, but only ")
    assert not detector.asked


def test_a_clip_that_a_library_fails_on_is_a_reject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mmi_tree(tmp_path)

    def fail(rgb: Pixels) -> None:
        raise RuntimeError("the graph has errors")

    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache"))
    monkeypatch.setattr(peaks, "detect_landmarks", fail)
    items = list(DATABASES["mmi"].scan(tmp_path, "default"))
    assert [item.reason for item in items if isinstance(item, Reject) and "graph has errors" in item.reason]
    assert not [item for item in items if isinstance(item, FaceRecord)]


def test_a_file_that_is_no_video_says_so(tmp_path: Path) -> None:
    assert search_peak(write(tmp_path / "a.avi", "no video"), Detector({})) == (
        "0 frames could be decoded; onset and peak need at least 3"
    )


def test_shape_motion_is_blind_to_place_size_and_tilt() -> None:
    rng = np.random.Generator(np.random.Philox(2))
    face = rng.uniform(0, 100, (68, 2))
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    assert shape_motion(face, 1.7 * face @ turn.T + 12) == pytest.approx(0, abs=1e-9)
    open_mouth = face.copy()
    open_mouth[48:] += [0, 5]
    assert 0 < shape_motion(face, open_mouth) < shape_motion(face, open_mouth + (open_mouth - face))
    assert shape_motion(face, np.zeros((68, 2))) == 0


@pytest.mark.parametrize("turn", [cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE])
def test_points_of_a_clip_on_its_side_are_in_its_own_pixels(tmp_path: Path, turn: int) -> None:
    back = {
        cv2.ROTATE_90_CLOCKWISE: cv2.ROTATE_90_COUNTERCLOCKWISE,
        cv2.ROTATE_90_COUNTERCLOCKWISE: cv2.ROTATE_90_CLOCKWISE,
    }
    upright = np.zeros((80, 48, 3), np.uint8)
    upright[60:70, 5:15] = 255  # a bright spot at the lower left of the upright picture
    clip = write_clip(tmp_path / "a.avi", [rotated(upright, back[turn])] * 3)

    def detect(rgb: Pixels) -> Landmarks | None:
        if rgb.shape != (80, 48, 3) or rgb[60:70, 5:15].mean() < 200:
            return None
        points = np.full((478, 2), [9.5, 64.5], np.float32)
        points[:5] = [[0, 0], [47, 0], [0, 79], [47, 79], [20, 20]]
        return Landmarks(points, (48, 80), "found", 0)

    peak = search_peak(clip, detect)
    assert isinstance(peak, Peak)
    assert peak.onset_xy is not None
    assert len(peak.onset_xy) == 68
    filmed = cv2.rotate(upright, back[turn])
    x, y = peak.onset_xy[0]
    assert filmed[round(y), round(x)].tolist() == [255, 255, 255]


@pytest.mark.parametrize("turn", [cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE])
def test_real_landmarks_turn_a_clip_that_lies_on_its_side(tmp_path: Path, turn: int) -> None:
    frames = [demo_image(1, "surprise" if place == 2 else "neutral") for place in range(5)]
    upright = search_peak(write_clip(tmp_path / "upright.avi", frames), detect_landmarks)
    lying = search_peak(
        write_clip(tmp_path / "lying.avi", [rotated(frame, turn) for frame in frames]), detect_landmarks
    )
    assert upright == Peak(2)
    assert isinstance(lying, Peak)
    assert lying.frame == 2
    assert lying.onset_xy is not None
    eyes = np.array(lying.onset_xy)[[36, 45]]
    down = 1 if turn == cv2.ROTATE_90_CLOCKWISE else -1
    assert down * (eyes[1] - eyes[0])[1] > 5 * abs((eyes[1] - eyes[0])[0])


def test_the_peak_is_cached_outside_the_raw_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = grey_clip(tmp_path / "a.avi", 9)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache"))
    detector = Detector({0: 0, 4: 1})
    monkeypatch.setattr(peaks, "detect_landmarks", detector)
    assert find_peak(clip) == Peak(4)
    asked = len(detector.asked)
    assert find_peak(clip) == Peak(4)
    assert len(detector.asked) == asked
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.avi"]
    (cached,) = (tmp_path / "cache/peaks").iterdir()
    for broken in ("", "[]", json.dumps({"frame": "x"}), json.dumps({"frame": 1, "onset_xy": 3, "peak_xy": None})):
        cached.write_text(broken)
        assert find_peak(clip) == Peak(4)


def test_a_damaged_cache_file_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other digit, letter and length; only what still says the same, such as by another blank, is used."""
    clip = grey_clip(tmp_path / "a.avi", 9)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache"))
    monkeypatch.setattr(peaks, "detect_landmarks", Detector({0: 0, 4: 1}))
    assert find_peak(clip) == Peak(4)
    (cached,) = (tmp_path / "cache/peaks").iterdir()
    good = cached.read_bytes()
    for place in range(len(good)):
        for damaged in (good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :], good[:place]):
            cached.write_bytes(damaged)
            assert peaks._read_cache(cached) in (None, Peak(4))
    cached.write_text(json.dumps({"frame": 5, "onset_xy": None, "peak_xy": None}))
    assert find_peak(clip) == Peak(5), "version 0.1 wrote no checksum"


def test_a_cache_that_cannot_be_written_is_gone_on_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = grey_clip(tmp_path / "a.avi", 9)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(clip))
    monkeypatch.setattr(peaks, "detect_landmarks", Detector({0: 0, 4: 1}))
    assert find_peak(clip) == Peak(4)


def test_real_landmarks_find_the_frame_that_differs(tmp_path: Path) -> None:
    neutral = demo_image(1, "neutral")
    images = [neutral] * 4 + [demo_image(1, "surprise")] + [neutral] * 4
    assert find_peak(write_clip(tmp_path / "a.avi", images)) == Peak(4)


def test_sessions_that_are_left_out_say_why(tmp_path: Path) -> None:
    mmi_tree(tmp_path)
    reasons = {
        item.source: (item.reason, item.by_protocol)
        for item in DATABASES["mmi"].scan(tmp_path, "default")
        if isinstance(item, Reject)
    }
    assert reasons.pop("Sessions/3") == ("view 2; only view 0, the frontal one, is used", True)
    assert reasons.pop("Sessions/4/S004-001.avi") == ("no S004-001.xml, so no emotion label", True)
    assert reasons.pop("Sessions/5/S005-001.avi") == ("'other' is not one of the seven expressions", True)
    assert "declares a document type" in reasons.pop("Sessions/6/S006-001.avi")[0]
    assert not reasons


def test_frames_and_subjects(tmp_path: Path) -> None:
    mmi_tree(tmp_path)
    records = [item for item in DATABASES["mmi"].scan(tmp_path, "default") if isinstance(item, FaceRecord)]
    assert [(record.pair_id, record.expression, record.subject, record.fold) for record in records] == [
        ("Sessions/1/S001-001-frame0", "neutral", "S001", 0),
        ("Sessions/1/S001-001-frame4", "surprise", "S001", 0),
        ("Sessions/2/S002-001-frame0", "neutral", "S002", 1),
        ("Sessions/2/S002-001-frame4", "anger", "S002", 1),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><x>&b;</x>', "declares a document type"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "declares a document type"),
        ('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x><x/>'.encode("utf-16"), "declares a document type"),
        ("<x>", "no element found"),
        ("", "no element found"),
        (b"\0\1\2", "not well-formed"),
        (b"<x>" + b" " * (1 << 20) + b"</x>", "larger than"),
    ],
)
def test_hostile_xml_is_refused(tmp_path: Path, content: str | bytes, reason: str) -> None:
    assert reason in str(xml_elements(write(tmp_path / "a.xml", content)))


def test_xml_attributes_are_read(tmp_path: Path) -> None:
    assert xml_elements(write(tmp_path / "a.xml", '<a><b Name="Emotion" Value="3"/></a>')) == [
        ("a", {}),
        ("b", {"Name": "Emotion", "Value": "3"}),
    ]


def session(root: Path, name: str, xml: str = "<session/>", tags: str = '<Metatag Name="Emotion" Value="1"/>') -> None:
    write(root / "Sessions/1/session.xml", xml)
    write(root / f"Sessions/1/{name}.avi", "x")
    write(root / f"Sessions/1/{name}.xml", f"<tagset>{tags}</tagset>")


@pytest.mark.parametrize(
    ("name", "xml", "tags", "reason"),
    [
        ("clip", "<session/>", '<Metatag Name="Emotion" Value="1"/>', "no subject"),
        ("S001-001", "<session>", "", "not read: no element found"),
        ("S001-001", "<session/>", "", "0 emotion labels"),
        ("S001-001", "<session/>", '<Metatag Name="Emotion" Value="1"/>' * 2, "2 emotion labels"),
        ("S001-001", "<session/>", '<Metatag Name="Emotion" Value="x"/>', "unknown label 'x'"),
        ("S001-001", "<session/>", '<Metatag Name="Emotion"/>', "unknown label ''"),
        ("S001-001", "<session/>", '<Metatag Name="Emotion" Value="1"/>', "0 frames could be decoded"),
        ("clip", '<session><subject id="7"/></session>', '<Metatag Name="Emotion" Value="1"/>', "0 frames could"),
    ],
)
def test_odd_sessions_are_listed(tmp_path: Path, name: str, xml: str, tags: str, reason: str) -> None:
    session(tmp_path, name, xml, tags)
    (item,) = DATABASES["mmi"].scan(tmp_path, "default")
    assert isinstance(item, Reject)
    assert reason in item.reason
