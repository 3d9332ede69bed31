"""Prediction: the build's own pixels, every kind of input, answers as files and pictures; and docs/predict.md."""

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from PIL import Image
from typer.testing import CliRunner

from occfer.baselines.patches import patch_baseline
from occfer.baselines.patches.network import PatchNetwork, PatchSizes
from occfer.cli.app import app
from occfer.cli.export import ExportName
from occfer.cli.predict import AlignName
from occfer.config import TrainConfig
from occfer.data.manifests import read_corpus, read_points
from occfer.errors import CheckpointError, DataError
from occfer.faces.align import ALIGNMENTS, FaceAligner, aligner_of, demo_faces
from occfer.faces.face import Face, Picture
from occfer.faces.pictures import pictures
from occfer.inference.annotate import draw
from occfer.inference.answer_files import FACE_NUMBER
from occfer.inference.export import FORMATS, export
from occfer.inference.recogniser import Answer, Expressions, Recogniser
from occfer.load import load
from occfer.method_table import TRAINERS
from occfer.metrics.predictions import read_predictions
from occfer.runs.checkpoint import save_model
from occfer.training.train import train
from occsynth.pixels.images import read_rgb
from tests.builds import DEMO_ROOT, ROOT, STEMS, build_demo, demo_source
from tests.occfer.inference.test_export import info_of, write_model
from tests.occfer.toy_builds import WORDS, Build, write_build

Images = npt.NDArray[np.uint8]
SIZE_PX = 48
ASTRONAUT: Images = skimage.data.astronaut()  # type: ignore[no-untyped-call]  # skimage has no types
BLANK = np.full((90, 120, 3), 250, dtype=np.uint8)
FACELESS: Images = np.repeat(np.linspace(40, 200, 90 * 120).reshape(90, 120, 1), 3, axis=2).astype(np.uint8)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_backbone: None) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model.safetensors", size_px=SIZE_PX)


def call(*words: object, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result.stdout, result.stderr


def write(path: Path, pixels: Images) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return path


def write_video(path: Path, frames: list[Images], frames_per_s: float = 25) -> Path:
    height, width = frames[0].shape[:2]
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), frames_per_s, (width, height))
    for frame in frames:
        video.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    video.release()
    return path


# ---- the aligner


@pytest.mark.parametrize("align", ["similarity", "none"])
def test_a_raw_picture_is_aligned_to_the_pixels_and_landmarks_of_the_build(tmp_path: Path, align: str) -> None:
    (manifest,) = build_demo(tmp_path / "builds", stems=STEMS[:3], align=align, size_px=88)
    corpus = read_corpus([manifest.path])
    aligner = FaceAligner(88, corpus.manifests[0].align, with_points=True)
    points = read_points(corpus, 88)
    assert corpus.manifests[0].align == align and len(corpus.samples) == 3
    for stem in STEMS[:3]:
        index = next(i for i, each in enumerate(corpus.samples) if each.pair_id.endswith(stem))
        face = aligner(DEMO_ROOT / demo_source(stem))
        assert face is not None and face.how == "found" and face.points_xy is not None
        np.testing.assert_array_equal(face.image, read_rgb(manifest.root / corpus.samples[index].clean))
        np.testing.assert_allclose(face.points_xy, points[index], atol=1e-4)


def test_predict_on_raw_pictures_answers_as_the_run_did_on_its_clean_images(
    tmp_path: Path, make_config: Callable[..., TrainConfig]
) -> None:
    stems = tuple(f"s{subject:03d}_{word}" for subject in (1, 2, 3) for word in ("anger", "happiness", "neutral"))
    (manifest,) = build_demo(tmp_path / "builds", stems=stems)
    config = make_config(manifest.path, method="clean", fold=None, pretrain_epochs=2, val_fraction=0, batch_size=4)
    folds = sorted({sample.fold for sample in read_corpus([manifest.path]).samples if sample.fold is not None})
    run = train(replace(config, fold=folds[0]))
    tested = read_predictions(run.predictions)
    recogniser = load(run.folder, device="cpu")
    sources = [DEMO_ROOT / demo_source(pair.pair_id.rpartition("/")[2]) for pair in tested.pairs]
    found = recogniser.predict(sources, align=aligner_of(recogniser.predictor))
    assert len(sources) == 3
    np.testing.assert_allclose(found.probabilities, tested.probabilities, atol=1e-6)


def test_the_largest_face_is_taken_and_its_box_surrounds_it() -> None:
    large = ASTRONAUT[:256, 100:356]
    scene = np.full((300, 420, 3), 128, dtype=np.uint8)
    scene[20:276, 10:266] = large
    scene[100:228, 280:408] = cv2.resize(large, (128, 128), interpolation=cv2.INTER_AREA)
    face = FaceAligner(SIZE_PX, "similarity")(scene)
    assert face is not None and face.other_faces == 1
    left, top, right, bottom = face.box_xyxy
    assert 10 <= left < right <= 266 and 20 <= top < bottom <= 276
    assert 60 < right - left < 120


