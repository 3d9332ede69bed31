"""Every command that writes: a file of the user's stays byte for byte, unless --overwrite is given; raw roots too."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from occsynth.cli.app import app
from occsynth.manifest import open_manifest
from tests.builds import DEMO_ROOT, STEMS, build_demo, files_under
from tests.occsynth.cli.test_cli import call, error
from tests.occsynth.suites.small_suite import write_recipe
from tests.occsynth.templates.cut_outs import disc, save

OUTPUT_OPTIONS = ("-o", "--out", "--output")
NAME = "demo-r16-few"
IMAGE = f"images/{STEMS[0].partition('_')[0]}/{STEMS[0]}.png"
MINE = b"my own results\n"
ENDINGS = (".csv", ".csv.gz", ".json", ".rejects.csv", ".landmarks.npz")

Words = Callable[[Path], tuple[object, ...]]
"""The command line in a folder that holds the build `built`, the list `few.txt` and the cut-outs `cut`."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way in which a command could replace a file.

    Attributes:
        command: its name.
        words: what follows the name.
        foreign: the user's file, by its path in the folder.
        replaced: whether the command writes this very file if it is given --overwrite.
        option: that names the output; empty for a command that has none.
    """

    command: str
    words: Words
    foreign: str
    replaced: bool = True
    option: str = "--out"


def build(folder: Path) -> tuple[object, ...]:
    words = ("--db", "demo", "--mode", "r16", "--subset", folder / "few.txt", "--workers", 1)
    return (*words, "--out", folder / "made")


def replay(folder: Path) -> tuple[object, ...]:
    return (folder / f"built/manifests/{NAME}.csv", "--workers", 1, "--out", folder / "made")


def publish(folder: Path) -> tuple[object, ...]:
    return (folder / f"built/manifests/{NAME}.csv", "-o", folder / "made/results.csv")


def make_suite(folder: Path) -> tuple[object, ...]:
    return ("--recipe", folder / "recipe", "--workers", 1, "-o", folder / "made")


def freeze_suite(folder: Path) -> tuple[object, ...]:
    return (folder / "suite", "-o", folder / "made")


def exported(to: str, name: str) -> Words:
    def words(folder: Path) -> tuple[object, ...]:
        return (folder / f"built/manifests/{NAME}.csv", "--to", to, "-o", folder / name)

    return words


def picture(ending: str) -> Words:
    def words(folder: Path) -> tuple[object, ...]:
        return (folder / f"built/manifests/{NAME}.csv", "-o", folder / f"made/results{ending}")

    return words


def add_templates(folder: Path) -> tuple[object, ...]:
    return (folder / "cut", "--licence", "CC0-1.0", "--source", "drawn", "--out", folder / "made")


def landmarks(folder: Path) -> tuple[object, ...]:
    return (folder / f"built/manifests/{NAME}.csv",)


BUILT_FILES = (
    *((f"made/manifests/{NAME}{ending}", ending != ".csv.gz") for ending in ENDINGS),
    (f"made/data/{NAME}/occluded/{IMAGE}", True),
    (f"made/data/{NAME}/mask/{IMAGE}", True),
    (f"made/data/{NAME}/holiday.png", False),
    (f"made/data/demo-96px/clean/{IMAGE}", True),
    ("made/data/demo-96px/clean/images/s001/notes.txt", False),
)
CASES = [
    *(Case("build", build, path, replaced) for path, replaced in BUILT_FILES),
    *(Case("replay", replay, path, replaced) for path, replaced in BUILT_FILES),
    Case("replay", replay, f"made/manifests/{NAME}.replay-problems.csv", replaced=False),
    Case("publish", publish, "made/results.csv"),
    Case("publish", publish, "made/results.json"),
    Case("export", exported("webdataset", "made"), "made/data/train-00000-of-00001.tar"),
    Case("export", exported("parquet", "made"), "made/data/train-00000-of-00001.parquet"),
    Case("export", exported("imagefolder", "made"), "made/train/mask/anger/00000000.png"),
    Case("export", exported("imagefolder", "made"), "made/README.md"),
    Case("export", exported("webdataset", "made"), "made/data/notes.txt", replaced=False),
    Case("export", exported("croissant", "built/croissant.json"), "built/croissant.json", option=""),
    Case("preview", picture(".png"), "made/results.png"),
    Case("preview", picture(".html"), "made/results.html"),
    Case("stats", picture(".png"), "made/results.png"),
    Case("templates add", add_templates, "made/index.csv"),
    Case("templates add", add_templates, "made/food/disc.png"),
    Case("templates add", add_templates, "made/notes.txt", replaced=False),
    Case("suite make", make_suite, "made/suite.toml"),
    Case("suite make", make_suite, "made/notes.txt", replaced=False),
    Case("suite freeze", freeze_suite, "made/suite.toml"),
    Case("suite freeze", freeze_suite, "made/notes.txt", replaced=False),
    Case("landmarks", landmarks, f"built/manifests/{NAME}.landmarks.npz", option=""),
]
ONE_EACH = {f"{case.command} {Path(case.foreign).suffix}": case for case in CASES if case.option}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    build_demo(folder / "built", stems=STEMS[:2])
    (folder / "few.txt").write_text("\n".join(STEMS[:2]))
    save(folder / "cut/food/disc.png", disc())
    write_recipe(folder / "recipe")
    call("suite", "make", "--recipe", folder / "recipe", "--workers", 1, "-o", folder / "suite")
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shutil.copytree(prepared, tmp_path / "here")
    return tmp_path / "here"


def commands(group: TyperGroup, before: str = "") -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{before}{name} ")
        else:
            assert isinstance(command, TyperCommand)
            yield f"{before}{name}", command


def all_commands() -> dict[str, TyperCommand]:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    return dict(commands(group))


def test_every_option_that_names_an_output_has_a_case() -> None:
    outputs = {
        name
        for name, command in all_commands().items()
        if any(set(OUTPUT_OPTIONS) & {*each.opts, *each.secondary_opts} for each in command.params)
    }
    assert outputs == {case.command for case in CASES if case.option}, "a command that writes needs a case in CASES"


@pytest.mark.parametrize("command", sorted({case.command for case in CASES}))
def test_every_command_that_writes_has_the_flag(command: str) -> None:
    assert any("--overwrite" in each.opts for each in all_commands()[command].params)


def run(case: Case, folder: Path, *more: str) -> tuple[object, ...]:
    return (*case.command.split(), *case.words(folder), *more)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.command} {case.foreign}")
def test_a_foreign_file_stays_unless_overwrite_is_given(case: Case, folder: Path) -> None:
    foreign = folder / case.foreign
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.write_bytes(MINE)
    before = everything(folder)
    told = error(*run(case, folder))
    assert told.startswith("error: ") and "--overwrite" in told
    assert str(foreign) in told or (str(foreign.parent) in told and foreign.name in told) or "made holds" in told
    assert {path: content for path, content in everything(folder).items() if path in before} == before
    call(*run(case, folder, "--overwrite"))
    assert (foreign.read_bytes() != MINE if foreign.exists() else False) == case.replaced


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("case", ONE_EACH.values(), ids=ONE_EACH)
def test_the_same_command_twice_needs_no_flag(case: Case, folder: Path) -> None:
    call(*run(case, folder))
    before = files_under(folder / "made")
    call(*run(case, folder))
    assert files_under(folder / "made") == before


@pytest.mark.parametrize("case", ONE_EACH.values(), ids=ONE_EACH)
@pytest.mark.parametrize("by_link", [False, True], ids=["", "by a link"])
def test_nothing_is_written_into_a_raw_root(case: Case, folder: Path, by_link: bool) -> None:
    """The target lies in a remembered root; for `build` and `replay` in the root of the database that they read."""
    raw = folder / "made"
    if by_link:
        raw = folder / "the database itself"
        raw.mkdir()
        (folder / "made").symlink_to(raw)
    root: tuple[str, ...] = ()
    if case.command in ("build", "replay"):
        shutil.copytree(DEMO_ROOT, raw, dirs_exist_ok=True)
        root = ("--root", str(raw))
    else:
        raw.mkdir(exist_ok=True)
        call("databases", "set", "kdef", raw)
    before = everything(folder)
    told = error(*run(case, folder, *root))
    assert f"lies in the raw database {raw}" in told and "which is never written to; type " in told
    assert everything(folder) == before


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_picture_is_never_written_over_a_table(folder: Path, overwrite: tuple[str, ...]) -> None:
    manifest = folder / f"built/manifests/{NAME}.csv"
    before = manifest.read_bytes()
    for command in ("stats", "preview"):
        call(command, manifest, "-o", manifest, *overwrite, code=2)
    assert manifest.read_bytes() == before


def test_an_image_of_the_build_is_no_place_for_a_sheet(folder: Path) -> None:
    manifest = open_manifest(folder / f"built/manifests/{NAME}.csv")
    image = manifest.file(next(manifest.rows()).occluded)
    assert f"{image} already exists" in error("preview", manifest.path, "-o", image)
    call("preview", manifest.path, "-o", folder / "sheet.png")
    assert "made by `occsynth stats`" in error("stats", manifest.path, "-o", folder / "sheet.png")
