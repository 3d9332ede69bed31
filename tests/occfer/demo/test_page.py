"""`occfer demo` as people use it: the command itself, its page in a headless Chromium, and what stays on the disk."""

import base64
import logging
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import gradio as gr
import numpy as np
import pytest
from matplotlib import get_cachedir
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.data.arrays import Images
from occfer.demo.server import _server_of, listen
from occfer.errors import DataError
from occfer.faces.align import FaceAligner
from occfer.faces.chosen_occlusion import KINDS
from occfer.intended_use import NOTICE
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.render import render
from occsynth.templates.pack import load_pack
from tests.browser import Page, open_page
from tests.builds import DEMO_ROOT, ROOT, demo_source
from tests.occfer.inference.test_export import write_model

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]

FACE_FILE = DEMO_ROOT / demo_source("s001_happiness")
PATIENCE_S = 120.0
TERMINATED = 128 + signal.SIGTERM


@dataclass(frozen=True, slots=True)
class RunningDemo:
    """The command while it runs; `folder` holds everything that it could write: home, temporary folder, current one."""

    process: subprocess.Popen[str]
    address: str
    folder: Path

    def files(self) -> set[str]:
        """Everything in the folder."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    models = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("first", "second")):
        write_model(models / f"{name}.safetensors", "resnet18", seed, size_px=64, stem="small")
    folder = tmp_path_factory.mktemp("demo")
    for name in ("home", "tmp", "here"):
        (folder / name).mkdir()
    # matplotlib would spend seconds on a list of fonts in a new home
    fonts = {"MPLCONFIGDIR": get_cachedir()}
    places = {"HOME": "home", "TMPDIR": "tmp", "XDG_CACHE_HOME": "home/cache", "XDG_CONFIG_HOME": "home/config"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **fonts}
    environment |= {name: str(folder / place) for name, place in places.items()}
    command = [sys.executable, "-m", "occfer", "demo", "--port", "0", "--device", "cpu"]
    for name in ("first", "second"):
        command += ["--checkpoint", str(models / f"{name}.safetensors")]
    process = subprocess.Popen(
        command, cwd=folder / "here", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("open http://127.0.0.1:") and line.endswith(" in a browser; Ctrl-C ends the demo\n"), (
            line
        )
        yield RunningDemo(process, line.split()[1], folder)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def opened(demo: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("browser")
    video = folder / "camera.mjpeg"
    face = cv2.imread(str(FACE_FILE))
    assert face is not None and cv2.imwrite(str(folder / "frame.jpg"), cv2.resize(face, (480, 480)))
    video.write_bytes((folder / "frame.jpg").read_bytes())
    camera = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={video}",
    )
    with open_page(demo.address, folder / "profile", wh=(1280, 1600), flags=camera) as page:
        yield page


@pytest.fixture
def page(opened: Page) -> Page:
    """The page as it is when it was just opened."""
    open_anew(opened)
    return opened


def open_anew(page: Page) -> None:
    """Loads the page again and waits until its scripts have drawn it, which is after the browser calls it loaded."""
    page.reload()
    until(lambda: bool(page.texts("#picture .camera")))


def until(reached: Callable[[], object]) -> None:
    """Waits for something that the page shows."""
    end = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < end, "the page did not get there"
        time.sleep(0.1)


def show(page: Page, file: Path) -> None:
    page.type("#picture .picture-file", str(file))


def show_face(page: Page) -> None:
    show(page, FACE_FILE)
    until(lambda: records(page)[0])


def records(page: Page) -> list[str]:
    return ["".join(page.texts(f"#record-{number} .cm-content")).replace("\n", "") for number in (0, 1)]


def pictures(page: Page) -> list[Images]:
    """What is shown: for each model the clean and the occluded face, and the heat on both."""
    addresses = page.run("return [...document.querySelectorAll('.view img')].map(image => image.src)")
    decoded = [
        cv2.imdecode(np.frombuffer(base64.b64decode(each.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
        for each in addresses
    ]
    return [np.asarray(cv2.cvtColor(each, cv2.COLOR_BGR2RGB), np.uint8) for each in decoded if each is not None]


def choose(page: Page, field: str, text: str) -> None:
    """Picks an option of one of Gradio's lists, as one does with the keyboard."""
    from selenium.webdriver.common.keys import Keys

    page.click(f"{field} input")
    page.type(f"{field} input", Keys.CONTROL + "a")
    page.type(f"{field} input", text)
    page.type(f"{field} input", Keys.ENTER)


def changed(page: Page, before: list[str]) -> list[str]:
    until(lambda: records(page) not in (before, ["", ""]))
    return records(page)


def test_the_page_says_what_it_must_not_be_used_for_and_asks_nobody_else(demo: RunningDemo, page: Page) -> None:
    assert page.texts("h1") == ["Expressions of occluded faces"]
    assert page.texts(".notice p") == list(NOTICE)
    show_face(page)
    assert page.messages() == []
    elsewhere = [each for each in page.requests() if not each.startswith((f"{demo.address}/", "blob:"))]
    assert elsewhere == []


def test_two_models_answer_side_by_side_and_the_record_replays(page: Page) -> None:
    show_face(page)
    until(lambda: len(pictures(page)) == 8)
    page.screenshot("demo")
    clean, occluded = pictures(page)[:2]
    face = FaceAligner(64, "similarity")(FACE_FILE)
    assert face is not None
    np.testing.assert_array_equal(clean, face.image)
    again = render(face.image, Occlusion.from_json(records(page)[0]), load_pack())
    np.testing.assert_array_equal(again.image, occluded)
    names = page.texts(".view h2")
    assert len(names) == 2 and "first.safetensors (full)" in names[0] and "second.safetensors (full)" in names[1]
    for number in (0, 1):
        for view in ("clean", "occluded"):
            shares = [float(text) for text in page.texts(f"#seen-{number} .bar.{view}")]
            assert len(shares) == 7 and abs(sum(shares) - 1) < 0.005
    assert page.texts("#seen-0 .bar.clean") != page.texts("#seen-1 .bar.clean")


