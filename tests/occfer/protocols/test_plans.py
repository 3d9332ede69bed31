"""What the tables take: methods, training sets, jobs; by planning with the published numbers of images."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import pytest

from occfer.errors import ConfigError, OccFERError, UnknownNameError
from occfer.method_table import METHOD_TABLE
from occfer.protocols.crops import crop_notes
from occfer.protocols.manifests import CROPPED, DEFAULT_SIZES_PX, NeededBuild, read_manifest
from occfer.protocols.paper_tables import TABLES
from occfer.protocols.reproduce import PreparedRequest, prepare_plan
from occfer.protocols.request import Request
from occfer.tables.paper import paper_figure
from occfer.tables.paper_methods import ALL_METHODS, PAPER_METHODS
from occfer.tables.published import MISQUOTED, published_figures
from occsynth.build.options import BuildOptions, complete
from occsynth.databases import DATABASES
from occsynth.option_values import FILLS
from tests.occfer.toy_builds import without_clean

THERE = [method for method in ALL_METHODS if method in METHOD_TABLE]


class RequestOptions(TypedDict, total=False):
    """What the tests set of a request."""

    databases: tuple[str, ...]
    quick: bool
    methods: tuple[str, ...]
    folds: tuple[int, ...]
    modes: tuple[str, ...]
    fill: str
    align: Literal["similarity", "own"]
    seeds: int
    settings: Mapping[str, Any]
    subsets: tuple[tuple[str, Path], ...]
    faces: int
    figure_seed: int


def planned(tmp_path: Path, what: str = "table2", **options: Unpack[RequestOptions]) -> PreparedRequest:
    request = Request(what=what, builds=tmp_path / "builds", out=tmp_path / "out", **options)
    return prepare_plan(replace(request, settings={"weights": "none"} | dict(request.settings)))


def methods_of(prepared: PreparedRequest) -> Counter[str]:
    return Counter(job.name.split()[1] for job in prepared.plan.jobs if job.kind == "train")


def changed(before: PreparedRequest, after: PreparedRequest) -> set[str]:
    """Methods whose jobs have other keys."""
    old, new = ({run: job.key for run, job in each.plan.train.items()} for each in (before, after))
    assert old.keys() == new.keys()
    return {run.method for run in old if old[run] != new[run]}


def test_table2_is_ten_folds_by_five_occlusions_by_the_papers_methods(tmp_path: Path) -> None:
    prepared = planned(tmp_path)
    assert prepared.protocol.methods == ALL_METHODS and ALL_METHODS[:12] == PAPER_METHODS
    counted = methods_of(prepared)
    assert counted.pop("clean") == 10 * 3  # once per fold and seed, for all five
    assert counted == {method: 10 * 5 * 3 for method in THERE if method != "clean"}


def test_branches_are_trained_once_and_shared(tmp_path: Path) -> None:
    plan = planned(tmp_path, seeds=1).plan
    by_key = {job.key: job for job in plan.jobs}
    for run, job in plan.train.items():
        needs = sorted(by_key[key].name.split()[1] for key in job.needs)
        teacher = ["clean"] if run.method in ("sim", "lir", "sim+lir", "adv", "adv+rec", "full") else []
        student = ["resnet"] if METHOD_TABLE[run.method].stage2 else []
        assert needs == teacher + student or (run.method == "clean-on-occluded" and needs == ["clean"]), run
        assert all(f"fold {run.fold}," in by_key[key].name for key in job.needs)


def test_a_changed_setting_redoes_only_what_depends_on_it(tmp_path: Path) -> None:
    some: RequestOptions = {"folds": (0, 9), "seeds": 1, "modes": ("r8", "eyes")}
    plain = planned(tmp_path, **some)
    planned_ones = {run.method for run in plain.plan.train}
    guided = {name for name in planned_ones if METHOD_TABLE[name].stage2}
    with_branches = {name for name in planned_ones if METHOD_TABLE[name].branches}
    for settings, wanted in (
        ({"lambda_adv": 0.5}, {"adv", "adv+rec", "full"}),
        ({"lambda_sim": 0.5}, {"sim", "sim+lir", "full"}),
        ({"rate": 1e-3}, guided),
        ({"pretrain_rate": 1e-3}, with_branches),
        ({"forest_trees": 7}, {"wls-rf"} & set(METHOD_TABLE)),
        ({"baseline_rate": 0.1}, {"pg-cnn", "gacnn"}),
        ({"device": "cpu", "cache_dir": "elsewhere"}, set()),
    ):
        assert changed(plain, planned(tmp_path, **(some | {"settings": settings}))) == wanted, settings
    assert changed(plain, planned(tmp_path, **(some | {"faces": 3, "figure_seed": 2}))) == set()


def test_a_part_of_a_table_is_the_same_jobs(tmp_path: Path) -> None:
    everything = {job.key: job.folder for job in planned(tmp_path).plan.jobs}
    for part in (
        planned(tmp_path, modes=("eyes",)),
        planned(tmp_path, methods=("full", "sim"), folds=(3, 7)),
        planned(tmp_path, seeds=1),
    ):
        some = {job.key: job.folder for job in part.plan.jobs}
        assert some and some.items() < everything.items()


def test_asking_for_a_guided_method_trains_its_branches_too(tmp_path: Path) -> None:
    prepared = planned(tmp_path, methods=("full",), modes=("r8",), folds=(0,), seeds=1)
    assert prepared.protocol.methods == ("full",)
    assert methods_of(prepared) == {"full": 1, "resnet": 1, "clean": 1}


def test_table1_trains_three_databases_and_tests_two_on_ck_plus(tmp_path: Path) -> None:
    prepared = planned(tmp_path, "table1", seeds=1)
    keys = [tested.column.key for tested in prepared.protocol.columns]
    assert keys == ["raf-db", "affectnet", "sfew", "raf-db->ck+", "affectnet->ck+"]
    assert [build.name for build in prepared.unbuilt] == [
        "raf-db-random-aligned", "affectnet-random-aligned", "sfew-random", "ck+-random-88px", "ck+-random-224px"
    ]  # fmt: skip
    deep = [method for method in THERE if method not in ("rgbt", "wls-rf")]
    assert methods_of(prepared) == dict.fromkeys(deep, 3)
    tests = [job for job in prepared.plan.jobs if job.kind == "evaluate"]
    assert len(tests) == 2 * len(deep)
    assert {len(job.needs) for job in tests} == {1}
    assert len(planned(tmp_path, "table1", databases=("sfew",)).protocol.columns) == 1


def test_table3_merges_two_databases_and_never_tests_clean_faces(tmp_path: Path) -> None:
    prepared = planned(tmp_path, "table3", seeds=1, subsets=(("ferplus", tmp_path / "list one.txt"),))
    assert [build.name for build in prepared.unbuilt] == [
        "raf-db-random-224px-aligned", "affectnet-random-aligned", "fed-ro-real",
        "ferplus-real-224px-aligned-list_one",
    ]  # fmt: skip
    counted = methods_of(prepared)
    assert "clean" not in counted and counted["clean-on-occluded"] == counted["full"] == 1
    full = next(job for job in prepared.plan.jobs if job.name.startswith("train full"))
    needs = {job.name.split()[1] for job in prepared.plan.jobs if job.key in full.needs}
    assert needs == {"resnet", "clean-on-occluded"}
    assert full.payload["config"]["size_px"] == 224
    assert [Path(path).name for path in full.payload["config"]["manifests"]] == [
        "raf-db-random-224px-aligned.csv", "affectnet-random-aligned.csv"
    ]  # fmt: skip


def test_both_sides_of_a_cross_database_column_have_the_same_crop_or_the_table_says_so(tmp_path: Path) -> None:
    alike = crop_notes(planned(tmp_path, "table1", seeds=1).protocol)
    assert alike == [
        "RAF-DB → CK+: all faces are aligned alike, by similarity; what still differs: the pictures of raf-db were "
        "cropped by their authors before",
        "AffectNet → CK+: all faces are aligned alike, by similarity; what still differs: the pictures of affectnet "
        "were cropped by their authors before",
    ]
    own = planned(tmp_path, "table1", seeds=1, align="own")
    assert [build.name for build in own.unbuilt][:2] == ["raf-db-random", "affectnet-random"]
    assert crop_notes(own.protocol)[0] == (
        "RAF-DB → CK+: not the same crop on both sides: trained on raf-db-random (aligned by none), tested on "
        "ck+-random-88px (aligned by similarity)"
    )
    assert own.request.folder.name == "table1-own-align"
    (fed_ro,) = crop_notes(planned(tmp_path, "table3", seeds=1).protocol)
    assert fed_ro.startswith("FED-RO: all faces are aligned alike, by similarity; what still differs: ")
    assert crop_notes(planned(tmp_path).protocol) == []


def test_the_databases_that_were_cropped_before_are_those_of_occsynth() -> None:
    defaults = {key: each.variants[0] for key, each in DATABASES.items()}
    assert {key for key, variant in defaults.items() if variant.align == "none"} == CROPPED


def test_published_figures_stand_beside_tables_1_and_3(tmp_path: Path) -> None:
    subsets = (("ferplus", tmp_path / "list one.txt"), ("raf-db", tmp_path / "raf.txt"))
    published = {
        **planned(tmp_path, "table1", seeds=1).protocol.published,
        **planned(tmp_path, "table3", seeds=1, subsets=subsets).protocol.published,
    }
    assert set(published.values()) == {"affectnet", "fed-ro", "occlusion-ferplus", "occlusion-raf-db", "raf-db"}
    figures = {(each.method, each.column): each for each in published_figures(published)}
    assert figures["IGKD 2024", "fed-ro"].percent == 73.25 and "upper bound" in figures["IGKD 2024", "fed-ro"].protocol
    again = [each.percent for (method, _), each in figures.items() if method.startswith("Pan et al.")]
    assert again == [80.18, 57.12, 69.32]
    ours = [paper_figure(table, column, "full") for table, column in (
        ("table1", "raf-db"), ("table1", "affectnet"), ("table3", "fed-ro"),
    )]  # fmt: skip
    assert all(f"{each:.2f}" in MISQUOTED for each in [*again, *filter(None, ours)])
    assert not planned(tmp_path).protocol.published


@pytest.mark.parametrize("what", list(TABLES))
def test_every_table_runs_on_the_demo_database_quickly(tmp_path: Path, what: str) -> None:
    prepared = planned(tmp_path, what, databases=("demo",), quick=True)
    assert {build.database for build in prepared.unbuilt} == {"demo"}
    assert prepared.request.seed_count == 1 and len(prepared.plan.jobs) < 120
    assert {len(known.folds) for known in prepared.protocol.sets.values()} == {2}
    for method in prepared.protocol.methods:
        assert method in methods_of(prepared) or method not in METHOD_TABLE
    for job in prepared.plan.jobs:
        if job.kind == "train":
            config = job.payload["config"]
            assert config["method"] in ("rgbt", "wls-rf", "pg-cnn", "gacnn") or config["pretrain_epochs"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ("resnet", "vgg")}, "--rows vgg: not in this table; choose among rgbt, wls-rf, "),
        ({"databases": ("ck+", "demo")}, "--db ck+,demo: table2 takes one database at a time"),
        ({"databases": ("../demo",)}, "--db ../demo: not the key of a database"),
        ({"modes": ("r32",)}, "--modes r32: not in this table; choose among r8, r16, r24, eyes, mouth"),
        ({"modes": ("upper-0",)}, "--modes upper-0: not in this table; choose among r8, r16, r24, eyes, mouth"),
        ({"modes": ("real",)}, "--modes real: not in this table; choose among r8, r16, r24, eyes, mouth"),
        ({"folds": (10,)}, "--folds 10: not in this table; choose among 0, 1, 2"),
        ({"settings": {"lambda_lir": 2.0}}, "--lambda-lir 2 is above 1"),
        ({"settings": {"rate": 0.0}}, "--rate 0.0: must be greater than 0"),
        (
            {"settings": {"discriminator_batch": "shared", "clean_share": 0.25}},
            "--discriminator-batch shared with --clean-share 0.25 would tell the discriminator",
        ),
        ({"settings": {"pairing": "unpaired"}}, "--method sim cannot be trained with --pairing unpaired"),
    ],
)
def test_wrong_requests_name_the_flag(tmp_path: Path, options: RequestOptions, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        planned(tmp_path, **options)
    assert message in str(raised.value)


def test_an_unknown_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="choose one of: table1, table2, table3"):
        planned(tmp_path, "table9")


def test_builds_are_named_as_occsynth_names_them() -> None:
    for database, size_px in DEFAULT_SIZES_PX.items():
        assert DATABASES[database].size_px == size_px
    assert NeededBuild("ck+", "random", 88).name == "ck+-random-88px"
    assert NeededBuild("ck+", "random", 48).name == NeededBuild("ck+", "random").name == "ck+-random"


@pytest.mark.parametrize("fill", FILLS)
def test_every_build_has_the_fill_that_was_asked_for(tmp_path: Path, fill: str) -> None:
    """The names are those of occsynth, and where the fill is the paper's, they are what they were."""
    prepared = planned(tmp_path, databases=("demo",), quick=True, modes=("eyes", "upper-40"), fill=fill)
    options = BuildOptions(db="demo", modes=("eyes", "upper-40"), fill=fill, out=tmp_path)
    assert [build.name for build in prepared.unbuilt] == complete(options).names()
    assert [column.key for column in (each.column for each in prepared.protocol.columns)] == ["eyes", "upper-40"]
    known = "" if fill == "template" else f"-{fill}"
    assert prepared.request.folder.name == f"table2-demo{known}-quick"
    real = prepared.request.needed("raf-db", "real", 224, Path("list.txt"))
    assert real.name == "raf-db-real-224px-list"


