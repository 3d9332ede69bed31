"""Folders with results of every kind, for the tests of the report: toy builds, a tiny backbone, a minute part of it."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from occfer.evaluation.compare import CompareOptions, compare
from occfer.evaluation.evaluate import EvaluateOptions, evaluate
from occfer.evaluation.heat_results import write_heat_result
from occfer.evaluation.profile import ProfileOptions, profile
from occfer.explain.explain import ExplainOptions, explain
from occfer.files import write_json
from occfer.metrics.heat import HeatedPair
from occfer.metrics.predictions import read_predictions, write_predictions
from occfer.tables.table_file import write_table
from occfer.training.folds import train_folds
from occfer.training.train import train
from occsynth.manifest import Row
from tests.occfer.evaluation.test_evaluate import quick
from tests.occfer.tables.sample_table import TABLE
from tests.occfer.toy_builds import Build, edited, write_build

# Neither a file's name nor a folder's may hold a slash.
HOSTILE = '"><img src=x onerror=document.title="taken">'
HOSTILE_TEXT = f'{HOSTILE}<script>document.title="taken"</script>{{{{ 7*7 }}}}\u202e\x1b[31m'


@dataclass(frozen=True)
class Folders:
    """What a report can be made of, on fold 0 of the database `database`.

    Attributes:
        root: holds everything; `root/builds/manifests` the manifests.
        full, long: runs, of a method with a decoder and of the control.
        folds: a run over all folds, of resnet.
        tested: an evaluation of `full` on r16 and eyes.
        profile, comparison, table: one of each; the table's runs are not there.
        heat: what was explained of `full`; of `folds` the same was.
    """

    root: Path
    full: Path
    long: Path
    folds: Path
    tested: Path
    profile: Path
    comparison: Path
    table: Path
    heat: Path

    @property
    def all(self) -> tuple[Path, ...]:
        return (
            self.full, self.long, self.folds, self.tested, self.profile, self.comparison, self.table,
        )  # fmt: skip


def make_folders(root: Path, database: str) -> Folders:
    """Trains and tests everything; the backbone `tiny` must be in the table."""
    manifests = [
        write_build(root / "builds", Build(name=f"{database}-{mode}", database=database, mode=mode, edit=edited(_hand)))
        for mode in ("r16", "eyes")
    ]
    lost = manifests[0].with_name(f"{database}-r16.rejects.csv")
    lost.write_text("source,reason\nbad.png,no face found\nworse.png,no face found\ntiny.png,too small\n")
    info = json.loads(manifests[0].with_suffix(".json").read_text())
    write_json(manifests[0].with_suffix(".json"), info | {"rejects": 3, "sources": 45})
    branches: dict[str, Any] = {"branch_cache": root / "branches", "pretrain_epochs": 6, "val_fraction": 0.2}
    full, long = (
        train(quick(manifests[0], method=method, out=root / "runs" / method, **branches)).folder
        for method in ("full", "resnet-long")
    )
    learns: dict[str, Any] = {"pretrain_epochs": 6, "pretrain_rate": 1e-2}  # so it answers some pairs differently
    other = quick(manifests[0], method="resnet", fold=None, out=root / "runs" / "resnet", **learns)
    folds = train_folds(other).folder
    tested = root / "tested"
    evaluate(EvaluateOptions(checkpoint=full, manifests=tuple(manifests), device="cpu", out=tested))
    profile(ProfileOptions(checkpoints=(full, long), out=root / "profile", device="cpu"))
    heat = explain(ExplainOptions(checkpoint=full, manifests=(manifests[0],), faces=2, device="cpu")).result.folder
    explain(ExplainOptions(checkpoint=folds, manifests=(manifests[0],), faces=0, device="cpu"))
    compare(CompareOptions(a=full, b=folds, out=root / "comparison"))
    write_table(root / "table", TABLE)
    return Folders(root, full, long, folds, tested, root / "profile", root / "comparison", root / "table", heat)


def _hand(row: Row) -> Row:
    return replace(row, occlusion='{"category": "hand"}')


def hostile_folders(root: Path, run: Path) -> list[Path]:
    """A run, a profile, a comparison, a table and shares of heat from elsewhere, with markup wherever they hold text.

    Args:
        root: an empty folder.
        run: one that is in order.
    """
    folder = root / f"run{HOSTILE}"
    folder.mkdir()
    known = read_predictions(run / "predictions.csv")
    pairs = [
        replace(pair, pair_id=f"{index}{HOSTILE_TEXT}", mode=HOSTILE_TEXT, category=HOSTILE_TEXT, subject="")
        for index, pair in enumerate(known.pairs)
    ]
    write_predictions(folder / "predictions.csv", replace(known, pairs=tuple(pairs)))
    write_json(folder / "metrics.json", {"method": HOSTILE_TEXT, "notes": [HOSTILE_TEXT]})
    write_json(folder / "environment.json", dict.fromkeys(("command", "device"), HOSTILE_TEXT))
    comparison = root / f"comparison{HOSTILE}"
    compare(CompareOptions(a=folder, b=folder, out=comparison))
    found = json.loads((comparison / "compare.json").read_text())
    profiled = root / f"profile{HOSTILE}"
    profiled.mkdir()
    groups = [
        {"by": row["by"], "label": row["label"], "n": row["n"], "shares": [row["a"]], "paired": None}
        for row in found["rows"]
    ]
    model = {"method": HOSTILE_TEXT, "checkpoint": HOSTILE_TEXT, "folder": "a"}
    write_json(
        profiled / "profile.json", {"models": [model], "tested": HOSTILE_TEXT, "rows": groups, "notes": [HOSTILE_TEXT]}
    )
    table = root / f"table{HOSTILE}"
    table.mkdir()
    lines = tuple(replace(line, title=HOSTILE_TEXT) for line in TABLE.lines)
    columns = (replace(TABLE.columns[0], title=HOSTILE_TEXT), *TABLE.columns[1:])
    provenance = replace(TABLE.provenance, command=HOSTILE_TEXT, device=HOSTILE_TEXT)
    hostile = replace(TABLE, title=HOSTILE_TEXT, database=HOSTILE_TEXT, notes=(HOSTILE_TEXT,))
    write_table(table, replace(hostile, lines=lines, columns=columns, provenance=provenance))
    heat = root / f"heat{HOSTILE}"
    heat.mkdir()
    facts = dict.fromkeys(("method", "checkpoint"), HOSTILE_TEXT) | {
        "models": [], "explained": "answer", "classes": [HOSTILE_TEXT], "map_hw": [3, 3], "notes": [HOSTILE_TEXT],
        "manifests": [{"name": HOSTILE_TEXT, "sha256": ""}],
    }  # fmt: skip
    heated = (
        HeatedPair(replace(pair, truth=HOSTILE_TEXT), HOSTILE_TEXT, HOSTILE_TEXT, 0.5, 0.1, 0.2) for pair in pairs
    )
    write_heat_result(heat, facts, list(heated))
    return [folder, profiled, comparison, table, heat]
