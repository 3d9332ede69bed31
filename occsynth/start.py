"""How both programs begin and end: signals, standard streams, and what becomes of an error that no command expected.

This module loads only Python itself, so that it guards all other imports. It holds from the first line of `start` on;
before that, Python's own start and the script that pip has made behave as Python does.
"""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself would take longer to load than everything here
    from types import FrameType
    from typing import Any, NoReturn

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}
"""The signals that end a program, and what it then says; its exit code is 128 and the signal's number."""
REPEAT_S = 1.0
"""Within this time a second signal is the same one, passed on by a launcher; a later one is impatience."""
PATIENCE_S = 5.0
"""How long an interrupted program waits at its end for its threads and processes."""

_OUTPUT, _ERRORS = 1, 2


class Signals:
    """What a signal does: inside `with SIGNALS:` it unwinds the command; outside, and during imports, the process ends.

    A command is unwound by KeyboardInterrupt, whichever the signal, so that its processes end and locks are given back.
    Libraries may swallow that error or turn it into one of their own; `caught` then still says why the command ended.

    Attributes:
        caught: the signal that has arrived; None before.
    """

    def __init__(self) -> None:
        self.caught: int | None = None
        self._since_s = 0.0
        self._unwinds = False

    def __enter__(self) -> None:
        """From now on, a signal unwinds the command."""
        self.caught, self._unwinds = None, True

    def __exit__(self, *_: object) -> None:
        """From now on, a signal ends the process at once."""
        self._unwinds = False

    def install(self) -> None:
        """From now on this object handles the signals that were not ignored, such as SIGHUP under nohup."""
        # torchrun and srun stop their processes themselves, and one that waits for others could not be unwound
        launched = {"RANK", "SLURM_PROCID"} & set(os.environ)
        for number in [signal.SIGINT] if launched else WORDS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._arrived)
                # a process that is forked ends like any other
                os.register_at_fork(after_in_child=lambda number=number: signal.signal(number, signal.SIG_DFL))
        import threading

        # the threads of worker pools would print tracebacks when their processes are stopped
        usual = threading.excepthook
        threading.excepthook = lambda details: None if self.caught else usual(details)
        usual_unraisable = sys.unraisablehook
        sys.unraisablehook = lambda error: self._swallowed(error) if self.caught else usual_unraisable(error)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        import time

        again = self.caught is not None
        impatient = again and time.monotonic() - self._since_s > REPEAT_S
        # C++ code that is being loaded may abort at an error that it does not expect
        if not self._unwinds or impatient or _is_importing(frame):
            _write(f"{WORDS[signal.Signals(number)]}\n")
            os._exit(128 + number)
        if not again:
            self.caught, self._since_s = number, time.monotonic()
            raise KeyboardInterrupt

    def _swallowed(self, error: Any) -> None:
        """Python only reports an error in a destructor or callback and goes on, so the signal is sent once more."""
        if self._unwinds and isinstance(error.exc_value, KeyboardInterrupt):
            import threading

            number, self.caught = self.caught or signal.SIGINT, None
            main = threading.main_thread().ident
            threading.Timer(0.01, signal.pthread_kill, [main, number]).start()


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


SIGNALS = Signals()
"""The handler of this process."""


def start(program: str) -> NoReturn:
    """Runs `occsynth` or `occfer` on the arguments of this process, and ends the process with the exit code."""
    SIGNALS.install()
    code: int | str | None
    try:
        _open_streams()
        # by name: this import belongs under the guard, and what it loads imports this module
        module: Any = importlib.import_module(f"{program}.cli.app")
        module.app(sys.argv[1:], prog_name=program)
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException as error:  # the last resort, which keeps the traceback
        code = _fault(program, error)
    if not _flushed():
        code = code or 1
    if SIGNALS.caught:
        _end_others(code)
    sys.exit(code)


def _end_others(code: Any) -> None:
    """Keeps Python from waiting for processes and threads that the signal has not reached, or found half started."""
    import threading

    if "multiprocessing" in sys.modules:
        import multiprocessing

        for child in multiprocessing.active_children():
            child.terminate()
    last = threading.Timer(PATIENCE_S, os._exit, [code])
    last.daemon = True
    last.start()


class Messages(io.TextIOWrapper):
    """A stderr that never fails: a message that nobody can read ends no work."""

    def write(self, text: str) -> int:
        """Writes what can be written, and the rest to nowhere."""
        try:
            return super().write(text)
        except OSError:
            give_up(self)
            return len(text)

    def flush(self) -> None:
        """Writes what is still to be written, as far as it can be."""
        try:
            super().flush()
        except OSError:
            give_up(self)


def _open_streams() -> None:
    """Standard streams that are open and can write any character, as escapes where their encoding lacks it.

    Raises:
        SystemExit: stdout is closed.
    """
    closed = [number for number in range(3) if not _is_open(number)]
    for _ in closed:  # else the next file that is opened would take its place, and get what libraries print
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stderr is sys.__stderr__:
        usual = getattr(sys.stderr, "encoding", "utf-8")
        # on a number of its own, so that silencing C++ libraries, which write to 2, does not silence it
        own = os.fdopen(os.dup(_ERRORS), "wb")
        sys.stderr = Messages(own, encoding=usual, errors="backslashreplace", line_buffering=True)
    if sys.stdout is None or _OUTPUT in closed:
        sys.stderr.write("error: stdout is closed; send what is printed to a file, or to /dev/null\n")
        sys.stdout = open(_OUTPUT, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        raise SystemExit(1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def give_up(stream: Any) -> None:
    """Sends what is still to be written to /dev/null, after a write has failed; else Python fails again at its end."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):  # a stream of a test, without a file
        return


def _flushed() -> bool:
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        give_up(sys.stdout)
        return False
    return True


def _fault(program: str, error: BaseException) -> int:
    """Prints an error that nobody expected: the traceback as letters, then one line that says what it is."""
    if isinstance(error, KeyboardInterrupt):
        _write(f"{WORDS[signal.SIGINT]}\n")
        return 128 + signal.SIGINT
    import traceback

    from occsynth.escapes import for_terminal, printable
    from occsynth.memory import ran_out

    kind = type(error).__name__
    if what := ran_out(error):
        _write(f"error: {program} cannot start, because {what} ran out ({for_terminal(str(error)) or kind})\n")
        return 1

    lines = "".join(traceback.format_exception(error)).splitlines()
    _write("".join(f"{printable(line)}\n" for line in lines))
    said = for_terminal(f"{kind}: {error}")
    _write(f"error: a fault of {program} itself ({said}); please report it with the lines above\n")
    return 1


def _write(text: str) -> None:
    """Writes to stderr past all buffers, as a signal handler must; what cannot be written is lost."""
    try:
        os.write(sys.stderr.fileno(), text.encode("ascii", "backslashreplace"))
    except (OSError, ValueError, AttributeError):  # closed, or a stream of a test without a file
        return
