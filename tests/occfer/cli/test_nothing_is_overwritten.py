"""Every option that names an output: what the user has there stays byte for byte, unless --overwrite is given."""

import inspect
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pytest
from typer.models import OptionInfo
from typer.testing import CliRunner

from occfer.benchmark.result import write_benchmark
from occfer.cli.app import app
from occfer.config import TrainConfig
from occfer.training.train import train
from occsynth.ownership import LOCK, OWNER
from occsynth.suites.replay import replay_suite
from tests.occfer.benchmark.results import small_result
from tests.occfer.toy_builds import Build, add_tiny_backbone, write_build
from tests.occsynth.suites.small_suite import frozen_suite

MINE = b"my own work\n"
MANIFEST = "builds/manifests/demo-r16.csv"
TINY = ("--backbone", "tiny", "--weights", "none", "--batch-size", "8", "--device", "cpu")
SHORT = ("--epochs", "1", "--pretrain-epochs", "1")
TRAIN = ("train", "--manifest", MANIFEST, "--fold", "0", *TINY, *SHORT, "--method", "resnet", "--no-figures")
TUNE = (
    "tune",
    "--manifest",
    MANIFEST,
    *TINY,
    *SHORT,
    "--method",
    "sim",
    "--grid",
    "lambda-sim=1",
    "--trials",
    "1",
    "--workers",
    "1",
)
REPRODUCE = ("--db", "demo", *TINY, *SHORT, "--size", "24", "--folds", "0", "--seeds", "1", "--workers", "1")
TABLE2 = ("reproduce", "table2", "--modes", "r16", "--rows", "resnet", *REPRODUCE)
TESTED = ("--checkpoint", "runs/full", "--manifest", MANIFEST, "--device", "cpu")
PREDICT = ("predict", "photos", "--checkpoint", "runs/full", "--align", "none", "--cropped", "--device", "cpu")
COMPARE = ("compare", "runs/full", "runs/sim")
EXPORT = ("export", "--checkpoint", "runs/full", "--format")
REPORT = ("report", "runs/full", "--no-reconstructions")
BENCHMARK = (
    "benchmark",
    "--suite",
    "suite",
    "--builds",
    "pictures",
    "--workers",
    "1",
    "--checkpoint",
    "runs/full",
    "--device",
    "cpu",
)
LEADERBOARD = ("leaderboard", "result")
LIST_PICTURES = ("benchmark", "--suite", "suite", "--builds", "pictures")
DOCTOR = ("doctor", "--gpu", "--device", "cpu", "--only", "fp16")
NOT_ITS_OWN = "Choose another folder, or give --overwrite to write into this one"
NO_FLAG = "Choose another folder with --out"


@dataclass(frozen=True, slots=True)
class Case:
    """One way in which an option could lead to the loss of something.

    Attributes:
        words: the command line up to the option.
        option: that names the output.
        given: the option's value.
        foreign: what the user has: paths of files.
        told: how the error ends, which says what to do.
        named: what the error names; empty for `given`.
        replaced: which of the user's files the command replaces if it is given --overwrite; None where it has no such
            flag, because its folders are continued and not made again.
    """

    words: tuple[str, ...]
    option: str
    given: str
    foreign: tuple[str, ...]
    told: str
    named: str = ""
    replaced: tuple[str, ...] | None = None

    @property
    def command(self) -> str:
        return self.words[0]

    @property
    def line(self) -> tuple[str, ...]:
        return (*self.words, self.option, self.given)


def folder(words: tuple[str, ...], option: str, *names: str, replaced: tuple[str, ...] | None = None) -> Case:
    """A folder with files of the user's that have the names of the command's own, and one with another name."""
    foreign = tuple(f"mine/{name}" for name in (*names, "thesis.txt"))
    told = NO_FLAG if replaced is None else NOT_ITS_OWN
    named = f"such as {min(Path(name).parts[1] for name in foreign)}"
    own = None if replaced is None else tuple(f"mine/{name}" for name in replaced)
    return Case(words, option, "mine", foreign, told, named, own)


