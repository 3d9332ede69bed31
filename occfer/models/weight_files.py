"""Files of weights that others made: many endings and containers, and nothing in them is ever executed."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from occfer.errors import WeightsError
from occfer.models.weight_names import PICKLED, SAFE, is_weights_name

CONTAINERS = ("state_dict", "model_state_dict", "model", "net")
"""Under which names a checkpoint keeps its state dict beside an epoch, an optimizer and such; the first is taken."""

_DEEPEST = 3  # containers within containers
_SHOWN = 6  # number of names that a message lists; the rest it only counts
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


def file_state(path: Path) -> Mapping[str, Tensor]:
    """The tensors of the file of `--weights FILE`; nothing in it is executed.

    Args:
        path: of an existing file.

    Raises:
        WeightsError: the file is damaged, of another kind, or holds no state dict or more than tensors and numbers.
    """
    if not is_weights_name(path.name):
        raise WeightsError(
            f"--weights {path}: unknown ending '{path.suffix}'; give a file that ends in {', '.join((*SAFE, *PICKLED))}"
        )
    if path.name.lower().endswith(SAFE):
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"--weights {path} is not a readable safetensors file ({reason(error)}).") from error
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile or damaged file can make the reader raise anything; none of it is executed
        raise _refused(path, error) from error
    return _state_dict(loaded, path)


def _state_dict(loaded: object, path: Path) -> Mapping[str, Tensor]:
    for _ in range(_DEEPEST):
        inner = _container(loaded)
        if inner is None:
            break
        loaded = inner
    if not isinstance(loaded, Mapping) or not any(_is_weight(*each) for each in loaded.items()):
        held = f"; it holds {some(list(loaded))}" if isinstance(loaded, Mapping) and loaded else ""
        raise WeightsError(
            f"--weights {path} does not hold a state dict, which maps names to tensors, nor one under "
            f"{', '.join(CONTAINERS)}{held}"
        )
    more = [f"{key} ({type(each).__name__})" for key, each in loaded.items() if not _is_weight(key, each)]
    if more:
        raise WeightsError(
            f"--weights {path} holds {some(more)} beside its weights; keep the tensors alone: {conversion(path)}"
        )
    return loaded


def _container(loaded: object) -> Mapping[object, object] | None:
    if not isinstance(loaded, Mapping):
        return None
    return next((loaded[name] for name in CONTAINERS if isinstance(loaded.get(name), Mapping)), None)


def _is_weight(key: object, value: object) -> bool:
    return isinstance(key, str) and isinstance(value, Tensor)


def _refused(path: Path, error: Exception) -> WeightsError:
    objects = _foreign_objects(path, error)
    if not objects:
        return WeightsError(
            f"--weights {path} was refused: it is damaged or holds more than tensors, which is never executed "
            f"({reason(error)}). Save its state dict as .safetensors."
        )
    return WeightsError(
        f"--weights {path} was refused: it holds more than tensors and numbers, which is never executed: "
        f"{some(objects)}. If you trust whoever made it, convert it once: {conversion(path)}"
    )


def _foreign_objects(path: Path, error: Exception) -> list[str]:
    """The classes and functions that a pickle asks for beside tensors, by name; empty if it does not come so far."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    except Exception:  # of an older format: the error names the first one
        return _GLOBAL.findall(str(error))


def conversion(path: Path) -> str:
    """The line for a shell that makes a safetensors file of a pickled one; running it executes what the file holds."""
    target = path.with_name(path.name.partition(".")[0] + SAFE[0])
    source, made, names = (json.dumps(each) for each in (str(path), str(target), CONTAINERS))
    code = (
        "import torch; from safetensors.torch import save_file; "
        f'd = torch.load({source}, "cpu", weights_only=False); '
        f"d = next((d[k] for k in {names} if isinstance(d, dict) and k in d), d); "
        'd = d.state_dict() if hasattr(d, "state_dict") else d; '
        "save_file({k: v.contiguous().clone() for k, v in d.items() if isinstance(v, torch.Tensor)}, "
        f"{made})"
    )
    return f"python -c {shlex.quote(code)}"


def some(names: Sequence[object]) -> str:
    """The first names of a list, and how many more there are."""
    shown = ", ".join(str(each)[:80] for each in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def reason(error: Exception) -> str:
    """An error's first sentence: the next ones of torch's tell how to load a file that is not trusted anyway."""
    lines = str(error).strip().splitlines()
    return lines[0].partition(". ")[0] if lines else type(error).__name__