def test_mode_share_occluder_and_seed_change_the_occlusion(page: Page) -> None:
    show_face(page)
    first = records(page)
    page.click("#another")
    another = changed(page, first)
    assert another[0] != first[0] and page.count_shown("#share") == 1
    choose(page, "#occluder", "plain black")
    black = changed(page, another)
    assert Occlusion.from_json(black[0]).fill == "black"
    choose(page, "#mode", "eyes")
    changed(page, black)
    until(lambda: not page.count_shown("#share"))
    assert page.texts("#message") == [""]
    choose(page, "#mode", "lower")
    until(lambda: page.count_shown("#share"))
    assert KINDS["lower"] in page.texts("#mode")[0]


def test_a_picture_without_a_face_gets_one_line(page: Page, tmp_path: Path) -> None:
    show_face(page)
    grey = np.repeat(np.linspace(40, 200, 90 * 120).reshape(90, 120, 1), 3, axis=2)
    assert cv2.imwrite(str(tmp_path / "grey.png"), grey)
    show(page, tmp_path / "grey.png")
    until(lambda: page.texts("#message") != [""])
    assert page.texts("#message") == [
        "No face was found in this picture. Show a face that is larger, better lit, or turned to the camera."
    ]
    assert not page.texts(".view") and records(page) == ["", ""]
    (tmp_path / "note.png").write_text("no picture")
    show(page, tmp_path / "note.png")
    until(lambda: "not a PNG" in page.texts("#message")[0])


def test_the_camera_takes_a_photograph(page: Page) -> None:
    page.click("#picture .camera")
    until(lambda: page.count_shown("#picture .take") and page.run("return document.querySelector('video').videoWidth"))
    page.click("#picture .take")
    until(lambda: records(page)[0])
    assert page.texts("#message") == [""] and page.count_shown("#picture video") == 0


def test_a_picture_can_be_dropped(page: Page) -> None:
    page.run(
        "const bytes = Uint8Array.from(atob(arguments[0]), char => char.charCodeAt(0));"
        "const dropped = new DataTransfer(); dropped.items.add(new File([bytes], 'face.jpg', {type: 'image/jpeg'}));"
        "document.querySelector('#picture .hint').dispatchEvent("
        "new DragEvent('drop', {dataTransfer: dropped, bubbles: true, cancelable: true}));",
        base64.b64encode(FACE_FILE.read_bytes()).decode(),
    )
    until(lambda: records(page)[0])


def test_nothing_of_what_is_shown_is_written(demo: RunningDemo, page: Page) -> None:
    show_face(page)
    before = demo.files()
    page.click("#another")
    changed(page, records(page))
    show(page, FACE_FILE)
    open_anew(page)
    assert demo.files() == before
    assert {name for name in before if not (demo.folder / name).is_dir()} == set(), "Gradio made folders, and no file"
    content = b"--x\r\nContent-Disposition: form-data; name=files; filename=a.png\r\n\r\n" + FACE_FILE.read_bytes()
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    upload = urllib.request.Request(f"{demo.address}/gradio_api/upload", content + b"\r\n--x--\r\n", headers)  # noqa: S310
    with pytest.raises(urllib.error.HTTPError, match="413"):
        urllib.request.urlopen(upload)  # noqa: S310 - of this machine
    assert demo.files() == before


def test_a_signal_ends_it_and_its_folder_is_gone(demo: RunningDemo, page: Page) -> None:
    demo.process.terminate()  # a shell makes its background jobs, and these tests among them, ignore SIGINT
    said, _ = demo.process.communicate(timeout=PATIENCE_S)
    assert (demo.process.returncode, said) == (TERMINATED, "terminated\n")
    assert list((demo.folder / "tmp").iterdir()) == []
    assert page.texts("h1"), "the page stays open in the browser"


def test_the_server_leaves_the_handlers_of_other_libraries_open() -> None:
    """That of absl closes its stream, which may be the program's standard error."""
    closed: list[bool] = []

    class Handler(logging.Handler):
        def close(self) -> None:
            closed.append(True)

    handler = Handler()
    with gr.Blocks() as page:
        pass
    _server_of(page)
    assert not closed
    handler.close()


def test_an_address_for_others_is_warned_of_and_a_taken_port_is_said(
    tmp_path: Path, tiny_backbone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_model(tmp_path / "model.safetensors", size_px=48)
    monkeypatch.setattr("uvicorn.Server.run", lambda _self, sockets: None)
    call = ["demo", "--checkpoint", str(model), "--device", "cpu", "--host", "0.0.0.0", "--port", "0"]  # noqa: S104 - warned of
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0 and done.stdout.startswith("open http://0.0.0.0:")
    assert done.stderr.startswith("warning: --host 0.0.0.0: whoever reaches this machine can open the page")
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        said = rf"^port {port} of 127\.0\.0\.1 is taken by another program; choose another with --port$"
        with pytest.raises(DataError, match=said):
            listen("127.0.0.1", port)
    with pytest.raises(DataError, match=r"^port 1 of no\.such\.host\.invalid cannot be used: "):
        listen("no.such.host.invalid", 1)
