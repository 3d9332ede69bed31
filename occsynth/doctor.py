"""Checks of an installation: versions, system libraries, shipped files, and a small run through the whole library.

Nothing heavy is imported at the top, so that the checks also run where OpenCV does not load, and say why.
"""

import csv
import hashlib
import json
import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from occsynth.databases import demo
from occsynth.errors import OccSynthError, SystemLibraryError
from occsynth.system_libraries import advice, explain, missing_libraries

OPENCV_WHEELS = (
    "opencv-contrib-python",
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python-headless",
)
PACKAGES = ("numpy", "mediapipe", "pillow", "pandas", "joblib", "filelock", "matplotlib", "jinja2", "typer", "rich")

DEMO_FACES = demo.ROOT
DEMO_FACE = "images/s001/s001_happiness.jpg"
TEMPLATES_SHA256 = "fa6a9b732fa1ab5828eb31cd2c69d355b45a853aa4c7ec922c5bf227cb346390"
REFERENCE_ROW = DEMO_FACES.parent / "reference_row.json"


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: what was checked.
        ok: whether it is as it should be.
        detail: what was found and, unless `ok`, what to do.
    """

    name: str
    ok: bool
    detail: str


def run_doctor() -> list[Check]:
    """Runs every check; never raises, however broken the installation is.

    The order matters to the reader: a failed check explains the failures after it.
    """
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("python", _python),
        ("system libraries", _system_libraries),
        ("packages", _packages),
        ("opencv", _opencv),
        ("landmark model", _model),
        ("templates", _templates),
        ("demo database", _demo_database),
        ("cache", _cache),
        ("self-test: landmarks", _detects),
        ("self-test: occlusion", _occludes),
        ("self-test: replay", _replays),
        ("training", _training),
    )
    return [_checked(name, check) for name, check in checks]


def _checked(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, True, check())
    except OccSynthError as error:
        return Check(name, False, str(error))
    except Exception as error:  # a broken package may raise anything, and the other checks must still run
        return Check(name, False, str(explain(error) or f"{type(error).__name__}: {error}"))


def _python() -> str:
    return f"{platform.python_implementation()} {platform.python_version()} on {platform.platform()}"


def _system_libraries() -> str:
    missing = missing_libraries()
    if missing:
        raise SystemLibraryError(advice(missing))
    return "all libraries that OpenCV and MediaPipe load are here"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _packages() -> str:
    found = {name: _version(name) for name in PACKAGES}
    missing = [name for name, number in found.items() if not number]
    if missing:
        raise OccSynthError(f"not installed: {', '.join(missing)}. Type: pip install {' '.join(missing)}")
    return ", ".join(f"{name} {number}" for name, number in found.items())


def _opencv() -> str:
    """Wheels of OpenCV overwrite each other's files, so that with two of them `cv2` is a mixture."""
    wheels = [f"{name} {number}" for name in OPENCV_WHEELS if (number := _version(name))]
    if len(wheels) != 1:
        raise OccSynthError(
            f"{', '.join(wheels) or 'no OpenCV wheel'} installed, but exactly one is needed. Type: pip uninstall -y "
            f"{' '.join(OPENCV_WHEELS)} && pip install opencv-contrib-python"
        )
    import cv2

    return f"{wheels[0]}, loaded as {cv2.__version__}"


def _model() -> str:
    from occsynth.faces.landmarks import model_sha256

    return f"SHA-256 {model_sha256()}"


def _templates() -> str:
    from occsynth.templates.pack import load_pack

    pack = load_pack()
    if pack.worn_sha256 != TEMPLATES_SHA256:
        raise OccSynthError(
            f"the templates in {pack.folder} have digest {pack.worn_sha256} instead of {TEMPLATES_SHA256}: "
            "files were changed. Install occsynth again"
        )
    return f"{len(pack.templates)} templates, digest {pack.worn_sha256}"


def _demo_database() -> str:
    with (DEMO_FACES / "labels.csv").open(encoding="utf-8", newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    missing = [path for path in paths if not (DEMO_FACES / path).is_file()]
    if missing:
        raise OccSynthError(f"{len(missing)} of {len(paths)} faces are missing in {DEMO_FACES}. Install occsynth again")
    return f"{len(paths)} faces"


def _cache() -> str:
    import platformdirs

    folder = Path(platformdirs.user_cache_dir("occsynth"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        raise OccSynthError(
            f"{folder} cannot be written: {error.strerror}. Fix its permissions or set XDG_CACHE_HOME to another one"
        ) from error
    return f"{folder} can be written"


def _detects() -> str:
    from occsynth.faces.landmarks import detect_landmarks
    from occsynth.pixels.sources import read_source

    found = detect_landmarks(read_source(DEMO_FACES, DEMO_FACE).pixels)
    if found is None:
        raise OccSynthError(f"no face found in {DEMO_FACES / DEMO_FACE}: MediaPipe does not work properly here")
    return f"{len(found.points_xy)} points found in a demo face"


def _occludes() -> str:
    from occsynth.modes.occlusion import Occlusion
    from occsynth.modes.render import render
    from occsynth.occluder import Occluder
    from occsynth.pixels.sources import read_source

    face = read_source(DEMO_FACES, DEMO_FACE).pixels
    occluder = Occluder("eyes")
    first = occluder(face, key="doctor")
    again = render(face, Occlusion.from_json(first.occlusion.to_json()), occluder.choices.pack)
    if not (first.mask > 0).any() or (first.image != face)[first.mask == 0].any():
        raise OccSynthError("an occluded face differs from its clean one outside the mask, or is not occluded at all")
    if (again.image != first.image).any() or (again.mask != first.mask).any():
        raise OccSynthError("an occlusion rendered again from its record has different pixels")
    return "equal outside the mask, equal when rendered again"


def _replays() -> str:
    """A stored row must give the same pixels on every machine, or no manifest of another machine replays here."""
    from occsynth.faces.align import Alignment, align_image
    from occsynth.modes.occlusion import Occlusion
    from occsynth.modes.render import render
    from occsynth.pixels.sources import read_source
    from occsynth.templates.pack import load_pack

    row = json.loads(REFERENCE_ROW.read_text())
    source = read_source(DEMO_FACES, DEMO_FACE)
    clean = align_image(source.pixels, Alignment.from_json(json.dumps(row["align"])), row["size_px"])
    rendered = render(clean, Occlusion.from_json(json.dumps(row["occlusion"])), load_pack())
    digest = hashlib.sha256(clean.tobytes() + rendered.image.tobytes() + rendered.mask.tobytes()).hexdigest()
    if digest != row["pixels_sha256"]:
        raise OccSynthError(
            f"a stored row gives pixels with SHA-256 {digest} instead of {row['pixels_sha256']}: manifests made "
            "elsewhere will not replay here. Try another version of opencv-contrib-python"
        )
    return "a stored row gives the same pixels as on other machines"


def _training() -> str:
    torch = _version("torch")
    if not torch:
        return "PyTorch is not installed; occfer needs it, occsynth does not: pip install 'occsynth[train]'"
    return f"torch {torch}, so occfer can train"
