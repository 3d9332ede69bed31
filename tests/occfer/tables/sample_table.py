"""A table with every kind of cell, for the tests of renderers and of the file format."""

from occfer.metrics.averages import MeanAndSd
from occfer.metrics.intervals import Interval
from occfer.tables.result_table import (
    Cell,
    Column,
    FailedJob,
    Missing,
    PairedTest,
    Provenance,
    RecordedManifest,
    ResultTable,
    SeedAccuracies,
    TableLine,
)

TESTED = {"resnet": PairedTest(0.001, 0.012, 20, 3), "resnet-long": PairedTest(0.2, 0.4, 9, 4)}
FULL = Cell(
    n=636, correct=622, accuracy=622 / 636, interval=Interval(0.962, 0.987, "bootstrap over 118 subjects"), uar=0.97,
    macro_f1=0.96, ece=0.0123, seeds=SeedAccuracies((622 / 636,), 622 / 636, None), folds=MeanAndSd(0.978, 0.012, 10),
    tests=TESTED, paper=97.80, runs=("runs/a/full", "runs/b/full"),
)  # fmt: skip
SEEDS = Cell(
    n=400, correct=520, accuracy=0.65, interval=Interval(0.6, 0.7), uar=0.5, macro_f1=0.4, ece=0.1,
    seeds=SeedAccuracies((0.6, 0.7), 0.65, 0.0707), note="8 of 10 folds",
)  # fmt: skip
PROVENANCE = Provenance(
    command="occfer reproduce table2 --db ck+",
    versions={"torch": "2.14"},
    device="CPU",
    manifests=(RecordedManifest("ck+-r8", "a" * 64, 636, 0),),
    failed=(FailedJob("train full r8 fold 3", "error: <script> & 50 % of C:\\x_y", 2),),
    settings={"backbone": "resnet50"},
)
TABLE = ResultTable(
    key="table2",
    title="Table 2: CK+ | five occlusions",
    database="ck+",
    quick=False,
    quantity="accuracy",
    columns=(Column("r8", "R8"), Column("r16", "R16 & more")),
    lines=(
        TableLine("full", "Ours", {"r8": FULL, "r16": SEEDS}),
        TableLine(
            "pg-cnn", "PG-CNN", {"r8": Missing("failed", 96.58), "r16": Missing("blocked", 95.7)}, not_trained=True
        ),
        TableLine("rgbt", "RGBT", {"r8": Missing(""), "r16": Missing("")}, reconstruction=True),
    ),
    notes=("100 % of a_b",),
    provenance=PROVENANCE,
)
