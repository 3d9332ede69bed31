"""The shape of the code: who may import whom, what `--help` loads, how long a module may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("occsynth", "occfer")
    for path in sorted((ROOT / package).rglob("*.py"))
}
OCCSYNTH = [name for name in MODULES if name.split(".")[0] == "occsynth"]
OCCFER = [name for name in MODULES if name.split(".")[0] == "occfer"]
# what the base install brings; dask only where the cluster backend asks for it
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
    "rich",
    "typer",
}
CLUSTER = {"dask", "distributed"}
HEAVY = {"cv2", "mediapipe", "torch", "torchvision", "pandas", "matplotlib", "sklearn", "skimage", "dask", "optuna"}
GLOBAL_NUMPY_STREAM_FREE = {"Generator", "Philox", "SeedSequence", "BitGenerator", "default_rng"}


def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def imports_of(module: str, *, whole_file: bool = True) -> Iterator[str]:
    """Full names of the modules that a module imports; `whole_file` includes imports inside functions."""
    tree = tree_of(module)
    for node in ast.walk(tree) if whole_file else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute here"
            source = node.module or ""
            for alias in node.names:
                full = f"{source}.{alias.name}"
                yield full if full in MODULES else source


def roots_of(module: str) -> set[str]:
    return {name.split(".")[0] for name in imports_of(module)}


@pytest.mark.parametrize("module", OCCSYNTH)
def test_occsynth_needs_only_the_base_install(module: str) -> None:
    third_party = roots_of(module) - sys.stdlib_module_names - {"occsynth"}
    assert third_party <= BASE | CLUSTER, f"{module} imports {sorted(third_party - BASE - CLUSTER)}"


@pytest.mark.parametrize("module", OCCFER)
def test_occfer_meets_occsynth_at_the_manifest(module: str) -> None:
    from_occsynth = {name for name in imports_of(module) if name.split(".")[0] == "occsynth"}
    short = module.removeprefix("occfer.")
    if short.startswith(("cli", "faces", "__main__")):
        return
    allowed = (
        {"occsynth.manifest", "occsynth.errors"} if short == "data.manifests" else set()
    )  # with the errors it raises
    assert from_occsynth <= allowed, f"{module} imports {sorted(from_occsynth - allowed)}"


@pytest.mark.parametrize("package", [OCCSYNTH, OCCFER], ids=["occsynth", "occfer"])
def test_modules_import_each_other_in_one_direction(package: list[str]) -> None:
    graph = {
        module: {name for name in imports_of(module, whole_file=False) if name in MODULES and name != module}
        for module in package
    }
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("package", ["occsynth", "occfer"])
def test_help_loads_nothing_heavy(package: str) -> None:
    code = (
        f"import sys\nfrom {package}.cli.app import main\nsys.argv = ['{package}', '--help']\n"
        f"try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"loaded = {HEAVY!r} & set(sys.modules)\nassert not loaded, loaded"
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


def test_every_package_is_typed() -> None:
    assert (ROOT / "occsynth" / "py.typed").is_file()
    assert (ROOT / "occfer" / "py.typed").is_file()
