"""Published manifests name nobody, and replay completely from a recipient's own copy, for every database."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from occsynth.build.build import build
from occsynth.build.options import BuildOptions
from occsynth.databases import peaks
from occsynth.databases.peaks import Peak
from occsynth.databases.record import EXPRESSIONS, FaceRecord
from occsynth.errors import BuildError, ManifestError, ReplayError
from occsynth.faces.align import resize_alignment
from occsynth.manifest import Manifest, ManifestInfo, Row, open_manifest, write_rows
from occsynth.pixels.images import encode
from occsynth.pixels.sources import read_source
from occsynth.sharing.assign import assign
from occsynth.sharing.publish import WITHHELD, named, numbered, publish
from occsynth.sharing.published import refuse_unpublished
from occsynth.sharing.replay import replay
from occsynth.sharing.verify import verify
from tests.builds import DEMO_ROOT, STEMS, build_demo, demo_source, files_under
from tests.occsynth.databases.trees import OTHER_TREES, TREES, write
from tests.occsynth.test_manifest import ROW

BUILDERS = {**{key: (key, tree) for key, tree in TREES.items()}, **OTHER_TREES}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("built")
    build_demo(root, "r16")
    return root


@pytest.fixture
def manifest(built: Path) -> Manifest:
    return open_manifest(built / "manifests" / "demo-r16-few.csv")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A recipient's copy of the demo database."""
    shutil.copytree(DEMO_ROOT, tmp_path / "raw")
    return tmp_path / "raw"


def telling_words(manifest: Manifest) -> set[str]:
    """What a published manifest must not contain: names of files and folders, subjects, classes, pair_ids.

    Names as short as `a0` or `KA` are left out, since any text contains them.
    """
    words = set(EXPRESSIONS)
    for row in manifest.rows():
        path = Path(row.source.partition("#")[0])
        words |= {row.pair_id, row.source, path.name, path.stem, row.subject}
    return {word for word in words if len(word) > 4 and word != manifest.info.database}


@pytest.mark.parametrize("name", BUILDERS)
def test_every_database_comes_back_whole(name: str, tmp_path: Path) -> None:
    """Built, published, joined with a copy in another folder, replayed: the bytes are the same, and they verify."""
    key, tree = BUILDERS[name]
    tree(tmp_path / "raw")
    modes = ("real",) if key == "fed-ro" else ("r16", "mouth")
    report = build(BuildOptions(key, modes, root=tmp_path / "raw", out=tmp_path / "b", size_px=48, workers=1))
    shutil.copytree(tmp_path / "raw", tmp_path / "elsewhere")
    for path in report.manifests:
        original = open_manifest(path)
        published = open_manifest(publish(original, tmp_path / "sent" / path.name))
        text = published.path.read_text() + published.beside(".json").read_text()
        assert not [word for word in telling_words(original) if word in text]
        assert not any(row.subject or row.expression or row.source for row in published.rows())
        refuse_unpublished(published)
        again = replay(published, out=tmp_path / "again", raw_root=tmp_path / "elsewhere", workers=1)
        assert again.warnings == []
        assert again.manifest.read_bytes() == path.read_bytes()
        assert open_manifest(again.manifest).info == (unscanned(original.info) if key == "mmi" else original.info)
        assert verify(open_manifest(again.manifest), raw_root=tmp_path / "raw", workers=1).problems == []
    made = {name: content for name, content in files_under(tmp_path / "b").items() if not _beside(name)}
    found = files_under(tmp_path / "again")
    assert without_notes(found) == without_notes(made) if key == "mmi" else found == made


def unscanned(info: ManifestInfo) -> ManifestInfo:
    """Without the digests of the scan and of lists, which are not published and which not every copy gives back."""
    notes = {name: note for name, note in info.notes.items() if name != "records_sha256"}
    return replace(info, notes=notes, subset_sha256="")


def without_notes(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if not name.endswith(".json")}


