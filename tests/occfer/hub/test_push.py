"""What `occfer push` uploads: shown first, after a typed yes alone, and never a picture, a person or a folder."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from huggingface_hub.repocard_data import model_index_to_eval_results
from typer.testing import CliRunner

from occfer.benchmark import result as results
from occfer.benchmark.eval_results import write_eval_results
from occfer.cli.app import app
from occfer.errors import CheckpointError, HubError
from occfer.files import file_sha256
from occfer.hub.card_head import Licence
from occfer.hub.model_files import without_names
from occfer.hub.push import Found, look_up, model_upload, upload
from occfer.hub.repository import LIST, MODEL, Address, parse_address
from occfer.intended_use import PROHIBITED_USE
from occfer.metrics.intervals import wilson
from occfer.runs.checkpoint import load, load_header, save
from tests.occfer.hub.conftest import PERSON
from tests.occfer.hub.hub_server import TOKEN, Hub, Repository, head_of

ADDRESS = Address("model", "jane/occluded")
LICENCE = Licence("cc-by-nc-4.0")
LINE = ("push", "jane/occluded", "--license", "cc-by-nc-4.0")
PICTURES = (b"\x89PNG", b"\xff\xd8\xff")


def call(*words: object, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result.stdout, result.stderr


def best(run: Path) -> Path:
    return run / "checkpoints/best.safetensors"


def column(name: str, kind: str, correct: int, clean: int | None = None) -> results.ColumnResult:
    interval = wilson(correct, 40)
    drop = None if clean is None else (clean - correct) / 40
    around = None if drop is None else replace(interval, low=drop - 0.1, high=drop + 0.1)
    return results.ColumnResult(name, kind, ("paper",), 40, correct, correct / 40, interval, 8, drop, around)  # type: ignore[arg-type]


def benchmark(folder: Path, model: Path, **known: object) -> Path:
    """The file of a result of that model file."""
    columns = (column("r16", "occluded", 20, 30), column("eyes", "occluded", 10, 30))
    result = results.BenchmarkResult(
        results.TestedSuite("demo", "1.0", "d" * 64, "demo", "Demo <suite>"),
        results.TestedContestant("sim", "checkpoint", file_sha256(model), ("anger", "fear")),
        results.Provenance(("demo",), "validation", 0, 0, **known),  # type: ignore[arg-type]
        column("clean", "clean", 30), columns, results.MeanResult("all", 2, 0.375, wilson(30, 80)),
        notes=(f"/home/{PERSON}/builds/x.csv was not found",),
    )  # fmt: skip
    folder.mkdir()
    return results.write_benchmark(folder, result)


TWICE = """
import sys
from occfer.cli.app import app
for _ in range(2):
    try:
        app(sys.argv[1:], prog_name="occfer")
    except SystemExit as end:
        print("exit code", end.code)
