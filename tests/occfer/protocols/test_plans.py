"""What the tables take: rows, training sets, jobs; by planning with the published numbers of images."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from occfer.errors import ConfigError, OccFERError, UnknownNameError
from occfer.method_table import METHOD_TABLE
from occfer.protocols.manifests import DEFAULT_SIZES_PX, Build, read_facts
from occfer.protocols.paper_tables import TABLES
from occfer.protocols.reproduce import Prepared, prepare_plan
from occfer.protocols.request import Request
from occfer.tables.paper_rows import ALL_ROWS, PAPER_ROWS
from occsynth.databases import DATABASES
from tests.occfer.toy_builds import without_clean

THERE = [row for row in ALL_ROWS if row in METHOD_TABLE]


def planned(tmp_path: Path, what: str = "table2", **options: object) -> Prepared:
    settings = {"weights": "none"} | dict(options.pop("settings", {}))  # type: ignore[call-overload]
    return prepare_plan(
        Request(what=what, builds=tmp_path / "builds", out=tmp_path / "out", settings=settings, **options)  # type: ignore[arg-type]
    )


def rows_of(prepared: Prepared) -> Counter[str]:
    return Counter(job.name.split()[1] for job in prepared.plan.jobs if job.kind == "train")


def changed(before: Prepared, after: Prepared) -> set[str]:
    """Rows whose jobs have other keys."""
    old, new = ({cast: job.key for cast, job in each.plan.train.items()} for each in (before, after))
    assert old.keys() == new.keys()
    return {cast.row for cast in old if old[cast] != new[cast]}


def test_table2_is_ten_folds_by_five_occlusions_by_twelve_rows(tmp_path: Path) -> None:
    prepared = planned(tmp_path)
    assert prepared.protocol.rows == ALL_ROWS and ALL_ROWS[:12] == PAPER_ROWS
    counted = rows_of(prepared)
    assert counted.pop("clean") == 10 * 3  # once a fold and seed, for all five
    assert counted == {row: 10 * 5 * 3 for row in THERE if row != "clean"}


def test_branches_are_trained_once_and_shared(tmp_path: Path) -> None:
    plan = planned(tmp_path, seeds=1).plan
    by_key = {job.key: job for job in plan.jobs}
    for cast, job in plan.train.items():
        needs = sorted(by_key[key].name.split()[1] for key in job.needs)
        teacher = ["clean"] if cast.row in ("sim", "lir", "sim+lir", "adv", "adv+rec", "full") else []
        student = ["resnet"] if METHOD_TABLE[cast.row].stage2 else []
        assert needs == teacher + student or (cast.row == "clean-on-occluded" and needs == ["clean"]), cast
        assert all(f"fold {cast.fold}," in by_key[key].name for key in job.needs)


def test_a_changed_setting_redoes_only_what_depends_on_it(tmp_path: Path) -> None:
    some = {"folds": (0, 9), "seeds": 1, "modes": ("r8", "eyes")}
    plain = planned(tmp_path, **some)
    guided = {row for row in METHOD_TABLE if METHOD_TABLE[row].stage2}
    methods = {row for row in METHOD_TABLE if METHOD_TABLE[row].branches}
    for settings, wanted in (
        ({"lambda_adv": 0.5}, {"adv", "adv+rec", "full"}),
        ({"lambda_sim": 0.5}, {"sim", "sim+lir", "full"}),
        ({"rate": 1e-3}, guided),
        ({"pretrain_rate": 1e-3}, methods),
        ({"forest_trees": 7}, {"wls-rf"} & set(METHOD_TABLE)),
        ({"baseline_rate": 0.1}, {"pg-cnn", "gacnn"}),
        ({"device": "cpu", "cache_dir": "elsewhere"}, set()),
    ):
        assert changed(plain, planned(tmp_path, settings=settings, **some)) == wanted, settings
    assert changed(plain, planned(tmp_path, faces=3, figure_seed=2, **some)) == set()


def test_a_part_of_a_table_is_the_same_jobs(tmp_path: Path) -> None:
    everything = {job.key: job.folder for job in planned(tmp_path).plan.jobs}
    for part in (
        planned(tmp_path, modes=("eyes",)),
        planned(tmp_path, rows=("full", "sim"), folds=(3, 7)),
        planned(tmp_path, seeds=1),
    ):
        some = {job.key: job.folder for job in part.plan.jobs}
        assert some and some.items() < everything.items()


def test_asking_for_a_guided_row_trains_its_branches_too(tmp_path: Path) -> None:
    prepared = planned(tmp_path, rows=("full",), modes=("r8",), folds=(0,), seeds=1)
    assert prepared.protocol.rows == ("full",)
    assert rows_of(prepared) == {"full": 1, "resnet": 1, "clean": 1}


def test_table1_trains_three_databases_and_tests_two_on_ck_plus(tmp_path: Path) -> None:
    prepared = planned(tmp_path, "table1", seeds=1)
    keys = [tested.column.key for tested in prepared.protocol.columns]
    assert keys == ["raf-db", "affectnet", "sfew", "raf-db->ck+", "affectnet->ck+"]
    assert [build.name for build in prepared.unbuilt] == [
        "raf-db-random", "affectnet-random", "sfew-random", "ck+-random-88px", "ck+-random-224px"
    ]  # fmt: skip
    rows = [row for row in THERE if row not in ("rgbt", "wls-rf")]
    assert rows_of(prepared) == dict.fromkeys(rows, 3)
    tests = [job for job in prepared.plan.jobs if job.kind == "evaluate"]
    assert len(tests) == 2 * len(rows)
    assert {len(job.needs) for job in tests} == {1}
    assert len(planned(tmp_path, "table1", databases=("sfew",)).protocol.columns) == 1


def test_table3_merges_two_databases_and_never_tests_clean_faces(tmp_path: Path) -> None:
    prepared = planned(tmp_path, "table3", seeds=1, subsets=(("ferplus", tmp_path / "list one.txt"),))
    assert [build.name for build in prepared.unbuilt] == [
        "raf-db-random-224px", "affectnet-random", "fed-ro-real", "ferplus-real-224px-list_one"
    ]  # fmt: skip
    counted = rows_of(prepared)
    assert "clean" not in counted and counted["clean-on-occluded"] == counted["full"] == 1
    full = next(job for job in prepared.plan.jobs if job.name.startswith("train full"))
    needs = {job.name.split()[1] for job in prepared.plan.jobs if job.key in full.needs}
    assert needs == {"resnet", "clean-on-occluded"}
    assert full.payload["config"]["size_px"] == 224
    assert [Path(path).name for path in full.payload["config"]["manifests"]] == [
        "raf-db-random-224px.csv", "affectnet-random.csv"
    ]  # fmt: skip


@pytest.mark.parametrize("what", list(TABLES))
def test_every_table_runs_on_the_demo_database_quickly(tmp_path: Path, what: str) -> None:
    prepared = planned(tmp_path, what, databases=("demo",), quick=True)
    assert {build.database for build in prepared.unbuilt} == {"demo"}
    assert prepared.request.seed_count == 1 and len(prepared.plan.jobs) < 120
    assert {len(known.folds) for known in prepared.protocol.sets.values()} == {2}
    for row in prepared.protocol.rows:
        assert row in rows_of(prepared) or row not in METHOD_TABLE
    for job in prepared.plan.jobs:
        if job.kind == "train":
            config = job.payload["config"]
            assert config["method"] in ("rgbt", "wls-rf", "pg-cnn", "gacnn") or config["pretrain_epochs"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": ("resnet", "vgg")}, "--rows vgg: not in this table; choose among rgbt, wls-rf, "),
        ({"databases": ("ck+", "demo")}, "--db ck+,demo: table2 takes one database at a time"),
        ({"databases": ("../demo",)}, "--db ../demo: no key of a database"),
        ({"modes": ("r32",)}, "--modes r32: not in this table; choose among r8, r16, r24, eyes, mouth"),
        ({"folds": (10,)}, "--folds 10: not in this table; choose among 0, 1, 2"),
        ({"settings": {"lambda_lir": 2.0}}, "--lambda-lir 2 is above 1"),
        ({"settings": {"rate": 0.0}}, "--rate 0.0 is no learning rate"),
    ],
)
def test_wrong_requests_name_the_flag(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        planned(tmp_path, **options)
    assert message in str(raised.value)


def test_an_unknown_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="choose one of: table1, table2, table3"):
        planned(tmp_path, "table9")


def test_builds_are_named_as_occsynth_names_them() -> None:
    for database, size_px in DEFAULT_SIZES_PX.items():
        assert DATABASES[database].size_px == size_px
    assert Build("ck+", "random", 88).name == "ck+-random-88px"
    assert Build("ck+", "random", 48).name == Build("ck+", "random").name == "ck+-random"


def test_what_a_manifest_holds(make_build: Callable[..., Path]) -> None:
    r16, eyes = make_build(folds=2), make_build(name="toy-eyes", mode="eyes", folds=2)
    facts, other = read_facts(r16), read_facts(eyes)
    assert (facts.name, facts.mode, facts.rows, facts.folds, facts.rejects) == ("toy-r16", "r16", 42, (0, 1), 0)
    assert facts.clean_sha256 == other.clean_sha256 and facts.sha256 != other.sha256
    assert read_facts(make_build(name="split", splits=("train", "test"))).folds == (None,)
    real = make_build(name="real", database="real", edit=lambda rows: [without_clean(row) for row in rows])
    assert read_facts(real).clean_sha256 != facts.clean_sha256
    with pytest.raises(OccFERError, match="not found"):
        read_facts(r16.with_name("gone.csv"))


def test_another_manifest_redoes_its_own_runs_alone(tmp_path: Path, make_build: Callable[..., Path]) -> None:
    """The clean branches stay: they depend on the clean images, which are the same."""
    for mode in ("r16", "eyes"):
        make_build(name=f"toy-{mode}", mode=mode)
    before = planned(tmp_path, databases=("toy",), modes=("r16", "eyes"), seeds=1)
    make_build(name="toy-r16", mode="r16", edit=lambda rows: [replace(row, coverage_face=0.7) for row in rows])
    after = planned(tmp_path, databases=("toy",), modes=("r16", "eyes"), seeds=1)
    pairs = [(before.plan.train[cast].key != after.plan.train[cast].key, cast) for cast in before.plan.train]
    assert all(differs == (cast.training == "toy-r16" and cast.row != "clean") for differs, cast in pairs)
