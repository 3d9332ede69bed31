"""Build hook: wheels carry templates and suites as package data; a checkout reads `templates/` and `manifests/`."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACK = ("index.csv", "wear.csv", "README.md", "food", "hand", "drink", "wear")


class PackageDataHook(BuildHookInterface):
    """Adds both to a wheel, but not to an editable install, which would leave copies that nothing reads."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling; `version` is `standard` or `editable`."""
        if version == "standard":
            build_data["force_include"].update(
                {f"templates/{name}": f"occsynth/assets/templates/{name}" for name in PACK}
                | {"manifests/suites": "occsynth/assets/suites"}
            )