def test_peak_frames_of_videos_are_found_by_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of MediaPipe may choose other peaks, or find no face at all."""
    TREES["mmi"](tmp_path / "raw")
    report = build(BuildOptions("mmi", ("r16",), root=tmp_path / "raw", out=tmp_path / "b", workers=1))
    published = publish(open_manifest(report.manifests[0]), tmp_path / "p.csv")
    for other in (Peak(5), "no face found in its first frame"):
        monkeypatch.setattr(peaks, "find_peak", lambda clip, other=other: other)
        out = tmp_path / str(type(other).__name__)
        again = replay(open_manifest(published), out=out, raw_root=tmp_path / "raw", workers=1)
        assert (again.rows, again.warnings) == (4, [])
        assert again.manifest.read_bytes() == report.manifests[0].read_bytes()


def _beside(name: str) -> bool:
    """Whether a file is left out when publishing: it names files, or can be made again."""
    return name.endswith((".rejects.csv", ".landmarks.npz"))


def test_only_what_is_withheld_changes(manifest: Manifest, tmp_path: Path) -> None:
    published = open_manifest(publish(manifest, tmp_path / "p.csv"))
    assert published.info.withheld == list(WITHHELD)
    by_hash = {row.source_sha256: row for row in manifest.rows()}
    rows = list(published.rows())
    assert [row.pair_id for row in rows] == [f"{number:08d}" for number in range(1, 6)]
    assert [row.source_pixels_sha256 for row in rows] == sorted(row.source_pixels_sha256 for row in rows)
    for row in rows:
        original = by_hash[row.source_sha256]
        kept = {name: getattr(row, name) for name in Row.__slots__ if name not in WITHHELD}
        assert kept == {name: getattr(original, name) for name in kept}
        assert (row.subject, row.expression, row.source) == ("", "", "")
        assert row.clean == f"data/demo-96px/clean/{row.pair_id}.png"


def test_the_json_keeps_totals_and_folds_but_no_names(manifest: Manifest, tmp_path: Path) -> None:
    doubles = replace(manifest, info=replace(manifest.info, duplicates=[["images/s001/a", "images/s002/b"]], rejects=3))
    content = json.loads(open_manifest(publish(doubles, tmp_path / "p.csv")).beside(".json").read_text())
    assert content["duplicates"] == []
    assert content["rejects"] == 3
    assert set(content["counts"]) == {"fold"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv", "p.json"]


def test_neither_order_nor_time_is_left(manifest: Manifest, tmp_path: Path) -> None:
    """The same manifest gives the same bytes, compressed or not."""
    for name in ("a.csv", "b.csv", "a.csv.gz", "b.csv.gz"):
        publish(manifest, tmp_path / name.partition(".")[0] / name.replace("b", "a", 1))
    assert (tmp_path / "a/a.csv").read_bytes() == (tmp_path / "b/a.csv").read_bytes()
    assert (tmp_path / "a/a.csv.gz").read_bytes() == (tmp_path / "b/a.csv.gz").read_bytes()
    plain, packed = (list(open_manifest(tmp_path / "a" / name).rows()) for name in ("a.csv", "a.csv.gz"))
    assert plain == packed


def test_it_is_published_once_and_beside_itself_never(manifest: Manifest, tmp_path: Path) -> None:
    published = open_manifest(publish(manifest, tmp_path / "p.csv"))
    with pytest.raises(ManifestError, match="is already a published manifest: it withholds pair_id, subject"):
        publish(published, tmp_path / "again.csv")
    for name in (manifest.path, manifest.path.with_suffix(".csv.gz")):
        with pytest.raises(
            ManifestError, match="is the manifest itself; give the published one another name or folder"
        ):
            publish(manifest, name)
    with pytest.raises(ManifestError, match=r"a manifest is a \.csv or \.csv\.gz file"):
        publish(manifest, tmp_path / "p.json")


def test_what_cannot_be_written_is_said_and_leaves_nothing(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "p.csv").mkdir()
    with pytest.raises(BuildError, match=r"p\.csv is a folder; give the name of a file"):
        publish(manifest, tmp_path / "p.csv")
    assert not list(tmp_path.rglob("*.tmp*"))


def test_numbers_and_names_turn_back() -> None:
    row = replace(ROW, pair_id="s001/a", clean="data/x/clean/s001/a.png", occluded="data/a/occluded/s001/a.png")
    bare = numbered(row, 12)
    assert bare.pair_id == "00000012"
    assert bare.occluded == "data/a/occluded/00000012.png"
    assert named(bare, "s001/a") == {name: getattr(row, name) for name in ("pair_id", "clean", "occluded", "mask")}
    with pytest.raises(ManifestError, match="does not end in its pair_id 's001/a'; this manifest was edited by hand"):
        numbered(replace(row, mask="data/x/mask/other.png"), 1)


def test_a_source_that_the_copy_lacks_is_listed(manifest: Manifest, raw: Path, tmp_path: Path) -> None:
    published = open_manifest(publish(manifest, tmp_path / "p.csv"))
    lost = next(published.rows())
    original = next(row for row in manifest.rows() if row.source_sha256 == lost.source_sha256)
    (raw / original.source).unlink()
    said = f"{lost.pair_id}: no image of this copy has source_sha256 {lost.source_sha256}"
    said = f"1 of 5 rows could not be replayed: {said}"
    with pytest.raises(ReplayError, match=said):
        replay(published, out=tmp_path / "again", raw_root=raw, workers=1)
    assert not list((tmp_path / "again" / "manifests").glob("*few.csv"))


def test_files_may_have_other_names_in_the_copy(manifest: Manifest, raw: Path, tmp_path: Path) -> None:
    """Joined by content alone: labels come from the copy, and the pixels stay the same."""
    table = (raw / "labels.csv").read_text()
    (raw / "images" / "s001").rename(raw / "images" / "p001")
    (raw / "labels.csv").write_text(table.replace("images/s001/", "images/p001/"))
    published = open_manifest(publish(manifest, tmp_path / "p.csv"))
    report = replay(published, out=tmp_path / "again", raw_root=raw, workers=1)
    rows = {row.source_sha256: row for row in open_manifest(report.manifest).rows()}
    first = next(manifest.rows())
    assert rows[first.source_sha256].pair_id == "images/p001/s001_anger"
    assert rows[first.source_sha256].occluded_pixels_sha256 == first.occluded_pixels_sha256
    assert verify(open_manifest(report.manifest), raw_root=raw, workers=1).problems == []


def test_another_fold_in_the_copy_is_a_warning(manifest: Manifest, raw: Path, tmp_path: Path) -> None:
    """A copy without some people has other folds; the published ones are kept."""
    lines = (raw / "labels.csv").read_text().splitlines(keepends=True)
    (raw / "labels.csv").write_text("".join(line for line in lines if ",s002," not in line))
    published = open_manifest(publish(manifest, tmp_path / "p.csv"))
    report = replay(published, out=tmp_path / "again", raw_root=raw, workers=1)
    (warning,) = report.warnings
    assert "rows have another split or fold in this copy; the manifest's are kept" in warning
    assert report.manifest.read_bytes() == manifest.path.read_bytes()


def test_equal_files_that_differ_in_number_are_a_warning(manifest: Manifest, raw: Path, tmp_path: Path) -> None:
    """One image under two labels in the copy but once in the manifest: there is a warning, unless the folds differ."""
    first = next(manifest.rows())
    shutil.copyfile(raw / first.source, raw / "images" / "s040" / "s040_fear.jpg")  # of another fold
    published = open_manifest(publish(manifest, tmp_path / "p.csv"))
    report = replay(published, out=tmp_path / "again", raw_root=raw, workers=1)
    assert report.warnings == []
    shutil.copyfile(raw / first.source, raw / "images" / "s011" / "s011_fear.jpg")
    report = replay(published, out=tmp_path / "again", raw_root=raw, workers=1)
    (warning,) = report.warnings
    assert warning.startswith("1 rows have sources that this copy lists a different number of times")
    assert report.manifest.read_bytes() == manifest.path.read_bytes()


def test_rows_of_a_table_come_back_without_the_digest_that_tells_their_label(tmp_path: Path) -> None:
    """FER2013 has equal pictures under different labels: they are told apart by the order of their rows."""
    pixels = [" ".join(str((7 * number + 5 * at) % 251) for at in range(48 * 48)) for number in (1, 2)]
    lines = [f"{emotion},{pixels[which]},{usage}" for emotion, which, usage in FER2013_ROWS]
    write(tmp_path / "raw/fer2013.csv", "\n".join(["emotion,pixels,Usage", *lines]))
    options = BuildOptions("fer2013", ("r16",), root=tmp_path / "raw", out=tmp_path / "b", fill="black", workers=1)
    original = open_manifest(build(options).manifests[0])
    published = open_manifest(publish(original, tmp_path / "p.csv"))
    assert "source_sha256" in published.info.withheld
    assert {row.source_sha256 for row in published.rows()} == {""}
    again = replay(published, out=tmp_path / "again", raw_root=tmp_path / "raw", workers=1)
    assert again.warnings == []
    assert again.manifest.read_bytes() == original.path.read_bytes()
    assert open_manifest(again.manifest).info == original.info
    write(tmp_path / "raw/fer2013.csv", "\n".join(["emotion,pixels,Usage", *lines[1:]]))
    with pytest.raises(
        ReplayError, match=r"1 of 4 rows could not be replayed: .* no image of this copy has source_pixels"
    ):
        replay(published, out=tmp_path / "less", raw_root=tmp_path / "raw", workers=1)


def test_a_build_over_a_replayed_one_says_what_it_cannot_know(manifest: Manifest, tmp_path: Path) -> None:
    """A whole build is recognised by its scan and made again; that of a list is not, and is left alone."""
    published = open_manifest(publish(manifest, tmp_path / "p.csv"))
    again = replay(published, out=tmp_path / "few", workers=1)
    with pytest.raises(BuildError, match="replayed from a published manifest, which does not say of what images"):
        build_demo(tmp_path / "few", "r16")
    assert again.manifest.read_bytes() == manifest.path.read_bytes()
    options = BuildOptions("folder", ("r16",), root=tmp_path / "raw", out=tmp_path / "b", fill="black", workers=1)
    for stem in STEMS[:2]:
        (tmp_path / "raw" / stem.partition("_")[2]).mkdir(parents=True)
        shutil.copy(DEMO_ROOT / demo_source(stem), tmp_path / "raw" / stem.partition("_")[2])
    whole = open_manifest(build(options).manifests[0])
    replay(open_manifest(publish(whole, tmp_path / "w.csv")), out=tmp_path / "w", raw_root=tmp_path / "raw", workers=1)
    (warning,) = build(replace(options, out=tmp_path / "w")).warnings
    assert "landmarks.npz" in warning and "everything was made again" in warning
    made, found = (open_manifest(tmp_path / name / "manifests" / whole.path.name) for name in ("b", "w"))
    assert (found.path.read_bytes(), found.info) == (made.path.read_bytes(), made.info)


FER2013_ROWS = ((3, 0, "Training"), (4, 1, "Training"), (3, 1, "PublicTest"), (6, 1, "PrivateTest"))


def test_an_edited_order_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    published = open_manifest(publish(manifest, tmp_path / "p.csv"))
    rows = list(published.rows())
    with published.path.open("w", newline="") as file:
        write_rows(file, rows[::-1])
    with pytest.raises(ManifestError, match="is out of order; use the file as it was published"):
        replay(published, out=tmp_path / "again", workers=1)


def test_resuming_and_workers_change_nothing(manifest: Manifest, built: Path, tmp_path: Path) -> None:
    published = open_manifest(publish(manifest, tmp_path / "p.csv"))
    replay(published, out=tmp_path / "again", workers=2)
    assert replay(published, out=tmp_path / "again", workers=1).kept == 5
    made = {name: content for name, content in files_under(built).items() if not _beside(name)}
    assert without_notes(files_under(tmp_path / "again")) == without_notes(made)
    assert open_manifest(tmp_path / "again/manifests/demo-r16-few.csv").info == unscanned(manifest.info)


def boxed(pair_id: str, box: tuple[float, float, float, float] | None) -> FaceRecord:
    return FaceRecord("a.jpg", pair_id, "anger", box_xyxy=box)


def row_at(x: float, y: float) -> Row:
    """A row whose aligned face of 96 pixels has its middle at x, y in a source of 400 x 400 pixels."""
    alignment = replace(resize_alignment((400, 400), 96), reduced_wh=(400, 400), affine=(1, 0, x - 48, 0, 1, y - 48))
    return replace(ROW, align=alignment.to_json())


def test_faces_of_one_picture_are_told_apart_by_their_boxes() -> None:
    """Three faces in the copy, two in the manifest, since one was a reject."""
    records = [
        boxed("face0", (0, 0, 60, 60)),
        boxed("face1", (100, 100, 160, 160)),
        boxed("face2", (300, 300, 360, 360)),
    ]
    found = assign([row_at(330, 330), row_at(130, 130)], records)
    assert [record.pair_id for _, record in found] == ["face2", "face1"]


@pytest.mark.parametrize("box", [None, (0.0, 0.0, 9.0, 9.0)])
def test_as_many_rows_as_records_go_by_order(box: Any) -> None:
    rows = [replace(ROW, pair_id=str(number)) for number in range(3)]
    records = [boxed(name, box) for name in "abc"]
    assert [(row.pair_id, record.pair_id) for row, record in assign(rows, records)] == [
        ("0", "a"),
        ("1", "b"),
        ("2", "c"),
    ]
    assert [record.pair_id for _, record in assign(rows, records[:2])] == ["a", "b"]
    assert assign(rows, []) == []


def test_a_face_that_was_a_reject_does_not_shift_the_labels_of_the_others(tmp_path: Path) -> None:
    """Three boxes in one picture, the first on a blank wall."""
    wall = np.full((224, 700, 3), 128, np.uint8)
    for number, stem in enumerate(STEMS[:2]):
        wall[:, 200 + 250 * number : 424 + 250 * number] = read_source(DEMO_ROOT, demo_source(stem)).pixels
    write(tmp_path / "raw/origin/street.png", encode(wall, "png"))
    boxes = "0 20 20 120 120 9 0\nstreet.png 1 20 220 404 204 9 3\nstreet.png 2 20 470 654 204 9 5\n"
    write(tmp_path / "raw/label.lst", f"street.png {boxes}")
    report = build(BuildOptions("expw", ("r8",), root=tmp_path / "raw", out=tmp_path / "b", workers=1))
    assert (report.rows, report.rejects) == (2, 1)
    original = open_manifest(report.manifests[0])
    assert [row.expression for row in original.rows()] == ["happiness", "surprise"]
    published = open_manifest(publish(original, tmp_path / "p.csv"))
    again = replay(published, out=tmp_path / "again", raw_root=tmp_path / "raw", workers=1)
    assert again.warnings == []
    assert again.manifest.read_bytes() == original.path.read_bytes()


def test_the_embedded_database_needs_no_root(manifest: Manifest, tmp_path: Path) -> None:
    published = open_manifest(publish(manifest, tmp_path / "p.csv"))
    assert replay(published, out=tmp_path / "again", workers=1).rows == len(STEMS)
