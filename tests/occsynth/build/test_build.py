"""Builds: the same bytes for any number of workers and any order; rejects; names; existing builds."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from occsynth.build.build import build
from occsynth.build.options import BuildOptions, complete
from occsynth.databases import DATABASES
from occsynth.databases.roots import raw_root
from occsynth.errors import BuildError, OccSynthError, UnknownNameError
from occsynth.manifest import Row, open_manifest
from occsynth.modes import expand
from occsynth.pixels.images import read_grey, read_rgb
from tests.occsynth.pixels.image_files import claimed_png

DEMO_IMAGES = raw_root("demo", None) / "images"


def options(out: Path, modes: str = "r16", **changes: Any) -> BuildOptions:
    return replace(BuildOptions(db="demo", modes=tuple(expand(modes)), out=out, workers=1), **changes)


@pytest.fixture
def some_faces(tmp_path: Path) -> Path:
    """A subset list of 40 demo faces: two chunks."""
    stems = sorted(path.stem for path in DEMO_IMAGES.rglob("*.jpg"))[::7]
    (tmp_path / "faces.txt").write_text("\n".join(stems))
    return tmp_path / "faces.txt"


def tree(root: Path) -> dict[str, bytes]:
    """Every file of a build root, except caches and work folders."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    made = {str(path.relative_to(root)): path.read_bytes() for path in files}
    return {name: content for name, content in made.items() if not name.startswith(("cache/", ".work/"))}


def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path, some_faces: Path) -> None:
    for workers in (1, 2):
        build(options(tmp_path / str(workers), "r16,eyes,random", workers=workers, subset=some_faces))
    one, two = tree(tmp_path / "1"), tree(tmp_path / "2")
    assert one == two
    assert len(one) == 40 * (1 + 2 * 3) + 3 * 4 + 2 * (1 + 2 * 3), "images, files of manifests, guards"


def test_a_mode_alone_gives_the_same_bytes_as_in_company(tmp_path: Path, some_faces: Path) -> None:
    build(options(tmp_path / "alone", "mouth", subset=some_faces))
    build(options(tmp_path / "company", "r8,mouth", subset=some_faces))
    company = tree(tmp_path / "company")
    assert all(company[name] == content for name, content in tree(tmp_path / "alone").items())


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_bytes(tmp_path: Path, some_faces: Path) -> None:
    distributed = pytest.importorskip("distributed")
    build(options(tmp_path / "here", subset=some_faces))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        there = options(tmp_path / "there", subset=some_faces, backend="dask", scheduler=cluster.scheduler_address)
        build(there)
    assert tree(tmp_path / "here") == tree(tmp_path / "there")


def test_a_scheduler_that_does_not_answer_is_named(tmp_path: Path, some_faces: Path) -> None:
    with pytest.raises(BuildError, match="--scheduler needs --backend dask"):
        build(options(tmp_path, subset=some_faces, scheduler="tcp://127.0.0.1:1", workers=2))


def test_rows_describe_their_files(tmp_path: Path, some_faces: Path) -> None:
    report = build(options(tmp_path / "out", "eyes", subset=some_faces))
    manifest = open_manifest(report.manifests[0])
    rows = list(manifest.rows())
    assert [row.pair_id for row in rows] == sorted(row.pair_id for row in rows)
    assert manifest.info.rows == report.rows == len(rows) == 40
    assert manifest.info.counts["class"] == {name: rows_of(rows, name) for name in sorted({r.expression for r in rows})}
    for row in rows[:5]:
        clean, occluded = read_rgb(manifest.file(row.clean)), read_rgb(manifest.file(row.occluded))
        mask = read_grey(manifest.file(row.mask))
        assert clean.shape == (96, 96, 3)
        assert np.array_equal(clean[mask == 0], occluded[mask == 0])
        assert (row.coverage_eyes or 0) >= 0.85
    with np.load(manifest.beside(".landmarks.npz"), allow_pickle=False) as landmarks:
        assert landmarks["pair_ids"].tolist() == [row.pair_id for row in rows]
        assert landmarks["points_xy"].shape == (40, 68, 2)


def rows_of(rows: list[Row], expression: str) -> int:
    return sum(row.expression == expression for row in rows)


