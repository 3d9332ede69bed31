"""Fuzzers of occsynth's readers: whatever a file holds, a value of the right kind or one clear line comes of it."""

import gzip
import io
import json
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occsynth.databases import roots as roots_module
from occsynth.databases.roots import remembered_roots
from occsynth.errors import DatabaseLayoutError, ManifestError, SuiteError, TemplateError
from occsynth.faces.align import Alignment
from occsynth.faces.landmark_cache import CachedAnswer, LandmarkCache
from occsynth.faces.landmark_file import open_landmarks, write_landmarks
from occsynth.faces.landmarks import Landmarks
from occsynth.faces.regions import MESH_POINTS
from occsynth.manifest import Manifest, Row, columns, open_manifest, read_rows
from occsynth.modes.occlusion import Occlusion, Shadow
from occsynth.suites.suite import FILE as SUITE_FILE
from occsynth.suites.suite import RealList, dump_suite, read_suite, suite_digest
from occsynth.templates.pack import INDEX_COLUMNS, TemplatePack, load_pack
from tests.fuzzing import NASTY_NUMBERS, NASTY_TEXTS, changed_bytes, changed_json, fuzzed, read_or_refused
from tests.occsynth.suites.small_suite import RECIPE as SUITE
from tests.occsynth.test_manifest import INFO, ROW, put