def group(sides_px: list[int]) -> Images:
    """The same face in several sizes, side by side."""
    large = ASTRONAUT[20:212, 128:320]
    scene = np.full((220, sum(sides_px) + 20, 3), 128, dtype=np.uint8)
    left = 10
    for side in sides_px:
        scene[10 : 10 + side, left : left + side] = cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA)
        left += side
    return scene


def test_every_face_is_found_and_the_first_is_the_one_that_is_found_alone() -> None:
    aligner = FaceAligner(SIZE_PX, "similarity", with_points=True)
    scene = group([140, 192, 160])
    faces = aligner.every(scene)
    widths = [face.box_xyxy[2] - face.box_xyxy[0] for face in faces]
    assert len(faces) == 3 and widths == sorted(widths, reverse=True) and widths[0] > 1.3 * widths[2]
    assert all(face.other_faces == 2 for face in faces)
    alone = aligner(scene)
    assert alone is not None and alone.box_xyxy == faces[0].box_xyxy
    np.testing.assert_array_equal(alone.image, faces[0].image)
    lefts = [face.box_xyxy[0] for face in faces]
    assert 150 < lefts[0] < 342 < lefts[1] and lefts[2] < 150
    for face in faces:
        assert face.points_xy is not None and face.points_xy.shape == (68, 2)
        assert (face.points_xy > -5).all() and (face.points_xy < SIZE_PX + 5).all()


@pytest.mark.parametrize(("options", "how"), [({"cropped": True}, ["fallback"]), ({}, [])])
def test_every_face_of_a_picture_without_one(options: dict[str, Any], how: list[str]) -> None:
    assert [face.how for face in FaceAligner(SIZE_PX, "similarity", **options).every(FACELESS)] == how


def test_every_face_is_the_whole_picture_where_none_is_looked_for() -> None:
    (face,) = FaceAligner(SIZE_PX, "none").every(group([140, 192]))
    assert face.how == "whole"


def test_no_face_and_what_takes_its_place() -> None:
    assert FaceAligner(SIZE_PX, "similarity")(FACELESS) is None
    fallback = FaceAligner(SIZE_PX, "similarity", cropped=True)(FACELESS)
    assert fallback is not None and fallback.how == "fallback" and fallback.points_xy is not None
    whole = FaceAligner(SIZE_PX, "none")(FACELESS)
    assert whole is not None and whole.how == "whole" and whole.points_xy is None
    assert whole.box_xyxy == (0, 0, 120, 90) and whole.image.shape == (SIZE_PX, SIZE_PX, 3)
    guessed = FaceAligner(SIZE_PX, "none", with_points=True)(FACELESS)
    assert guessed is not None and guessed.how == "fallback" and guessed.points_xy is not None


@pytest.mark.parametrize("colour", [0, 128, 255])
@pytest.mark.parametrize("noise", [0, 2])
@pytest.mark.parametrize("options", [{"align": "similarity", "cropped": True}, {"align": "none"}])
def test_a_picture_of_nearly_one_colour_is_no_face_even_where_the_whole_picture_is_taken(
    colour: int, noise: int, options: dict[str, Any]
) -> None:
    rng = np.random.default_rng(0)
    blank = np.clip(colour + rng.integers(-noise, noise + 1, (60, 60, 3)), 0, 255).astype(np.uint8)
    assert FaceAligner(SIZE_PX, **options)(blank) is None
    assert FaceAligner(SIZE_PX, **options)(FACELESS) is not None


def test_paths_that_hold_no_picture_are_data_errors(tmp_path: Path) -> None:
    aligner = FaceAligner(SIZE_PX, "similarity")
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    for name, reason in (("text.jpg", "not a readable"), ("empty.png", "empty file"), ("gone.png", "not found")):
        with pytest.raises(DataError, match=f"{name}: .*{reason}"):
            aligner(tmp_path / name)
    with pytest.raises(DataError, match="cannot be read"):
        aligner(tmp_path)


# ---- the library


