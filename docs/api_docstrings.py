"""An extension of Griffe, which reads docstrings for docs/api.md: it spells out what the code writes in short forms."""

import re
from dataclasses import MISSING, fields
from typing import Any

import griffe

from occfer.config import TrainConfig
from occfer.setting import setting_of

_GROUP = re.compile(r"^    ((?:\w+, )+\w+)(:.*(?:\n {8}.*)*)$", re.MULTILINE)
_EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)


class ApiDocstrings(griffe.Extension):
    """Changes docstrings as they are read.

    A line `a, b: text` describes parameters that belong together; Griffe would take it for one parameter with an odd
    name. Examples that begin with `>>>` would become nested quotations. The settings of `TrainConfig` are described by
    calls of `occfer.setting.setting` in its base classes, not in its docstring.
    """

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called by Griffe for each module, class, function and attribute that it has read."""
        del kwargs
        if obj.docstring is not None:
            text = _GROUP.sub(_one_line_per_name, obj.docstring.value)
            obj.docstring.value = _EXAMPLE.sub(lambda example: f"```pycon\n{example[0]}\n```", text)

    def on_class_members(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """Called by Griffe once it has read the members of a class; earlier than it makes `__init__` of a dataclass."""
        del kwargs
        if cls.path in map(_path, TrainConfig.__bases__):
            _show_defaults(cls)
        if cls.path == _path(TrainConfig) and cls.docstring is not None:
            texts = (f"    {each.name}: {setting_of(each).help}" for each in fields(TrainConfig))
            cls.docstring.value += "\n\nAttributes:\n" + "\n".join(texts)


def _one_line_per_name(group: re.Match[str]) -> str:
    return "\n".join(f"    {name}{group[2]}" for name in group[1].split(", "))


def _path(described: type) -> str:
    return f"{described.__module__}.{described.__qualname__}"


def _show_defaults(cls: griffe.Class) -> None:
    """The default of each setting becomes that of the attribute, in place of the call that describes it."""
    for each in fields(TrainConfig):
        attribute = cls.members.get(each.name)
        if isinstance(attribute, griffe.Attribute):
            attribute.value = None if each.default is MISSING else repr(each.default)