def file(words: tuple[str, ...], option: str, name: str) -> Case:
    return Case(words, option, name, (name,), "Give another name, or --overwrite to replace it", replaced=(name,))


RUN_FILES = ("config.json", "data.json", "environment.json", "metrics.csv")
RESULT_FILES = ("metrics.json", "predictions.csv")
FIGURES = ("confusion.png",)
SETTINGS = ("json", "toml", "yaml")
CASES = (
    folder(TRAIN, "--out", *RUN_FILES),
    folder((*TRAIN, "--resume"), "--out", *RUN_FILES, *RESULT_FILES),
    folder((*TRAIN, "--fold", "all"), "--out", *RESULT_FILES),
    folder((*TRAIN, "--fold", "all", "--resume"), "--out", *RESULT_FILES),
    *(Case(TRAIN, "--save-config", f"mine.{ending}", (f"mine.{ending}",), "Give another name") for ending in SETTINGS),
    folder(("evaluate", *TESTED), "--out", *RESULT_FILES, *FIGURES, replaced=(*RESULT_FILES, *FIGURES)),
    folder(COMPARE, "-o", "compare.csv", "compare.json", replaced=("compare.csv", "compare.json")),
    folder((*COMPARE, "--control", "runs/sim"), "-o", "control.csv", replaced=("control.csv",)),
    folder(("profile", *TESTED), "-o", "profile.csv", "profile.png", replaced=("profile.csv", "profile.png")),
    folder(("explain", *TESTED), "-o", "explain.json", "heat.csv", replaced=("explain.json", "heat.csv")),
    folder(BENCHMARK, "-o", "benchmark.json", "results.json", replaced=("benchmark.json", "results.json")),
    file(LIST_PICTURES, "--list-pictures", "mine.csv"),
    folder(LEADERBOARD, "-o", "index.html", "leaderboard.csv", replaced=("index.html", "leaderboard.csv")),
    *(file(("reconstruct", *TESTED), "-o", f"mine.{ending}") for ending in ("png", "pdf", "svg")),
    file(("reconstruct", *TESTED), "-o", "photos/a.png"),
    file(REPORT, "-o", "mine.html"),
    Case(
        REPORT, "-o", "report.html",
        ("report-tables/runs/table.csv", "report-tables/thesis.txt"), NOT_ITS_OWN, "report-tables",
        ("report-tables/runs/table.csv",),
    ),
    *(file(PREDICT, "-o", f"mine.{ending}") for ending in ("csv", "json")),
    folder(PREDICT, "--annotate", "photos/a.png", replaced=("photos/a.png",)),
    *(file((*EXPORT, kind), "-o", f"mine.{kind}") for kind in ("onnx", "pt2")),
    file(DOCTOR, "-o", "mine.json"),
    folder(TUNE, "--out", "config.json", "trials.csv"),
    folder(TABLE2, "--out", "table2-demo/table.csv"),
    folder(("reproduce", "table4", "--quick", *TINY), "--out", "table4-quick/table.csv"),
    folder(("reproduce", "figure2", "--modes", "r16", "--faces", "2", *REPRODUCE), "--out", "figure2-demo/figure2.svg"),
)  # fmt: skip
INPUTS = {
    "--benchmark",
    "--control",
    "--manifest",
    "--test-manifest",
    "--checkpoint",
    "--model",
    "--describe",
    "--answers",
    "--root",
    "--real",
    "--config",
    "--clean-branch",
    "--occluded-branch",
    "--templates",
}
CACHES = {
    ("train", "--cache-dir"): TRAIN,
    ("train", "--branch-cache"): TRAIN,
    ("evaluate", "--cache-dir"): ("evaluate", *TESTED),
    ("benchmark", "--cache-dir"): BENCHMARK,
    ("profile", "--cache-dir"): ("profile", *TESTED, "-o", "made"),
    ("explain", "--cache-dir"): ("explain", *TESTED),
    ("reconstruct", "--cache-dir"): ("reconstruct", *TESTED),
    ("tune", "--cache-dir"): TUNE,
    ("reproduce", "--cache-dir"): TABLE2,
}
"""Options that name a folder which several commands share: its entries have digests as names, and no owner."""
ELSEWHERE = {("reproduce", "--builds"), ("benchmark", "--builds"), ("pull", "--out")}
"""Builds are made by occsynth, whose own test has them; what is pulled needs a server, which is in tests/occfer/hub."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a build, two runs and a folder of photos."""
    here = tmp_path_factory.mktemp("prepared")
    add_tiny_backbone()
    manifest = write_build(here / "builds", Build(name="demo-r16", database="demo", folds=3, subjects=3))
    config = TrainConfig(
        manifests=(manifest,), fold=0, backbone="tiny", weights="none", epochs=1, pretrain_epochs=1, batch_size=8,
        device="cpu",
    )  # fmt: skip
    for method in ("full", "sim"):
        train(replace(config, method=method, out=here / "runs" / method))
    shutil.copytree(frozen_suite(), here / "suite")
    replay_suite(here / "suite", here / "pictures", workers=1)
    (here / "result").mkdir()
    write_benchmark(here / "result", small_result())
    (here / "photos").mkdir()
    assert cv2.imwrite(str(here / "photos/a.png"), np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8))
    return here


