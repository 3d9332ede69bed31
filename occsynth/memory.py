"""Whether memory ran out: Python, the loader, OpenCV, PyTorch and C++ libraries each report it in their own way."""

import errno

LEAST_FREE_MB = 1100
"""What must be free to begin with: with less, OpenBLAS, OpenCV or MediaPipe end the process without an error."""

_SIGNS = (
    "cannot allocate memory",
    "can't allocate memory",
    "out of memory",
    "insufficient memory",
    "failed to map segment",
    "std::bad_alloc",
    "can't start new thread",
)
_SHARED = "/dev/shm"  # noqa: S108 - nothing is written there


def ran_out(error: BaseException) -> str:
    """What ran out, if that made the error or one of its causes: such as `memory`; else empty."""
    cause: BaseException | None = error
    while cause is not None:
        if what := _reported(cause):
            return what
        cause = cause.__cause__
    return ""


def _reported(error: BaseException) -> str:
    text = str(error)[:10_000].lower()
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, (OSError, ImportError)):
        return _reported_by_system(error, text)
    if not isinstance(error, RuntimeError) and type(error).__module__ != "cv2":
        return ""
    if "shared memory" in text or _SHARED in text:
        return f"shared memory ({_SHARED})"
    if not any(sign in text for sign in _SIGNS):
        return ""
    return "memory of the device" if "cuda" in text else "memory"


def _reported_by_system(error: OSError | ImportError, text: str) -> str:
    """By its number where there is one: a name in the text may hold any words."""
    number = getattr(error, "errno", None)
    if number == errno.ENOSPC and str(getattr(error, "filename", "")).startswith(_SHARED):
        return f"shared memory ({_SHARED})"
    mapped = "failed to map segment" in text or "cannot allocate memory" in text
    return "memory" if number == errno.ENOMEM or mapped else ""


def need_least() -> None:
    """Raises MemoryError if a limit on this process (`ulimit -v`) leaves less than `LEAST_FREE_MB`."""
    import mmap
    import resource

    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        return
    try:
        mmap.mmap(-1, LEAST_FREE_MB << 20).close()
    except OSError as error:
        raise MemoryError(f"less than {LEAST_FREE_MB} MB are free") from error
