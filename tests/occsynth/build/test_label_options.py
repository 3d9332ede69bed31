"""`build --classes`, `--labels` and `--folds`: names, the manifest's JSON, replay, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from occsynth.build.build import build
from occsynth.build.options import BuildOptions, complete
from occsynth.build.settings import label_options
from occsynth.databases import DATABASES, LabelOptions
from occsynth.errors import BuildError, DatabaseLayoutError
from occsynth.manifest import Manifest, Row, open_manifest
from occsynth.sharing.publish import publish
from occsynth.sharing.replay import replay
from occsynth.sharing.verify import verify
from tests.occsynth.databases.coded_trees import affectnet_list, raf_list
from tests.occsynth.databases.test_ferplus import with_rows
from tests.occsynth.databases.trees import TREES, put, write

BELOW = "0=surprise,1=fear,2=disgust,3=happiness,4=sadness,5=anger,6=neutral"


def options(tmp_path: Path, key: str) -> BuildOptions:
    return BuildOptions(key, ("r16",), root=tmp_path / "raw", out=tmp_path / "builds", fill="black", workers=1)


def built(options: BuildOptions) -> Manifest:
    return open_manifest(build(options).manifests[0])


def rows_of(manifest: Manifest) -> dict[str, Row]:
    return {row.pair_id: row for row in manifest.rows()}


@pytest.fixture
def ck_plus(tmp_path: Path) -> BuildOptions:
    TREES["ck+"](tmp_path / "raw")
    return options(tmp_path, "ck+")


@pytest.fixture
def people(tmp_path: Path) -> BuildOptions:
    """Four people with two faces each, labelled by codes of one's own."""
    lines = ["path,expression,subject"]
    for subject in range(1, 5):
        for expression, code in (("happiness", 9), ("anger", 8)):
            put(tmp_path / f"raw/s{subject}{expression}.jpg", subject, expression)
            lines.append(f"s{subject}{expression}.jpg,{code},p{subject}")
    write(tmp_path / "raw/labels.csv", "\n".join(lines))
    return replace(options(tmp_path, "folder"), labels="9=happy,8=angry")


def test_eight_classes_are_a_build_of_another_name_with_the_same_rows_and_more(ck_plus: BuildOptions) -> None:
    seven, eight = built(ck_plus), built(replace(ck_plus, classes=8))
    assert (seven.info.name, seven.info.classes) == ("ck+-r16-black", 7)
    assert (eight.info.name, eight.info.classes) == ("ck+-r16-black-8classes", 8)
    assert eight.info.published == {"total": 654} and eight.info.counts["class"]["contempt"] == 1
    before, after = rows_of(seven), rows_of(eight)
    added = after.keys() - before.keys()
    assert {after[name].expression for name in added} == {"contempt"}
    for name, row in before.items():
        other = after[name]
        assert replace(other, occluded="", mask="") == replace(row, occluded="", mask=""), "the same pixels and folds"
    assert verify(eight).problems == [] and verify(seven).problems == []


@pytest.mark.parametrize(("classes", "wanted"), [(7, {"happiness"}), (8, {"happiness", "contempt"})])
def test_a_list_of_really_occluded_faces_keeps_its_contempt(classes: int, wanted: set[str], tmp_path: Path) -> None:
    """As Occlusion-AffectNet has it: folders by the number of the class, names by hash, no ending."""
    affectnet_list(tmp_path / "raw", ["1", "7", "0"])
    listed = []
    for number, code in enumerate("17"):
        (tmp_path / f"raw/Manually_Annotated_Images/{number}/a.jpg").rename(
            tmp_path / f"raw/Manually_Annotated_Images/{number}/bc9ad40{number}.jpg"
        )
        listed.append(f"val/{code}/bc9ad40{number}")
    table = tmp_path / "raw/Manually_Annotated_file_lists/training.csv"
    write(table, table.read_text().replace("0/a.jpg", "0/bc9ad400.jpg").replace("1/a.jpg", "1/bc9ad401.jpg"))
    asked = replace(
        options(tmp_path, "affectnet"), modes=("real",), fill="template", classes=classes,
        subset=write(tmp_path / "occluded.txt", "\r\n".join(listed)),
    )  # fmt: skip
    manifest = built(asked)
    assert {row.expression for row in manifest.rows()} == wanted
    assert verify(manifest).problems == []


def test_a_row_of_contempt_in_a_build_of_seven_classes_is_a_problem(ck_plus: BuildOptions) -> None:
    eight = built(replace(ck_plus, classes=8))
    described = eight.beside(".json")
    described.write_text(described.read_text().replace('"classes": 8', '"classes": 7'))
    problems = [problem for _, problem in verify(open_manifest(eight.path)).problems]
    assert [each for each in problems if each.startswith("expression 'contempt' is not one of anger")]


def test_a_build_without_these_options_is_what_it_was(people: BuildOptions, ck_plus: BuildOptions) -> None:
    settings = complete(ck_plus)
    assert settings.names() == ["ck+-r16-black"] and settings.labels == LabelOptions()
    info = settings.info("r16")
    assert (info.classes, info.labels, info.folds, info.folds_sha256) == (7, {}, "", "")
    assert label_options(info) == LabelOptions()
    others = [replace(ck_plus, classes=8), replace(ck_plus, labels=BELOW)]
    assert len({settings.identity(), *(complete(each).identity() for each in others)}) == 3


