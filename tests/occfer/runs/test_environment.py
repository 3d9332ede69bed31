"""environment.json: the versions of what computes, of extras too where they are installed."""

from importlib.metadata import distributions

from occfer.runs.environment import EXTRAS, LIBRARIES, versions


def test_the_versions_of_installed_extras_are_named() -> None:
    installed = {str(each.metadata["Name"]).lower(): each.version for each in distributions()}
    found = versions()
    assert found.keys() == {"python", *LIBRARIES, *(name for name in EXTRAS if name in installed)}
    assert "timm" in EXTRAS and found.get("timm") == installed.get("timm")