def test_what_a_manifest_holds(make_build: Callable[..., Path]) -> None:
    r16, eyes = make_build(folds=2), make_build(name="toy-eyes", mode="eyes", folds=2)
    facts, other = read_manifest(r16), read_manifest(eyes)
    assert (facts.name, facts.mode, facts.rows, facts.folds, facts.rejects) == ("toy-r16", "r16", 42, (0, 1), 0)
    assert facts.clean_sha256 == other.clean_sha256 and facts.sha256 != other.sha256
    assert read_manifest(make_build(name="split", splits=("train", "test"))).folds == (None,)
    real = make_build(name="real", database="real", edit=lambda rows: [without_clean(row) for row in rows])
    assert read_manifest(real).clean_sha256 != facts.clean_sha256
    with pytest.raises(OccFERError, match="not found"):
        read_manifest(r16.with_name("gone.csv"))


def test_another_manifest_redoes_its_own_runs_alone(tmp_path: Path, make_build: Callable[..., Path]) -> None:
    """The clean branches stay: they depend on the clean images, which are the same."""
    for mode in ("r16", "eyes"):
        make_build(name=f"toy-{mode}", mode=mode)
    before = planned(tmp_path, databases=("toy",), modes=("r16", "eyes"), seeds=1)
    make_build(name="toy-r16", mode="r16", edit=lambda rows: [replace(row, coverage_face=0.7) for row in rows])
    after = planned(tmp_path, databases=("toy",), modes=("r16", "eyes"), seeds=1)
    pairs = [(before.plan.train[run].key != after.plan.train[run].key, run) for run in before.plan.train]
    assert all(differs == (run.training == "toy-r16" and run.method != "clean") for differs, run in pairs)
