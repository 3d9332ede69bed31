"""Replay: a build root made from a raw database and a manifest alone, with a clear message for each difference."""

import csv
import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from occsynth.errors import BuildError, DatabaseLayoutError, ManifestError, ReplayError, TemplateError
from occsynth.manifest import COLUMNS, Manifest, Row, open_manifest, write_rows
from occsynth.modes.occlusion import Occlusion
from occsynth.pixels.images import encode, pixels_sha256, read_rgb
from occsynth.pixels.sources import Source, read_source
from occsynth.sharing import remake as recipes
from occsynth.sharing.replay import replay
from occsynth.sharing.verify import verify
from occsynth.templates.pack import load_pack, shipped_pack_folder
from tests.builds import DEMO_ROOT, OTHER_CPU, STEMS, build_demo, files_under, run_python

MODES = "r16,mouth,random"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build root with five faces in three modes."""
    root = tmp_path_factory.mktemp("built")
    build_demo(root, MODES)
    return root


@pytest.fixture
def manifest(built: Path, tmp_path: Path) -> Manifest:
    """A copy of one manifest and the files beside it, without images."""
    shutil.copytree(built / "manifests", tmp_path / "sent")
    return open_manifest(tmp_path / "sent" / "demo-r16-few.csv")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A copy of the raw database with only the five people."""
    for stem in STEMS:
        person = stem.partition("_")[0]
        shutil.copytree(DEMO_ROOT / "images" / person, tmp_path / "raw" / "images" / person)
    shutil.copyfile(DEMO_ROOT / "labels.csv", tmp_path / "raw" / "labels.csv")
    return tmp_path / "raw"


def of_mode(root: Path, mode: str) -> dict[str, bytes]:
    """The files of one mode's build, clean images included."""
    return {name: content for name, content in files_under(root).items() if mode in name or "/clean/" in name}


def edited(manifest: Manifest, change: Callable[[Row], Row], number: int = 0) -> Manifest:
    """The manifest with one row changed."""
    rows = list(manifest.rows())
    rows[number] = change(rows[number])
    with manifest.path.open("w", encoding="utf-8", newline="") as file:
        write_rows(file, rows)
    return open_manifest(manifest.path)


def with_cell(row: Row, column: str, value: str) -> list[str]:
    return [value if name == column else cell for name, cell in zip(COLUMNS, row.cells(), strict=True)]


def test_every_byte_comes_back(built: Path, tmp_path: Path) -> None:
    for mode in MODES.split(","):
        report = replay(open_manifest(built / f"manifests/demo-{mode}-few.csv"), out=tmp_path / "again", workers=1)
        assert (report.rows, report.kept, report.warnings) == (5, 0, [])
        assert report.manifest == tmp_path / "again" / "manifests" / f"demo-{mode}-few.csv"
    assert files_under(tmp_path / "again") == files_under(built)
    assert not list((tmp_path / "again" / ".work").glob("replay-*/*"))


def test_two_workers_give_the_same_bytes(manifest: Manifest, built: Path, tmp_path: Path) -> None:
    replay(manifest, out=tmp_path / "again", workers=2)
    assert of_mode(tmp_path / "again", "demo-r16") == of_mode(built, "demo-r16")


