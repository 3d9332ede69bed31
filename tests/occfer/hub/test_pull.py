"""What `occfer pull` takes: only what push has uploaded, as it was uploaded; and nothing of the user is replaced."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.errors import HubError
from occfer.files import file_sha256
from occfer.hub.card_head import Licence
from occfer.hub.pull import pull
from occfer.hub.push import model_upload, upload
from occfer.hub.repository import LIST, MODEL, Address, read_list
from occfer.runs.checkpoint import load, read_model_info
from tests.fuzzing import changed_json, fuzzed, read_or_refused
from tests.occfer.hub.hub_server import TOKEN, Hub, Repository

ADDRESS = Address("model", "jane/occluded")
MINE = b"my own work\n"


@pytest.fixture
def pushed(hub: Hub, private_run: Path) -> Repository:
    """A model on the Hub."""
    upload(model_upload(private_run, ADDRESS, Licence("mit"), (), "0.1"), None, private=True)
    return hub.repositories["jane/occluded"]


def listed(repository: Repository, **files: object) -> None:
    """Puts more files into the repository's list, each with the right digest where it has a content."""
    content = json.loads(repository.files[LIST])
    content["files"] |= files
    repository.files[LIST] = json.dumps(content).encode()


def entry(content: bytes) -> dict[str, object]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("[!.]*") if path.is_file()}


def test_a_folder_gets_what_was_uploaded(pushed: Repository, private_run: Path, tmp_path: Path) -> None:
    pushed.files["notes/later.txt"] = b"added on the Hub"
    pushed.files["README.md"] += b"\nMore, typed on the Hub.\n"
    pulled = pull(ADDRESS, tmp_path / "out")
    assert everything(tmp_path / "out") == {
        name: content for name, content in pushed.files.items() if name not in (".gitattributes", "notes/later.txt")
    }
    assert pulled.left == ("notes/later.txt",)
    shared, ours = load(tmp_path / "out" / MODEL)[0], load(private_run / "checkpoints/best.safetensors")[0]
    assert shared.keys() == ours.keys() and all(bool((shared[name] == ours[name]).all()) for name in ours)
    assert read_model_info(tmp_path / "out" / MODEL).method == "sim"
    assert TOKEN.encode() not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_the_command_prints_what_to_type_next(
    pushed: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["pull", "jane/occluded"])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == "next\toccfer predict photos/ --checkpoint occluded/model.safetensors"
    assert CliRunner().invoke(app, ["pull", "jane/occluded"]).exit_code == 0  # the same files again


