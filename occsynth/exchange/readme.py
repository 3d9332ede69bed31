"""The README.md of an export: a head that tells `datasets` what to load, and below it what a person should know."""

import json
from collections.abc import Mapping
from typing import Any

from occsynth.escapes import for_markdown
from occsynth.exchange.arrow import Features
from occsynth.exchange.samples import Plan


def readme(plan: Plan, types: Features, data_files: Mapping[str, str], terms: str) -> str:
    """The text of the file.

    Args:
        plan: of the export.
        types: of the columns as `datasets` shows them.
        data_files: the pattern of the files of each part.
        terms: of the database.
    """
    info = plan.manifest.info
    files = [{"split": part, "path": pattern} for part, pattern in data_files.items()]
    head = {
        "configs": [{"config_name": "default", "data_files": files}],
        "dataset_info": {"config_name": "default", "features": [_in_yaml(*column) for column in types.items()]},
    }
    counts = [f"| {part} | {sum(plan.shards[part])} |" for part in plan.shards]
    lines = [
        "---",
        *(f"{name}: {json.dumps(value)}" for name, value in head.items()),  # JSON is YAML
        "---",
        "",
        f"# {for_markdown(info.name)}",
        "",
        f"Pairs of clean and occluded faces with masks, mode {for_markdown(info.mode)} of occsynth.",
        "",
        f"The images come from the database {for_markdown(info.database)} and stay under its terms: {terms}.",
        "`occsynth publish` shares the pairs without an image: they are made again from the recipient's own copy.",
        "",
        "| part | samples |",
        "| --- | --- |",
        *counts,
    ]
    return "\n".join(lines) + "\n"


def _in_yaml(name: str, kind: Mapping[str, Any]) -> dict[str, Any]:
    """A column as the head of a README describes it."""
    match kind.get("_type"):
        case "ClassLabel":
            names = {str(number): label for number, label in enumerate(kind["names"])}
            return {"name": name, "dtype": {"class_label": {"names": names}}}
        case "Image":
            return {"name": name, "dtype": "image"}
        case "Value":
            return {"name": name, "dtype": kind["dtype"]}
    return {"name": name, "struct": [_in_yaml(*column) for column in kind.items()]}
