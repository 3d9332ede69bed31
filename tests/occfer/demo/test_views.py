"""What the demo makes of a picture: the answers of `occfer predict`, heat, and one line where nothing can be shown."""

import base64
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from occfer.baselines.patches import patch_baseline
from occfer.baselines.patches.network import PatchNetwork, PatchSizes
from occfer.data.arrays import Images
from occfer.demo.page import seen
from occfer.demo.views import NO_FACE, WHOLE_PICTURE, ShownModel, View, open_models, read_shown, views
from occfer.errors import DataError
from occfer.faces.align import FaceAligner, aligner_of
from occfer.faces.chosen_occlusion import Choice, ChosenOccluder
from occfer.faces.pictures import read_picture
from occfer.load import load
from occfer.method_table import TRAINERS
from occfer.runs.checkpoint import save_model
from tests.builds import DEMO_ROOT, demo_source
from tests.occfer.inference.test_export import info_of, write_model
from tests.occfer.toy_builds import WORDS

FACE_FILE = DEMO_ROOT / demo_source("s001_happiness")
PICTURE = read_picture(FACE_FILE)
FACELESS: Images = np.repeat(np.linspace(40, 200, 90 * 120).reshape(90, 120, 1), 3, axis=2).astype(np.uint8)
CHOICE = Choice("lower", 40, "plain black")
OCCLUDER = ChosenOccluder()


@pytest.fixture(autouse=True)
def tiny(tiny_backbone: None) -> None:
    """The models of these tests have that backbone."""


