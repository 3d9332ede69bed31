"""The protocols of Tables 1 to 3: what each needs to be built, and which methods are trained and tested on what.

Choices that the paper leaves open are marked [decided].
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from occfer.errors import ConfigError
from occfer.protocols.manifests import NeededBuild, ProtocolManifest, read_manifest
from occfer.protocols.protocol import Protocol, TestedOn, TrainingSet
from occfer.protocols.request import DEMO, Request
from occfer.tables.paper_methods import ALL_METHODS, DEEP_METHODS
from occfer.tables.published import TEST_SETS
from occfer.tables.result_table import Column

TABLE2_MODES = ("r8", "r16", "r24", "eyes", "mouth")
QUICK_MODES = ("r16", "eyes")
MODE_TITLES = {"r8": "R8", "r16": "R16", "r24": "R24", "eyes": "eyes", "mouth": "mouth"}
TITLES = {"raf-db": "RAF-DB", "affectnet": "AffectNet", "sfew": "SFEW", "ck+": "CK+", "fed-ro": "FED-RO"}
TABLE1_DATABASES = ("raf-db", "affectnet", "sfew")
# The sizes at which the paper trains on them, and so at which CK+ is tested.
CROSS_SIZES_PX = {"raf-db": 88, "affectnet": 224}
TABLE3_DATABASES = ("raf-db", "affectnet")
TABLE3_SIZE_PX = 224  # [decided]: the paper does not say at which size it merges 88 and 224 pixels
FED_RO_IMAGES = 400
DEMO_OTHER_MODES = ("r16", "eyes", "mouth")

# The manifests of the builds that are there, and why the others are not.
Manifests = Mapping[NeededBuild, ProtocolManifest]
Errors = Mapping[NeededBuild, str]


@dataclass(frozen=True, slots=True)
class TableProtocol:
    """One of the tables.

    Attributes:
        title: what the paper's table shows, in a few words.
        builds: the builds that a request needs.
        protocol: made from the request, the manifests that are there, and the errors of the others.
    """

    title: str
    builds: Callable[[Request], tuple[NeededBuild, ...]]
    protocol: Callable[[Request, Manifests, Errors], Protocol]


def _table2_builds(request: Request) -> tuple[NeededBuild, ...]:
    database, *others = request.databases or ("ck+",)
    if others:
        raise ConfigError(f"--db {','.join(request.databases)}: {request.what} takes one database at a time")
    return tuple(request.needed(database, mode) for mode in request.chosen_modes(TABLE2_MODES, QUICK_MODES))


def _table2(request: Request, manifests: Manifests, errors: Errors) -> Protocol:
    """Ten folds times five occlusions [paper]; the clean images are the same for all of them."""
    sets: dict[str, TrainingSet] = {}
    columns = []
    absent = {}
    for build in _table2_builds(request):
        columns.append(TestedOn(Column(build.mode, MODE_TITLES.get(build.mode, build.mode)), build.name))
        if build in errors:
            absent[build.mode] = errors[build]
            continue
        known = manifests[build]
        sets[build.name] = TrainingSet(build.name, (known,), folds=request.chosen_folds(known))
    notes = ["The paper's figures are for CK+"] if request.databases not in ((), ("ck+",)) else []
    if request.is_demo:
        notes.append("Demo faces are rendered: they show that the pipeline works and say nothing about people")
    return Protocol(sets, tuple(columns), request.chosen_methods(ALL_METHODS), tuple(notes), absent)


def _table1_builds(request: Request) -> tuple[NeededBuild, ...]:
    databases = request.databases or TABLE1_DATABASES
    across = [build for name in databases if (build := _other(request, name)) is not None]
    return (*(_within(request, name) for name in databases), *across)


def _within(request: Request, name: str) -> NeededBuild:
    """What a line of Table 1 is trained on; aligned as CK+ is, where it is tested there too."""
    return request.needed(name, "random", across=name in CROSS_SIZES_PX)


def _other(request: Request, name: str) -> NeededBuild | None:
    """What a model of Table 1 is tested on besides its own database."""
    if name == DEMO:
        return request.needed(DEMO, "r16")
    return request.needed("ck+", "random", CROSS_SIZES_PX[name]) if name in CROSS_SIZES_PX else None


def _table1(request: Request, manifests: Manifests, errors: Errors) -> Protocol:
    """Within RAF-DB, AffectNet and SFEW, and from RAF-DB and AffectNet to all occluded CK+ images [paper; decided]."""
    sets: dict[str, TrainingSet] = {}
    absent: dict[str, str] = {}
    within: list[TestedOn] = []
    across: list[TestedOn] = []
    for name in request.databases or TABLE1_DATABASES:
        build, other = _within(request, name), _other(request, name)
        within.append(TestedOn(Column(name, _title(name)), name))
        if build in errors:
            absent[name] = errors[build]
        else:
            known = manifests[build]
            sets[name] = TrainingSet(name, (known,), folds=request.chosen_folds(known))
        if other is None:
            continue
        key, short = (f"{name}->r16", "R16") if name == DEMO else (f"{name}->ck+", "CK+")
        tested = (manifests[other],) if other in manifests else ()
        across.append(TestedOn(Column(key, f"{_title(name)} → {short}"), name, tested))
        if build in errors or other in errors:
            absent[key] = errors.get(build) or errors[other]
    notes = []
    if DEMO in request.databases:
        notes.append(
            "The demo database stands in for the paper's databases: the first column tests its held-out folds with "
            "occlusions of mode random, the second the same people with R16, which the models were not trained on. "
            "Demo faces are rendered and say nothing about people"
        )
    elif across:
        notes.append("CK+ is tested on all its occluded images, built at the size of the training database [decided]")
    published = {name: name for name in sets if name in TEST_SETS}
    return Protocol(sets, (*within, *across), request.chosen_methods(DEEP_METHODS), tuple(notes), absent, published)


def _table3_builds(request: Request) -> tuple[NeededBuild, ...]:
    if request.is_demo:
        return tuple(request.needed(DEMO, mode) for mode in ("random", *_demo_tests(request)))
    subsets = (request.needed(name, "real", TABLE3_SIZE_PX, path, across=True) for name, path in request.subsets)
    return (*_table3_training(request), request.needed("fed-ro", "real", across=True), *subsets)


def _table3_training(request: Request) -> tuple[NeededBuild, ...]:
    names = request.databases or TABLE3_DATABASES
    return tuple(request.needed(name, "random", TABLE3_SIZE_PX, across=True) for name in names)


def _demo_tests(request: Request) -> tuple[str, ...]:
    return request.chosen_modes(DEMO_OTHER_MODES, ("eyes",))


def _table3(request: Request, manifests: Manifests, errors: Errors) -> Protocol:
    """RAF-DB and AffectNet merged, tested on faces that were occluded when they were photographed [paper]."""
    methods = request.chosen_methods(DEEP_METHODS)
    if request.is_demo:
        return _table3_demo(request, manifests, errors, methods)
    training = _table3_training(request)
    # each column with its manifest, or without one and with the reason
    tests: list[tuple[Column, ProtocolManifest | None, str]] = []
    published: dict[str, str] = {}
    for build in _table3_builds(request)[len(training) :]:
        named = TITLES.get(build.database, build.database)
        title = named if build.subset is None else f"{named} ({build.subset.stem})"
        column = Column(build.name.removesuffix("-real"), title)
        tests.append((column, manifests.get(build), errors.get(build, "")))
        test_set = build.database if build.subset is None else f"occlusion-{build.database}"
        if test_set in TEST_SETS:
            published[column.key] = test_set
    for path in request.test_manifests:
        known = read_manifest(path)
        tests.append((Column(known.name, known.name), known, ""))
    key = "+".join(build.database for build in training)
    broken = next((errors[build] for build in training if build in errors), "")
    absent = {column.key: broken or error for column, known, error in tests if broken or known is None}
    there = [] if broken else [(column, known) for column, known, _ in tests if known is not None]
    sets = {}
    if there:
        size_px = max(manifests[build].size_px for build in training)
        merged = tuple(manifests[build] for build in training)
        sets[key] = TrainingSet(key, merged, test_manifests=(there[0][1],), size_px=size_px)
    # the runs themselves test the first manifest, evaluations after them the others
    own = there[0][0].key if there else ""
    columns = tuple(
        TestedOn(column, key, () if column.key == own or known is None else (known,)) for column, known, _ in tests
    )
    return Protocol(sets, columns, methods, tuple(_table3_notes(request, there)), absent, published)


def _table3_notes(request: Request, there: list[tuple[Column, ProtocolManifest]]) -> list[str]:
    notes = [f"Trained at {TABLE3_SIZE_PX} px [decided]: the paper does not say at which size it merges 88 and 224 px"]
    if request.databases and request.databases != TABLE3_DATABASES:
        notes.append(
            f"Trained on {', '.join(map(_title, request.databases))} only; the paper merges RAF-DB and AffectNet"
        )
    for _, known in there:
        if known.database == "fed-ro" and known.rows != FED_RO_IMAGES:
            notes.append(
                f"This copy of FED-RO has {known.rows} images, the paper's {FED_RO_IMAGES}: "
                "the figures cannot be compared"
            )
    return notes


def _table3_demo(request: Request, manifests: Manifests, errors: Errors, methods: tuple[str, ...]) -> Protocol:
    trained = request.needed(DEMO, "random")
    sets = {}
    absent: dict[str, str] = {}
    if trained in manifests:
        known = manifests[trained]
        sets[DEMO] = TrainingSet(DEMO, (known,), folds=request.chosen_folds(known))
    columns = []
    for mode in _demo_tests(request):
        build = request.needed(DEMO, mode)
        tested = (manifests[build],) if build in manifests else ()
        columns.append(TestedOn(Column(mode, f"demo, {MODE_TITLES.get(mode, mode)}"), DEMO, tested))
        error = errors.get(trained) or errors.get(build)
        if error:
            absent[mode] = error
    note = (
        "The demo database has no real occlusions: instead of FED-RO, its held-out folds are tested with occlusions of "
        "another kind than those trained on. Demo faces are rendered and say nothing about people"
    )
    return Protocol(sets, tuple(columns), methods, (note,), absent)


def _title(database: str) -> str:
    return TITLES.get(database, database)


TABLES: dict[str, TableProtocol] = {
    "table1": TableProtocol("Table 1, synthesised occlusions", _table1_builds, _table1),
    "table2": TableProtocol("Table 2, five kinds of synthesised occlusions", _table2_builds, _table2),
    "table3": TableProtocol("Table 3, real occlusions", _table3_builds, _table3),
}