@pytest.mark.parametrize("environment", [{}, OTHER_CPU], ids=["here", "other-cpu"])
def test_it_needs_no_mediapipe(manifest: Manifest, built: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """Replay works where MediaPipe is not installed: importing it fails here."""
    (tmp_path / "block" / "mediapipe").mkdir(parents=True)
    (tmp_path / "block" / "mediapipe" / "__init__.py").write_text("raise ImportError('blocked')")
    code = (
        "import sys\nfrom pathlib import Path\nfrom occsynth.manifest import open_manifest\n"
        "from occsynth.sharing.replay import replay\n"
        "replay(open_manifest(Path(sys.argv[1])), out=Path(sys.argv[2]), workers=1)\n"
        "print(sorted({'mediapipe', 'torch', 'occfer', 'pandas'} & set(sys.modules)))\n"
    )
    paths = {"PYTHONPATH": str(tmp_path / "block")}
    assert run_python(code, str(manifest.path), str(tmp_path / "again"), **environment, **paths) == "[]\n"
    assert of_mode(tmp_path / "again", "demo-r16") == of_mode(built, "demo-r16")


def test_what_it_made_verifies_against_the_sources(manifest: Manifest, tmp_path: Path) -> None:
    report = replay(manifest, out=tmp_path / "again", workers=1)
    found = verify(open_manifest(report.manifest), raw_root=DEMO_ROOT, workers=1)
    assert (found.rows, found.problems, found.not_checked) == (5, [], [])


def test_right_images_are_kept_and_wrong_ones_made_again(manifest: Manifest, built: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    replay(manifest, out=out, workers=1)
    rows = list(manifest.rows())
    (out / rows[0].mask).unlink()
    (out / rows[1].occluded).write_bytes((out / rows[2].occluded).read_bytes())
    (out / rows[2].clean).write_bytes((out / rows[2].clean).read_bytes()[:50])
    before = (out / rows[3].occluded).stat().st_mtime_ns
    report = replay(manifest, out=out, workers=1)
    assert report.kept == 2
    assert (out / rows[3].occluded).stat().st_mtime_ns == before
    assert of_mode(out, "demo-r16") == of_mode(built, "demo-r16")


def test_kept_rows_need_no_source(manifest: Manifest, raw: Path, tmp_path: Path) -> None:
    replay(manifest, out=tmp_path / "again", raw_root=raw, workers=1)
    shutil.rmtree(raw / "images")
    assert replay(manifest, out=tmp_path / "again", raw_root=raw, workers=1).kept == 5


def test_another_builds_clean_image_is_left_alone(manifest: Manifest, tmp_path: Path) -> None:
    out, row = tmp_path / "again", next(manifest.rows())
    replay(open_manifest(manifest.path.with_name("demo-mouth-few.csv")), out=out, workers=1)
    (out / row.clean).write_bytes(encode(np.zeros((96, 96, 3), np.uint8), "png"))
    with pytest.raises(
        ReplayError, match="already exists with different pixels, from another build or edited; remove it, or use"
    ):
        replay(manifest, out=out, workers=1)
    assert not read_rgb(out / row.clean).any()


def test_another_build_of_that_name_is_left_alone(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "again"
    replay(manifest, out=out, workers=1)
    kept = files_under(out)
    other = edited(manifest, lambda row: replace(row, subject="somebody"))
    with pytest.raises(
        ReplayError, match=r"demo-r16-few\.csv already exists with other rows; replay into another --out, or give"
    ):
        replay(other, out=out, workers=1)
    assert files_under(out) == kept


def test_the_build_itself_is_no_target(built: Path) -> None:
    with pytest.raises(ReplayError, match="is the build that the manifest belongs to; replay into another folder"):
        replay(open_manifest(built / "manifests/demo-r16-few.csv"), out=built, workers=1)


def problems_of(refused: pytest.ExceptionInfo[ReplayError], out: Path) -> list[list[str]]:
    listed = out / "manifests" / "demo-r16-few.replay-problems.csv"
    assert str(listed) in str(refused.value)
    assert not (out / "manifests" / "demo-r16-few.csv").exists()
    with listed.open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["pair_id", "source", "problem"]
    return lines


def test_missing_sources_are_all_listed_and_the_rest_is_made(manifest: Manifest, raw: Path, tmp_path: Path) -> None:
    out, rows = tmp_path / "again", list(manifest.rows())
    for row in rows[1:3]:
        (raw / row.source).rename(raw / f"{row.source}.away")
    with pytest.raises(
        ReplayError, match=r"2 of 5 rows could not be replayed: .*file not found.*run the same command"
    ) as no:
        replay(manifest, out=out, raw_root=raw, workers=1)
    expected = [[row.pair_id, row.source, f"source {row.source}: file not found"] for row in rows[1:3]]
    assert problems_of(no, out) == expected
    assert [(out / row.occluded).exists() for row in rows] == [True, False, False, True, True]
    for row in rows[1:3]:
        (raw / f"{row.source}.away").rename(raw / row.source)
    assert replay(manifest, out=out, raw_root=raw, workers=1).kept == 3
    assert not list((out / "manifests").glob("*problems*"))


def test_another_file_is_said_to_be_one(manifest: Manifest, raw: Path, tmp_path: Path) -> None:
    one, other, *_ = manifest.rows()
    shutil.copyfile(raw / other.source, raw / one.source)
    with pytest.raises(ReplayError, match=rf"source {one.source} is not the file that the manifest was built from"):
        replay(manifest, out=tmp_path / "again", raw_root=raw, workers=1)


def test_damage_in_a_source_is_said(manifest: Manifest, raw: Path, tmp_path: Path) -> None:
    row = next(manifest.rows())
    (raw / row.source).write_bytes(b"")
    with pytest.raises(ReplayError, match=rf"source {row.source}: empty file"):
        replay(manifest, out=tmp_path / "again", raw_root=raw, workers=1)


def test_another_decoder_is_said_to_be_one(manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The right bytes are decoded to different pixels: the message blames the decoder, not the recipe."""

    def decode_otherwise(root: Path, source: str) -> Source:
        found = read_source(root, source)
        pixels = np.maximum(found.pixels, 1)
        return Source(pixels, found.sha256, pixels_sha256(pixels) + "x")

    monkeypatch.setattr(recipes, "read_source", decode_otherwise)
    with pytest.raises(ReplayError, match=r"is the right file, but OpenCV .* the decoder differs, not the recipe"):
        replay(manifest, out=tmp_path / "again", workers=1)


def test_other_bytes_with_the_same_pixels_are_a_warning(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_bytes(root: Path, source: str) -> Source:
        found = read_source(root, source)
        return Source(found.pixels, "0" * 64, found.pixels_sha256)

    monkeypatch.setattr(recipes, "read_source", other_bytes)
    report = replay(manifest, out=tmp_path / "again", workers=1)
    assert report.warnings == ["5 sources differ from the build's files but hold the same pixels"]


@pytest.mark.parametrize("kind", ["clean", "occluded", "mask"])
def test_a_changed_hash_names_the_row_and_the_image(manifest: Manifest, tmp_path: Path, kind: str) -> None:
    changed = edited(manifest, lambda row: Row.from_cells(with_cell(row, f"{kind}_pixels_sha256", "0" * 64)), 2)
    name = list(changed.rows())[2].pair_id
    with pytest.raises(ReplayError, match=rf"1 of 5 rows.*{name}: its {kind} image comes out with different pixels"):
        replay(changed, out=tmp_path / "again", workers=1)


def test_a_changed_number_is_found(manifest: Manifest, tmp_path: Path) -> None:
    def nudge(row: Row) -> Row:
        occlusion = Occlusion.from_json(row.occlusion)
        assert occlusion.affine is not None
        moved = (*occlusion.affine[:2], occlusion.affine[2] + 0.5, *occlusion.affine[3:])
        return replace(row, occlusion=replace(occlusion, affine=moved).to_json())

    with pytest.raises(ReplayError, match="its occluded image comes out with different pixels"):
        replay(edited(manifest, nudge), out=tmp_path / "again", workers=1)


def test_hostile_rows_are_listed_and_write_nothing_outside(manifest: Manifest, tmp_path: Path) -> None:
    rows = list(manifest.rows())
    hostile = [
        replace(rows[0], occluded="../../outside.png"),
        replace(rows[1], mask=f"{tmp_path}/outside.png"),
        replace(rows[2], source="../labels.csv"),
        replace(
            rows[3], occlusion='{"fill":"template","template":"../x.png","sprite_wh":[9,9],"affine":[1,0,0,0,1,0]}'
        ),
        replace(rows[4], align='{"kind":"none"}'),
    ]
    with manifest.path.open("w", newline="") as file:
        write_rows(file, hostile)
    out = tmp_path / "deep" / "again"
    with pytest.raises(ReplayError, match="5 of 5 rows could not be replayed"):
        replay(manifest, out=out, workers=1)
    assert not (tmp_path / "outside.png").exists()
    assert not (tmp_path / "deep" / "outside.png").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_line_that_cannot_be_parsed_is_named(manifest: Manifest, tmp_path: Path, workers: int) -> None:
    with manifest.path.open("a") as file:
        file.write("half,a,line\n")
    with pytest.raises(ManifestError, match="line 7: 3 cells instead of 23"):
        replay(manifest, out=tmp_path / "again", workers=workers)
    assert not list((tmp_path / "again" / "manifests").glob("*.csv"))


def test_another_template_pack_is_named_with_its_digest(manifest: Manifest, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    shutil.copytree(shipped_pack_folder(), pack, ignore=shutil.ignore_patterns("render"))
    assert replay(manifest, out=tmp_path / "same", templates=pack, workers=1).rows == 5
    shutil.copyfile(pack / "food/apple_green.png", pack / "food/apple_red.png")
    digests = f"'occsynth' of digest {manifest.info.template_pack_sha256}.*has {load_pack(pack).sha256}"
    with pytest.raises(ReplayError, match=digests):
        replay(manifest, out=tmp_path / "again", templates=pack, workers=1)
    with pytest.raises(TemplateError, match=r"index\.csv not found"):
        replay(manifest, out=tmp_path / "again", templates=tmp_path, workers=1)


def test_a_template_that_changed_under_an_edited_digest_is_found(manifest: Manifest, tmp_path: Path) -> None:
    def forge(row: Row) -> Row:
        occlusion = Occlusion.from_json(row.occlusion)
        return replace(row, occlusion=replace(occlusion, template_sha256="0" * 64).to_json())

    with pytest.raises(ReplayError, match="is not the file whose SHA-256 the row records"):
        replay(edited(manifest, forge), out=tmp_path / "again", workers=1)


def test_lossy_builds_come_back_too(tmp_path: Path) -> None:
    (lossy,) = build_demo(tmp_path / "built", "r16", image_format="jpeg")
    report = replay(lossy, out=tmp_path / "again", workers=1)
    assert (report.rows, report.kept) == (5, 0)
    assert files_under(tmp_path / "again") == files_under(tmp_path / "built")
    assert replay(lossy, out=tmp_path / "again", workers=1).kept == 5
    verified = verify(open_manifest(report.manifest), raw_root=DEMO_ROOT, workers=1)
    assert verified.problems == []


@pytest.mark.parametrize("fill", ["black", "mean", "noise"])
def test_plain_fills_need_no_pack(tmp_path: Path, fill: str) -> None:
    (plain,) = build_demo(tmp_path / "built", "eyes", fill=fill, stems=STEMS[:2])
    assert plain.info.template_pack_sha256 == ""
    report = replay(plain, out=tmp_path / "again", templates=tmp_path, workers=1)
    assert report.rows == 2
    assert files_under(tmp_path / "again") == files_under(tmp_path / "built")


def test_mode_real_comes_back(tmp_path: Path) -> None:
    (real,) = build_demo(tmp_path / "built", "real")
    assert all(not row.clean and row.split == "test" for row in real.rows())
    report = replay(real, out=tmp_path / "again", workers=1)
    assert report.rows == 5
    assert files_under(tmp_path / "again") == files_under(tmp_path / "built")
    assert verify(open_manifest(report.manifest), raw_root=DEMO_ROOT, workers=1).problems == []


def test_compressed_manifests_replay(manifest: Manifest, built: Path, tmp_path: Path) -> None:
    compressed = manifest.path.with_suffix(".csv.gz")
    compressed.write_bytes(gzip.compress(manifest.path.read_bytes()))
    manifest.path.unlink()
    report = replay(open_manifest(compressed), out=tmp_path / "again", workers=1)
    assert report.manifest.name == "demo-r16-few.csv.gz"
    assert report.manifest.read_bytes() == compressed.read_bytes()


def test_the_root_in_the_json_is_put_right(manifest: Manifest, tmp_path: Path) -> None:
    described = manifest.beside(".json")
    described.write_text(json.dumps(json.loads(described.read_text()) | {"root": "../elsewhere"}))
    report = replay(open_manifest(manifest.path), out=tmp_path / "again", workers=1)
    assert open_manifest(report.manifest).root == tmp_path / "again"


def test_a_database_that_is_not_there_is_said(manifest: Manifest, tmp_path: Path) -> None:
    described = manifest.beside(".json")
    described.write_text(json.dumps(json.loads(described.read_text()) | {"database": "ck+"}))
    with pytest.raises(DatabaseLayoutError, match=r"ck\+: no --root was given and none is remembered"):
        replay(open_manifest(manifest.path), out=tmp_path / "again", workers=1)


def test_a_full_disk_is_a_clear_error(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "again").write_text("a file where the folder should be")
    with pytest.raises(BuildError, match="cannot write"):
        replay(manifest, out=tmp_path / "again", workers=1)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    out = tmp_path / "again"
    (out / ".work").mkdir(parents=True)
    with FileLock(out / ".work" / "replay-demo-r16-few.lock"):
        yield out


def test_two_replays_at_once_do_not_meet(manifest: Manifest, held: Path) -> None:
    with pytest.raises(ReplayError, match=r"another process is replaying demo-r16-few into .* wait for it"):
        replay(manifest, out=held, workers=1)