def test_predict_takes_arrays_lists_and_paths(model: Path, tmp_path: Path) -> None:
    recogniser = load(str(model), device="cpu", batch_size=2)
    aligner = aligner_of(recogniser.predictor)
    faces = demo_faces(aligner, 3)
    stacked = np.stack([face.image for face in faces])
    found = recogniser.predict(stacked)
    assert found.probabilities.shape == (3, len(WORDS)) and found.faces == ()
    assert found.expressions == tuple(WORDS[index] for index in found.probabilities.argmax(axis=1))
    np.testing.assert_array_equal(recogniser.predict(list(stacked)).probabilities, found.probabilities)
    paths = [DEMO_ROOT / demo_source(stem) for stem in STEMS[:2]]
    both = recogniser.predict([str(paths[0]), BLANK, paths[1], ASTRONAUT], align=aligner)
    assert both.expressions[1] is None and np.isnan(both.probabilities[1]).all() and both.faces[1] is None
    alone = aligner(paths[1])
    assert alone is not None
    by_hand = recogniser.predict([alone.image]).probabilities[0]
    np.testing.assert_allclose(
        both.probabilities[2], by_hand, rtol=1e-6
    )  # sums in batches of other sizes are rounded differently
    assert isinstance(recogniser.predict([], align=aligner), Expressions)
    assert recogniser.predict([]).probabilities.shape == (0, len(WORDS))


def test_wrong_input_is_an_error_that_says_what_is_right(model: Path, tmp_path: Path) -> None:
    recogniser = load(model, device="cpu")
    small = np.zeros((2, 24, 24, 3), dtype=np.uint8)
    for wrong in (small, small.astype(np.float32), [np.zeros((SIZE_PX, SIZE_PX), dtype=np.uint8)]):
        with pytest.raises(
            DataError, match=r"the model takes aligned faces of \(48, 48, 3\) uint8, or give an aligner"
        ):
            recogniser.predict(wrong)  # type: ignore[arg-type]  # the wrong type is what is tested
    with pytest.raises(DataError, match=r"'face\.jpg' is a path: give an aligner"):
        recogniser.predict(["face.jpg"])
    (tmp_path / "folds" / "fold-0" / "checkpoints").mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"holds 1 models, one per fold; name one of them, such as .*fold-0"):
        load(tmp_path / "folds")
    with pytest.raises(CheckpointError, match="not found"):
        load(tmp_path / "gone")
    other = write_model(tmp_path / "other.safetensors", align="")
    with pytest.raises(DataError, match="choose --align similarity or none"):
        aligner_of(load(other, device="cpu").predictor)


def test_a_model_that_needs_landmarks_gets_those_of_the_aligned_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = PatchSizes(blocks=(4, 4, 4, 8, 8), gate=(4, 4), feature=4, global_feature=4, hidden=8)
    monkeypatch.setitem(TRAINERS, "small", patch_baseline("small PG-CNN", sizes))
    path = tmp_path / "small.safetensors"
    info = info_of("vgg16", method="small", size_px=SIZE_PX, align="none")
    save_model(path, PatchNetwork(len(WORDS), sizes).state_dict(), None, info)
    recogniser = load(path, device="cpu")
    aligner = aligner_of(recogniser.predictor)
    assert aligner.with_points
    found = recogniser.predict([ASTRONAUT[:200, 130:330]], align=aligner)
    (face,) = found.faces
    assert face is not None and face.how == "found" and face.points_xy is not None
    by_hand = recogniser.predict(face.image[None], face.points_xy[None])
    np.testing.assert_array_equal(found.probabilities, by_hand.probabilities)
    with pytest.raises(DataError, match=r"needs landmarks: give points_xy \(1, 68, 2\), or an aligner"):
        recogniser.predict(face.image[None])


def whole(picture: Images | Path) -> Face | None:
    """An aligner that takes the top left corner of all but black pictures."""
    assert not isinstance(picture, Path)
    return Face(picture[:SIZE_PX, :SIZE_PX], "whole", (0, 0, 1, 1)) if picture.any() else None


