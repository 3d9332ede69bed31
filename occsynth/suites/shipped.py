"""The suites that ship with occsynth, by name."""

from pathlib import Path

from occsynth.errors import SuiteError
from occsynth.suites.suite import FILE


def shipped_suites_folder() -> Path:
    """The folder of suites that ship with occsynth: in the installed package, or in a checkout."""
    installed = Path(__file__).parents[1] / "assets" / "suites"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "manifests" / "suites"


def shipped_suites() -> list[str]:
    """Their names, sorted; those without manifests are recipes, which `occsynth suite make` takes."""
    return sorted(path.parent.name for path in shipped_suites_folder().glob(f"*/{FILE}"))


def find_suite(name: str) -> Path:
    """The folder of a suite: of one that ships if that is the name, else the folder that the name leads to.

    Raises:
        SuiteError: there is neither.
    """
    shipped = shipped_suites()
    if name in shipped:
        return shipped_suites_folder() / name
    folder = Path(name)
    if not (folder / FILE).is_file():
        raise SuiteError(
            f"no suite '{name}': {folder / FILE} not found, and the suites that ship are {', '.join(shipped) or 'none'}"
        )
    return folder
