"""Whoever guesses the names of a published manifest learns nothing from its draws and JSON; with schema 1 he did."""

import json
import re
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from occsynth.build.build import build
from occsynth.build.options import BuildOptions
from occsynth.manifest import Manifest, ManifestInfo, Row, open_manifest
from occsynth.modes import expand
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.seeds import row_stream
from occsynth.pixels.images import encode
from occsynth.pixels.sources import read_source
from occsynth.sharing.publish import NOTES, publish
from tests.builds import DEMO_ROOT, ROOT, build_demo, demo_source
from tests.occsynth.databases.trees import OTHER_TREES, TREES
from tests.occsynth.sharing.attack import STREAMS, by_pair_id, names_found, true_names

SCHEMA_1 = Path(__file__).parent / "schema_1"
NAMES = sorted(path.stem for path in (SCHEMA_1 / "published").glob("*.csv"))
WORDS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
STEMS = tuple(f"{person}_{word}" for person in ("s003", "s014", "s027") for word in WORDS)
EVERY_NAME = [f"images/s{person:03}/s{person:03}_{word}" for person in range(1, 41) for word in WORDS]
"""What the attacker guesses: the pattern of the demo database's names, which no published manifest states."""

CHANCE = 2
"""Rows of 21 that luck may name: with 280 names and four ways to try them, three or more are rarer than 1 in 1,000."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Manifest, Manifest]]:
    """What the fixtures of schema 1 hold, built by this version: published and original, by the mode and its fill."""
    folder = tmp_path_factory.mktemp("shared")
    made = build_demo(folder, "table2,random", STEMS) + build_demo(folder, "r16", STEMS, fill="noise")
    names = (each.info.name.replace("-few", "-three") for each in made)
    sent = (open_manifest(publish(each, folder / "sent" / each.path.name)) for each in made)
    return {name: (published, each) for name, published, each in zip(names, sent, made, strict=True)}


def hits(published: Manifest, original: Manifest, *ways: object) -> int:
    """Rows whose names the attacker finds, by the best of his ways."""
    truth = true_names(published, original)
    found = [names_found(published, EVERY_NAME, way) for way in ways]  # type: ignore[arg-type]
    return max(sum(name == truth[number] for number, name in each.items()) for each in found)


@pytest.mark.parametrize("name", NAMES)
def test_schema_1_told_nearly_every_name(name: str) -> None:
    """The attack works: only so does its failure on schema 2 say something."""
    published, original = (open_manifest(SCHEMA_1 / folder / f"{name}.csv") for folder in ("published", "plain"))
    assert hits(published, original, by_pair_id) >= 17


@pytest.mark.parametrize("name", NAMES)
def test_schema_2_tells_no_name(name: str, shared: dict[str, tuple[Manifest, Manifest]]) -> None:
    published, original = shared[name]
    assert (published.info.schema, published.info.rows) == (2, len(STEMS))
    assert hits(published, original, *STREAMS) <= CHANCE


def test_draws_follow_from_what_is_published(shared: dict[str, tuple[Manifest, Manifest]]) -> None:
    """The key of the noise, for which no face is needed, can be computed from the published row alone."""
    published, _ = shared["demo-r16-noise-three"]
    for row in published.rows():
        key = row_stream(row.seed, row.mode, row.source_pixels_sha256).noise_key()
        assert Occlusion.from_json(row.occlusion).noise == key


@pytest.mark.parametrize(
    "modes, fill",
    [("table2,random", "template"), ("r16,eyes", "noise"), ("sunglasses,mask,upper-40,cover-20", "template")],
)
def test_other_names_labels_and_people_publish_the_same_bytes(tmp_path: Path, modes: str, fill: str) -> None:
    """One database under two namings: all that a published pair could tell of the names is the folds and counts."""
    texts = []
    for naming in (0, 1):
        lines = ["path,expression,subject,split"]
        for number, stem in enumerate(STEMS[:8]):
            name = (f"anna/{stem}.jpg", f"{9 - number}.jpg")[naming]
            (tmp_path / str(naming) / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(DEMO_ROOT / demo_source(stem), tmp_path / str(naming) / name)
            lines.append(f"{name},{WORDS[(number + 3 * naming) % 7]},p{number * (1 + naming) % 5},train")
        (tmp_path / str(naming) / "labels.csv").write_text("\n".join(lines))
        out = tmp_path / f"built{naming}"
        options = BuildOptions(
            "folder", tuple(expand(modes)), root=tmp_path / str(naming), out=out, fill=fill, workers=1
        )
        sent = [publish(open_manifest(path), out / "sent" / path.name) for path in build(options).manifests]
        texts.append([path.read_text() + path.with_suffix(".json").read_text() for path in sent])
    assert texts[0] == texts[1]


def test_several_faces_of_one_picture_draw_apart_and_equal_pictures_alike(tmp_path: Path) -> None:
    """Of one picture in two files, with two boxes each."""
    faces = [read_source(DEMO_ROOT, demo_source(stem)).pixels for stem in STEMS[:2]]
    wall = np.full((224, 500, 3), 128, np.uint8)
    wall[:, :224], wall[:, 276:] = faces
    (tmp_path / "raw/origin").mkdir(parents=True)
    lines = []
    for name in ("a", "b"):
        (tmp_path / f"raw/origin/{name}.png").write_bytes(encode(wall, "png"))
        lines += [f"{name}.png 0 20 20 204 204 9 0", f"{name}.png 1 20 296 480 204 9 3"]
    (tmp_path / "raw/label.lst").write_text("\n".join(lines))
    report = build(BuildOptions("expw", ("r16",), root=tmp_path / "raw", out=tmp_path / "b", workers=1))
    first_a, second_a, first_b, second_b = open_manifest(report.manifests[0]).rows()
    assert first_a.occlusion != second_a.occlusion
    assert (first_a.occlusion, second_a.occlusion) == (first_b.occlusion, second_b.occlusion)


@pytest.mark.parametrize("key", [*TREES, *OTHER_TREES])
def test_no_digest_over_what_is_withheld_travels(key: str, tmp_path: Path) -> None:
    """The digests of a published pair are those of pixels, of files without labels, of templates and of the model."""
    db, tree = (key, TREES[key]) if key in TREES else OTHER_TREES[key]
    tree(tmp_path / "raw")
    modes = ("real",) if db == "fed-ro" else ("r16",)
    report = build(BuildOptions(db, modes, root=tmp_path / "raw", out=tmp_path / "b", workers=1))
    original = open_manifest(report.manifests[0])
    published = open_manifest(publish(original, tmp_path / "p.csv"))
    described = json.loads(published.beside(".json").read_text())
    digests = {name for name, value in described.items() if re.search("[0-9a-f]{16}", json.dumps(value))}
    assert digests <= {"template_pack_sha256", "landmark_model_sha256"}
    assert set(described["notes"]) <= set(NOTES)
    for row in original.rows():
        assert ("#row=" in row.source) == (row.source_sha256 not in published.path.read_text())


@pytest.mark.slow
def test_the_outline_of_the_mouth_tells_the_expression(tmp_path: Path) -> None:
    """What docs/sharing.md warns of: who knows the outlines of some people guesses the labels of others from them."""
    (manifest,) = build_demo(tmp_path, "mouth", tuple(EVERY_NAME), fill="black")
    published = open_manifest(publish(manifest, tmp_path / "p.csv"))
    truth = {row.source_pixels_sha256: row.expression for row in manifest.rows()}
    rows = list(published.rows())
    outlines = [np.array(Occlusion.from_json(row.occlusion).hull_xy, float) for row in rows]
    shapes = np.array([[*each.min(0), *each.max(0), *np.ptp(each, 0), *each.mean(0), len(each)] for each in outlines])
    labels = np.array([truth[row.source_pixels_sha256] for row in rows])
    folds = np.array([row.fold for row in rows])
    right = 0
    for fold in range(10):
        forest = RandomForestClassifier(300, random_state=0).fit(shapes[folds != fold], labels[folds != fold])
        right += int((forest.predict(shapes[folds == fold]) == labels[folds == fold]).sum())
    assert len(rows) == 280 and right > 140


def test_the_page_says_what_every_field_tells() -> None:
    """Each column, key of the JSON and note has its line in the table of docs/sharing.md."""
    page = (ROOT / "docs/sharing.md").read_text(encoding="utf-8")
    _, _, audit = page.partition("## What each field tells")
    table = "\n".join(line.split("|")[1] for line in audit.splitlines() if line.startswith("|"))
    names = {each.name for kind in (Row, ManifestInfo) for each in fields(kind)} | set(NOTES)
    assert {name for name in names if f"`{name}`" not in table} == set()