def test_names_carry_every_choice_that_is_not_the_default(tmp_path: Path, some_faces: Path) -> None:
    chosen = options(tmp_path, size_px=64, seed=3, fill="noise", align="none", image_format="jpeg", subset=some_faces)
    assert complete(chosen).name("r8") == "demo-r8-64px-unaligned-noise-seed3-faces-jpeg"
    assert complete(options(tmp_path)).name("r8") == "demo-r8"
    food = options(tmp_path, categories=("food",), shadow=True)
    assert complete(food).name("eyes") == "demo-eyes-food-shadow"
    natural = complete(options(tmp_path, "eyes", look="natural", keep_colour=True))
    assert natural.name("eyes") == "demo-eyes-colour-natural"
    assert (natural.info("eyes").look, natural.info("eyes").grey) == ("natural", False)
    assert complete(options(tmp_path, look="pasted")).name("eyes") == "demo-eyes"
    assert (complete(options(tmp_path)).info("eyes").look, complete(options(tmp_path)).info("eyes").grey) == ("", True)
    for fill, grey in (("noise", True), ("black", False), ("mean", False)):
        assert complete(options(tmp_path, fill=fill)).info("eyes").grey == grey
    assert complete(options(tmp_path, fill="noise", keep_colour=True)).name("eyes") == "demo-eyes-noise-colour"


def test_another_build_of_that_name_is_an_error_unless_overwritten(tmp_path: Path, some_faces: Path) -> None:
    build(options(tmp_path / "out", subset=some_faces))
    assert build(options(tmp_path / "out", subset=some_faces)).reused
    before = tree(tmp_path / "out")
    some_faces.write_text("\n".join(some_faces.read_text().splitlines()[:10]))
    with pytest.raises(BuildError, match=r"demo-r16-faces.csv already exists, built with different .*--overwrite"):
        build(options(tmp_path / "out", subset=some_faces))
    assert tree(tmp_path / "out") == before
    report = build(options(tmp_path / "out", subset=some_faces, overwrite=True))
    assert report.rows == 10
    assert len(list((tmp_path / "out/data/demo-r16-faces/occluded/images").rglob("*.png"))) == 10


def test_a_deleted_image_is_made_again(tmp_path: Path, some_faces: Path) -> None:
    report = build(options(tmp_path / "out", subset=some_faces))
    before = tree(tmp_path / "out")
    manifest = open_manifest(report.manifests[0])
    manifest.file(next(manifest.rows()).occluded).unlink()
    assert not build(options(tmp_path / "out", subset=some_faces)).reused
    assert tree(tmp_path / "out") == before


@pytest.mark.parametrize("image_format", ["png", "jpeg"])
def test_a_cut_image_is_made_again_and_its_source_is_no_reject(
    tmp_path: Path, some_faces: Path, image_format: str
) -> None:
    """As a machine that went down may leave it."""
    chosen = options(tmp_path / "out", subset=some_faces, image_format=image_format)
    manifest = open_manifest(build(chosen).manifests[0])
    before, row = tree(tmp_path / "out"), next(manifest.rows())
    for path in (manifest.file(row.clean), manifest.file(row.occluded)):
        path.write_bytes(b"")
        report = build(chosen)
        assert (report.rows, report.rejects, report.reused) == (40, 0, False)
        assert tree(tmp_path / "out") == before
    manifest.file(row.clean).write_bytes(before[f"{row.clean}"][:100])
    build(replace(chosen, modes=("r8",)))
    assert manifest.file(row.clean).read_bytes() == before[row.clean]


def face_folder(root: Path) -> Path:
    for expression in ("anger", "happiness"):
        (root / expression).mkdir(parents=True)
        for path in sorted(DEMO_IMAGES.rglob(f"*_{expression}.jpg"))[:3]:
            (root / expression / path.name).write_bytes(path.read_bytes())
    return root


def blank_jpeg() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (300, 300), "grey").save(out, "JPEG")
    return out.getvalue()


