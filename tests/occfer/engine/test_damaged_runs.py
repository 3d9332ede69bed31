"""What lies in a run folder is checked before it is used: the right bytes, or one line that says what to delete."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.config import TrainConfig
from occfer.errors import ConfigError, DamagedError, OccFERError
from occfer.models import BACKBONES
from occfer.runs.checkpoint import load, save
from occfer.training.train import train
from tests.occfer.damage import DAMAGES, damage
from tests.occfer.toy_builds import Build, add_tiny_backbone, write_build

RESULT = ("predictions.csv", "metrics.json")
BRANCHES = ("checkpoints/clean-branch.safetensors", "checkpoints/occluded-branch.safetensors")
LAST, KEPT = "checkpoints/last.safetensors", "checkpoints/guidance-e0001.safetensors"
BEGUN = ("config.json", "data.json", "environment.json", "metrics.csv", *BRANCHES, LAST, KEPT)


@dataclass(frozen=True)
class Runs:
    """A run that was stopped after its first epoch of stage 2, and the same run undisturbed."""

    config: TrainConfig
    begun: Path
    finished: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    add_tiny_backbone()
    folder = tmp_path_factory.mktemp("runs")
    config = TrainConfig(
        manifests=(write_build(folder / "builds", Build(subjects=3)),), fold=0, method="sim", backbone="tiny",
        weights="none", epochs=2, pretrain_epochs=1, batch_size=8, val_fraction=0.3, device="cpu", out=folder / "run",
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        train(config, on_step=stop_in_second_epoch)
    begun = config.out.rename(folder / "begun")
    assert {path.relative_to(begun).as_posix() for path in begun.rglob("*.*") if path.name[0] != "."} >= set(BEGUN)
    train(config)
    finished = config.out.rename(folder / "finished")
    yield Runs(config, begun, finished)
    del BACKBONES["tiny"]


def stop_in_second_epoch(event: dict[str, Any]) -> None:
    if event.get("stage") == "guidance" and event["epoch"] == 2:
        raise KeyboardInterrupt


def keep_text(said: list[str], event: dict[str, Any]) -> None:
    said.append(event.get("text", ""))


def files_of(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def resumed(runs: Runs, source: Path, edit: Callable[[Path], None]) -> tuple[str, list[str]]:
    """Resumes a changed copy of a run; the error's line, empty if there was none, and what was said."""
    folder = runs.config.out
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    edit(folder)
    said: list[str] = []
    try:
        train(replace(runs.config, resume=True), on_step=partial(keep_text, said))
    except OccFERError as error:
        assert "\n" not in str(error)
        return str(error), said
    return "", said


@pytest.mark.parametrize("name", BEGUN)
@pytest.mark.parametrize("how", DAMAGES, ids=list(DAMAGES))
def test_an_unfinished_run_ends_in_the_right_bytes_or_in_one_line(runs: Runs, name: str, how: str) -> None:
    error, _ = resumed(runs, runs.begun, lambda folder: damage(folder / name, how))
    folder = runs.config.out
    if not error:
        assert files_of(folder) == files_of(runs.finished)
        return
    assert Path(name).name in error or "manifests have changed" in error or "with other settings" in error
    assert (
        f"delete {folder} and start it again" in error or "start a new run" in error or "with other settings" in error
    )


@pytest.mark.parametrize("name", [*RESULT, "environment.json", "metrics.csv"])
@pytest.mark.parametrize("how", DAMAGES, ids=list(DAMAGES))
def test_a_damaged_result_is_made_again_at_resume(runs: Runs, name: str, how: str) -> None:
    error, said = resumed(runs, runs.finished, lambda folder: damage(folder / name, how))
    assert not error
    if name in RESULT:
        assert {key: files_of(runs.config.out)[key] for key in RESULT} == {
            key: files_of(runs.finished)[key] for key in RESULT
        }
        told = [text for text in said if text.endswith("; the result is made again")]
        assert len(told) == (how != "missing" or name == "predictions.csv"), said


@pytest.mark.parametrize("lost", [(LAST,), (LAST, "metrics.csv"), (LAST, *BRANCHES), ("metrics.csv", *BRANCHES)])
def test_several_lost_files(runs: Runs, lost: tuple[str, ...]) -> None:
    def lose(folder: Path) -> None:
        for name in lost:
            (folder / name).unlink()

    error, _ = resumed(runs, runs.begun, lose)
    assert "metrics.csv" in error if LAST not in lost else files_of(runs.config.out) == files_of(runs.finished)


def test_files_of_another_run_are_refused(runs: Runs, tmp_path: Path) -> None:
    other = replace(runs.config, seed=5, out=tmp_path / "other")
    with pytest.raises(KeyboardInterrupt):
        train(other, on_step=stop_in_second_epoch)
    for name, words in (
        (LAST, "is the checkpoint of another run"),
        ("config.json", "holds a run with other settings: --seed 5 -> 0"),
        ("metrics.csv", "does not fit the last checkpoint"),
    ):

        def swap(folder: Path, name: str = name) -> None:
            shutil.copy(other.out / name, folder / name)

        error, _ = resumed(runs, runs.begun, swap)
        assert words in error

    def swap_branches(folder: Path) -> None:
        shutil.copy(folder / BRANCHES[0], folder / BRANCHES[1])

    swapped, _ = resumed(runs, runs.begun, swap_branches)
    assert "is the branch clean; this run needs occluded" in swapped


