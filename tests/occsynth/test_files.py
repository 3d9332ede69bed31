"""Paths stay inside their root; files are written whole or not at all, with an error that says what to do."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occsynth.errors import BuildError, ManifestError
from occsynth.files import inside, write_atomic


def test_a_write_leaves_the_file_or_nothing(tmp_path: Path) -> None:
    write_atomic(tmp_path / "deep" / "a.bin", b"one")
    write_atomic(tmp_path / "deep" / "a.bin", b"two")
    assert (tmp_path / "deep" / "a.bin").read_bytes() == b"two"
    (tmp_path / "taken.bin").mkdir()
    with pytest.raises(BuildError, match=r"cannot write .*taken\.bin.*run the same command again"):
        write_atomic(tmp_path / "taken.bin", b"three")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["a.bin"]


@pytest.mark.parametrize(
    "relative",
    [
        "",
        "/etc/passwd",
        "..",
        "../x",
        "a/../../x",
        "a/..",
        "a\\..\\x",
        "\\\\server\\x",
        "C:/x",
        "a\0b",
        "//x",
        ".",
        "./",
    ],
)
def test_a_path_that_leaves_its_root_is_refused(tmp_path: Path, relative: str) -> None:
    with pytest.raises(ManifestError, match="leaves its root"):
        inside(tmp_path, relative)


hostile_parts = st.lists(st.sampled_from(["..", ".", "a", "", "/", "\\", "C:", "~", "a b", "\0", "é"]), max_size=6)


@given(hostile_parts.map("/".join) | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=30))
def test_whatever_passes_lies_under_the_root(relative: str) -> None:
    root = Path("/nowhere/builds")
    try:
        path = inside(root, relative)
    except ManifestError:
        return
    assert path.resolve().is_relative_to(root)
    assert path.resolve() != root


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    (root / "in").symlink_to(root)
    with pytest.raises(ManifestError, match=r"leaves its root .* through a link"):
        inside(root, "out/secret.png")
    assert inside(root, "in/a.png") == root / "in" / "a.png"
