"""Detection on demo faces and a photograph: geometry, crops, boxes, several faces, silence, determinism."""

import importlib.util
import multiprocessing
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from occsynth.errors import OccSynthError, SourceError, SystemLibraryError
from occsynth.faces import landmarks as landmarks_module
from occsynth.faces.detector_view import FaceBox
from occsynth.faces.landmarks import (
    MODEL_PATH,
    LandmarkDetector,
    Landmarks,
    detect_landmarks,
    fallback_landmarks,
    model_sha256,
)
from occsynth.faces.regions import GEOMETRY_FOLDER, canonical_face, five_points, ibug68
from occsynth.pixels.images import Pixels, read_rgb

DEMO = sorted((GEOMETRY_FOLDER.parent / "demo_faces" / "images").glob("*/*.jpg"))
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def face() -> Pixels:
    return read_rgb(DEMO[0])


@pytest.fixture(scope="module")
def astronaut() -> Pixels:
    return np.asarray(pytest.importorskip("skimage.data").astronaut(), np.uint8)


def found(rgb: Pixels, box_xyxy: FaceBox | None = None) -> Landmarks:
    landmarks = detect_landmarks(rgb, box_xyxy)
    assert landmarks is not None
    return landmarks


def eye_distance(landmarks: Landmarks) -> float:
    left, right = five_points(landmarks.points_xy)[:2]
    return float(np.linalg.norm(right - left))


def difference(
    got: Landmarks, expected: Landmarks, shift_xy: tuple[float, float] = (0.0, 0.0), scale: float = 1.0
) -> float:
    """Mean distance between the points, as a share of the distance between the eyes."""
    moved = (expected.points_xy + 0.5) * scale - 0.5 + np.array(shift_xy)
    distances = np.linalg.norm(got.points_xy - moved, axis=1)
    return float(distances.mean() / (scale * eye_distance(expected)))


def check_face_geometry(points: npt.NDArray[np.floating]) -> None:
    """What holds for every upright, nearly frontal face."""
    p = ibug68(points)
    eye_left, eye_right, nose, mouth_left, mouth_right = five_points(points)
    unit = eye_right[0] - eye_left[0]
    assert unit > 0
    assert mouth_left[0] < nose[0] < mouth_right[0]
    assert eye_left[0] < nose[0] < eye_right[0]
    assert max(eye_left[1], eye_right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
    assert p[:, 1].argmax() in (7, 8, 9)  # the chin is lowest
    assert (np.diff(p[:8, 1]) > 0).all() and (np.diff(p[9:17, 1]) < 0).all()  # the jaw goes down and up again
    assert (np.diff(p[3:14, 0]) > 0).all()
    assert (np.diff(p[17:27, 0]) > 0).all()  # brows from left to right
    assert (p[17:22, 1] < p[36:42, 1].min()).all() and (p[22:27, 1] < p[42:48, 1].min()).all()
    assert (np.diff(p[27:31, 1]) > 0).all() and (np.diff(p[31:36, 0]) > 0).all()
    assert p[33, 1] > p[30, 1]
    for outer, first, second, inner, third, fourth in ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47)):
        assert p[outer, 0] < p[first, 0] < p[second, 0] < p[inner, 0]
        assert p[outer, 0] < p[fourth, 0] < p[third, 0] < p[inner, 0]
        assert p[fourth, 1] > p[first, 1] and p[third, 1] > p[second, 1]
    assert (np.diff(p[48:55, 0]) > 0).all() and (np.diff(p[54:60, 0]) < 0).all()
    assert p[57, 1] > p[66, 1] and p[62, 1] > p[51, 1]  # an outer lip beyond its inner edge
    assert p[66, 1] > p[62, 1] - 0.02 * unit  # a closed mouth's edges may cross by a hair
    assert (np.diff(p[60:65, 0]) > 0).all() and (np.diff(p[64:68, 0]) < 0).all()


def test_demo_faces_have_a_faces_geometry() -> None:
    neutral = [path for path in DEMO if "neutral" in path.name]
    assert len(neutral) == 40
    for path in neutral[::2]:
        landmarks = found(read_rgb(path))
        assert (landmarks.how, landmarks.other_faces, landmarks.image_wh) == ("found", 0, (224, 224))
        assert landmarks.points_xy.shape == (478, 2)
        assert landmarks.points_xy.dtype == np.float32
        check_face_geometry(landmarks.points_xy)


