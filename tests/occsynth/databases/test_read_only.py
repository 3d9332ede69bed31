"""A raw database is never written into, by whatever path the output is named."""

from pathlib import Path

import pytest

from occsynth.databases.read_only import refuse_overlap, refuse_raw_root, refuse_remembered_roots
from occsynth.databases.roots import remember
from occsynth.errors import BuildError
from occsynth.files import lies_in

WRITTEN = ("manifests", "cache/landmarks", ".work", "data/kdef-r16", "data/kdef-144px")


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "disk/kdef/AF01").mkdir(parents=True)
    return tmp_path / "disk/kdef"


@pytest.mark.parametrize("out", ["", "builds", "AF01", "new/er/builds", "AF01/../builds", "../kdef/builds"])
def test_inside_is_refused_with_the_line_to_type_instead(raw: Path, out: str) -> None:
    with pytest.raises(BuildError, match=r"lies in the raw database .*, which is never written to") as no:
        refuse_raw_root(raw / out, raw)
    name = {"": "builds", "AF01": "AF01"}.get(out, "builds")
    assert str(no.value).endswith(f"type --out {raw.parents[1] / 'home' / name}")


def test_the_default_is_refused_when_typed_in_the_root(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(raw)
    with pytest.raises(BuildError, match=r"^--out builds lies in the raw database \., which .*; type --out /"):
        refuse_raw_root(Path("builds"), Path())


def test_links_lead_to_the_same_folder(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(raw)
    for out, root in ((tmp_path / "link/builds", raw), (raw / "builds", tmp_path / "link"), (tmp_path / "link", raw)):
        with pytest.raises(BuildError, match="never written to"):
            refuse_raw_root(out, root)


@pytest.mark.parametrize("out", ["../builds", "../kdef-builds", "../kdef2", "/nowhere/builds"])
def test_beside_is_fine(raw: Path, out: str) -> None:
    refuse_raw_root(raw / out, raw)
    refuse_overlap(raw / out, WRITTEN, raw)


def test_a_home_that_is_the_raw_root_is_no_advice(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(raw))
    with pytest.raises(BuildError, match=f"type -o {raw.parent}/x.png"):
        refuse_raw_root(raw / "x.png", raw, "-o")


@pytest.mark.parametrize(
    ("root", "refused"),
    [
        ("raw", False),
        ("raw/kdef", False),
        ("data/kdef", False),
        ("data", True),
        ("data/kdef-r16", True),
        ("data/kdef-r16/occluded", True),
        ("data/kdef-144px/clean/raw", True),
        ("cache", True),
        ("manifests/raw", True),
    ],
)
def test_a_raw_root_in_the_build_root_is_fine_where_nothing_is_written(
    tmp_path: Path, root: str, refused: bool
) -> None:
    (tmp_path / root).mkdir(parents=True)
    if not refused:
        refuse_overlap(tmp_path, WRITTEN, tmp_path / root)
        return
    with pytest.raises(BuildError, match=r"would be written to, but the raw database is .* type --out "):
        refuse_overlap(tmp_path, WRITTEN, tmp_path / root)


def test_every_remembered_root_is_kept_out_of(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    refuse_remembered_roots(raw / "sheet.png", "-o")
    (tmp_path / "gone").mkdir()
    for key, folder in (("ck+", tmp_path / "gone"), ("kdef", raw)):
        remember(key, folder)
    (tmp_path / "gone").rmdir()
    with pytest.raises(BuildError, match=f"-o {raw}/AF01/sheet.png lies in the raw database {raw}"):
        refuse_remembered_roots(raw / "AF01/sheet.png", "-o")
    refuse_remembered_roots(tmp_path / "sheet.png", "-o")


def test_a_build_keeps_out_of_the_remembered_roots_of_other_databases(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "jaffe").mkdir()
    remember("jaffe", tmp_path / "jaffe")
    with pytest.raises(BuildError, match=r"lies in the raw database .*jaffe, which is never written to"):
        refuse_overlap(tmp_path / "jaffe/builds", WRITTEN, raw)


def test_a_linked_cache_does_not_lead_into_the_raw_root(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "out/cache").mkdir(parents=True)
    (tmp_path / "out/cache/landmarks").symlink_to(raw / "AF01")
    with pytest.raises(BuildError, match="never written"):
        refuse_overlap(tmp_path / "out", WRITTEN, raw)


def test_lies_in(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    assert lies_in(tmp_path / "a/b/c/d", tmp_path / "a")
    assert lies_in(tmp_path / "a", tmp_path / "a")
    assert not lies_in(tmp_path / "a", tmp_path / "a/b")
    assert not lies_in(tmp_path / "a", tmp_path / "missing")
    assert not lies_in(tmp_path / "missing/x", tmp_path / "missing")
