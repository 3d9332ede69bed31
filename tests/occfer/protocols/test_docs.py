"""The commands of docs/reproduce.md run, on toy builds in place of the databases and with a tiny network."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.tables.paper import PAPER
from tests.builds import ROOT
from tests.occfer.toy_builds import without_clean

DOCS = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ").strip()
    for block in re.findall(r"^```console\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("$ ")
]
SPLITS = ("train", "train", "test")
MANIFESTS = {
    "raf-db-random-aligned": SPLITS, "affectnet-random-aligned": SPLITS, "sfew-random": SPLITS,
    "raf-db-random-224px-aligned": SPLITS,
    "ck+-random-88px": (), "ck+-random-224px": (), "fed-ro-real": (),
    **{f"{database}-{mode}": () for database in ("ck+", "demo") for mode in ("r8", "r16", "r24", "eyes", "mouth")},
    "demo-random": (),
}  # fmt: skip
# One method, fold and seed of each table are enough to see that a command runs.
SMALL = ("--backbone", "tiny", "--weights", "none", "--size", "24", "--epochs", "1", "--pretrain-epochs", "1",
         "--batch-size", "8", "--device", "cpu", "--workers", "1")  # fmt: skip
LESS = {
    "table2": ("--rows", "resnet", "--modes", "r16", "--folds", "0", "--seeds", "1", *SMALL),
    "table1": ("--rows", "resnet", "--seeds", "1", *SMALL),
    "table3": ("--rows", "resnet", "--seeds", "1", *SMALL),
    "table4": ("--rows", "full", "--backbone", "resnet18", "--size", "48", "--device", "cpu"),
    "figure2": ("--modes", "r16", "--faces", "2"),
    "figure3": ("--folds", "0", *SMALL),
    "figure4": ("--folds", "0", *SMALL),
    "tune": (*SMALL, "--trials", "2"),
}


def test_the_commands_of_the_docs_run(
    make_build: Callable[..., Path], tiny_backbone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, (name, splits) in enumerate(MANIFESTS.items()):
        database, _, mode = re.sub("-(88|224)px|-aligned", "", name).rpartition("-")
        real = {"edit": lambda rows: [without_clean(row) for row in rows]} if mode == "real" else {}
        make_build(name=name, database=database, mode=mode, splits=splits, subjects=3, folds=0 if splits or real else 3,
                   seed=100 + seed if real else 0, **real)  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 11
    for command in COMMANDS:
        program, *words = shlex.split(command)
        assert program == "occfer"
        what = words[1] if words[0] == "reproduce" else words[0]
        result = CliRunner().invoke(app, [*words, *LESS[what]])
        assert result.exit_code == 0, f"{command}\n{result.output}\n{result.exception!r}"
        assert re.search(r"^(table|figure|config|estimate:?)\b", result.stdout, re.MULTILINE), result.stdout


def test_the_slips_are_as_the_docs_say() -> None:
    table1, table2 = PAPER["table1"], PAPER["table2"]
    cross = table1["raf-db->ck+"]
    assert max(cross, key=lambda method: cross[method]) == "adv+rec"
    assert round(cross["adv+rec"] - cross["resnet"], 2) == 2.20 and round(cross["resnet"] - cross["sim+lir"], 2) == 2.67
    assert all(table1[column]["sim"] < table1[column]["resnet"] for column in ("raf-db->ck+", "affectnet->ck+"))
    assert table2["r8"]["rec"] < table2["r8"]["resnet"]
    assert all(table2[mode]["rec"] == table2[mode]["resnet"] for mode in ("r16", "r24"))
    for value in (78.47, 79.21, 89.90):
        assert abs(round(value * 6.36) / 6.36 - value) > 0.01
