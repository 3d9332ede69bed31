"""Shared libraries of the operating system that the OpenCV and MediaPipe wheels load but do not contain.

Minimal systems lack them. This file needs nothing but Python itself, so that the set-up can run it before anything is
installed: `python3 occsynth/system_libraries.py [--install]`.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from occsynth.errors import SystemLibraryError

# Debian package by soname. OpenCV loads the first four (through the Qt in its wheel), MediaPipe the others.
LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libxcb.so.1": "libxcb1",
    "libEGL.so.1": "libegl1",
    "libGLESv2.so.2": "libgles2",
}
_LOADER_MESSAGE = re.compile(r"(lib\S+?\.so[.\d]*): cannot open shared object file")


def missing_libraries() -> list[str]:
    """The sonames of `LIBRARIES` that the dynamic loader cannot load; empty on systems other than Linux."""
    if not sys.platform.startswith("linux"):
        return []
    return [soname for soname in LIBRARIES if not _loads(soname)]


def _loads(soname: str) -> bool:
    try:
        ctypes.CDLL(soname)
    except OSError:
        return False
    return True


def debian_packages(sonames: Iterable[str] = LIBRARIES) -> list[str]:
    """The Debian packages that hold these libraries, each once; unknown sonames are ignored."""
    return list(dict.fromkeys(LIBRARIES[soname] for soname in sonames if soname in LIBRARIES))


def advice(sonames: Iterable[str]) -> str:
    """What is missing and the command that installs it, in one line."""
    names = list(sonames)
    packages = debian_packages(names)
    text = f"missing system libraries: {', '.join(names)}. "
    if not packages:
        return text + "Install the packages of your system that hold them."
    sudo = "" if os.geteuid() == 0 else "sudo "
    return text + f"On Debian or Ubuntu type: {sudo}apt-get install -y {' '.join(packages)}"


def explain(error: BaseException) -> SystemLibraryError | None:
    """The clear error for an ImportError or OSError that a missing library caused, or None for any other.

    It names every missing library of `LIBRARIES`, not only the first one that the loader met.
    """
    found = _LOADER_MESSAGE.search(str(error))
    if found is None or not isinstance(error, (ImportError, OSError)):
        return None
    from occsynth.errors import SystemLibraryError

    return SystemLibraryError(advice(dict.fromkeys([*missing_libraries(), found.group(1)])))


def may_install() -> bool:
    """Whether this process may install Debian packages: root, with apt-get."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(sonames: Iterable[str]) -> None:
    """Installs the Debian packages of these libraries; raises subprocess.CalledProcessError if apt-get fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", *debian_packages(sonames)]):
        # only stdout is dropped: the errors of apt-get stay visible
        subprocess.run(["apt-get", "-q", *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)


def main(arguments: list[str]) -> int:
    """Prints what is missing; `--install` also installs it where it may.

    Returns:
        The exit code: 0 if nothing is missing in the end.
    """
    missing = missing_libraries()
    if missing and arguments == ["--install"] and may_install():
        packages = " ".join(debian_packages(missing))
        sys.stdout.write(f"installing the system libraries that OpenCV and MediaPipe load: {packages}\n")
        sys.stdout.flush()
        try:
            install(missing)
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"{error}\n")
        missing = missing_libraries()
    if missing:
        sys.stderr.write(advice(missing) + "\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