@pytest.mark.parametrize("written", ["8=angry,9=happy", "9=happy,8=anger", " 09 = Happiness ,8.0=anger"])
def test_own_labels_however_they_are_written_are_one_build(people: BuildOptions, written: str) -> None:
    manifest = built(people)
    assert manifest.info.labels == {"8": "anger", "9": "happiness"}
    assert {row.pair_id[2:]: row.expression for row in manifest.rows()} == {"anger": "anger", "happiness": "happiness"}
    assert build(replace(people, labels=written)).reused
    assert built(replace(people, labels="9=angry,8=happy")).info.name != manifest.info.name


def test_own_folds_are_in_the_rows_and_another_list_is_another_build(people: BuildOptions, tmp_path: Path) -> None:
    folds = write(tmp_path / "my list.txt", "p1 0\np2 0\np3 1\nnobody 1\n")
    report = build(replace(people, folds=folds))
    manifest = open_manifest(report.manifests[0])
    assert manifest.info.name.endswith("-folds-my_list") and manifest.info.folds == "my_list"
    assert {row.subject: row.fold for row in manifest.rows()} == {"p1": 0, "p2": 0, "p3": 1}
    assert (report.rejects, report.excluded) == (0, 2), "p4 is in no fold"
    assert [each for each in report.warnings if "1 of 4 entries of " in each and "were not found: nobody" in each]
    assert verify(manifest).problems == [] and build(replace(people, folds=folds)).reused
    write(folds, "p1 0\np2 1\np3 1\np4 1\n")
    with pytest.raises(BuildError, match="already exists, built with different settings"):
        build(replace(people, folds=folds))


@pytest.mark.parametrize("key", ["ck+", "folder", "ferplus"])
def test_a_published_build_is_read_again_by_its_labels(
    key: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if key == "ck+":
        asked = replace(request.getfixturevalue("ck_plus"), classes=8)
    elif key == "folder":
        folds = write(tmp_path / "folds.txt", "p1 3\np2 3\np3 1\np4 1\n")
        asked = replace(request.getfixturevalue("people"), folds=folds)
    else:
        with_rows(tmp_path / "raw")
        asked = replace(options(tmp_path, key), classes=8, variant="argmax")
    manifest = built(asked)
    published = publish(manifest, tmp_path / "published.csv")
    report = replay(open_manifest(published), out=tmp_path / "again", raw_root=asked.root, workers=1)
    again = open_manifest(report.manifest)
    assert {name: (row.expression, row.fold) for name, row in rows_of(again).items()} == {
        name: (row.expression, row.fold) for name, row in rows_of(manifest).items()
    }
    assert not [each for each in report.warnings if "another split or fold" in each]


def test_a_shifted_list_stops_the_build_before_any_image_is_made(tmp_path: Path) -> None:
    raf_list(tmp_path / "raw", [str(number) for number in range(7)])
    asked = options(tmp_path, "raf-db")
    with pytest.raises(DatabaseLayoutError, match=f"labels look shifted.*type --labels {BELOW}"):
        build(asked)
    assert not (tmp_path / "builds/data").exists() and not (tmp_path / "builds/manifests").exists()
    manifest = built(replace(asked, labels=BELOW))
    assert sorted(row.expression for row in manifest.rows()) == sorted(BELOW.replace("=", ",").split(",")[1::2])


REFUSED = [
    ("jaffe", {"classes": 8}, "--classes 8: jaffe has no contempt, the eighth class; ck+, ck+48, affectnet, ferplus, "),
    ("ck+", {"classes": 6}, "--classes 6 is neither 7 nor 8"),
    ("jaffe", {"labels": "1=sad"}, "--labels: jaffe does not write its labels as codes; ck+, ck+48, raf-db, "),
    ("ferplus", {"labels": "1=sad"}, "--labels: ferplus does not write its labels as codes"),
    ("ck+", {"labels": "1=glad"}, "--labels: '1=glad' names the unknown class 'glad'"),
    ("ck+", {"folds": Path("nowhere.txt")}, "--folds nowhere.txt not found"),
    (
        "fed-ro",
        {"modes": ("real",), "fill": "template", "folds": Path("pyproject.toml")},
        "--folds: --mode real is for",
    ),
]


@pytest.mark.parametrize(("key", "given", "said"), REFUSED)
def test_what_a_database_does_not_offer_is_refused_by_the_flag(
    key: str, given: dict[str, object], said: str, tmp_path: Path
) -> None:
    (tmp_path / "raw").mkdir()
    if given.get("folds") == Path("pyproject.toml"):
        given["folds"] = write(tmp_path / "folds.txt", "a 1\n")
    with pytest.raises(BuildError) as refused:
        complete(replace(options(tmp_path, key), **given))  # type: ignore[arg-type]
    assert said in str(refused.value)


def test_every_database_says_what_it_offers() -> None:
    assert {key for key, each in DATABASES.items() if each.has_contempt} == {
        "ck+", "ck+48", "affectnet", "ferplus", "folder"
    }  # fmt: skip
