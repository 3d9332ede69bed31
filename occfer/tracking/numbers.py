"""What the trackers of runs with names and numbers have in common."""

from lightning_fabric.loggers.logger import Logger

PROJECT = "occfer"


class NumbersLogger(Logger):
    """A Logger that knows the name of its run, and under which name or number the run is found again.

    Args:
        run_name: of the run, for people.
        run_id: of the run, for the tracker.
    """

    def __init__(self, run_name: str, run_id: str) -> None:
        self._run_name, self._run_id = run_name, run_id

    @property
    def name(self) -> str:
        """The run's name."""
        return self._run_name

    @property
    def version(self) -> str:
        """What `open` takes to go on with the run."""
        return self._run_id
