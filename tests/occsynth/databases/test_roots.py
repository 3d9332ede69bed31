"""Remembered roots."""

from pathlib import Path

import pytest

from occsynth.databases import DATABASES
from occsynth.databases import roots as roots_module
from occsynth.databases.roots import remember, remembered, remembered_roots, root_of, settings_path
from occsynth.errors import DatabaseLayoutError


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots_module, "settings_path", lambda: tmp_path / "settings/roots.json")


def test_settings_are_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert settings_path().parts[-2:] == ("occsynth", "roots.json")


def test_a_root_is_remembered_as_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert remembered("ck+") is None
    (tmp_path / "raw").mkdir()
    monkeypatch.chdir(tmp_path)
    assert remember("ck+", Path("raw")) == tmp_path / "raw"
    remember("jaffe", tmp_path)
    assert remembered_roots() == {"ck+": tmp_path / "raw", "jaffe": tmp_path}
    assert remembered("ck+") == tmp_path / "raw"
    assert [path.name for path in (tmp_path / "settings").iterdir()] == ["roots.json"]


def test_what_is_no_folder_is_not_remembered(tmp_path: Path) -> None:
    with pytest.raises(DatabaseLayoutError, match=r"ck\+: .*gone is not a folder; give the one that holds"):
        remember("ck+", tmp_path / "gone")


@pytest.mark.parametrize("content", ["{", "[]", '{"ck+": 3}', "\xff"])
def test_a_malformed_file_says_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings/roots.json").write_text(content, encoding="latin-1")
    with pytest.raises(DatabaseLayoutError, match="Delete it and set the roots again"):
        remembered("ck+")


def test_settings_that_cannot_be_written_are_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "settings").touch()
    with pytest.raises(DatabaseLayoutError, match=r"roots\.json"):
        remember("ck+", tmp_path)


def test_the_given_root_wins_then_the_embedded_then_the_remembered(tmp_path: Path) -> None:
    assert root_of(DATABASES["ck+"], Path("x")) == Path("x")
    assert root_of(DATABASES["demo"], None).name == "demo_faces"
    with pytest.raises(DatabaseLayoutError, match=r"no --root was given.*`occsynth databases set ck\+ DIR` remembers"):
        root_of(DATABASES["ck+"], None)
    remember("ck+", tmp_path)
    assert root_of(DATABASES["ck+"], None) == tmp_path
