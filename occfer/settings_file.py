"""Files of settings, `--config` and `--save-config`: JSON, TOML or YAML, as the ending of the name says."""

import json
import re
import warnings
from pathlib import Path
from typing import Any, get_args, get_type_hints

from occfer.config import TrainConfig
from occfer.errors import ConfigError
from occfer.files import write_json, write_text
from occfer.setting import PANELS, setting_of
from occsynth.reading import (
    DEEPEST_JSON,
    LARGEST_TOML_BYTES,
    one_line,
    parse_json,
    read_bytes,
    read_toml,
    refuse_other_types,
)

# A file of settings is for many runs: it does not say what a single one trains on, or where its files go.
NOT_IN_FILE = frozenset({"manifests", "test_manifests", "fold", "out", "resume"})
YAML = (".yaml", ".yml")
# TOML has no null: where a setting is a number or nothing, this says that it is nothing.
NOTHING = "none"
# What YAML or TOML does not take as it is, though JSON does.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")


def read_settings(path: Path, left_out: frozenset[str]) -> dict[str, Any]:
    """Some fields of a configuration as JSON values: TOML or YAML where the name ends so, else JSON.

    Args:
        path: of the file.
        left_out: fields that the command does not take.

    Raises:
        ConfigError: the file cannot be read, or names an unknown field or one that the command does not take.
    """
    try:
        content = _content(path)
    except ConfigError as error:
        raise ConfigError(f"--config {error}") from error
    if not isinstance(content, dict):
        kind, example = (
            ("a JSON object", '{"lambda_sim": 1.0}') if _form(path) == ".json" else ("settings", "epochs: 8")
        )
        raise ConfigError(f"--config {path} must hold {kind} such as {example}")
    wrong = sorted(name for name in content if name not in TrainConfig.__dataclass_fields__ or name in left_out)
    if wrong:
        raise ConfigError(f"--config {path}: this command has no setting {', '.join(wrong)}")
    return content


def read_yaml(path: Path) -> Any:
    """The content of a YAML 1.2 file, in the types of JSON; None if it holds nothing.

    Raises:
        ConfigError: naming the file: missing, larger than 64 KiB, not UTF-8, no YAML, too deep, with an
            alias, which can make a few lines fill the memory, with two values of one name, or with a value that JSON
            does not have, such as a date.
    """
    content = read_bytes(path, ConfigError, largest=LARGEST_TOML_BYTES)
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError, YAMLWarning
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

    try:
        with warnings.catch_warnings(action="error", category=YAMLWarning):
            text, depth = content.decode("utf-8-sig"), 0
            for event in YAML(typ="safe", pure=True).parse(text):
                depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
                if isinstance(event, AliasEvent):
                    raise ConfigError(
                        f"{path} has the alias *{event.anchor[:80]}; write the value out where it is needed"
                    )
                if depth > DEEPEST_JSON:
                    raise ConfigError(f"{path} is nested deeper than {DEEPEST_JSON} levels")
            found = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, YAMLWarning, ValueError) as reason:
        raise ConfigError(f"{path} is not readable YAML: {one_line(reason)}") from reason
    refuse_other_types(found, path, ConfigError)
    return found


def save_settings(path: Path, config: TrainConfig) -> None:
    """Writes the settings of a run, but for its manifests, fold and folder, in the form that the ending says.

    A file that names all of these settings, as this function writes it, is replaced.

    Raises:
        ConfigError: the name ends in none of .json, .toml, .yaml and .yml, or there is another file of that name, or
            the file cannot be written.
    """
    form = path.suffix.lower()
    if form not in (".json", ".toml", *YAML):
        raise ConfigError(f"--save-config {path}: the name must end in .json, .toml, .yaml or .yml")
    described = TrainConfig.__dataclass_fields__
    names = [name for name in described if name not in NOT_IN_FILE]
    names.sort(key=lambda name: PANELS.index(setting_of(described[name]).panel))
    every = config.to_json()
    values = {name: every[name] for name in names}
    if path.exists() and not _is_own(path, values):
        raise ConfigError(f"--save-config {path} already exists and holds something else. Give another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if form == ".json":
            write_json(path, values)
        else:
            write_text(path, _text(values, toml=form == ".toml"))
    except OSError as error:
        raise ConfigError(f"--save-config {path} cannot be written: {error.strerror or error}") from error


def _form(path: Path) -> str:
    form = path.suffix.lower()
    return form if form in (".toml", *YAML) else ".json"


def _content(path: Path) -> Any:
    form = _form(path)
    if form in YAML:
        return read_yaml(path)
    if form == ".json":
        return parse_json(read_bytes(path, ConfigError), str(path), ConfigError)
    found = read_toml(path, ConfigError)
    return {name: None if value == NOTHING and _may_be_no_number(name) else value for name, value in found.items()}


def _may_be_no_number(name: str) -> bool:
    kinds = get_args(get_type_hints(TrainConfig).get(name))
    return type(None) in kinds and bool({int, float} & set(kinds))


def _is_own(path: Path, values: dict[str, Any]) -> bool:
    """Whether a file holds every setting that has a value, as no other file does."""
    try:
        return read_settings(path, NOT_IN_FILE).keys() >= {name for name, value in values.items() if value is not None}
    except ConfigError:
        return False


def _text(values: dict[str, Any], *, toml: bool) -> str:
    """A line for each setting, in the panels of `occfer train --help`."""
    lines: list[str] = []
    panel = ""
    for name, value in values.items():
        described = TrainConfig.__dataclass_fields__[name]
        if toml and value is None and not (described.default is not None and _may_be_no_number(name)):
            continue  # its default
        if panel != (panel := setting_of(described).panel):
            lines += [*([""] if lines else []), f"# {panel}"]
        known = NOTHING if toml and value is None else value
        lines.append(f"{name} = {_scalar(known)}" if toml else f"{name}: {_scalar(known)}")
    return "\n".join(lines) + "\n"


def _scalar(value: Any) -> str:
    """A text, number, truth value or null, as JSON, TOML and YAML 1.2 all write it."""
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
