"""The protocols of Tables 1 to 3: what each needs to be built, and who is trained and tested on what."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from occfer.errors import ConfigError
from occfer.protocols.manifests import Build, ManifestFacts, read_facts
from occfer.protocols.plan import Protocol, TestedOn, TrainingSet
from occfer.protocols.request import DEMO, Request
from occfer.tables.paper_rows import ALL_ROWS, DEEP_ROWS
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

Found = Mapping[Build, ManifestFacts]
Errors = Mapping[Build, str]


@dataclass(frozen=True, slots=True)
class TableProtocol:
    """One of the tables.

    Attributes:
        title: as in the paper, in a few words.
        builds: which ones a request needs.
        protocol: made from what was found, and the errors of the rest.
    """

    title: str
    builds: Callable[[Request], tuple[Build, ...]]
    protocol: Callable[[Request, Found, Errors], Protocol]


def _table2_builds(request: Request) -> tuple[Build, ...]:
    database, *others = request.databases or ("ck+",)
    if others:
        raise ConfigError(f"--db {','.join(request.databases)}: {request.what} takes one database at a time")
    return tuple(Build(database, mode) for mode in request.chosen_modes(TABLE2_MODES, QUICK_MODES))


def _table2(request: Request, found: Found, errors: Errors) -> Protocol:
    """Ten folds x five occlusions [paper]; the clean pictures are the same for all of them."""
    sets: dict[str, TrainingSet] = {}
    columns = []
    absent = {}
    for build in _table2_builds(request):
        columns.append(TestedOn(Column(build.mode, MODE_TITLES[build.mode]), build.name))
        if build in errors:
            absent[build.mode] = errors[build]
            continue
        sets[build.name] = TrainingSet(build.name, (found[build],), folds=request.chosen_folds(found[build]))
    notes = ["The paper's figures are of CK+"] if request.databases not in ((), ("ck+",)) else []
    if request.is_demo:
        notes.append("Demo faces are rendered: they show that the pipeline works and say nothing about people")
    return Protocol(sets, tuple(columns), request.chosen_rows(ALL_ROWS), tuple(notes), absent)


def _table1_builds(request: Request) -> tuple[Build, ...]:
    databases = request.databases or TABLE1_DATABASES
    across = [build for name in databases if (build := _other(name)) is not None]
    return (*(Build(name, "random") for name in databases), *across)


def _other(name: str) -> Build | None:
    """What a model of Table 1 is tested on besides its own database."""
    if name == DEMO:
        return Build(DEMO, "r16")
    return Build("ck+", "random", CROSS_SIZES_PX[name]) if name in CROSS_SIZES_PX else None


def _table1(request: Request, found: Found, errors: Errors) -> Protocol:
    """Within RAF-DB, AffectNet and SFEW, and from RAF-DB and AffectNet to all occluded CK+ images [paper; decided]."""
    sets: dict[str, TrainingSet] = {}
    absent: dict[str, str] = {}
    within: list[TestedOn] = []
    across: list[TestedOn] = []
    for name in request.databases or TABLE1_DATABASES:
        build, other = Build(name, "random"), _other(name)
        within.append(TestedOn(Column(name, _title(name)), name))
        if build in errors:
            absent[name] = errors[build]
        else:
            sets[name] = TrainingSet(name, (found[build],), folds=request.chosen_folds(found[build]))
        if other is None:
            continue
        key, short = (f"{name}->r16", "R16") if name == DEMO else (f"{name}->ck+", "CK+")
        across.append(
            TestedOn(Column(key, f"{_title(name)} → {short}"), name, (found[other],) if other in found else ())
        )
        if build in errors or other in errors:
            absent[key] = errors.get(build) or errors[other]
    notes = []
    if DEMO in request.databases:
        notes.append(
            "The demo database stands in for the paper's: within it the held-out folds with occlusions of mode random; "
            "in place of another database the same people with R16, which the models were not trained on. Demo faces "
            "are rendered and say nothing about people"
        )
    elif across:
        notes.append("CK+ is tested on all its occluded images, built at the size of the training database [decided]")
    return Protocol(sets, (*within, *across), request.chosen_rows(DEEP_ROWS), tuple(notes), absent)


def _table3_builds(request: Request) -> tuple[Build, ...]:
    if request.is_demo:
        return tuple(Build(DEMO, mode) for mode in ("random", *_demo_tests(request)))
    subsets = (Build(name, "real", TABLE3_SIZE_PX, path) for name, path in request.subsets)
    return (*_table3_training(request), Build("fed-ro", "real"), *subsets)


def _table3_training(request: Request) -> tuple[Build, ...]:
    return tuple(Build(name, "random", TABLE3_SIZE_PX) for name in request.databases or TABLE3_DATABASES)


def _demo_tests(request: Request) -> tuple[str, ...]:
    return request.chosen_modes(DEMO_OTHER_MODES, ("eyes",))


def _table3(request: Request, found: Found, errors: Errors) -> Protocol:
    """RAF-DB and AffectNet merged, tested on faces that were occluded when they were photographed [paper]."""
    rows = request.chosen_rows(DEEP_ROWS)
    if request.is_demo:
        return _table3_demo(request, found, errors, rows)
    training = _table3_training(request)
    tests: list[tuple[Column, ManifestFacts | None, str]] = []
    for build in _table3_builds(request)[len(training) :]:
        named = TITLES.get(build.database, build.database)
        title = named if build.subset is None else f"{named} ({build.subset.stem})"
        tests.append((Column(build.name.removesuffix("-real"), title), found.get(build), errors.get(build, "")))
    for path in request.test_manifests:
        facts = read_facts(path)
        tests.append((Column(facts.name, facts.name), facts, ""))
    key = "+".join(build.database for build in training)
    broken = next((errors[build] for build in training if build in errors), "")
    absent = {column.key: broken or error for column, facts, error in tests if broken or facts is None}
    there = [] if broken else [(column, facts) for column, facts, _ in tests if facts is not None]
    sets = {}
    if there:
        size_px = max(found[build].size_px for build in training)
        merged = tuple(found[build] for build in training)
        sets[key] = TrainingSet(key, merged, test_manifests=(there[0][1],), size_px=size_px)
    own = there[0][0].key if there else ""
    columns = tuple(
        TestedOn(column, key, () if column.key == own or facts is None else (facts,)) for column, facts, _ in tests
    )
    return Protocol(sets, columns, rows, tuple(_table3_notes(request, there)), absent)


def _table3_notes(request: Request, there: list[tuple[Column, ManifestFacts]]) -> list[str]:
    notes = [f"Trained at {TABLE3_SIZE_PX} px [decided]: the paper does not say at which size it merges 88 and 224"]
    if request.databases and request.databases != TABLE3_DATABASES:
        notes.append(
            f"Trained on {', '.join(map(_title, request.databases))} only; the paper merges RAF-DB and AffectNet"
        )
    for _, facts in there:
        if facts.database == "fed-ro" and facts.rows != FED_RO_IMAGES:
            notes.append(
                f"This copy of FED-RO has {facts.rows} images, the paper's {FED_RO_IMAGES}: the figures do not compare"
            )
    return notes


def _table3_demo(request: Request, found: Found, errors: Errors, rows: tuple[str, ...]) -> Protocol:
    trained = Build(DEMO, "random")
    sets = {}
    absent: dict[str, str] = {}
    if trained in found:
        sets[DEMO] = TrainingSet(DEMO, (found[trained],), folds=request.chosen_folds(found[trained]))
    columns = []
    for mode in _demo_tests(request):
        build = Build(DEMO, mode)
        columns.append(
            TestedOn(Column(mode, f"demo, {MODE_TITLES[mode]}"), DEMO, (found[build],) if build in found else ())
        )
        error = errors.get(trained) or errors.get(build)
        if error:
            absent[mode] = error
    note = (
        "The demo database has no real occlusions: its held-out folds with occlusions of another kind than those "
        "trained on stand in for FED-RO. Demo faces are rendered and say nothing about people"
    )
    return Protocol(sets, tuple(columns), rows, (note,), absent)


def _title(database: str) -> str:
    return TITLES.get(database, database)


TABLES: dict[str, TableProtocol] = {
    "table1": TableProtocol("Table 1, synthesised occlusions", _table1_builds, _table1),
    "table2": TableProtocol("Table 2, five kinds of synthesised occlusions", _table2_builds, _table2),
    "table3": TableProtocol("Table 3, real occlusions", _table3_builds, _table3),
}
