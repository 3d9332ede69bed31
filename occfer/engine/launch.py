"""Running the same work in every process of a run, with what the first process reports passed on to the caller."""

import multiprocessing
import pickle
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection

from lightning_fabric import Fabric
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from occfer import errors
from occfer.config import TrainConfig
from occfer.engine.engine import Engine, make_fabric
from occfer.errors import ConfigError, TrainingError
from occfer.events import OnStep
from occsynth.processes import safe_module_paths

# What every process runs; it is pickled if processes are started here.
Work = Callable[[Engine, OnStep], None]


def launch(config: TrainConfig, work: Work, on_step: OnStep) -> None:
    """Runs `work` in as many processes as the configuration says, or in this one of those that torchrun has started.

    Args:
        config: device, devices, num_nodes, precision.
        work: called once in each process.
        on_step: called in this process with what the first process reports, while that runs.

    Raises:
        ConfigError: the devices are not there.
        TrainingError: a process died.
    """
    fabric, starts_processes = make_fabric(config)
    if not starts_processes:
        fabric.launch()
        work(Engine(fabric, config.compile, config.channels_last), on_step)
        return
    try:
        pickle.dumps(work)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"--devices {config.devices} starts processes, and what they run cannot be pickled: {error}; pass a live "
            "occlusion that is an importable function or object"
        ) from error
    reader, writer = multiprocessing.get_context("spawn").Pipe(duplex=False)
    done = threading.Event()
    failed: list[Exception] = []
    relay = threading.Thread(target=_relay, args=(reader, done, on_step, failed), daemon=True)
    relay.start()
    try:
        with safe_module_paths():
            fabric.launch(partial(_child, work=work, steps=writer, config=config))
    except ProcessExitedException as error:
        raise TrainingError(
            f"one of the {config.devices} processes was killed ({error}); continue with --resume"
        ) from error
    except ProcessRaisedException as error:
        raise _original(error) from error
    finally:
        done.set()
        relay.join()
    if failed:
        raise failed[0]


def led_before(config: TrainConfig, work: Callable[[], None]) -> None:
    """Calls `work` once, in the first of the processes that run this; its OccFERError is raised in all of them.

    For what comes before several runs. torchrun and srun start all processes with the same command, so each is here;
    processes that `launch` starts are not there yet.
    """
    fabric, starts_processes = make_fabric(config)
    if starts_processes:
        work()
        return
    fabric.launch()
    Engine(fabric).led(work)


def _child(fabric: Fabric, work: Work, steps: Connection, config: TrainConfig) -> None:
    work(Engine(fabric, config.compile, config.channels_last), steps.send)


def _relay(reader: Connection, done: threading.Event, on_step: OnStep, failed: list[Exception]) -> None:
    """Passes on what the first process reports, until it is done and everything is read.

    It goes on reading after `on_step` has failed, because a full pipe would block the processes forever.
    """
    while reader.poll(0.1) or not done.is_set():
        if reader.poll():
            event = reader.recv()
            try:
                if not failed:
                    on_step(event)
            except Exception as error:  # the callback's own; `launch` raises it again at its end
                failed.append(error)


def _original(error: ProcessRaisedException) -> Exception:
    """The error that a process raised, made again from the last line of its traceback, which is all that comes back."""
    last = str(error).strip().splitlines()[-1]
    name, _, message = last.partition(": ")
    kind = getattr(errors, name.removeprefix("occfer.errors."), None)
    if isinstance(kind, type) and issubclass(kind, errors.OccFERError):
        return kind(message)
    return TrainingError(f"one of the processes failed: {last}")