@pytest.mark.parametrize("name", ["thesis.txt", MODEL, "config.json"])
def test_what_is_the_users_stays(
    name: str, pushed: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_bytes(MINE)
    done = CliRunner().invoke(app, ["pull", "jane/occluded", "--out", "mine"])
    assert done.exit_code == 1 and done.stderr == (
        f"error: mine holds files that `occfer pull` did not make, such as {name}. Choose another folder with --out\n"
    )
    assert everything(tmp_path / "mine") == {name: MINE}


def test_a_pulled_file_that_was_changed_stays(pushed: Repository, tmp_path: Path) -> None:
    pull(ADDRESS, tmp_path / "out")
    (tmp_path / "out/README.md").write_bytes(MINE)
    (tmp_path / "out/config.json").unlink()
    before = everything(tmp_path / "out")
    with pytest.raises(HubError, match=r"README\.md exists and differs from that of the Hub. Choose another folder"):
        pull(ADDRESS, tmp_path / "out")
    assert everything(tmp_path / "out") == before


@pytest.mark.parametrize("name", [MODEL, "config.json"])
def test_a_file_that_is_not_as_it_was_uploaded_is_refused(name: str, pushed: Repository, tmp_path: Path) -> None:
    content = pushed.files[name]
    pushed.files[name] = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(HubError, match=f"{name} of jane/occluded is not as it was uploaded: its digest differs"):
        pull(ADDRESS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name",
    [
        "../evil.json", "/etc/evil.json", "benchmark/../../evil.json", "benchmark/.json", "figures/face.png",
        "model.pt", "pytorch_model.bin", "benchmark/face.png", "benchmark\\evil.json", "config.json\n", ".bashrc",
        "benchmark/a/b.json",
    ],
)  # fmt: skip
def test_a_name_that_push_never_gives_is_refused(name: str, pushed: Repository, tmp_path: Path) -> None:
    pushed.files[name] = MINE
    listed(pushed, **{name: entry(MINE)})
    with pytest.raises(HubError, match="which `occfer push` never uploads; nothing was taken"):
        pull(ADDRESS, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not (tmp_path / "evil.json").exists()


def test_a_link_in_the_folder_leads_nowhere_else(pushed: Repository, tmp_path: Path) -> None:
    pushed.files["benchmark/a.json"] = MINE
    listed(pushed, **{"benchmark/a.json": entry(MINE)})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/benchmark").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HubError, match="did not make, such as benchmark"):
        pull(ADDRESS, tmp_path / "out")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_file_larger_than_listed_is_refused(pushed: Repository, hub: Hub, tmp_path: Path) -> None:
    hub.stated_sizes["config.json"] = 10**12
    with pytest.raises(HubError, match=r"config\.json has 1000000000000 bytes, more than the [\d,]+ that are taken"):
        pull(ADDRESS, tmp_path / "out")
    hub.stated_sizes.clear()
    pushed.files["config.json"] += b" " * 1000
    hub.stated_sizes["config.json"] = 10  # while the server sends more
    with pytest.raises(HubError, match=r"config\.json has [\d,]+ bytes, more than it should; nothing was taken"):
        pull(ADDRESS, tmp_path / "out")
    pushed.files[LIST] = b"[" * 2**21
    with pytest.raises(HubError, match=r"occfer\.json has 2097152 bytes, more than the 1,048,576 that are taken"):
        pull(ADDRESS, tmp_path / "out")


def test_a_pickle_under_the_models_name_is_refused(pushed: Repository, tmp_path: Path) -> None:
    content = b"\x80\x04\x95 and more of a pickle"
    pushed.files[MODEL] = content
    listed(pushed, **{MODEL: entry(content)})
    with pytest.raises(HubError, match="is damaged or not a safetensors file"):
        pull(ADDRESS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_repositories_are_refused(hub: Hub, pushed: Repository, tmp_path: Path) -> None:
    hub.repositories["jane/other"] = Repository("model", False, {"model.safetensors": b"", "README.md": b"x"})
    hub.repositories["jane/data"] = Repository("dataset", False, dict(pushed.files))
    for address, told in (
        (Address("model", "jane/other"), r"has no occfer\.json: it was not uploaded with `occfer push`"),
        (Address("model", "jane/none"), "jane/none cannot be read"),
        (Address("dataset", "jane/data"), "is of a model, which lies elsewhere"),
    ):
        with pytest.raises(HubError, match=told):
            pull(address, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"kind": "model", "format": 2, "files": {MODEL: entry(b"")}}, "has the format 2, but this version reads 1"),
        ({"kind": "model", "format": 1, "files": {}}, "names 0 files"),
        ({"kind": "space", "format": 1, "files": {MODEL: entry(b"")}}, "kind"),
        ({"kind": "model", "format": 1, "files": {MODEL: {"sha256": "0", "size_bytes": 10**13}}}, "more than the"),
        ({"kind": "model", "format": 1, "files": {MODEL: {"sha256": "0", "size_bytes": -1}}}, "-1 bytes"),
        ({"kind": "model", "format": 1, "files": {MODEL: {"sha256": 5, "size_bytes": 1}}}, "sha256"),
    ],
)
def test_a_malformed_list_is_refused(content: dict[str, object], told: str) -> None:
    with pytest.raises(HubError, match=told):
        read_list(json.dumps(content).encode(), "jane/occluded")


GOOD = {"format": 1, "kind": "model", "occsynth": "0.1", "trained_sha256": "0" * 64, "files": {MODEL: entry(b"")}}


@given(content=changed_json(GOOD))
@fuzzed()
def test_fuzz_a_list(content: bytes) -> None:
    found = read_or_refused(lambda: read_list(content, "jane/occluded"), HubError)
    assert found is None or all(name == MODEL or ".." not in name for name in found.files)


def test_a_checkpoint_from_the_hub_is_a_safetensors_file(hub: Hub, tmp_path: Path) -> None:
    hub.repositories["jane/pickled"] = Repository("model", False, {"pytorch_model.bin": b"\x80\x04"})
    words = ["export", "--checkpoint", "hf://jane/pickled", "-o", str(tmp_path / "model.onnx")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1 and "pytorch_model.bin is no .safetensors file" in done.stderr


def test_results_of_a_model_from_the_hub_lie_outside_the_cache(
    pushed: Repository, private_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_backbone: None
) -> None:
    monkeypatch.chdir(tmp_path)
    manifest = private_run.parent / "builds/manifests/demo-r16.csv"
    words = ["evaluate", "--checkpoint", "hf://jane/occluded", "--manifest", str(manifest), "--device", "cpu"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "results\tevaluation/demo-r16\n" in done.stdout
    assert file_sha256(tmp_path / "evaluation/demo-r16/metrics.json")
    words = ["profile", "--checkpoint", "hf://jane/occluded", *words[3:], "-o", "profile"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