def test_a_stream_keeps_order_and_holds_a_batch_at_most(model: Path) -> None:
    recogniser = Recogniser(load(model, device="cpu").predictor, batch_size=4)
    rng = np.random.default_rng(0)
    drawn = 0

    def source() -> Iterator[Picture]:
        nonlocal drawn
        for index in range(11):
            drawn += 1
            pixels = rng.integers(0, 256, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
            yield Picture(str(index), None if index == 2 else pixels * (index != 5), fault="odd" * (index == 2))

    answers = []
    for number, (picture, answer) in enumerate(recogniser.stream(source(), whole)):
        assert drawn <= 4 * (number // 4 + 1) and picture.pixels is None
        answers.append(answer)
    assert [answer.source for answer in answers] == [str(index) for index in range(11)]
    statuses = {2: "unreadable", 5: "no face"}
    assert [answer.status for answer in answers] == [statuses.get(index, "ok") for index in range(11)]
    assert answers[2].fault == "odd" and answers[2].confidence == 0
    assert all(abs(sum(answer.probabilities) - 1) < 1e-9 for answer in answers if answer.status == "ok")
    assert answers[0].expression == WORDS[int(np.argmax(answers[0].probabilities))]


def test_a_stream_of_large_pictures_waits_for_less_than_a_batch(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("occfer.inference.recogniser.HELD_BYTES", 100_000)
    recogniser = load(model, device="cpu", batch_size=64)
    drawn = 0

    def source() -> Iterator[Picture]:
        nonlocal drawn
        for index in range(6):
            drawn += 1
            yield Picture(str(index), np.full((150, 150, 3), 9, dtype=np.uint8))

    for number, (picture, _) in enumerate(recogniser.stream(source(), whole, keep_pixels=True)):
        assert drawn == 2 * (number // 2 + 1) and picture.pixels is not None


def test_a_stream_of_faces_counts_faces_to_fill_a_batch(model: Path) -> None:
    recogniser = Recogniser(load(model, device="cpu").predictor, batch_size=4)
    rng = np.random.default_rng(0)
    drawn = 0

    def source() -> Iterator[Picture]:
        nonlocal drawn
        for index in range(6):
            drawn += 1
            yield Picture(str(index), rng.integers(0, 256, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8) * (index != 3))

    def three(picture: Images | Path) -> list[Face]:
        assert not isinstance(picture, Path)
        boxes = [(0.0, 0.0, 3.0 - number, 1.0) for number in range(3)]
        return (
            [Face(np.roll(picture, 7 * n, 0), "found", box, 2) for n, box in enumerate(boxes)] if picture.any() else []
        )

    found = []
    for number, (picture, answers) in enumerate(recogniser.stream_faces(source(), three)):
        assert drawn <= 2 * (number // 2 + 1)
        found.append((picture.source, [(answer.status, answer.face_number) for answer in answers]))
        if answers[0].status == "ok":
            assert [answer.box_xyxy[2] for answer in answers if answer.box_xyxy] == [3, 2, 1]
            assert len({answer.probabilities for answer in answers}) == 3
    whole_picture = [("ok", 1), ("ok", 2), ("ok", 3)]
    assert found == [(str(index), [("no face", 1)] if index == 3 else whole_picture) for index in range(6)]


# ---- the command


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_pictures_folders_and_videos(model: Path, tmp_path: Path) -> None:
    write(tmp_path / "in/b.png", ASTRONAUT)
    write(tmp_path / "in/deep/a.jpg", BLANK)
    (tmp_path / "in/a.jpg").write_text("no picture")
    (tmp_path / "in/notes.txt").write_text("passed over")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    still = ASTRONAUT[:241, 60:401]
    write_video(tmp_path / "clip.mp4", [still] * 4 + [np.full_like(still, 90)] * 3)
    words = ("predict", "in", "clip.mp4", "b.png", "--checkpoint", model, "--every", 3, "--device", "cpu")
    write(tmp_path / "b.png", ASTRONAUT)
    stdout, stderr = call(*words, "-o", "out/a.csv", "-o", "a.json", "--annotate", "in/drawn")
    assert stdout.splitlines() == ["written\tout/a.csv", "written\ta.json", "written\tin/drawn"]
    assert stderr.endswith(
        "passed over: 1 file named neither as a picture nor as a video, such as in/notes.txt\n"
        "4 faces predicted, 2 without a face, 2 unreadable\n"
    )
    rows = rows_of(tmp_path / "out/a.csv")
    assert [(row["source"], row["frame"], row["status"]) for row in rows] == [
        ("in/loop", "", "unreadable"),
        ("in/a.jpg", "", "unreadable"),
        ("in/b.png", "", "ok"),
        ("in/deep/a.jpg", "", "no face"),
        ("clip.mp4", "0", "ok"),
        ("clip.mp4", "3", "ok"),
        ("clip.mp4", "6", "no face"),
        ("b.png", "", "ok"),
    ]
    assert "not followed" in rows[0]["fault"] and "not a readable image" in rows[1]["fault"]
    written = [float(rows[2][f"p_{word}"]) for word in WORDS]
    direct = load(model, device="cpu").predict([ASTRONAUT], align=FaceAligner(SIZE_PX, "similarity"))
    np.testing.assert_allclose(written, direct.probabilities[0], rtol=1e-6)
    assert rows[2]["expression"] == direct.expressions[0] and rows[2]["face"] == "found"
    assert 150 < float(rows[2]["left"]) < float(rows[2]["right"]) < 300
    assert rows[3]["expression"] == rows[3]["p_anger"] == rows[3]["left"] == rows[3]["other_faces"] == ""

    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert content["model"]["classes"] == list(WORDS) and content["model"]["align"] == "similarity"
    for row, answer in zip(rows, content["answers"], strict=True):
        assert answer["source"] == row["source"] and answer["status"] == row["status"]
        assert str(answer.get("frame", "")) == row["frame"] and answer.get("expression", "") == row["expression"]
    assert content["answers"][2]["probabilities"]["anger"] == written[0]

    drawn = tmp_path / "in/drawn"
    assert sorted(path.relative_to(drawn).as_posix() for path in drawn.rglob("[!.]*.*")) == [
        "b.png",
        "clip.mp4",
        "in/b.png",
        "in/deep/a.jpg",
    ]
    capture = cv2.VideoCapture(str(drawn / "clip.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(25 / 3, rel=1e-3)
    capture.release()
    # drawings are in the folder that is searched, and must not be predicted
    table = call(*words, "--annotate", "in/drawn")[0].splitlines()
    assert table[0] == "source\tframe\texpression\tprobability\tface\tnote" and len(table) == 1 + 8 + 1
    assert table[3].startswith(f"in/b.png\t\t{direct.expressions[0]}\t0.") and table[3].endswith("\tfound\t")
    assert table[4] == "in/deep/a.jpg\t\t\t\t\tno face"
    assert table[2].startswith("in/a.jpg\t\t\t\t\tunreadable: not a readable image")


def test_all_faces_have_a_line_each_and_the_largest_alone_is_as_before(model: Path, tmp_path: Path) -> None:
    write(tmp_path / "in/a.png", group([140, 192, 160]))
    write(tmp_path / "in/b.png", BLANK)
    write(tmp_path / "in/c.png", ASTRONAUT)
    words = ("predict", "in", "--checkpoint", model, "--device", "cpu", "-o", "a.csv", "-o", "a.json")
    call(*words)
    largest, before = rows_of(tmp_path / "a.csv"), (tmp_path / "a.csv").read_bytes()
    assert len(largest) == 3 and "face_number" not in largest[0]
    _, stderr = call(*words, "--faces", "all", "--annotate", "drawn")
    assert stderr == "4 faces predicted, 1 without a face\n"
    rows = rows_of(tmp_path / "a.csv")
    assert [(row["source"], row["face_number"], row["other_faces"]) for row in rows] == [
        ("in/a.png", "1", "2"),
        ("in/a.png", "2", "2"),
        ("in/a.png", "3", "2"),
        ("in/b.png", "", ""),
        ("in/c.png", "1", "0"),
    ]
    assert [{name: row[name] for name in largest[0]} for row in (rows[0], rows[3], rows[4])] == largest
    answers = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["answers"]
    assert [answer.get("face_number") for answer in answers] == [1, 2, 3, None, 1]
    assert [answer["box_xyxy"][0] for answer in answers[:3]] == [float(row["left"]) for row in rows[:3]]
    drawn = coloured(read_rgb(tmp_path / "drawn/in/a.png"), (0xD5, 0x5E, 0x00))
    for row in rows[:3]:
        enlarged = [320 / 220 * float(row[name]) for name in ("left", "top", "bottom")]
        left, middle = round(enlarged[0]), round((enlarged[1] + enlarged[2]) / 2)
        assert drawn[middle : middle + 5, left - 3 : left + 4].any(axis=1).all(), row
    table = call(*words[:6], "--faces", "all")[0].splitlines()
    assert table[0].split("\t") == [
        "source",
        "frame",
        "face number",
        "box",
        "expression",
        "probability",
        "face",
        "note",
    ]
    assert [line.split("\t")[2] for line in table[1:]] == ["1", "2", "3", "", "1"]
    call(*words)  # a file of all faces is one of this command, too
    assert (tmp_path / "a.csv").read_bytes() == before


# ---- standard input and cameras


def piped(content: bytes, *words: object, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words], input=content)
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result.stdout, result.stderr


def test_a_picture_comes_through_standard_input_beside_others(model: Path, tmp_path: Path) -> None:
    content = write(tmp_path / "photo.png", ASTRONAUT).read_bytes()
    words = ("predict", "-", "photo.png", "--checkpoint", model, "--device", "cpu")
    table = piped(content, *words)[0].splitlines()
    assert table[1].startswith("-\t\t") and table[1][1:] == table[2].removeprefix("photo.png")
    piped(content, *words, "-o", "a.csv", "--annotate", "drawn")
    assert [row["source"] for row in rows_of(tmp_path / "a.csv")] == ["'-", "photo.png"]
    assert sorted(path.name for path in (tmp_path / "drawn").glob("*.png")) == ["photo.png", "stdin.png"]
    drawn, same = (read_rgb(tmp_path / "drawn" / name) for name in ("photo.png", "stdin.png"))
    np.testing.assert_array_equal(drawn, same)


def test_standard_input_without_a_picture_is_one_line(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("predict", "-", "--checkpoint", model, "--device", "cpu")
    for content, fault in ((b"", "standard input is empty"), (b"no picture", "not a readable image")):
        stdout, stderr = piped(content, *words, code=1)
        assert fault in stdout and stderr == "error: nothing could be predicted: 1 unreadable\n"
    monkeypatch.setattr("occfer.faces.pictures.LARGEST_FILE_BYTES", 100)
    assert "longer than 100 bytes" in piped(bytes(101), *words, code=1)[0]
    assert piped(b"", *words[:2], *words[1:], code=1)[1] == (
        "error: - is given twice, and standard input holds one image\n"
    )
    (tmp_path / "-").write_bytes(b"")
    assert piped(b"", "predict", tmp_path / "-", *words[2:], code=1)[0].count("empty file") == 1


def test_a_terminal_is_no_picture(model: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "occfer", "predict", "-", "--checkpoint", str(model)],
        stdin=theirs, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 1
    assert done.stderr == (
        "error: - reads an image from standard input, which is this terminal; send one in, as with < photo.jpg\n"
    )


@pytest.fixture
def camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """OpenCV's camera 0 is a video of seven frames."""
    path = write_video(tmp_path / "camera.avi", [np.roll(ASTRONAUT[:241, 60:401], n, axis=1) for n in range(7)])
    usual = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: usual(str(path)) if source == 0 else usual(source))
    return path


def test_the_frames_of_a_camera_are_answered_one_by_one(camera: Path, model: Path, tmp_path: Path) -> None:
    words = ("predict", "--camera", 0, "--checkpoint", model, "--device", "cpu")
    lines = call(*words, "--frames", 3)[0].splitlines()
    assert [line.split("\t")[:2] for line in lines] == [["source", "frame"], *(["camera 0", str(n)] for n in range(3))]
    _, stderr = call(*words, "--every", 3, "--faces", "all", "-o", "a.csv", "--annotate", "drawn")
    rows = rows_of(tmp_path / "a.csv")
    assert [(row["source"], row["frame"], row["status"]) for row in rows] == [
        *(("camera 0", frame, "ok") for frame in ("0", "3", "6")),
        ("camera 0", "", "unreadable"),
    ]
    assert rows[-1]["fault"] == "the camera gave no more frames" and stderr == "3 faces predicted, 1 unreadable\n"
    capture = cv2.VideoCapture(str(tmp_path / "drawn/camera-0.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3
    capture.release()


def test_ctrl_c_ends_the_frames_and_keeps_the_answers(
    camera: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = 0
    usual = FaceAligner.__call__

    def interrupting(self: FaceAligner, picture: Images | Path) -> Face | None:
        nonlocal seen
        seen += 1
        if seen == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return usual(self, picture)

    monkeypatch.setattr(FaceAligner, "__call__", interrupting)
    handler = signal.getsignal(signal.SIGINT)
    _, stderr = call("predict", "--camera", 0, "--checkpoint", model, "--device", "cpu", "-o", "a.csv")
    assert stderr == "2 faces predicted\n" and [row["frame"] for row in rows_of(tmp_path / "a.csv")] == ["0", "1"]
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_camera_that_is_not_there_is_one_line(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ("--checkpoint", model, "--device", "cpu")
    _, stderr = call("predict", "--camera", 63, *words, code=1)
    assert re.fullmatch(r"error: --camera 63 cannot be opened; this machine has .+\n", stderr)
    assert capfd.readouterr().err == ""  # OpenCV's own lines
    for more, said in (
        (("--camera", 0, "a.png"), "--camera 0 takes no files; leave out a.png"),
        ((), "nothing to look at; give images, videos or folders, - for standard input, or --camera 0"),
        (("a.mp4", "--frames", 2), "--frames 2 is for --camera alone; --every N takes fewer frames of a video"),
    ):
        assert call("predict", *more, *words, code=1)[1] == f"error: {said}\n"


def test_a_cut_video_is_named_after_its_frames(model: Path, tmp_path: Path) -> None:
    still = ASTRONAUT[:241, 60:401]
    write_video(tmp_path / "whole.avi", [np.roll(still, number, axis=1) for number in range(9)])
    content = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "half.avi").write_bytes(content[: len(content) // 2])
    words = ("predict", "half.avi", "whole.avi", "--every", 4, "--checkpoint", model, "--device", "cpu", "-o", "a.csv")
    assert "1 unreadable" in call(*words)[1]
    rows = rows_of(tmp_path / "a.csv")
    (cut,) = [row for row in rows if row["fault"]]
    assert (cut["source"], cut["frame"], cut["status"]) == ("half.avi", "", "unreadable")
    assert re.fullmatch(r"cut: its header names 9 frames, but only \d can be decoded", cut["fault"])
    assert [row["frame"] for row in rows if row["source"] == "whole.avi"] == ["0", "4", "8"]


def test_exit_code_1_only_where_nothing_can_be_predicted(model: Path, tmp_path: Path) -> None:
    write(tmp_path / "blank.png", BLANK)
    (tmp_path / "broken.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    words = ("--checkpoint", model, "--device", "cpu")
    _, stderr = call("predict", "blank.png", "broken.mp4", "gone.avi", *words, "-o", "a.csv", code=1)
    assert stderr == "error: nothing could be predicted: 1 without a face, 2 unreadable\n"
    faults = [row["fault"] for row in rows_of(tmp_path / "a.csv")]
    assert faults == ["", "no frame of the video can be decoded", "file not found"]
    _, stderr = call("predict", "empty", *words, code=1)
    assert stderr == "error: no images or videos in empty; give files, or folders that hold some\n"
    write(tmp_path / "faceless.png", FACELESS)
    _, stderr = call("predict", "faceless.png", *words, "--cropped")
    assert stderr == "1 face predicted, 1 of them the whole picture, because no face was found\n"
    _, stderr = call("predict", "faceless.png", *words, "--align", "none")
    assert stderr.startswith("faces are aligned by 'none', while the model was trained on 'similarity'\n")


def test_files_that_cannot_be_written_are_named(model: Path, tmp_path: Path) -> None:
    write(tmp_path / "photo.png", ASTRONAUT)
    before = (tmp_path / "photo.png").read_bytes()
    (tmp_path / "file").write_text("")
    words = ("predict", "photo.png", "--checkpoint", model, "--device", "cpu")
    for more, message in (
        (("-o", "a.txt"), "-o a.txt: the name of a file of answers must end in .csv or .json"),
        (("-o", "file/a.csv"), "-o file/a.csv cannot be written"),
        (("--annotate", "."), "--annotate . would replace photo.png itself; choose another folder"),
        (("--annotate", "file"), "file cannot be written to"),
        (("--checkpoint", "gone.onnx"), "gone.onnx not found; write it with `occfer export --format onnx`"),
    ):
        assert f"error: {message}" in call(*words, *more, code=1)[1]
    assert (tmp_path / "photo.png").read_bytes() == before
    call(*words, "-o", "a.csv", "--annotate", ".", code=1)
    assert not list(tmp_path.glob("*a.csv*")) and not list(tmp_path.glob(".*part"))


def test_closed_options_take_what_the_library_takes() -> None:
    assert tuple(AlignName) == ALIGNMENTS
    assert tuple(ExportName) == tuple(FORMATS)


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        *((".jfif", "JPEG"), (".jpe", "JPEG"), (".gif", "GIF"), (".avif", "AVIF"), (".jp2", "JPEG2000")),
        *((".GIF", "GIF"), (".heic", None), (".jxl", None), (".nef", None)),
    ],
)
def test_no_picture_is_passed_over(tmp_path: Path, ending: str, kind: str | None) -> None:
    path = tmp_path / f"photo{ending}"
    if kind:
        Image.fromarray(ASTRONAUT).save(path, kind)
    else:
        path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(300))
    (tmp_path / "notes.txt").write_text("no picture")
    passed_over: list[Path] = []
    (found,) = pictures([tmp_path], passed_over=passed_over.append)
    assert passed_over == [tmp_path / "notes.txt"]
    assert found.source == str(path)
    if kind:
        assert found.pixels is not None
        assert np.mean(np.abs(found.pixels.astype(float) - ASTRONAUT)) < 12  # GIF has 256 colours
    else:
        assert found.pixels is None and found.fault.endswith("; convert it to PNG or JPEG")


def test_two_inputs_of_the_same_name_have_different_drawings(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write(tmp_path / folder / "face.bmp", BLANK)
    names = [picture.name for picture in pictures([Path("a/face.bmp"), Path("b/face.bmp"), Path("a"), Path("b/../a")])]
    assert names == ["face.bmp", "2-face.bmp", "a/face.bmp", "2-a/face.bmp"]


def test_onnx_is_predicted_by_the_command_without_torch(model: Path, tmp_path: Path) -> None:
    export(model, tmp_path / "model.onnx", kind="onnx")
    write(tmp_path / "photo.png", ASTRONAUT)
    wanted = call("predict", "photo.png", "--checkpoint", model, "--device", "cpu")[0]
    code = "import sys\nsys.modules['torch'] = None\nfrom occfer.cli.app import main\nmain()"

    done = subprocess.run(
        [sys.executable, "-c", code, "predict", "photo.png", "--checkpoint", "model.onnx"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == wanted


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_extra_is_named(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not read")
    monkeypatch.setitem(sys.modules, package, None)
    for module in ("onnx_file", "onnx_graph"):
        monkeypatch.delitem(sys.modules, f"occfer.inference.{module}", raising=False)
    command = ("export", "-o", "new.onnx") if package == "onnxscript" else ("predict", "photo.png")
    checkpoint = model if package == "onnxscript" else "model.onnx"
    _, stderr = call(*command, "--checkpoint", checkpoint, code=1)
    assert stderr == "error: exported models need more packages: pip install 'occsynth[export]'\n"


# ---- drawing


def answer_for(**changes: Any) -> Answer:
    known: dict[str, Any] = {
        "source": "a.png", "frame": None, "status": "ok", "expression": "happiness", "face": "found",
        "probabilities": (0.02, 0.02, 0.02, 0.9, 0.02, 0.01, 0.01), "box_xyxy": (30.0, 40.0, 90.0, 110.0),
    }  # fmt: skip
    return Answer(**(known | changes))


def coloured(image: Images, rgb: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    return np.asarray((np.abs(image.astype(int) - rgb) < 3).all(axis=2))


def test_a_drawing_shows_the_box_and_longer_bars_for_likelier_classes() -> None:
    grey = np.full((400, 500, 3), 128, dtype=np.uint8)
    before = grey.copy()
    drawn = draw(grey, [answer_for()], WORDS)
    np.testing.assert_array_equal(grey, before)
    assert drawn.shape[0] % 2 == drawn.shape[1] % 2 == 0
    orange = coloured(drawn, (0xD5, 0x5E, 0x00))
    assert orange[110, 30:90].all() and orange[45:105, 30].all() and not orange[50:100, 40:80].any()
    bars = orange[:, 500:], coloured(drawn[:, 500:], (0x00, 0x72, 0xB2))
    longest = [int(each.sum(axis=1).max()) for each in bars]
    assert longest[0] > 20 * longest[1] > 0
    np.testing.assert_array_equal(drawn, draw(grey, [answer_for()], WORDS))


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "no face", "expression": "", "probabilities": (), "face": "", "box_xyxy": None},
        {"face": "whole", "box_xyxy": (0.0, 0.0, 61.0, 33.0)},
        {"face": "fallback", "box_xyxy": (-20.0, -30.0, 80.0, 90.0)},
        {"box_xyxy": (100.0, 100.0, 120.0, 120.0)},
    ],
)
def test_drawings_of_pictures_of_one_size_have_one_size(changes: dict[str, Any]) -> None:
    small = np.full((33, 61, 3), 200, dtype=np.uint8)
    assert draw(small, [answer_for(**changes)], WORDS).shape == draw(small, [answer_for()], WORDS).shape


# ---- docs/predict.md

DOCS = (ROOT / "docs" / "predict.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"^```console\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)


def test_the_commands_of_the_docs_run(tmp_path: Path) -> None:
    write_model(tmp_path / "runs/demo/checkpoints/best.safetensors", size_px=SIZE_PX)
    write(tmp_path / "photo.jpg", ASTRONAUT)
    write(tmp_path / "photos/one.png", ASTRONAUT)
    write_video(tmp_path / "clip.mp4", [ASTRONAUT] * 2)
    assert len(COMMANDS) == 8
    tables = []
    for command in COMMANDS:
        typed, _, stdin = command.partition(" < ")
        program, *words = shlex.split(typed)
        assert program == "occfer"
        content = (tmp_path / stdin).read_bytes() if stdin else b""
        tables.append(piped(content, *words)[0])
        assert piped(content, *words)[0] == tables[-1], "what a command has made, it may make again"
    assert tables[0] == tables[3].replace("-\t", "photo.jpg\t") == tables[5] == tables[7]
    assert tables[1].split() == ["written", "answers.csv", "written", "answers.json", "written", "drawn"]
    said = r"largest difference from torch \S+e-0\d|largest difference from torch 0\.0e\+00"
    assert re.match(said, tables[4]) and tables[4].endswith("\nmodel\tmodel.onnx\n")
    columns = rows_of(tmp_path / "answers.csv")[0]
    for name in (*columns, FACE_NUMBER):
        assert ("`p_<class>`" if name.startswith("p_") else f"`{name}`") in DOCS, name


def test_the_snippet_of_the_docs_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_build(tmp_path / "builds", Build(name="demo-r16", database="demo", subjects=4, folds=2, size_px=SIZE_PX))
    Image.fromarray(ASTRONAUT).save(tmp_path / "photo.jpg")
    (snippet,) = SNIPPETS
    quick = 'backbone="tiny", epochs=1, pretrain_epochs=1, batch_size=8, device="cpu", weights="none"'
    exec(compile(snippet.replace('weights="none"', quick), "docs/predict.md", "exec"), {})  # noqa: S102 - the docs' own
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\('\w+',\) \(1, 7\) \(0\.0, 0\.0, 512\.0, 512\.0\)", first)
    assert second == first.partition(" ")[0]
