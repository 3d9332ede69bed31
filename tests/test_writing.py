"""No module writes a file by bare means: under its name a file is whole, and its ownership was asked about.

The ground writes: `occsynth.files` (`replacing`, `write_atomic`) and `occfer.files` over it. A module that opens, saves
or draws into a file does so inside `with replacing(...) as part` and into that part, or stands in EXCEPTIONS with a
reason. So a new command leaves no file half written; whether it may replace one at all is held by
`test_nothing_is_overwritten` of each package, whose tables each new option that names an output must join.
"""

import ast
from collections.abc import Iterator

import pytest

from docs.make_levels import modules

MODULES = modules()
GROUND = {"occsynth.files", "occfer.files"}
METHODS = {
    *(
        "write_text",
        "write_bytes",
        "savefig",
        "imwrite",
        "VideoWriter",
        "ParquetWriter",
        "save",
        "savez",
        "savez_compressed",
        "tofile",
    ),
    *("to_csv", "to_pickle", "rename", "symlink_to", "hardlink_to"),
}
"""Names of methods and of functions of other libraries that write to a path."""
FUNCTIONS = {"save_file", "copyfile", "copytree", "copy2", "move"}
"""The same, for functions that are also imported by name."""
OPENERS = {"open", "ZipFile", "GzipFile"}
"""They write if their mode says so."""
EXCEPTIONS = {
    # into a place that gets its final name later
    "occsynth.build.merge._write_rejects": "in the folder of unfinished work",
    "occsynth.build.merge._put_in_place": "in the folder of unfinished work, whose files are then renamed",
    "occsynth.faces.landmark_file.write_landmarks": "its callers give it a temporary path",
    "occsynth.exchange.arrow.write_parquet": "its callers give it a temporary path",
    "occsynth.exchange.webdataset.write_tar": "its callers give it a temporary path",
    "occsynth.manifest.text_file": "its callers give it a temporary path",
    "occfer.data.packs._make": "in a folder with a temporary name, which is renamed when it is complete",
    "occfer.inference.annotate._start_video": "into a part that waits on a stack for the video's last frame",
    "occfer.inference.export._write_onnx": "`export` gives it a temporary path",
    "occfer.inference.pt2_file.write_pt2": "`export` gives it a temporary path",
    # not into a file that stays
    "occsynth.pictures.contact_sheet.contact_sheet": "into memory",
    "occsynth.pictures.stats_figure.plot": "into memory",
    "occsynth.templates.add.add": "into memory",
    "occfer.inference.pt2_file._copy": "into memory",
    "occsynth.start._open_streams": "standard output",
    "occfer.jobs.trial_file._taken_over": "in a temporary folder, which Optuna reads",
    # files of other programs
    "occfer.tracking.course._tell": "asks a tracker to write out what it holds",
    "occfer.tracking.tensorboard.finalize": "TensorBoard has written the file; and it loses the machine's name",
    # a log that grows line by line; a torn line is cut off when the run goes on
    "occfer.runs.metrics_log.start": "cuts the log",
    "occfer.runs.metrics_log._append": "adds a line",
}


def bare_writes(module: str) -> Iterator[tuple[str, int, str]]:
    """Function, line and source of each call that writes to a path, except into a part of `replacing`."""
    yield from _bare_writes(ast.parse(MODULES[module].read_text()), "", frozenset())


def _bare_writes(node: ast.AST, function: str, parts: frozenset[str]) -> Iterator[tuple[str, int, str]]:
    if isinstance(node, ast.FunctionDef):
        function, parts = node.name, frozenset()
    if isinstance(node, ast.With):
        parts |= {name for item in node.items for name in _part(item)}
    if isinstance(node, ast.Call) and _writes(node) and not parts & set(_names(node)):
        yield function, node.lineno, ast.unparse(node)
    for child in ast.iter_child_nodes(node):
        yield from _bare_writes(child, function, parts)


def _part(item: ast.withitem) -> Iterator[str]:
    called = [_name(each) for each in ast.walk(item.context_expr) if isinstance(each, ast.Call)]
    if "replacing" in called and isinstance(item.optional_vars, ast.Name):
        yield item.optional_vars.id


def _names(node: ast.AST) -> Iterator[str]:
    return (each.id for each in ast.walk(node) if isinstance(each, ast.Name))


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _writes(call: ast.Call) -> bool:
    name = _name(call)
    if name in OPENERS:
        given = [*call.args, *(each.value for each in call.keywords if each.arg == "mode")]
        modes = [each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        return any(len(mode) <= 3 and set(mode) & set("wax+") for mode in modes)
    return name in FUNCTIONS or (name in METHODS and isinstance(call.func, ast.Attribute))


@pytest.mark.parametrize("module", [name for name in MODULES if name not in GROUND])
def test_files_are_written_into_parts(module: str) -> None:
    for function, line, source in bare_writes(module):
        assert f"{module}.{function}" in EXCEPTIONS, (
            f"{module}:{line} {source}: write inside `with replacing(path) as part` of occsynth.files, or with "
            "write_text, write_json or write_csv of occfer.files"
        )


def test_every_exception_is_still_one() -> None:
    found = {f"{module}.{function}" for module in MODULES for function, _, _ in bare_writes(module)}
    gone = EXCEPTIONS.keys() - found
    assert not gone, f"these no longer write by bare means: {', '.join(sorted(gone))}"


@pytest.mark.parametrize(
    ("source", "is_bare"),
    [
        ("path.write_text('')", True),
        ("path.open('w')", True),
        ("open(path, mode='ab')", True),
        ("figure.savefig(path)", True),
        ("np.save(path, array)", True),
        ("shutil.copyfile(a, b)", True),
        ("with replacing(path) as part:\n    path.write_text('')", True),
        ("with replacing(path) as part:\n    def later(part):\n        part.write_text('')", True),
        ("with replacing(path) as part:\n    part.write_text('')", False),
        ("with lock, replacing(path) as part, part.open('w') as file:\n    file.write('')", False),
        ("path.open('rb')", False),
        ("path.open(encoding='utf-8')", False),
        ("save(figure, path)", False),
    ],
)
def test_the_test_knows_what_writes(source: str, is_bare: bool) -> None:
    assert any(True for _ in _bare_writes(ast.parse(source), "", frozenset())) == is_bare
