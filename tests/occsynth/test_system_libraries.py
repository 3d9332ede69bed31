"""Missing system libraries are found before an import fails, and named in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from occsynth import system_libraries
from occsynth.errors import SystemLibraryError

FILE = Path(system_libraries.__file__)
ALL = "libgl1 libglib2.0-0 libxcb1 libegl1 libgles2"


def pretend(monkeypatch: pytest.MonkeyPatch, *absent: str, root: bool = False) -> None:
    monkeypatch.setattr(system_libraries, "_loads", lambda soname: soname not in absent)
    monkeypatch.setattr("os.geteuid", lambda: 0 if root else 1000)


def test_packages_are_named_once() -> None:
    assert " ".join(system_libraries.debian_packages()) == ALL


def test_a_soname_that_is_nowhere_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_libraries, "LIBRARIES", {"libno-such-thing.so.9": "libnone", "libc.so.6": "libc6"})
    assert system_libraries.missing_libraries() == ["libno-such-thing.so.9"]


def test_other_systems_have_their_own_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, *system_libraries.LIBRARIES)
    monkeypatch.setattr("sys.platform", "darwin")
    assert system_libraries.missing_libraries() == []


def test_the_file_runs_alone() -> None:
    done = subprocess.run([sys.executable, "-I", "-S", FILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_import_that_failed_for_a_library_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "libGL.so.1", "libEGL.so.1")
    failed = ImportError("libGL.so.1: cannot open shared object file: No such file or directory")
    error = system_libraries.explain(failed)
    assert isinstance(error, SystemLibraryError)
    assert str(error) == (
        "missing system libraries: libGL.so.1, libEGL.so.1. "
        "On Debian or Ubuntu type: sudo apt-get install -y libgl1 libegl1"
    )


def test_mediapipe_fails_with_oserror(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "libEGL.so.1", root=True)
    error = system_libraries.explain(OSError("libEGL.so.1: cannot open shared object file: No such file or directory"))
    assert str(error).endswith("type: apt-get install -y libegl1")


def test_a_library_of_no_known_package_is_named() -> None:
    error = system_libraries.explain(ImportError("libodd-1.2.so.3: cannot open shared object file: No such file"))
    assert str(error).startswith("missing system libraries: libodd-1.2.so.3. Install the packages")


@pytest.mark.parametrize("error", [ImportError("No module named 'cv2'"), OSError(28, "No space left"), KeyError("x")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    assert system_libraries.explain(error) is None


def test_without_root_the_line_to_type_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, *system_libraries.LIBRARIES)
    assert system_libraries.main(["--install"]) == 1
    assert capsys.readouterr().err.endswith(f"type: sudo apt-get install -y {ALL}\n")


def test_root_on_debian_installs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    absent = {"libGL.so.1", "libxcb.so.1"}
    calls: list[list[str]] = []

    def run(command: list[str], **options: object) -> None:
        calls.append(command)
        if "install" in command:
            absent.clear()

    pretend(monkeypatch, root=True)
    monkeypatch.setattr(system_libraries, "_loads", lambda soname: soname not in absent)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("subprocess.run", run)
    assert system_libraries.main(["--install"]) == 0
    assert [command[2] for command in calls] == ["update", "install"]
    assert calls[1][-2:] == ["libgl1", "libxcb1"]
    assert "libgl1 libxcb1" in capsys.readouterr().out


def test_a_failed_installation_ends_with_the_line_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(command: list[str], **options: object) -> None:
        raise subprocess.CalledProcessError(100, command)

    pretend(monkeypatch, "libGL.so.1", root=True)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("subprocess.run", run)
    assert system_libraries.main(["--install"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "exit status 100" in lines[0]
    assert lines[1].endswith("type: apt-get install -y libgl1")