@pytest.fixture(autouse=True)
def here(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_backbone: None) -> Path:
    shutil.copytree(prepared, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def call(*words: str, code: int = 0) -> str:
    """What a command prints on stderr."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result.stderr


def everything(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def put(paths: tuple[str, ...]) -> None:
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(MINE)


def options() -> Iterator[tuple[str, set[str], Any]]:
    """Each command with the names and the type of each of its options."""
    for command in app.registered_commands:
        assert command.callback is not None
        for parameter in inspect.signature(command.callback, eval_str=True).parameters.values():
            for info in get_args(parameter.annotation)[1:]:
                if isinstance(info, OptionInfo):
                    names = {str(name) for name in (info.default, *(info.param_decls or ()))}
                    yield command.callback.__name__, names, get_args(parameter.annotation)[0]


def test_every_option_that_names_a_path_is_an_input_or_has_a_case() -> None:
    covered = {(case.command, case.option) for case in CASES} | CACHES.keys() | ELSEWHERE
    for command, names, kind in options():
        if kind is Path or Path in get_args(kind) or list[Path] in get_args(kind):
            known = names & INPUTS or any((command, name) in covered for name in names)
            assert known, (
                f"occfer {command} {'/'.join(names)}: say in INPUTS that it is one, or give it a case in CASES"
            )


def test_the_flag_is_where_the_cases_have_it() -> None:
    flags = {command for command, names, _ in options() if "--overwrite" in names}
    assert flags == {case.command for case in CASES if case.replaced is not None}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{' '.join(case.words[:2])} {case.option} {case.foreign[0]}")
def test_what_is_the_users_stays_unless_overwrite_is_given(case: Case, here: Path) -> None:
    put(case.foreign)
    before = everything(here)
    told = [line for line in call(*case.line, code=1).splitlines() if line.startswith("error: ")]
    assert len(told) == 1 and told[0].endswith(case.told) and (case.named or case.given) in told[0], told
    assert everything(here) == before
    if case.replaced is not None:
        call(*case.line, "--overwrite")
        kept = set(case.foreign) - {path for path in case.foreign if Path(path).read_bytes() != MINE}
        assert set(case.replaced) == set(case.foreign) - kept


AGAIN = {
    f"{case.words[0]} {case.option} {Path(case.given).suffix}": case for case in CASES if case.replaced is not None
}


@pytest.mark.parametrize("case", AGAIN.values(), ids=AGAIN)
def test_the_same_command_twice_needs_no_flag(case: Case, here: Path) -> None:
    words = (*case.words, case.option, str(here / "new" / Path(case.given).name))
    call(*words)
    call(*words)


@pytest.mark.parametrize("option", CACHES, ids=" ".join)
def test_a_cache_leaves_other_files_alone(option: tuple[str, str], here: Path) -> None:
    words = CACHES[option]
    mine = ("mine/thesis.txt", "mine/demo-r16-24px/pack.json", "mine/demo-r16-24px-0123456789abcdef-mine/pack.json")
    put(mine)
    call(*words, option[1], "mine")
    assert all(Path(path).read_bytes() == MINE for path in mine)


@pytest.mark.parametrize("more", [(), ("--overwrite",)], ids=["", "overwrite"])
@pytest.mark.parametrize("given", ["photos", ".", "photos/../photos", "link"])
def test_pictures_are_never_replaced_by_drawings_of_them(given: str, more: tuple[str, ...], here: Path) -> None:
    (here / "link").symlink_to(here / "photos")
    before = everything(here)
    told = call(*PREDICT, "--annotate", given, *more, code=1).splitlines()[-1]
    assert told == f"error: --annotate {given} would replace photos itself; choose another folder"
    assert everything(here) == before


def test_a_drawing_replaces_a_link_and_not_what_it_leads_to(here: Path) -> None:
    (here / "drawn/photos").mkdir(parents=True)
    (here / "thesis.png").write_bytes(MINE)
    (here / "drawn/photos/a.png").symlink_to(here / "thesis.png")
    call(*PREDICT, "--annotate", "drawn", "--overwrite")
    assert (here / "thesis.png").read_bytes() == MINE and not (here / "drawn/photos/a.png").is_symlink()


@pytest.mark.parametrize("run", ["runs/full", "runs/folds"])
@pytest.mark.parametrize("words", [("evaluate", *TESTED, "--out"), (*COMPARE, "-o"), ("profile", *TESTED, "-o")])
def test_a_run_is_never_replaced_by_results(words: tuple[str, ...], run: str, here: Path) -> None:
    if run == "runs/folds":
        (here / run).mkdir()
        shutil.copytree(here / "runs/full", here / run / "fold-0")
    for mark in (OWNER, LOCK):  # version 0.1 left none
        (here / run / mark).unlink(missing_ok=True)
    before = everything(here)
    for more in ((), ("--overwrite",)):
        told = call(*words, run, *more, code=1).splitlines()[-1]
        assert told.endswith(f"{run} holds a training run, whose results would be lost; choose another folder")
    assert everything(here) == before


EARLIER = {
    "train": ((*TRAIN, "--out"), (*TRAIN, "--resume", "--out")),
    "train --fold all": ((*TRAIN, "--fold", "all", "--out"), (*TRAIN, "--fold", "all", "--resume", "--out")),
    "evaluate": (("evaluate", *TESTED, "--out"),) * 2,
    "compare": ((*COMPARE, "-o"),) * 2,
    "profile": (("profile", *TESTED, "-o"),) * 2,
    "tune": ((*TUNE, "--out"),) * 2,
    "reproduce table2": ((*TABLE2, "--out"),) * 2,
}


@pytest.mark.parametrize("name", EARLIER)
def test_folders_of_version_0_1_go_on(name: str, here: Path) -> None:
    """They hold no mark of who made them."""
    first, second = EARLIER[name]
    call(*first, "earlier")
    for path in sorted((here / "earlier").rglob("*")):
        if path.name in (OWNER, LOCK):
            path.unlink()
    if name == "reproduce table2":
        (here / "earlier/.lock").touch()
    if name == "tune":
        (here / "earlier/trials.json").rename(here / "earlier/trials.journal").write_bytes(b"")
    call(*second, "earlier")
    assert (here / "earlier" / OWNER).is_file()