def test_every_source_is_a_pair_or_a_listed_reject(tmp_path: Path) -> None:
    root = face_folder(tmp_path / "raw")
    good = sorted((root / "anger").iterdir())[0].read_bytes()
    broken = {
        "truncated.jpg": good[: len(good) // 2],
        "empty.jpg": b"",
        "text.jpg": b"this is not an image",
        "huge.png": claimed_png(60_000, 60_000),
        "noise.png": bytes(range(256)) * 9,
    }
    for name, content in broken.items():
        (root / "anger" / name).write_bytes(content)
    (root / "boredom").mkdir()
    (root / "boredom" / "face.jpg").write_bytes(good)
    report = build(options(tmp_path / "out", "r8", db="folder", root=root))
    assert (report.rows, report.sources) == (6, 12)
    assert report.rejects + report.excluded == 6
    with report.rejects_csv[0].open(newline="") as file:
        reasons = {row["source"]: row["reason"] for row in csv.DictReader(file)}
    assert set(reasons) == {*(f"anger/{name}" for name in broken), "boredom/face.jpg"}
    assert "truncated" in reasons["anger/truncated.jpg"]
    assert reasons["anger/empty.jpg"] == "empty file"
    assert "limit" in reasons["anger/huge.png"]
    assert "boredom" in reasons["boredom/face.jpg"]


def test_strict_makes_rejects_an_error_after_the_manifest_is_written(tmp_path: Path) -> None:
    root = face_folder(tmp_path / "raw")
    (root / "anger" / "empty.jpg").write_bytes(b"")
    with pytest.raises(BuildError, match=r"--strict: 1 of 7 sources gave no pair; they are listed in .*rejects.csv"):
        build(options(tmp_path / "out", "r8", db="folder", root=root, strict=True))
    assert open_manifest(tmp_path / "out/manifests/folder-r8.csv").info.rows == 6


def test_a_raw_picture_without_a_face_is_a_reject(tmp_path: Path) -> None:
    root = face_folder(tmp_path / "raw")
    (root / "anger" / "wall.jpg").write_bytes(blank_jpeg())
    report = build(options(tmp_path / "out", "r8", db="folder", root=root))
    listed = report.rejects_csv[0].read_text()
    cropped = next(each for each in DATABASES["folder"].variants).cropped
    assert ("wall.jpg" in listed) != cropped


def test_equal_images_of_two_subjects_are_listed_and_kept(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    root.mkdir()
    face = next(DEMO_IMAGES.rglob("*.jpg")).read_bytes()
    for name in ("a.jpg", "b.jpg"):
        (root / name).write_bytes(face)
    (root / "labels.csv").write_text("path,expression,subject\na.jpg,anger,one\nb.jpg,anger,two\n")
    report = build(options(tmp_path / "out", "r8", db="folder", root=root))
    assert (report.rows, report.duplicates) == (2, 1)
    assert open_manifest(report.manifests[0]).info.duplicates == [["a", "b"]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fill": "glitter"}, "--fill 'glitter'; choose one of: template, black, mean, noise"),
        ({"align": "warp"}, "--align 'warp'; choose one of: similarity, none"),
        ({"image_format": "gif"}, "--format 'gif'; choose one of: png, jpeg"),
        ({"size_px": 4}, "--size 4 is outside 8 to 4096"),
        ({"variant": "old"}, "unknown demo variant 'old'"),
        ({"db": "ck++"}, "unknown database 'ck\\+\\+'; choose one of: ck\\+, "),
        ({"db": "fed-ro", "root": Path("/")}, "fed-ro: its images are already occluded; use --mode real"),
        ({"modes": "real"}, "--mode real is for images that are already occluded"),
        ({"db": "ck+", "root": Path("/no/such/folder")}, "ck\\+: the root /no/such/folder is not a folder"),
        ({"categories": ("socks",)}, "no template of category socks"),
        ({"fill": "black", "categories": ("food",)}, "--category: --fill black draws no template"),
        ({"fill": "noise", "shadow": True, "colour_match": True}, "--colour-match, --shadow: --fill noise draws no"),
        ({"fill": "black", "keep_colour": True}, "--keep-colour: --fill black draws no template"),
        ({"fill": "noise", "look": "natural"}, "--look: --fill noise draws no template"),
        ({"look": "shiny"}, "--look 'shiny'; choose one of: natural, pasted"),
        ({"look": "natural", "shadow": True}, "--shadow: the look natural decides brightness and shadow by itself"),
        ({"modes": "real", "subset": Path(__file__), "templates": Path("x")}, "--templates: --mode real draws no"),
        ({"subset": Path("/no/list.txt")}, "--subset /no/list.txt not found; it must be a text file"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(OccSynthError, match=words):
        build(options(tmp_path, **{"modes": "r16", **changes}))


def test_modes_are_expanded_in_order() -> None:
    assert expand("random,table2,r8") == ["random", "r8", "r16", "r24", "eyes", "mouth"]
    with pytest.raises(UnknownNameError, match="unknown mode 'r32'; choose one of: random, eyes"):
        expand("r32")
