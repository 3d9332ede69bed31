"""Published manifests as a data set of the Hub: loaded there as tables, replayed from there, and never a picture."""

import json
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.errors import HubError
from occfer.hub.card_head import Licence
from occfer.hub.manifest_files import manifest_set
from occfer.hub.pull import pull
from occfer.hub.push import manifests_upload, upload
from occfer.hub.repository import LIST, Address
from occsynth.manifest import open_manifest
from occsynth.sharing.publish import publish
from occsynth.suites.check import check
from occsynth.suites.shipped import find_suite
from occsynth.suites.suite import read_suite
from tests.builds import STEMS, build_demo
from tests.occfer.hub.hub_server import Hub, head_of
from tests.occfer.toy_builds import Build, write_build

ADDRESS = Address("dataset", "jane/pairs")
LICENCE = Licence("cc-by-4.0")


def published(folder: Path, name: str = "toy-r16", ending: str = ".csv", database: str = "kdef") -> Path:
    build = write_build(folder / "builds", Build(name=name, database=database))
    return publish(open_manifest(build), folder / f"{name}{ending}")


def test_a_data_set_holds_tables_and_no_picture(hub: Hub, tmp_path: Path) -> None:
    paths = [published(tmp_path), published(tmp_path, "demo-r8", ".csv.gz", "demo")]
    planned = manifests_upload(paths, Address("model", "jane/pairs"), LICENCE, "0.1")
    upload(planned, None, private=False)
    made = hub.repositories["jane/pairs"]
    assert made.kind == "dataset" and not made.private
    assert set(made.files) == {
        ".gitattributes", "README.md", LIST, "toy-r16.csv", "toy-r16.json", "demo-r8.csv.gz", "demo-r8.json"
    }  # fmt: skip
    sent = b"".join(hub.bodies) + b"".join(made.files.values())
    for path in (tmp_path / "builds/data").rglob("*.png"):
        assert path.read_bytes() not in sent
    assert b"s003_anger" not in sent and b"happiness" not in sent
    pulled = pull(ADDRESS, tmp_path / "out")
    there = manifest_set([tmp_path / "out" / path.name for path in paths])
    assert {name: manifest.info.rows for name, manifest in there.tables.items()} == {"toy-r16": 42, "demo-r8": 42}
    assert pulled.left == () and (tmp_path / "out/toy-r16.csv").read_bytes() == paths[0].read_bytes()


def test_the_card_says_which_licence_the_user_needs(tmp_path: Path) -> None:
    planned = manifests_upload([published(tmp_path)], ADDRESS, LICENCE, "0.1")
    data, text = head_of(planned.files["README.md"]), DatasetCard(planned.files["README.md"].decode()).text
    assert data["license"] == "cc-by-4.0" and data["task_categories"] == ["image-classification"]
    assert data["size_categories"] == ["n<1K"] and "kdef" in data["tags"]
    assert data["configs"] == [{"config_name": "toy-r16", "data_files": "toy-r16.csv"}]
    assert "you need your own copy of:\n\n- Karolinska Directed Emotional Faces (KDEF) (kdef): " in text
    assert "$ occsynth replay pairs/toy-r16.csv --root /your/kdef --out replayed" in text


def test_datasets_loads_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    planned = manifests_upload([published(tmp_path), published(tmp_path, "b")], ADDRESS, LICENCE, "0.1")
    for name, content in planned.files.items():
        (tmp_path / "set" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "set" / name).write_bytes(content)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    rows = datasets.load_dataset(str(tmp_path / "set"), "toy-r16", split="train", cache_dir=str(tmp_path / "cache"))
    assert len(rows) == 42 and rows[0]["mode"] == "r16" and not rows[0]["expression"]


@pytest.mark.parametrize("name", ["builds/manifests/toy-r16.csv", "face.png", "builds", "builds/data"])
def test_only_published_manifests_are_shared(name: str, tmp_path: Path) -> None:
    published(tmp_path)
    (tmp_path / "face.png").write_bytes(b"\x89PNG\r\n")
    for more in ((), (str(tmp_path / "toy-r16.csv"),)):
        words = ["push", str(tmp_path / name), *more, "jane/pairs", "--license", "cc-by-4.0", "--dry-run"]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 1 and done.stderr.startswith("error: ") and not done.stdout, done.output


def test_a_picture_behind_a_manifests_name_is_refused(tmp_path: Path) -> None:
    path = published(tmp_path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n and so on")
    with pytest.raises(HubError, match=r"toy-r16\.csv"):
        manifests_upload([path], ADDRESS, LICENCE, "0.1")


def test_two_manifests_of_one_name_are_refused(tmp_path: Path) -> None:
    path = published(tmp_path)
    (tmp_path / "other").mkdir()
    with pytest.raises(HubError, match="two of the manifests are called toy-r16; share them in repositories of"):
        manifests_upload([path, published(tmp_path / "other")], ADDRESS, LICENCE, "0.1")


def test_a_suite_comes_back_as_it_was_frozen(hub: Hub, tmp_path: Path) -> None:
    folder = find_suite("demo")
    planned = manifests_upload([folder], ADDRESS, LICENCE, "0.1")
    upload(planned, None, private=True)
    data, text = head_of(planned.files["README.md"]), DatasetCard(planned.files["README.md"].decode()).text
    suite = read_suite(folder)
    assert f"Its digest is `{suite.digest}`" in text and "occfer benchmark --suite pairs --checkpoint" in text
    assert {each["config_name"] for each in data["configs"]} == {each.name for each in suite.columns}
    pull(ADDRESS, tmp_path / "out")
    assert check(tmp_path / "out").problems == () and read_suite(tmp_path / "out") == suite


def test_a_suite_that_is_not_what_was_frozen_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="is not a frozen suite: it is not frozen"):
        manifests_upload([find_suite("ferplus")], ADDRESS, LICENCE, "0.1")


def test_results_go_with_models(tmp_path: Path) -> None:
    words = ["push", str(published(tmp_path)), "jane/pairs", "--license", "mit", "--benchmark", "x.json", "--dry-run"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1 and done.stderr == "error: --benchmark goes with a model; manifests have no result\n"


def test_pairs_are_made_from_a_pulled_manifest(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from occsynth.cli.app import app as occsynth

    (manifest,) = build_demo(tmp_path / "builds", "r16", STEMS[:2])
    shared = publish(manifest, tmp_path / "shared.csv")
    upload(manifests_upload([shared], ADDRESS, LICENCE, "0.1"), None, private=True)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["pull", "datasets/jane/pairs"])
    assert done.exit_code == 0, done.output
    table = f"pairs/{manifest.info.name}.csv"
    assert done.stdout.splitlines()[-1] == f"next\toccsynth replay {table} --root YOUR_COPY --out replayed"
    made = CliRunner().invoke(occsynth, ["replay", table, "--out", "replayed"])
    assert made.exit_code == 0 and "2 rows replayed pixel for pixel" in made.stdout
    assert json.loads((tmp_path / "pairs" / LIST).read_text())["kind"] == "dataset"
