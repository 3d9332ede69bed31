"""How many processes run jobs, and what each of them may use."""

import torch
from joblib import cpu_count

from occfer.predictor import PointFinder
from occfer.protocols.worker import Workplace

MOST = 8


def how_many(workers: int | None, device: str) -> int:
    """Processes: those asked for, else one a GPU where GPUs are used, else one a core, but at most `MOST`.

    Each keeps a network, its gradients and the optimizer's state in memory.
    """
    if workers is not None:
        return workers
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.device_count()
    return min(cores(), MOST)


def cores() -> int:
    """Cores that this process may use."""
    return int(cpu_count())


def workplace(workers: int, *, on_cluster: bool, find_points: PointFinder | None = None) -> Workplace:
    """What each of some processes may use: its share of the cores, and a GPU of its own."""
    if on_cluster:
        return Workplace(shares_machine=True, find_points=find_points)
    threads = 0 if workers == 1 else max(1, cores() // workers)
    return Workplace(shares_machine=workers > 1, threads=threads, find_points=find_points)