OCCLUSION = Occlusion(
    "template",
    "food/banana.png",
    "a" * 64,
    "food",
    sprite_wh=(60, 40),
    affine=(1.0, 0.25, 0.0, -0.5, 1.0, 3.0),
    square_xyxy=(1, 2, 30, 40),
    feather_px=1.5,
    gain_rgb=(255, 250, 260),
    shadow=Shadow((2, 3), 2.5, 90),
)
PLAIN = Occlusion("noise", hull_xy=((1, 1), (20, 2), (9, 30)), rgb=(1, 2, 3), noise="abc123", partial=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every example writes over the files of the one before."""
    return tmp_path_factory.mktemp("fuzzed")


def as_table(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    for cells in rows:
        text.write(",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in cells) + "\n")
    return text.getvalue().encode("utf-8", "surrogatepass")


@st.composite
def changed_table(draw: st.DrawFn, rows: list[list[str]]) -> bytes:
    """A CSV in which cells, columns or rows were changed, or the bytes."""
    changed = [list(cells) for cells in rows]
    for _ in range(draw(st.integers(1, 3))):
        cells = draw(st.sampled_from(changed))
        place = draw(st.integers(0, len(cells) - 1)) if cells else 0
        how = draw(st.sampled_from(["cell", "remove", "add", "column", "order", "repeat"]))
        if how == "cell" and cells:
            cells[place] = draw(st.sampled_from(NASTY_TEXTS) | st.text(max_size=6))
        elif how == "remove":
            del cells[place : place + 1]
        elif how == "add":
            cells.insert(place, draw(st.sampled_from(NASTY_TEXTS)))
        elif how == "column":
            changed = [line[:place] + line[place + 1 :] for line in changed]
        elif how == "order":
            cells.reverse()
        else:
            changed.append(list(cells))
    content = as_table(changed)
    return draw(changed_bytes(content)) if draw(st.booleans()) else content


@given(
    changed_json(asdict(INFO) | {"counts": {"class": {"anger": 1}}, "duplicates": [["a", "b"]], "notes": {"a": "b"}})
)
@fuzzed()
def test_fuzz_the_json_of_a_manifest(folder: Path, content: bytes) -> None:
    path = put(folder, ROW)
    path.with_suffix(".json").write_bytes(content)
    found = read_or_refused(lambda: open_manifest(path), ManifestError)
    if found is not None:
        assert isinstance(found, Manifest)
        path.with_suffix(".json").write_text(found.info.dumps())
        assert open_manifest(path) == found


def manifest_table(votes: str | None) -> list[list[str]]:
    cells = replace(ROW, votes=votes).cells()
    return [list(columns(votes=votes is not None)), cells, cells, cells]


@pytest.mark.parametrize("votes", [None, "happiness:8;neutral:2"])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
@given(data=st.data())
@fuzzed()
def test_fuzz_the_rows_of_a_manifest(folder: Path, ending: str, votes: str | None, data: st.DataObject) -> None:
    content = data.draw(changed_table(manifest_table(votes)))
    if ending.endswith("gz"):
        content = gzip.compress(content)
        content = data.draw(st.just(content) | changed_bytes(content))
    path = folder / f"rows{ending}"
    path.write_bytes(content)
    found = read_or_refused(lambda: list(read_rows(path)), ManifestError)
    assert found is None or all(isinstance(row, Row) and Row.from_cells(row.cells()) == row for row in found)


@pytest.mark.parametrize("record", [OCCLUSION, PLAIN], ids=["template", "plain"])
@given(data=st.data())
@fuzzed()
def test_fuzz_the_record_of_an_occlusion(record: Occlusion, data: st.DataObject) -> None:
    text = data.draw(changed_json(json.loads(record.to_json()))).decode("utf-8", "replace")
    found = read_or_refused(lambda: Occlusion.from_json(text), ManifestError)
    assert found is None or Occlusion.from_json(found.to_json()) == found


@given(changed_json(json.loads(ROW.align)))
@fuzzed()
def test_fuzz_the_record_of_an_alignment(content: bytes) -> None:
    found = read_or_refused(lambda: Alignment.from_json(content.decode("utf-8", "replace")), ManifestError)
    assert found is None or Alignment.from_json(found.to_json()) == found


@given(
    changed_table(
        [
            list(INDEX_COLUMNS),
            ["food/pear.png", "food", "pear", "CC0-1.0", "own", "", "0.5", "false", "", ""],
            ["hand/palm.png", "hand", "palm", "CC0-1.0", "own", "", "0.5", "true", "bottom", "3"],
        ]
    )
)
@fuzzed()
def test_fuzz_the_index_of_a_template_pack(folder: Path, content: bytes) -> None:
    for name in ("food/pear.png", "hand/palm.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "index.csv").write_bytes(content)
    found = read_or_refused(lambda: load_pack(folder), TemplateError)
    assert found is None or isinstance(found, TemplatePack)


@given(changed_json({"ck+": "/data/ck", "jaffe": "/data/jaffe"}))
@fuzzed()
def test_fuzz_remembered_roots(folder: Path, content: bytes) -> None:
    (folder / "roots.json").write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roots_module, "settings_path", lambda: folder / "roots.json")
        found = read_or_refused(remembered_roots, DatabaseLayoutError)
    assert found is None or all(isinstance(path, Path) for path in found.values())


@given(st.data())
@fuzzed()
def test_fuzz_a_file_of_the_landmark_cache(folder: Path, data: st.DataObject) -> None:
    """A damaged file counts as missing: the face is looked for again."""
    cache = LandmarkCache(folder / "cache")
    points_xy = np.linspace(0, 90, MESH_POINTS * 2, dtype=np.float32).reshape(MESH_POINTS, 2)
    cache.put("a" * 64, Landmarks(points_xy, (96, 96), "found", 0))
    (file,) = (folder / "cache").rglob("*.bin")
    whole = file.read_bytes()
    content = data.draw(changed_bytes(whole))
    file.write_bytes(content)
    found = cache.get("a" * 64)
    assert isinstance(found, CachedAnswer) if content == whole else found is None
    file.unlink()


def landmark_archive(folder: Path) -> bytes:
    points_xy = np.zeros((3, 68, 2), np.float32)
    write_landmarks(folder / "plain.npz", lambda: [(["a", "b", "c"], points_xy)], 3, 1)
    return (folder / "plain.npz").read_bytes()


@given(st.data())
@fuzzed()
def test_fuzz_a_landmark_file(folder: Path, data: st.DataObject) -> None:
    path = folder / "fuzzed.npz"
    path.write_bytes(data.draw(changed_bytes(landmark_archive(folder)) | changed_arrays()))
    found = read_or_refused(lambda: open_landmarks(path), ManifestError)
    if found is not None:
        pair_ids, points_xy = found
        assert points_xy.shape == (len(pair_ids), 68, 2) and points_xy.dtype == np.float32
        assert all(isinstance(str(name), str) for name in pair_ids)


HEADERS: dict[str, list[Any]] = {
    "descr": [
        "<U1",
        "<f4",
        ">f4",
        "|O",
        "<U0",
        "<f8",
        "|V8",
        "<U99999999",
        [("a", "<f4")],
        "<m8[s]",
        "nonsense",
        3,
        None,
    ],
    "fortran_order": [False, True, None, 1],
    "shape": [
        (3,),
        (3, 68, 2),
        (10**12,),
        (-1, 68, 2),
        (3, 68, 2, 0),
        (),
        (2**63, 68, 2),
        3,
        "abc",
        (1.5,),
        (0, 68, 2),
    ],
}


@st.composite
def changed_arrays(draw: st.DrawFn) -> bytes:
    """An archive of two arrays whose headers and contents need not fit."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(
        buffer, "w", draw(st.sampled_from([zipfile.ZIP_STORED] * 3 + [zipfile.ZIP_DEFLATED]))
    ) as archive:
        for name, kind, shape in (("pair_ids", "<U1", (3,)), ("points_xy", "<f4", (3, 68, 2))):
            header = {"descr": kind, "fortran_order": False, "shape": shape}
            for key in draw(st.sets(st.sampled_from(sorted(HEADERS)), max_size=2)):
                header[key] = draw(st.sampled_from(HEADERS[key]))
            text = draw(st.just(repr(header)) | st.sampled_from([*NASTY_TEXTS, "(" * 5000, "{" * 200, "[1," * 3000]))
            encoded = text.encode("latin-1", "replace")[:60_000] + b"\n"
            version = draw(st.sampled_from([b"\x01\x00"] * 4 + [b"\x02\x00", b"\x09\x09"]))
            size = len(encoded).to_bytes(2, "little") if version == b"\x01\x00" else len(encoded).to_bytes(4, "little")
            body = draw(
                st.sampled_from([bytes(12), bytes(3 * 68 * 2 * 4), b"", b"\xff" * 40, b"a\0\0\0b\0\0\0c\0\0\0"])
            )
            archive.writestr(f"{name}.npy", b"\x93NUMPY" + version + size + encoded + body)
    return buffer.getvalue()


@given(data=st.data())
@fuzzed()
def test_fuzz_a_suite(folder: Path, data: st.DataObject) -> None:
    text = dump_suite(replace(SUITE, real=RealList("list", "https://example.org")))
    for _ in range(data.draw(st.integers(0, 2))):
        word = data.draw(st.sampled_from(text.split(" ")))
        value = data.draw(st.sampled_from(NASTY_TEXTS).map(json.dumps) | st.sampled_from(NASTY_NUMBERS).map(repr))
        text = text.replace(word, value, 1)
    path = folder / SUITE_FILE
    content = text.encode("utf-8", "surrogatepass")
    path.write_bytes(data.draw(st.just(content) | changed_bytes(content)))
    found = read_or_refused(lambda: read_suite(path), SuiteError)
    if found is not None:
        suite_digest(found)
        path.write_text(dump_suite(found), encoding="utf-8")
        assert read_suite(path) == found
