"""The shape of the code: which room may import which, what `--help` loads, how long a module may be.

A room is a package such as `occfer.data`, or a module beside the packages such as `occfer.config`.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from docs.make_levels import PICTURE, draw, imported, levels, modules, room_graph, room_of

ROOT = Path(__file__).parents[1]
MODULES = modules()
OCCSYNTH = [name for name in MODULES if name.split(".")[0] == "occsynth"]
OCCFER = [name for name in MODULES if name.split(".")[0] == "occfer"]

FOUNDATION = {"occsynth.escapes", "occsynth.files", "occsynth.ownership", "occsynth.processes", "occsynth.reading"}
"""How files are written, owned, read and shown, and processes started: every room above them may import them."""
ROOMS = {
    "occsynth": {
        # level 0
        "__init__": "",
        "errors": "",
        "escapes": "",
        "memory": "",
        "option_values": "",
        "processes": "",
        "reading": "",
        # level 1
        "files": "errors",
        "start": "memory",
        "slurm": "errors",
        "system_libraries": "errors",
        "manifest": "errors option_values",
        "pixels": "errors",
        # level 2
        "parallel": "errors option_values slurm",
        "ownership": "files reading",
        "faces": "errors option_values system_libraries pixels",
        "row_counts": "manifest",
        "__main__": "start",
        # level 3
        "templates": "errors option_values parallel pixels",
        "databases": "errors option_values pixels faces",
        # level 4
        "modes": "errors option_values pixels faces templates",
        "exchange": "__init__ errors option_values parallel manifest pixels databases",
        # level 5
        "occluder": "errors option_values pixels faces templates modes",
        "pictures": "errors manifest pixels faces modes",
        # level 6
        "hidden_shares": "errors option_values pixels faces templates databases modes occluder",
        "build": (
            "__init__ errors option_values slurm parallel manifest pixels faces row_counts templates databases modes "
            "occluder"
        ),
        "doctor": "errors system_libraries pixels faces templates databases modes occluder",
        # level 7
        "sharing": "errors slurm parallel manifest pixels faces row_counts templates databases modes build",
        # level 8
        "suites": "errors option_values parallel manifest databases modes build sharing",
        # level 9
        "cli": (
            "__init__ errors memory option_values parallel start system_libraries manifest templates databases modes "
            "pictures hidden_shares build doctor exchange sharing suites"
        ),
    },
    "occfer": {
        # level 0
        "__init__": "",
        "__main__": "",
        "errors": "",
        "events": "",
        "intended_use": "",
        # level 1
        "files": "errors",
        "models": "errors",
        "setting": "errors",
        # level 2
        "settings": "models setting",
        # level 3
        "config": "errors setting settings",
        # level 4
        "config_fields": "config setting",
        "settings_file": "errors files config setting",
        "recipes": "config setting",
        "data": "errors events files config",
        "losses": "errors config settings",
        # level 5
        "methods": "errors models config data losses",
        "metrics": "errors files data",
        "runs": "errors files models config config_fields data losses",
        # level 6
        "tracking": "errors events files config config_fields runs",
        "engine": "errors events files models settings config config_fields data methods runs",
        "faces": "errors files data runs",
        # level 7
        "inference": "errors files data methods runs faces",
        # level 8
        "baselines": "errors models config config_fields data methods runs engine faces inference",
        # level 9
        "method_table": "errors methods runs engine baselines",
        # level 10
        "evaluation": (
            "errors events files config config_fields data methods metrics runs engine inference method_table"
        ),
        "load": "models runs engine inference method_table",
        "tables": "errors files methods metrics method_table",
        "training": "errors events files models config data methods metrics runs engine faces method_table",
        # level 11
        "api": "config runs faces inference load training",
        "benchmark": "errors events files config data metrics runs engine inference method_table evaluation",
        "explain": "errors events files models data metrics runs engine method_table evaluation",
        "jobs": (
            "errors files models setting settings config config_fields data metrics runs engine method_table "
            "evaluation training"
        ),
        "predict": "load",
        "reports": "errors files data metrics runs method_table evaluation tables",
        "train": "training",
        # level 12
        "demo": "errors intended_use data metrics engine faces inference load explain",
        "hub": "errors files intended_use models metrics runs method_table benchmark",
        "leaderboard": "errors files metrics benchmark",
        "outside": "errors files data runs inference load benchmark",
        "protocols": (
            "errors files models settings config config_fields data methods metrics runs engine baselines method_table "
            "evaluation tables training jobs"
        ),
        # level 13
        "doctor": (
            "errors events files models config data methods runs engine faces inference tables training protocols"
        ),
        # level 14
        "cli": (
            "errors events setting settings config config_fields settings_file recipes metrics runs tracking faces "
            "inference method_table evaluation explain load tables training demo jobs reports hub leaderboard "
            "outside protocols benchmark doctor"
        ),
    },
}
"""The rooms of each package from the ground up, each with the rooms that it imports: all of them stand above it."""
BORDER = {
    "occfer.__main__": "occsynth.start",
    "occfer.benchmark.suites": "occsynth.suites.replay occsynth.suites.suite",
    "occfer.cli": (
        "occsynth occsynth.cli.options occsynth.cli.output occsynth.cli.pace occsynth.memory occsynth.option_values "
        "occsynth.parallel occsynth.slurm occsynth.start occsynth.suites.shipped"
    ),
    "occfer.data.manifests": "occsynth.errors occsynth.faces.landmark_file occsynth.manifest occsynth.modes",
    "occfer.faces": (
        "occsynth occsynth.databases.demo occsynth.databases.layout occsynth.databases.own_folders occsynth.errors "
        "occsynth.faces.align occsynth.faces.landmark_file occsynth.faces.landmarks occsynth.faces.regions "
        "occsynth.manifest occsynth.modes occsynth.modes.face occsynth.modes.occlusion occsynth.modes.seeds "
        "occsynth.occluder occsynth.option_values "
        "occsynth.pixels.decode occsynth.pixels.images occsynth.pixels.silence occsynth.pixels.videos "
        "occsynth.pixels.warp occsynth.templates.pack occsynth.templates.sprites"
    ),
    "occfer.hub": (
        "occsynth.databases occsynth.errors occsynth.manifest occsynth.sharing.published occsynth.suites.check "
        "occsynth.suites.suite"
    ),
}
"""The only places of occfer that import more of occsynth, and what they import: the manifest is the border."""

# What the base install brings; dask is imported only for the cluster backend.
BASE = {
    "cv2",
    "filelock",
    "jinja2",
    "joblib",
    "matplotlib",
    "mediapipe",
    "numpy",
    "pandas",
    "PIL",
    "platformdirs",
    "psutil",
    "pydantic",
    "rich",
    "typer",
}
CLUSTER = {"dask", "distributed", "submitit"}
HEAVY = {
    "PIL",
    "captum",
    "cv2",
    "dask",
    "gradio",
    "huggingface_hub",
    "jinja2",
    "lightning",
    "matplotlib",
    "mediapipe",
    "numpy",
    "onnx",
    "onnxruntime",
    "optuna",
    "pandas",
    "pyarrow",
    "scipy",
    "skimage",
    "sklearn",
    "timm",
    "torch",
    "torchvision",
}
GLOBAL_NUMPY_STREAM_FREE = {"Generator", "Philox", "SeedSequence", "BitGenerator", "default_rng"}


def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def imports_of(module: str, *, whole_file: bool = True) -> Iterator[str]:
    return imported(MODULES[module], MODULES, whole_file=whole_file)


def short(room: str) -> str:
    """`data` for `occfer.data`; the package itself is `__init__`."""
    return room.partition(".")[2] or "__init__"


def is_room_folder(module: str) -> bool:
    return module == room_of(module) and "." in module and MODULES[module].name == "__init__.py"


def roots_of(module: str) -> set[str]:
    return {name.split(".")[0] for name in imports_of(module)}


@pytest.mark.parametrize("module", OCCSYNTH)
def test_occsynth_needs_only_the_base_install(module: str) -> None:
    third_party = roots_of(module) - sys.stdlib_module_names - {"occsynth"}
    more = third_party - BASE - CLUSTER
    assert not more, (
        f"{module} imports {', '.join(sorted(more))}, which the base install does not bring. What needs it belongs to "
        "occfer; if occsynth cannot do without it, add it to the dependencies, docs/dependencies.md and BASE"
    )


@pytest.mark.parametrize("package", ROOMS)
def test_each_room_imports_only_what_its_line_allows(package: str) -> None:
    table, graph = ROOMS[package], room_graph(package)
    for room, imports in graph.items():
        name = short(room)
        used = imports if room in FOUNDATION else imports - FOUNDATION
        assert name in table, (
            f"{room} is new: give it a line in the table of {package}, above every room that imports it"
        )
        allowed = set(table[name].split())
        more = {short(each) for each in used} - allowed
        assert not more, (
            f"{room} imports {', '.join(sorted(more))}, which its line does not allow. Move the code to the room that "
            f"owns it, or hand the value in as an argument; add to the line only if {name} stays below its importers"
        )
        less = allowed - {short(each) for each in used}
        assert not less, f"{room} no longer imports {', '.join(sorted(less))}: take that out of its line"
    gone = set(table) - {short(room) for room in graph}
    assert not gone, f"{package} has no {', '.join(sorted(gone))}: delete the line"


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_only_from_lines_above_theirs(package: str) -> None:
    """So no arrow runs back, and the table reads from the ground up."""
    table = ROOMS[package]
    above: set[str] = set()
    for name, line in table.items():
        back = set(line.split()) - above
        assert not back, (
            f"the line of {name} allows {', '.join(sorted(back))}, which stands below it: an import runs back"
        )
        above.add(name)
    level = levels({name: set(line.split()) for name, line in table.items()})
    order = [level[name] for name in table]
    assert order == sorted(order), f"order the lines by level: {sorted(table, key=lambda name: level[name])}"


def test_occfer_imports_occsynth_only_at_the_border() -> None:
    found: dict[str, set[str]] = {}
    for module in OCCFER:
        names = {name for name in imports_of(module) if name.split(".")[0] == "occsynth"} - FOUNDATION
        if names:
            place = next((each for each in BORDER if f"{module}.".startswith(f"{each}.")), module)
            found.setdefault(place, set()).update(names)
    outside = set(found) - set(BORDER)
    assert not outside, (
        f"{', '.join(sorted(outside))} must not import occsynth. Read manifests through occfer.data.manifests, find "
        "faces through occfer.faces, or let the command line hand the value in"
    )
    for place, allowed in BORDER.items():
        more, less = found.get(place, set()) - set(allowed.split()), set(allowed.split()) - found.get(place, set())
        assert not more, f"{place} imports {', '.join(sorted(more))}: use what BORDER lists, or add it there on purpose"
        assert not less, f"{place} no longer imports {', '.join(sorted(less))}: take that out of BORDER"


def test_occsynth_never_imports_occfer() -> None:
    wrong = [module for module in OCCSYNTH if "occfer" in roots_of(module)]
    assert not wrong, f"{', '.join(wrong)}: occsynth works without occfer; move the code that needs both to occfer.cli"


@pytest.mark.parametrize("room", [name for name in MODULES if is_room_folder(name)])
def test_each_room_says_in_two_sentences_what_it_is(room: str) -> None:
    docstring = " ".join((ast.get_docstring(tree_of(room)) or "").split())
    sentences = re.findall(r"[^.!?]+[.!?](?= |$)", re.sub(r"`[^`]*`|\be\.g\.", "x", docstring))
    assert len(sentences) == 2, (
        f"{MODULES[room].relative_to(ROOT)}: the docstring has {len(sentences)} sentences. Say in one what the room "
        "holds, and in a second one what does not belong there, or which rule its modules keep"
    )


def test_the_picture_of_the_levels_is_up_to_date() -> None:
    assert PICTURE.read_text(encoding="utf-8") == draw(), "imports have changed: run `python docs/make_levels.py`"


@pytest.mark.parametrize("package", [OCCSYNTH, OCCFER], ids=["occsynth", "occfer"])
def test_modules_import_each_other_in_one_direction(package: list[str]) -> None:
    graph = {
        module: {name for name in imports_of(module, whole_file=False) if name in MODULES and name != module}
        for module in package
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " <- ".join(error.args[1])
        pytest.fail(f"imports run in a circle: {circle}. Move what these modules share into a module below them")


@pytest.mark.parametrize("package", ["occsynth", "occfer"])
def test_help_loads_nothing_heavy(package: str) -> None:
    modules = [name for name in MODULES if name.startswith(f"{package}.cli.") and not name.endswith("__main__")]
    code = (
        f"import importlib, sys\nfor name in {modules!r}:\n    importlib.import_module(name)\n"
        f"from {package}.cli.app import main\nsys.argv = ['{package}', '--help']\n"
        f"try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"loaded = {HEAVY!r} & set(sys.modules)\n"
        "assert not loaded, f'{loaded} loaded: import them inside the command that needs them'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_a_build_loads_no_torch() -> None:
    modules = [name for name in OCCSYNTH if not name.endswith("__main__")]
    code = "import importlib, sys\n"
    code += f"for name in {modules!r}:\n    importlib.import_module(name)\n"
    code += "assert not {'torch', 'occfer'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_short(module: str) -> None:
    lines = len(MODULES[module].read_text().splitlines())
    assert lines <= 400, f"{module} has {lines} lines: split it"


@pytest.mark.parametrize("module", MODULES)
def test_no_assert_guards_anything(module: str) -> None:
    lines = [node.lineno for node in ast.walk(tree_of(module)) if isinstance(node, ast.Assert)]
    assert not lines, f"{module}: raise an error of the package instead of assert, lines {lines}"


PRINTS = {
    "occsynth.cli.output": "everything is printed by it",
    "occfer.cli.progress": "a bar with lines below it on stderr, of escaped texts",
    "occsynth.start": "begins before, and ends after, everything else",
    "occsynth.system_libraries": "also runs before anything is installed",
}
"""The modules that may write to the standard streams, and why."""


@pytest.mark.parametrize("module", sorted(set(MODULES) - set(PRINTS)))
def test_commands_print_through_one_function(module: str) -> None:
    """So no name from elsewhere reaches a terminal as it is, and no write error or encoding ends in a traceback."""
    for node in ast.walk(tree_of(module)):
        if not isinstance(node, ast.Name | ast.Attribute):
            continue
        name = ast.unparse(node)
        writes = name in {"print", "typer.echo", "typer.secho", "click.echo", "rich.print", "Console"}
        stream = name.startswith(("sys.stdout.", "sys.stderr.")) and not name.endswith((".isatty", ".flush"))
        assert not writes and not stream, f"{module}:{node.lineno} uses {name}: say() of occsynth.cli.output escapes"


@pytest.mark.parametrize("module", MODULES)
def test_no_global_random_stream(module: str) -> None:
    """numpy's and Python's module-level streams depend on order; every draw comes from a generator of its own."""
    for node in ast.walk(tree_of(module)):
        if not isinstance(node, ast.Attribute):
            continue
        owner = ast.unparse(node.value)
        if owner in {"np.random", "numpy.random"}:
            assert node.attr in GLOBAL_NUMPY_STREAM_FREE, f"{module}:{node.lineno} {owner}.{node.attr}"
        if owner == "random":
            assert node.attr == "Random", f"{module}:{node.lineno} random.{node.attr}"


PARSERS = {
    "json.load", "json.loads", "tomllib.load", "tomllib.loads", "csv.reader", "csv.DictReader",
    "gzip.open", "gzip.decompress", "gzip.GzipFile",
    "np.load", "np.loadtxt", "np.genfromtxt", "np.fromfile", "pickle.load", "pickle.loads", "torch.load",
    "torch.export.load", "safe_open", "load_file", "zipfile.ZipFile", "onnx.load", "onnx.load_model",
}  # fmt: skip
"""What reads a format without a bound of its own."""
READERS = {
    "occsynth.reading": "the bounded readers",
    "occsynth.build.record_index": "records that the same build has put into its own SQLite file",
    "occsynth.doctor": "files that ship with occsynth",
    "occsynth.faces.landmark_file": "a zip file, whose members must be stored as they are and fit the file",
    "occsynth.faces.regions": "files that ship with occsynth",
    "occsynth.manifest": "writes only",
    "occsynth.pixels.row_table": "one line, which a bounded reader has cut out of the file",
    "occsynth.sharing.join_index": "rows that the same command has put into SQLite",
    "occsynth.sharing.publish": "rows that the same command has put into SQLite",
    "occfer.data.packs": "its own arrays, memory-mapped, after their checksums were compared",
    "occfer.inference.pt2_file": "a zip file whose entries must fit the file, loaded after they were checked",
    "occfer.models.weight_files": "tensors alone, which fit their file: safetensors, or weights_only",
    "occfer.runs.checkpoint": "safetensors, which fit their file; and JSON that was just written, as it comes back",
    "occfer.runs.run_folder": "JSON that was just written, as it comes back",
}
"""The modules that call such parsers, and why that cannot end in a traceback or a full memory."""


def test_files_are_read_by_the_bounded_readers() -> None:
    found: dict[str, set[str]] = {}
    for module in MODULES:
        calls = {ast.unparse(node.func) for node in ast.walk(tree_of(module)) if isinstance(node, ast.Call)}
        if parsers := calls & PARSERS:
            found[module] = parsers
    new = {module: sorted(parsers) for module, parsers in found.items() if module not in READERS}
    assert not new, (
        f"{new}: read files with occsynth.reading, whose readers bound size, depth and types and raise an error of the "
        "package; if that cannot be, add the module to READERS and say why"
    )
    gone = set(READERS) - set(found)
    assert not gone, f"{', '.join(sorted(gone))} call no such parser any more: delete their lines"


def test_every_package_is_typed() -> None:
    assert (ROOT / "occsynth" / "py.typed").is_file()
    assert (ROOT / "occfer" / "py.typed").is_file()
