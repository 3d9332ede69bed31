"""An extension of Griffe, which reads the docstrings for docs/api.md: `a, b: text` documents both `a` and `b`.

Docstrings here describe parameters that belong together on one line. Griffe would take such a line for one parameter
with an odd name.
"""

import re
from typing import Any

import griffe

_ITEM = re.compile(r"^    ((?:\w+, )+\w+)(:.*(?:\n {8}.*)*)$", re.MULTILINE)


class GroupedNames(griffe.Extension):
    """Repeats such a line, once for each name."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called by Griffe for each module, class, function and attribute that it has read."""
        del kwargs
        if obj.docstring is not None:
            obj.docstring.value = _ITEM.sub(_one_line_per_name, obj.docstring.value)


def _one_line_per_name(item: re.Match[str]) -> str:
    return "\n".join(f"    {name}{item[2]}" for name in item[1].split(", "))
