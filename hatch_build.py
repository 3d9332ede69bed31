"""Build hook: the wheel carries the template pack as package data; a checkout reads it from `templates/`."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACK = ("index.csv", "wear.csv", "README.md", "food", "hand", "drink", "wear")


class TemplatePackHook(BuildHookInterface):
    """Adds the pack to a wheel, but not to an editable install, which would leave a copy that nothing reads."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling; `version` is `standard` or `editable`."""
        if version == "standard":
            build_data["force_include"].update(
                {f"templates/{name}": f"occsynth/assets/templates/{name}" for name in PACK}
            )