def address(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def encoded(ending: str, picture: Images = PICTURE) -> bytes:
    done, content = cv2.imencode(ending, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert done
    return content.tobytes()


def looked_at(models: Sequence[ShownModel], picture: Images = PICTURE) -> list[View]:
    return views(models, picture, OCCLUDER, CHOICE)


def test_a_view_holds_the_answers_of_predict(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.safetensors", size_px=48)
    recogniser = load(path, device="cpu")
    aligner = aligner_of(recogniser.predictor)
    (view,) = looked_at(open_models([path], "cpu"))
    clean = recogniser.predict([FACE_FILE], align=aligner)
    np.testing.assert_array_equal(view.clean_probabilities, clean.probabilities[0])
    assert clean.faces[0] is not None
    np.testing.assert_array_equal(view.clean, clean.faces[0].image)
    np.testing.assert_array_equal(view.occluded_probabilities, recogniser.predict([view.occluded]).probabilities[0])
    assert (view.clean_probabilities != view.occluded_probabilities).any()
    assert 0.34 < view.hidden_fraction < 0.46 and not view.note
    assert view.classes == recogniser.info.classes and view.model == f"{path} (full)"


def test_two_models_of_other_sizes_are_shown_with_the_same_draw(tmp_path: Path) -> None:
    paths = [write_model(tmp_path / f"{size}.safetensors", size_px=size, seed=size) for size in (48, 64)]
    first, second = looked_at(open_models(paths, "cpu"))
    assert (first.clean.shape, second.clean.shape) == ((48, 48, 3), (64, 64, 3))
    assert abs(first.hidden_fraction - second.hidden_fraction) < 0.03
    with pytest.raises(DataError, match=r"^3 checkpoints: the page shows at most 2, side by side$"):
        open_models([*paths, paths[0]], "cpu")


def test_heat_is_as_large_as_the_face_and_says_how_much_lies_on_the_occluder(tmp_path: Path) -> None:
    (view,) = looked_at(open_models([write_model(tmp_path / "model.safetensors", size_px=48)], "cpu"))
    for heat in (view.heat.clean, view.heat.occluded):
        assert heat is not None and heat.shape == view.clean.shape and heat.dtype == np.uint8
    assert view.heat.note.endswith(" of the picture.") and " % of the heat lies on the occluder, " in view.heat.note


def test_a_picture_without_a_face_gets_one_line(tmp_path: Path) -> None:
    similar, whole = open_models(
        [write_model(tmp_path / f"{align}.safetensors", size_px=48, align=align) for align in ("similarity", "none")],
        "cpu",
    )
    with pytest.raises(DataError, match=f"^{NO_FACE}$"):
        looked_at([similar], FACELESS)
    (view,) = looked_at([whole], FACELESS)
    assert view.note == WHOLE_PICTURE, "a model of whole pictures answers to it, as predict does"
    assert not looked_at([whole])[0].note


@pytest.mark.parametrize("ending", [".png", ".bmp", ".jpg", ".webp"])
def test_pictures_are_read_as_predict_reads_them(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"face{ending}").write_bytes(encoded(ending))
    np.testing.assert_array_equal(read_shown(address(encoded(ending))), read_picture(tmp_path / f"face{ending}"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a PNG, JPEG, WebP, GIF, BMP or AVIF picture. Convert it to PNG or JPEG.$"),
        (b"<svg onload=alert(1)>", "not a PNG, JPEG, WebP, GIF, BMP or AVIF picture"),
        (encoded(".png")[:500], "^the picture cannot be read: "),
        (b"\x89PNG\r\n\x1a\nnothing else", "^the picture cannot be read: "),
    ],
)
def test_other_files_get_one_line(content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_shown(address(content))


def test_a_picture_that_did_not_arrive_whole_or_is_too_large_gets_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="did not arrive whole"):
        read_shown("data:image/png;base64,a")
    monkeypatch.setattr("occfer.demo.views.LARGEST_PICTURE_BYTES", 2**20)
    with pytest.raises(DataError, match=r"^The picture is larger than 1 MiB"):
        read_shown(address(bytes(2**20)))


def test_a_format_that_opencv_decodes_through_a_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encoded(".hdr")
    monkeypatch.setenv("OPENCV_TEMP_PATH", str(tmp_path / "nowhere"))
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert image is None, "without a folder for its file, OpenCV does not decode this format"
    with pytest.raises(DataError, match="not a PNG"):
        read_shown(address(content))


@pytest.mark.parametrize("ending", [".png", ".bmp", ".jpg", ".webp", ".gif", ".avif"])
def test_formats_that_are_read_need_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    content = encoded(ending)
    monkeypatch.setenv("OPENCV_TEMP_PATH", str(tmp_path / "nowhere"))
    assert read_shown(address(content)).shape == PICTURE.shape


def test_names_from_a_model_file_cannot_change_the_page(tmp_path: Path) -> None:
    hostile = ("<script>alert(1)</script>", "b", "c", "d", "e", "f", '" style="x')
    path = write_model(tmp_path / "model.safetensors", size_px=48, classes=hostile)
    (view,) = looked_at(open_models([path], "cpu"))
    page = seen(view)
    assert "<script" not in page and "&lt;script&gt;" in page and '" style="x' not in page


def test_a_model_that_needs_landmarks_gets_those_of_the_occluded_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = PatchSizes(blocks=(4, 4, 4, 8, 8), gate=(4, 4), feature=4, global_feature=4, hidden=8)
    monkeypatch.setitem(TRAINERS, "small", patch_baseline("small PG-CNN", sizes))
    path = tmp_path / "small.safetensors"
    info = info_of("vgg16", method="small", size_px=48, align="similarity")
    save_model(path, PatchNetwork(len(WORDS), sizes).state_dict(), None, info)
    (view,) = looked_at(open_models([path], "cpu"))
    face = FaceAligner(48, "none", with_points=True)(view.occluded)
    assert face is not None and face.points_xy is not None
    expected = load(path, device="cpu").predict(view.occluded[None], face.points_xy[None])
    np.testing.assert_array_equal(view.occluded_probabilities, expected.probabilities[0])
    assert view.heat.clean is None and view.heat.note.startswith("No heat: ") and "the method small" in view.heat.note
    assert "heat of the answer" not in seen(view) and "the method small" in seen(view)
