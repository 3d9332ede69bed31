"""Starting further Python processes so that they are safe from the folder in which the user works. Loads nothing heavy.

Pools and launchers start processes as `python -m` or `python -c`, and Python then looks for modules in the current
folder first: a user's `random.py` or `json.py` there would be run in place of Python's own.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

SAFE_PATH = {"PYTHONSAFEPATH": "1"}
"""What the environment of a Python process says for it to leave the current folder out of its path."""


@contextmanager
def safe_module_paths() -> Iterator[None]:
    """While the block runs, processes that start do not look for modules in the current folder.

    Where the starting process finds its modules is not changed, and pools hand that on: functions of a user's own
    script are still found.
    """
    former = {name: os.environ.get(name) for name in SAFE_PATH}
    os.environ.update(SAFE_PATH)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
