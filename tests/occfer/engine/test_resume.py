"""`--resume` after kill -9: whenever a run was killed, its files equal those of an uninterrupted run."""

import pickle
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.data.manifests import read_corpus
from occfer.data.packs import open_packs
from occsynth.ownership import LOCK, OWNER
from tests.occfer.engine.killed_runs import STEPS, WRITES, finish, start
from tests.occfer.toy_builds import Build, write_build

RUN = Path("runs/full")
STAGE_1, ROUNDS, K1, K2 = 2 * 3, 2 * 3, 2, 2  # branches x rounds; epochs x rounds
UPDATES = STAGE_1 + ROUNDS * (K1 + K2)


@dataclass(frozen=True)
class Undisturbed:
    """A run of `full` that nobody killed.

    Attributes:
        manifest: what it was trained on.
        files: its run folder.
        writes: how many of the moments `WRITES` passed.
    """

    manifest: Path
    files: dict[str, bytes]
    writes: int

    def words(self, *more: str) -> list[str]:
        return _words(self.manifest, *more)


def _words(manifest: Path, *more: str) -> list[str]:
    settings = {
        "method": "full", "fold": 0, "backbone": "tiny", "weights": "none", "batch-size": 8, "pretrain-epochs": 1,
        "epochs": 2, "k1": K1, "k2": K2, "checkpoint-every": 2, "log-every": 1, "device": "cpu", "out": RUN,
        "schedule": "cosine", "warmup-epochs": 0.5, "clip": 1, "ema": 0.9, "label-smoothing": 0.1, "balance": "sampler",
    }  # fmt: skip
    flags = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return ["train", "--manifest", str(manifest), *flags, "--no-figures", *more]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    manifest = write_build(folder / "builds", Build())
    open_packs(read_corpus([manifest]), Build().size_px)  # the runs that are killed find them too
    assert finish(start(folder, _words(manifest), STEPS + WRITES)) == 0, (folder / "said").read_text()
    moments = (folder / "trace").read_text().splitlines()
    rounds = ["discriminator"] * K1 + ["student"] * K2
    assert [moment for moment in moments if moment in STEPS] == ["stage 1"] * STAGE_1 + rounds * ROUNDS
    return Undisturbed(manifest, files_of(folder / RUN), sum(moment in WRITES for moment in moments))


def test_the_run_leaves_what_is_compared(undisturbed: Undisturbed) -> None:
    models = {f"checkpoints/{name}.safetensors" for name in ("best", "clean-branch", "occluded-branch")}
    others = {"config.json", "data.json", "environment.json", "metrics.csv", "metrics.json", "predictions.csv"}
    others |= {"clean-faces/metrics.json", "clean-faces/predictions.csv"}
    assert undisturbed.files.keys() == models | others | {OWNER, LOCK}


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 5, *range(STAGE_1 + 1, UPDATES + 1, 5), UPDATES])
def test_killed_before_an_update(undisturbed: Undisturbed, tmp_path: Path, number: int) -> None:
    """In stage 1 of either branch, and at each place inside K1 and K2."""
    assert finish(start(tmp_path, undisturbed.words(), STEPS, number)) == -signal.SIGKILL
    assert not (tmp_path / RUN / "metrics.json").exists()
    assert finish(start(tmp_path, undisturbed.words("--resume"))) == 0, (tmp_path / "said").read_text()
    assert files_of(tmp_path / RUN) == undisturbed.files


@pytest.mark.slow
def test_killed_again_and_again_in_the_middle_of_writing(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """Each process reaches one moment more than the one before it."""
    died_at: list[str] = []
    for number in range(1, undisturbed.writes):
        (tmp_path / "trace").unlink(missing_ok=True)
        code = finish(start(tmp_path, undisturbed.words("--resume"), WRITES, number))
        if code == 0:
            break
        assert code == -signal.SIGKILL, (tmp_path / "said").read_text()
        died_at.append((tmp_path / "trace").read_text().splitlines()[-1])
    assert len(died_at) > 10 and set(died_at) == set(WRITES)
    assert files_of(tmp_path / RUN) == undisturbed.files


@pytest.mark.slow
@pytest.mark.parametrize("before_the_end", range(6))
def test_killed_while_the_result_is_written(undisturbed: Undisturbed, tmp_path: Path, before_the_end: int) -> None:
    number = undisturbed.writes - before_the_end
    assert finish(start(tmp_path, undisturbed.words(), WRITES, number)) == -signal.SIGKILL
    assert finish(start(tmp_path, undisturbed.words("--resume"))) == 0, (tmp_path / "said").read_text()
    assert files_of(tmp_path / RUN) == undisturbed.files


@pytest.mark.slow
def test_killed_by_the_clock(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """At any moment; each process has a little more time than the one before it."""
    died = 0
    for turn in range(1, 100):
        process = start(tmp_path, undisturbed.words("--resume"))
        time.sleep(0.6 * turn)
        process.kill()
        code = finish(process)
        if code == 0:
            break
        assert code == -signal.SIGKILL, (tmp_path / "said").read_text()
        died += 1
    assert died
    assert files_of(tmp_path / RUN) == undisturbed.files


class Bomb:
    """The content of a hostile file: unpickling it would make the file that it names."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("name", ["evil.safetensors", "evil.pth"])
@pytest.mark.parametrize("how", ["pickle", "torch"])
@pytest.mark.usefixtures("tiny_backbone")
def test_no_flag_executes_the_file_that_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    evil, ran = tmp_path / name, tmp_path / "ran"
    evil.write_bytes(pickle.dumps(Bomb(ran), protocol=2)) if how == "pickle" else torch.save({"w": Bomb(ran)}, evil)
    manifest = write_build(tmp_path / "builds", Build())
    train = _words(manifest)
    assert CliRunner().invoke(app, [*train, "--out", "begun"]).exit_code == 0
    (tmp_path / "begun" / "metrics.json").unlink()
    (tmp_path / "begun" / "checkpoints" / "last.safetensors").write_bytes(evil.read_bytes())
    for words in (
        [*train, "--weights", str(evil)],
        [*train, "--occluded-branch", str(evil)],
        [*train, "--clean-branch", str(evil)],
        ["evaluate", "--checkpoint", str(evil), "--manifest", str(manifest)],
        ["reconstruct", "--checkpoint", str(evil), "--manifest", str(manifest), "-o", "grid.png"],
        ["predict", str(tmp_path / "builds/data/toy-r16/occluded/s000_fear.png"), "--checkpoint", str(evil)],
        ["export", "--checkpoint", str(evil), "-o", "model.onnx"],
        [*train, "--resume", "--out", "begun"],
    ):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 1, f"{words}: {result.output}"
        said = result.stderr.splitlines()[-1]
        assert said.startswith("error: ") and ("evil" in said or "last.safetensors" in said), said
        assert not ran.exists(), words
    with evil.open("rb") as file:  # loaded without protection, it does run
        (torch.load(file, weights_only=False) if how == "torch" else pickle.load(file))  # noqa: S301
    assert ran.exists()
