"""Work for processes of their own, some of which it goes badly with; it loads nothing heavy."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def answers() -> int:
    return 42


def raises() -> int:
    print("said before")
    raise ValueError("two\nlines")


def dies() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def waits_with_a_child(note: Path) -> int:
    """Writes the number of a process that it has started, and never ends."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note.write_text(str(child.pid))
    time.sleep(600)
    return 0