def test_photograph_has_a_faces_geometry(astronaut: Pixels) -> None:
    landmarks = found(astronaut)
    check_face_geometry(landmarks.points_xy)
    # read off an enlarged print of the photograph: pupils, nose tip, mouth corners
    seen = np.array([(202.5, 100.5), (246.5, 103.0), (222.5, 126.5), (202.0, 139.0), (246.0, 139.5)])
    assert np.abs(five_points(landmarks.points_xy) - seen).max() < 3


def test_same_bits_in_any_order_and_detector() -> None:
    images = [read_rgb(path) for path in DEMO[:4]]
    first = [found(each).points_xy for each in images]
    again = [found(each).points_xy for each in reversed(images)][::-1]
    own = LandmarkDetector()
    other = []
    for each in images:
        landmarks = own.detect(each)
        assert landmarks is not None
        other.append(landmarks.points_xy)
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


def test_same_bits_from_several_threads() -> None:
    images = [read_rgb(path) for path in DEMO[:6]]
    with ThreadPoolExecutor(3) as pool:
        parallel = list(pool.map(found, images))
    for image, landmarks in zip(images, parallel, strict=True):
        np.testing.assert_array_equal(found(image).points_xy, landmarks.points_xy)


RUN = """
import sys
from pathlib import Path
from occsynth.pixels.images import read_rgb
from occsynth.faces.landmarks import detect_landmarks
for path in sys.argv[1:]:
    print(detect_landmarks(read_rgb(Path(path))).points_xy.tobytes().hex())
"""


def test_another_process_gives_the_same_bits_and_writes_nothing_to_stderr(face: Pixels) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(DEMO[1]), str(DEMO[0])], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[1] == found(face).points_xy.tobytes().hex()


def test_stderr_works_again_after_the_first_detection() -> None:
    script = RUN + "print('heard', file=sys.stderr)\n"
    done = subprocess.run([sys.executable, "-c", script, str(DEMO[0])], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "heard\n")


def test_a_process_without_stderr_detects_too() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" "$@" 2>&-', sys.executable, "-c", RUN, str(DEMO[0])],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert len(done.stdout.split()) == 1


def _child(connection: Connection, image: Pixels) -> None:
    connection.send(found(image).points_xy)


def test_a_forked_child_detects_too(face: Pixels) -> None:
    expected = found(face).points_xy
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_child, args=(there, face))
    child.start()
    assert here.poll(60)
    np.testing.assert_array_equal(here.recv(), expected)
    child.join(60)
    assert child.exitcode == 0


def test_a_plainly_forked_child_ends() -> None:
    script = RUN + "import os\nchild = os.fork()\nif child:\n    os.waitpid(child, 0)\n"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(DEMO[0])],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def tight_crop(rgb: Pixels, landmarks: Landmarks, fraction: float) -> tuple[Pixels, tuple[int, int]]:
    low, high = landmarks.points_xy.min(axis=0), landmarks.points_xy.max(axis=0)
    middle, half = (low + high) / 2, (high - low) / 2 * fraction
    left, top = np.maximum(np.rint(middle - half).astype(int), 0)
    right, bottom = np.rint(middle + half).astype(int)
    return np.ascontiguousarray(rgb[top:bottom, left:right]), (int(left), int(top))


@pytest.mark.parametrize("side_px", [None, 48])
def test_tight_crops_are_found_by_padding(side_px: int | None) -> None:
    how: Counter[str] = Counter()
    differences = []
    paths = DEMO[::9]
    for path in paths:
        rgb = read_rgb(path)
        whole = found(rgb)
        crop, (left, top) = tight_crop(rgb, whole, 0.7)
        if side_px is not None:
            crop = np.asarray(cv2.resize(crop, (side_px, side_px), interpolation=cv2.INTER_AREA), np.uint8)
        landmarks = detect_landmarks(crop)
        how[landmarks.how if landmarks else "none"] += 1
        if landmarks and landmarks.how == "padded" and side_px is None:
            differences.append(difference(landmarks, whole, (-left, -top)))
    assert how["found"] < 0.5 * len(paths)
    assert how["found"] + how["padded"] >= 0.95 * len(paths)
    assert side_px is not None or np.median(differences) < 0.08