"""


def twice_on_a_terminal(words: tuple[str, ...], answers: tuple[str, str], hub: Hub, home: Path) -> str:
    """What occfer prints on a terminal when it is started twice; it gets an answer each time that it asks."""
    ours, theirs = pty.openpty()
    place = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
    running = subprocess.Popen(
        [sys.executable, "-c", TWICE, *words], stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **place}
    )
    os.close(theirs)
    printed, end, given = b"", time.monotonic() + 300, 0
    while time.monotonic() < end:
        if select.select([ours], [], [], 1)[0]:
            try:
                printed += os.read(ours, 4096)
            except OSError:  # the terminal closes with the process
                break
        if printed.count(b"to upload these files") > given:
            assert hub.uploads() == []
            os.write(ours, f"{answers[given]}\n".encode())
            given += 1
    os.close(ours)
    assert running.wait(10) == 0
    return printed.decode()


def test_nothing_but_a_typed_yes_uploads_the_model_and_no_picture(hub: Hub, private_run: Path, tmp_path: Path) -> None:
    words = ("push", str(private_run), "jane/occluded", "--license", "cc-by-nc-4.0")
    refused, printed = twice_on_a_terminal(words, ("yes, of course", "yes"), hub, tmp_path / "home").split(
        "exit code 1"
    )
    assert "nothing was uploaded" in refused and "exit code 0" in printed, printed
    made = hub.repositories["jane/occluded"]
    assert made.private and set(made.files) == {".gitattributes", "README.md", LIST, MODEL, "config.json"}
    sent = b"".join(hub.bodies) + b"".join(made.files.values())
    assert not any(content.startswith(PICTURES) for content in made.files.values())
    for path in private_run.rglob("*.[pj][np]g"):
        assert path.read_bytes() not in sent, path
    assert PERSON.encode() not in sent and str(private_run.parent).encode() not in sent
    assert TOKEN not in printed and TOKEN.encode() not in b"".join(made.files.values())
    for name, content in made.files.items():
        assert name == ".gitattributes" or f"{name}\t{len(content):,} bytes" in printed
    assert "private: only its owners see it" in printed and "reconstruction.png" in printed
    assert not any((tmp_path / "home").rglob("*token*"))


def test_without_a_terminal_nothing_is_asked_and_nothing_is_uploaded(hub: Hub, private_run: Path) -> None:
    _, told = call("push", private_run, *LINE[1:], code=1)
    assert told == (
        "error: push asks before it uploads, which needs a terminal; --dry-run shows what would be uploaded\n"
    )
    assert hub.requests == []


def test_a_dry_run_shows_all_and_asks_nobody(hub: Hub, private_run: Path) -> None:
    printed, _ = call("push", private_run, *LINE[1:], "--dry-run")
    assert hub.requests == []
    assert printed.startswith("repository\tjane/occluded\tmodel\tprivate: only its owners see it\tnew\n")
    assert (
        printed.endswith("nothing was uploaded\t--dry-run\n")
        and PROHIBITED_USE in printed
        and PERSON
        not in (
            printed.replace(f"{PERSON}.png", "")  # the list of what stays
        )
    )


def test_a_model_that_was_pushed_answers_as_before(hub: Hub, private_run: Path, tiny_backbone: None) -> None:
    from occfer.engine.engine import one_process
    from occfer.method_table import load_predictor

    planned = model_upload(private_run, ADDRESS, LICENCE, (), "0.1")
    upload(planned, None, private=True)
    from occfer.load import load as load_any

    faces = np.random.default_rng(1).integers(0, 256, (3, 24, 24, 3), np.uint8)
    shared = load_any("hf://jane/occluded", device="cpu").predictor
    own = load_predictor(private_run, one_process("cpu"))
    assert np.array_equal(shared.probabilities(faces), own.probabilities(faces))
    assert load_any(Path("hf://jane/occluded"), device="cpu").info.classes == own.info.classes
    assert load_any("hf://jane/occluded/model.safetensors", device="cpu").info.config["out"] == "run"


def test_what_a_model_file_says_of_people_and_folders_stays_here(private_run: Path) -> None:
    planned = model_upload(private_run, ADDRESS, LICENCE, (), "0.1")
    (private_run / "shared.safetensors").write_bytes(planned.files[MODEL])
    ours, shared = load_header(best(private_run)), load_header(private_run / "shared.safetensors")
    (private_run / "shared.safetensors").unlink()
    assert PERSON in json.dumps(ours) and PERSON not in json.dumps(shared)
    assert shared["config"] == ours["config"] | {"manifests": ["demo-r16.csv"], "out": "run"}
    assert shared["data"] == {name: value for name, value in ours["data"].items() if name != "duplicates"}
    assert shared.keys() == ours.keys() and shared["method"] == "sim"
    assert json.loads(planned.files["config.json"]) == shared["config"]


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("/home/jane/ck+/x.csv", "x.csv"),
        ("C:\\Users\\jane\\x.csv", "x.csv"),
        ("hf://timm/resnet18", "hf://timm/resnet18"),
        ("timm:hf-hub:jane/net", "timm:hf-hub:jane/net"),
        ("imagenet", "imagenet"),
        (["~/a/b.csv", {"c": "../d/"}], ["b.csv", {"c": "d"}]),
        (0.5, 0.5),
    ],
)
def test_paths_become_names(told: object, kept: object, private_run: Path) -> None:
    from occfer.runs.checkpoint import read_model_info

    info = replace(read_model_info(private_run), config={"weights": told})
    assert without_names(info).config == {"weights": kept}


def test_the_card_is_what_the_hub_reads(hub: Hub, private_run: Path, tmp_path: Path) -> None:
    result = benchmark(tmp_path / "result", best(private_run), doubt=f"the manifest (/data/{PERSON}/a/x.csv) is gone")
    other = Licence("other", "my-terms-1.0", "https://example.org/terms")
    planned = model_upload(private_run, ADDRESS, other, [result], "0.1")
    data, text = head_of(planned.files["README.md"]), ModelCard(planned.files["README.md"].decode()).text
    stated = ("other", "my-terms-1.0", "https://example.org/terms")
    assert (data["license"], data["license_name"], data["license_link"]) == stated
    assert (data["library_name"], data["pipeline_tag"]) == ("occfer", "image-classification")
    assert set(data["tags"]) >= {"occlusion", "facial-expression-recognition", "sim"}
    name, (own, *columns) = model_index_to_eval_results(data["model-index"])
    assert name == "occluded" and own.dataset_name == "demo-r16, fold 0" and "n = " in str(own.metric_name)
    assert [(each.dataset_config, each.metric_value) for each in columns] == [
        ("clean", 0.75), ("r16", 0.5), ("eyes", 0.25), ("mean", 0.375),
    ]  # fmt: skip
    assert {(each.dataset_type, (each.dataset_args or {})["digest"]) for each in columns} == {("demo", "d" * 64)}
    assert "d" * 64 in text and PROHIBITED_USE in text and "The worst column is eyes" in text
    assert "<suite>" not in text and "| eyes | 40 | 0.250 |" in text
    shared = json.loads(planned.files["benchmark/demo-1.0.json"])
    assert shared["suite"]["digest"] == "d" * 64 and PERSON not in json.dumps(shared)
    assert (
        shared["notes"] == ["x.csv was not found"] and shared["provenance"]["doubt"] == "the manifest (x.csv) is gone"
    )
    assert json.loads(planned.files[LIST])["trained_sha256"] == file_sha256(best(private_run))


def test_results_for_the_leaderboards_of_the_hub(private_run: Path, tmp_path: Path) -> None:
    path = benchmark(tmp_path / "result", best(private_run))
    assert len(model_upload(private_run, ADDRESS, LICENCE, [path], "0.1").files) == 5
    write_eval_results(path.parent, results.read_benchmark(path), "jane/occfer-bench-demo")
    planned = model_upload(private_run, ADDRESS, LICENCE, [path], "0.1")
    entries = parse_eval_result_entries(yaml.safe_load(planned.files[".eval_results/demo-1.0.yaml"]))
    assert {each.dataset_id for each in entries} == {"jane/occfer-bench-demo"}
    found = {each.task_id: each.value for each in entries}
    assert found == {"clean": 0.75, "mean": 0.375, "worst": 0.25, "relative-drop": 0.5}
    for text in ("[]", "[[]]", '[{"dataset": 5}]', '[{"dataset": {"id": "demo"}}]', '{"a": 1}'):
        (path.parent / "results.json").write_text(text)
        assert ".eval_results/demo-1.0.yaml" not in model_upload(private_run, ADDRESS, LICENCE, [path], "0.1").files


def test_a_result_of_another_model_is_refused(private_run: Path, tmp_path: Path) -> None:
    tensors, header = load(best(private_run))
    save(tmp_path / "other.safetensors", tensors, header | {"epoch": 7})
    result = benchmark(tmp_path / "result", best(private_run))
    with pytest.raises(HubError, match="is the result of another model file"):
        model_upload(tmp_path / "other.safetensors", ADDRESS, LICENCE, [result], "0.1")
    with pytest.raises(HubError, match=r"two results of demo 1\.0"):
        model_upload(private_run, ADDRESS, LICENCE, [result, result], "0.1")


def test_a_model_that_keeps_parts_of_faces_is_refused(private_run: Path, tmp_path: Path) -> None:
    tensors, header = load(best(private_run))
    save(tmp_path / "rgbt.safetensors", tensors, header | {"method": "rgbt", "backbone": ""})
    with pytest.raises(HubError, match="rgbt, whose model file keeps measurements of single training faces"):
        model_upload(tmp_path / "rgbt.safetensors", ADDRESS, LICENCE, (), "0.1")


@pytest.mark.parametrize("name", ["figures/faces.jpg", "reconstruction.png", "predictions.csv", "no-such-file"])
def test_only_models_are_uploaded_as_models(name: str, private_run: Path) -> None:
    with pytest.raises(CheckpointError):
        model_upload(private_run / name, ADDRESS, LICENCE, (), "0.1")


def test_a_public_repository_is_not_filled_by_surprise(hub: Hub) -> None:
    hub.repositories["jane/occluded"] = Repository("model", private=False)
    with pytest.raises(HubError, match="jane/occluded is public already; give --public if everyone may see"):
        look_up(ADDRESS, public=False)
    found = look_up(ADDRESS, public=True)
    assert found is not None and not found.private


def test_a_second_push_replaces_the_model_and_its_results_together(hub: Hub, private_run: Path, tmp_path: Path) -> None:
    result = benchmark(tmp_path / "result", best(private_run))
    upload(model_upload(private_run, ADDRESS, LICENCE, [result], "0.1"), None, private=True)
    found = look_up(ADDRESS, public=False)
    assert found is not None and "benchmark/demo-1.0.json" in found.files
    again = model_upload(private_run, ADDRESS, LICENCE, (), "0.1")
    assert found.stale(again) == ["benchmark/demo-1.0.json"]
    upload(again, found, private=True)
    assert not [name for name in hub.repositories["jane/occluded"].files if name.startswith("benchmark/")]
    with pytest.raises(HubError, match="could not be uploaded to jane/occluded, which is as it was"):
        upload(again, found, private=True)  # it has changed since it was looked up


def test_errors_are_one_line_without_the_token(hub: Hub, private_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = model_upload(private_run, ADDRESS, Licence("unheard-of"), (), "0.1")
    with pytest.raises(HubError, match="could not be uploaded to jane/occluded") as raised:
        upload(planned, None, private=True)
    assert "license" in str(raised.value)
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    assert look_up(ADDRESS, public=False) is None
    with pytest.raises(HubError, match="cannot be made; nothing was uploaded") as raised:
        upload(planned, None, private=True)
    assert "hf_expired" not in str(raised.value) and "\n" not in str(raised.value)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "no-such-file")
    with pytest.raises(HubError, match="nobody is logged in to Hugging Face: type `hf auth login`, or set HF_TOKEN"):
        look_up(ADDRESS, public=False)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--license", "Apache 2"), "--license 'Apache 2': the Hub writes licences in small letters"),
        (("--license", "other"), "--license other needs --license-name, such as my-terms-1.0, and --license-link"),
        (("--license", "mit", "--license-name", "x"), "no other licence takes them"),
        (("--license", "other", "--license-name", "x", "--license-link", "LICENSE"), "begins with https://"),
    ],
)
def test_the_user_states_the_licence(words: tuple[str, ...], told: str, private_run: Path) -> None:
    assert told in call("push", private_run, "jane/occluded", *words, "--dry-run", code=1)[1]
    assert "Missing option '--license'" in call("push", private_run, "jane/occluded", "--dry-run", code=2)[1]


@pytest.mark.parametrize(
    "text", ["jane", "jane/", "/x", "a/b/c", "jane/../x", "datasets/jane", "jane/x y", "https://x/y"]
)
def test_an_address_names_an_owner_and_a_repository(text: str) -> None:
    with pytest.raises(HubError, match="is no repository of Hugging Face: type ORG/NAME"):
        parse_address(text)


def test_files_of_the_hub_that_are_no_results_stay(private_run: Path) -> None:
    assert Found(True, "", ("x.md",)).stale(model_upload(private_run, ADDRESS, LICENCE, (), "0.1")) == []
