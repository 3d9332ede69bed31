"""What the fuzzers share: hostile values, changed JSON and bytes, and what must come of reading them.

`FUZZ_EXAMPLES=20000 python -m pytest -k fuzz` tries that many files per reader, other ones in each run.
"""

import copy
import json
import os
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

Value = TypeVar("Value")

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
LONGEST_MESSAGE = 10_000


def fuzzed(share: float = 1.0) -> settings:
    """How many files are tried: in the suite always the same few, and as many others as the environment asks for."""
    return settings(
        max_examples=max(10, int(EXAMPLES * share)),
        derandomize="FUZZ_EXAMPLES" not in os.environ,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


def read_or_refused(read: Callable[[], Value], errors: type[Exception] | tuple[type[Exception], ...]) -> Value | None:
    """What a reader returns, or None if it raises one of the package's own errors, with a message of one short line."""
    try:
        return read()
    except errors as error:
        message = str(error)
        assert message.isprintable() and 0 < len(message) < LONGEST_MESSAGE, repr(message)[:500]
        return None


NASTY_TEXTS = [
    "", " ", ".", "..", "/", "//", "~", "~root/x.csv", "../../../etc/passwd", "/dev/zero", "/proc/self/mem", "a\0b",
    "\n", "=cmd()", "http://example.org/x", "file:///etc/passwd", "C:\\x", "x" * 300, "/" + "y" * 5000, "x/" * 3000,
    "\u202ea", "\ud800", "\ufeff", "😀" * 70, "1e999", "NaN", "null", "9" * 5000, "-1", "0x10", "\u0661",
    "$\\frac{1}{0}$", "\x1b[2J",
]  # fmt: skip
NASTY_NUMBERS = [
    0, -1, 1, 2, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, -1e308, 5e-324, 1e400, -1e400,
    float("nan"),
]  # fmt: skip

leaves = (
    st.none()
    | st.booleans()
    | st.sampled_from(NASTY_NUMBERS)
    | st.sampled_from(NASTY_TEXTS)
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
)
json_values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def changed_values(draw: st.DrawFn, plain: Any) -> Any:
    """A JSON value after one to three changes somewhere inside it: replaced, removed, added, repeated or nested."""
    root = {"": copy.deepcopy(plain)}
    for _ in range(draw(st.integers(1, 3))):
        place: Any = root
        key: Any = ""
        while isinstance(place[key], dict | list) and place[key] and (place is root or draw(st.booleans())):
            place = place[key]
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        how = draw(st.sampled_from(["replace", "swap", "remove", "add", "repeat", "wrap", "unwrap"]))
        if how == "replace" or place is root:
            place[key] = draw(json_values)
        elif how == "swap":  # with a value from elsewhere in the same place, which may be of another type
            other = draw(st.sampled_from(list(place.values()) if isinstance(place, dict) else place))
            place[key] = copy.deepcopy(other)
        elif how == "remove":
            del place[key]
        elif how == "add" and isinstance(place, dict):
            place[draw(st.sampled_from(NASTY_TEXTS) | st.text(max_size=5))] = draw(json_values)
        elif how == "repeat" and isinstance(place, list):
            place.extend(place * draw(st.integers(1, 3)))
        elif how == "wrap":
            place[key] = draw(st.sampled_from([[place[key]], {"a": place[key]}]))
        elif isinstance(place[key], list | dict):
            inner = list(place[key].values() if isinstance(place[key], dict) else place[key])
            place[key] = inner[0] if inner else None
        if not isinstance(root[""], dict | list):
            break
    return root[""]


@st.composite
def changed_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes after one to four changes: cut, overwritten, removed, repeated, filled or inserted."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(changed)))
        length = draw(st.integers(0, 40) | st.integers(0, max(len(changed) - start, 0)))
        end = start + length
        how = draw(st.sampled_from(["cut", "overwrite", "remove", "repeat", "fill", "insert", "flip"]))
        if how == "cut":
            del changed[start:]
        elif how == "overwrite":
            changed[start:end] = draw(st.binary(max_size=40))
        elif how == "remove":
            del changed[start:end]
        elif how == "repeat":
            changed[start:start] = bytes(changed[start:end]) * draw(st.integers(1, 3))
        elif how == "fill":
            changed[start:end] = draw(st.sampled_from([b"\0", b"\xff", b'"', b"[", b",", b"9", b"\n", b"\r"])) * length
        elif how == "insert":
            text = draw(st.sampled_from(NASTY_TEXTS))
            changed[start:start] = text.encode("utf-8", "surrogatepass")
        elif start < len(changed):
            changed[start] ^= 1 << draw(st.integers(0, 7))
    return bytes(changed)


def changed_json(plain: Any) -> st.SearchStrategy[bytes]:
    """JSON text of changed values, or changed text of the same values; in UTF-8 as far as that is possible."""
    texts = changed_values(plain).map(lambda value: json.dumps(value).encode())
    raw = changed_values(plain).map(
        lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    )
    return texts | raw | changed_bytes(json.dumps(plain, indent=2).encode())