@pytest.mark.parametrize("size_wh", [(100, 100), (230, 215), (1500, 1500)])
def test_points_are_source_pixels_at_any_size(face: Pixels, size_wh: tuple[int, int]) -> None:
    """The same face at another size has the same points, scaled about the outer corner of the picture."""
    expected = found(face)
    scaled = np.asarray(cv2.resize(face, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    landmarks = found(scaled)
    assert landmarks.image_wh == size_wh
    as_before = (landmarks.points_xy + 0.5) * 224 / np.array(size_wh) - 0.5
    distances = np.linalg.norm(as_before - expected.points_xy, axis=1)
    assert distances.mean() < 0.04 * eye_distance(expected)


def side_by_side(face: Pixels, small_px: int) -> Pixels:
    """The face at 224 px on the left, and a smaller one on the right."""
    canvas = np.full((224, 400, 3), 128, np.uint8)
    canvas[:, :224] = face
    canvas[20 : 20 + small_px, 240 : 240 + small_px] = cv2.resize(
        read_rgb(DEMO[40]), (small_px, small_px), interpolation=cv2.INTER_AREA
    )
    return canvas


def test_the_largest_face_wins_and_the_others_are_counted(face: Pixels) -> None:
    canvas = side_by_side(face, 150)
    landmarks = found(canvas)
    assert landmarks.other_faces == 1
    assert difference(landmarks, found(face)) < 0.06
    mirrored = found(np.ascontiguousarray(canvas[:, ::-1]))
    assert mirrored.other_faces == 1
    assert mirrored.points_xy[:, 0].mean() > 200


def test_a_box_names_the_face(face: Pixels) -> None:
    canvas = side_by_side(face, 150)
    small = found(read_rgb(DEMO[40]))
    left, top = 240 + small.points_xy.min(axis=0)[0] * 150 / 224, 20 + small.points_xy.min(axis=0)[1] * 150 / 224
    right, bottom = 240 + small.points_xy.max(axis=0)[0] * 150 / 224, 20 + small.points_xy.max(axis=0)[1] * 150 / 224
    landmarks = found(canvas, (left, top, right, bottom))
    assert landmarks.image_wh == (400, 224)
    assert difference(landmarks, small, (240, 20), 150 / 224) < 0.08


def test_a_box_finds_a_face_too_small_for_the_whole_picture(face: Pixels) -> None:
    canvas = np.full((2000, 2400, 3), 128, np.uint8)
    canvas[1700:1812, 2200:2312] = cv2.resize(face, (112, 112), interpolation=cv2.INTER_AREA)
    assert detect_landmarks(canvas) is None
    landmarks = found(canvas, (2220.0, 1715.0, 2295.0, 1800.0))
    assert difference(landmarks, found(face), (2200, 1700), 0.5) < 0.06


def test_a_box_that_reaches_over_the_edge(face: Pixels) -> None:
    cut = np.ascontiguousarray(face[:, 40:])
    points = found(face).points_xy
    low, high = points.min(axis=0) - (40, 0), points.max(axis=0) - (40, 0)
    landmarks = found(cut, (float(low[0]), float(low[1]), float(high[0]), float(high[1])))
    assert difference(landmarks, found(face), (-40, 0)) < 0.1


def test_a_box_away_from_the_face_finds_none(face: Pixels) -> None:
    canvas = np.full((224, 900, 3), 128, np.uint8)
    canvas[:, :224] = face
    assert detect_landmarks(canvas, (600.0, 20.0, 800.0, 200.0)) is None


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((300.0, 0.0, 400.0, 50.0), "outside the image of 224 x 224"),
        ((-50.0, 0.0, -1.0, 50.0), "outside the image"),
        ((50.0, 50.0, 50.0, 80.0), "must be left, top, right, bottom"),
        ((float("nan"), 0.0, 50.0, 80.0), "must be left, top, right, bottom"),
    ],
)
def test_impossible_boxes_are_refused(face: Pixels, box: FaceBox, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        detect_landmarks(face, box)


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (64, 64), (1500, 1500)])
def test_no_face_is_none(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    assert detect_landmarks(np.full((*size, 3), 128, np.uint8)) is None
    assert detect_landmarks(rng.integers(0, 256, (*size, 3), np.uint8)) is None


def test_a_grey_image_as_rgb_is_found(face: Pixels) -> None:
    grey = np.asarray(cv2.cvtColor(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
    assert difference(found(grey), found(face)) < 0.05


@pytest.mark.parametrize(
    "wrong", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros((0, 8, 3), np.uint8)]
)
def test_other_arrays_are_refused(wrong: Pixels) -> None:
    with pytest.raises(SourceError, match="RGB uint8 pixels"):
        detect_landmarks(wrong)


def test_views_and_read_only_arrays_are_taken_and_left_untouched(face: Pixels) -> None:
    turned = np.ascontiguousarray(face[:, ::-1])[:, ::-1]
    turned.flags.writeable = False
    np.testing.assert_array_equal(found(turned).points_xy, found(face).points_xy)
    np.testing.assert_array_equal(turned, read_rgb(DEMO[0]))


# ---- the model and what it loads


def test_the_shipped_model_is_the_one_named() -> None:
    assert model_sha256() == "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"


@pytest.mark.parametrize("content", [b"not a model", None])
def test_a_wrong_model_is_an_error_with_both_digests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, face: Pixels
) -> None:
    wrong = tmp_path / MODEL_PATH.name
    if content is not None:
        wrong.write_bytes(content)
    monkeypatch.setattr(landmarks_module, "MODEL_PATH", wrong)
    model_sha256.cache_clear()
    words = "has SHA-256 [0-9a-f]{64}, expected 64184e22" if content else "cannot be read: No such file"
    try:
        with pytest.raises(OccSynthError, match=words):
            LandmarkDetector().detect(face)
    finally:
        model_sha256.cache_clear()


def test_a_missing_system_library_is_named(monkeypatch: pytest.MonkeyPatch, face: Pixels) -> None:
    from mediapipe.tasks.python import vision

    def fail(options: object) -> None:
        raise OSError("libEGL.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(vision.FaceLandmarker, "create_from_options", fail)
    with pytest.raises(SystemLibraryError, match=r"libEGL\.so\.1"):
        LandmarkDetector().detect(face)


# ---- fallback geometry


def test_fallback_follows_shipped_points() -> None:
    affine = np.array([[1.9, -0.4, 30.0], [0.4, 1.9, -12.0]])
    face = canonical_face() @ affine[:, :2].T + affine[:, 2]
    for shipped in (five_points(face), ibug68(face)):
        landmarks = fallback_landmarks((300, 280), shipped)
        assert (landmarks.how, landmarks.other_faces, landmarks.image_wh) == ("fallback", 0, (300, 280))
        np.testing.assert_allclose(landmarks.points_xy, face, atol=1e-3)


@pytest.mark.parametrize("size_wh", [(48, 48), (100, 60), (60, 100)])
def test_fallback_without_points_fills_the_picture(size_wh: tuple[int, int]) -> None:
    points = fallback_landmarks(size_wh).points_xy
    assert points.dtype == np.float32
    low, high = points.min(axis=0) + 0.5, points.max(axis=0) + 0.5
    assert (low > -1e-3).all() and (high < np.array(size_wh) + 1e-3).all()
    np.testing.assert_allclose((low + high) / 2, np.array(size_wh) / 2, atol=1e-3)
    assert ((high - low) / size_wh).max() == pytest.approx(1.0, abs=1e-4)
    check_face_geometry(points)


def test_fallback_refuses_points_that_are_no_face() -> None:
    with pytest.raises(SourceError, match=r"\(5, 2\) or \(68, 2\)"):
        fallback_landmarks((48, 48), np.zeros((4, 2)))
    with pytest.raises(SourceError, match="at one place"):
        fallback_landmarks((48, 48), np.zeros((5, 2)))


# ---- the canonical face


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("face_geometry_tool", REPOSITORY / "docs" / "face_geometry_tool.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_canonical_face_is_what_its_tool_makes() -> None:
    """It takes all 280 faces, about four seconds, since a subset has another mean."""
    np.testing.assert_allclose(_tool().mean_face(DEMO), canonical_face(), atol=0.01)