def test_a_run_of_version_0_1_goes_on(runs: Runs) -> None:
    """It has no checksums, and its checkpoints do not tell which run they belong to."""

    def age(folder: Path) -> None:
        for path in (folder / "checkpoints").glob("*.safetensors"):
            tensors, header = load(path)
            new = ("run", "metrics_crc32")
            without_checksums(path, tensors, {name: value for name, value in header.items() if name not in new})

    error, _ = resumed(runs, runs.begun, age)
    assert not error
    found, wanted = files_of(runs.config.out), files_of(runs.finished)
    for name in (*RESULT, "metrics.csv", "checkpoints/best.safetensors"):
        assert found[name] == wanted[name]


def without_checksums(path: Path, tensors: dict[str, Any], header: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    save_file({name: tensor.clone() for name, tensor in tensors.items()}, path, metadata={"occfer": json.dumps(header)})


def test_a_checkpoint_that_fits_in_no_way_is_one_line(runs: Runs) -> None:
    """Such as that of a later version: whole, with its checksums, and yet not what this run can go on from."""

    def change(change_of: dict[str, Any]) -> Callable[[Path], None]:
        def edit(folder: Path) -> None:
            tensors, header = load(folder / LAST)
            save(folder / LAST, {name: tensor.clone() for name, tensor in tensors.items()}, header | change_of)

        return edit

    changes: tuple[dict[str, Any], ...] = (
        {"round": "many"}, {"best_epoch": None}, {"metrics_bytes": -1}, {"best": [1]}, {"student_optimizer": {}},
        {"student_optimizer": {"groups": 3, "plain": []}}, {"best_epoch": 7}, {"precision_state": []},
    )  # fmt: skip
    for changed in changes:
        error, _ = resumed(runs, runs.begun, change(changed))
        assert "delete" in error and "start it again" in error, changed


@pytest.mark.parametrize("how", DAMAGES, ids=list(DAMAGES))
@pytest.mark.parametrize("name", [*RESULT, "checkpoints/best.safetensors", "config.json", "data.json"])
def test_commands_that_read_a_damaged_run_end_in_one_line(runs: Runs, tmp_path: Path, name: str, how: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(runs.finished, folder)
    damage(folder / name, how)
    manifest = str(runs.config.manifests[0])
    for words in (
        ["compare", str(folder), str(runs.finished)],
        [
            "evaluate",
            "--checkpoint",
            str(folder),
            "--manifest",
            manifest,
            "--device",
            "cpu",
            "--out",
            f"{folder}-e",
        ],
        ["report", str(folder), "-o", str(tmp_path / "report.html"), "--no-reconstructions"],
    ):
        result = CliRunner().invoke(app, words)
        assert result.exception is None or isinstance(result.exception, SystemExit), (words, result.exception)
        assert result.exit_code in (0, 1)
        if result.exit_code:
            assert result.stderr.splitlines()[-1].startswith("error: ")
        else:
            assert not (name in RESULT and words[0] in ("compare", "report")), words


def test_the_cache_of_branches(runs: Runs, tmp_path: Path) -> None:
    cached = replace(runs.config, branch_cache=tmp_path / "branches", out=tmp_path / "first")
    train(cached)
    wanted = {path.name: path.read_bytes() for path in (tmp_path / "branches").glob("*.safetensors")}
    assert len(wanted) == 2
    for how in DAMAGES:
        for name in wanted:
            damage(tmp_path / "branches" / name, how)
        out = tmp_path / how.replace(" ", "-")
        said: list[str] = []
        train(replace(cached, out=out), on_step=partial(keep_text, said))
        assert sum("branch is trained again" in text for text in said) == (0 if how == "missing" else 2), how
        for name in RESULT:
            assert (out / name).read_bytes() == (tmp_path / "first" / name).read_bytes()
        for path in (tmp_path / "branches").glob("*.safetensors"):
            tensors, header = load(path)
            assert tensors.keys() and header["config"]["out"] == str(out)


def test_an_error_of_the_users_own_file_says_nothing_of_the_run(runs: Runs, tmp_path: Path) -> None:
    branch = tmp_path / "branch.safetensors"
    branch.write_bytes(b"half")
    with pytest.raises(OccFERError, match=r"--clean-branch .*branch\.safetensors is damaged") as raised:
        train(replace(runs.config, clean_branch=branch, out=tmp_path / "run"))
    assert not isinstance(raised.value, DamagedError) and "start it again" not in str(raised.value)


def test_a_folder_with_checkpoints_and_no_configuration_is_not_gone_on_with(runs: Runs) -> None:
    shutil.rmtree(runs.config.out, ignore_errors=True)
    shutil.copytree(runs.begun, runs.config.out)
    (runs.config.out / "config.json").unlink()
    with pytest.raises(DamagedError, match=r"config\.json is missing"):
        train(runs.config)
    with pytest.raises(ConfigError, match="holds a run already"):
        shutil.copy(runs.begun / "config.json", runs.config.out)
        train(runs.config)
