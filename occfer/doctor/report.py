"""The report of a check of a GPU: gpu-check.json, and its lines as a table."""

import os
import platform
from dataclasses import dataclass, field
from pathlib import Path

import torch

from occfer.doctor.outcome import Checked, Figure, Status
from occfer.errors import OccFERError, ReportError
from occfer.files import read_json
from occfer.runs.environment import device_in_words
from occsynth.reading import record_of

OPTIONAL = ("onnx", "onnxruntime", "onnxruntime-gpu")
"""Packages that the checks use where they are there."""
COLUMNS = ("check", "status", "figures", "tolerance", "seconds", "what was done")


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU; `memory_mb` in 10^6 bytes."""

    name: str
    memory_mb: float
    compute_capability: str


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the checks ran.

    Attributes:
        device: in words.
        cards: every GPU that PyTorch can use.
        cores: of the CPU, that this process may use.
        system: of operation.
        cuda, cudnn: the versions that PyTorch was built for and has loaded; empty without.
    """

    device: str
    cards: tuple[Card, ...]
    cores: int
    system: str
    cuda: str = ""
    cudnn: str = ""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check in the report.

    Attributes:
        check, title: its key and title in `CHECKS`.
        status, detail, figures, tolerance: see `Outcome`.
        seconds: that it took, with the start of its process.
        log: the end of what a failed check has printed; empty otherwise.
    """

    check: str
    title: str
    status: Status
    detail: str
    figures: tuple[Figure, ...]
    tolerance: str
    seconds: float
    log: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The content of gpu-check.json.

    Attributes:
        made_by: the command, whose file it is.
        date: when the checks began, in UTC.
        command: as typed.
        checked: `cuda`, or `cpu`: then the CPU stood in for a card, and no figure says anything about one.
        machine, versions: where and with what they ran.
        seconds: that all of it took.
        checks: one for each that was asked for.
    """

    made_by: str
    date: str
    command: str
    checked: Checked
    machine: Machine
    seconds: float
    versions: dict[str, str] = field(default_factory=dict)
    checks: tuple[CheckResult, ...] = ()

    def of(self, status: Status) -> list[CheckResult]:
        """The checks of a status."""
        return [each for each in self.checks if each.status == status]


def read_report(path: Path) -> Report:
    """The report in a file; raises ReportError where there is none."""
    try:
        content = read_json(path)
    except OccFERError as error:
        raise ReportError(f"{error}; write it with `occfer doctor --gpu`") from error
    return record_of(Report, content, f"{path} is not a report of `occfer doctor --gpu`", ReportError)


def machine(device: Checked) -> Machine:
    """Facts about this machine; asking a card for them takes memory of it, so it is done in a process of its own."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found = [torch.cuda.get_device_properties(index) for index in range(count)]
    cards = tuple(Card(each.name, round(each.total_memory / 1e6), f"{each.major}.{each.minor}") for each in found)
    cudnn = torch.backends.cudnn.version() if count else None  # type: ignore[no-untyped-call]
    return Machine(
        device=device_in_words(device),
        cards=cards,
        cores=len(os.sched_getaffinity(0)),
        system=platform.platform(),
        cuda=torch.version.cuda or "",
        cudnn=str(cudnn or ""),
    )


def cells(result: CheckResult) -> list[str]:
    """A line of the table: check, status, figures, tolerance, seconds, detail."""
    figures = "; ".join(f"{each.name} {each.value:.4g} {each.unit}".rstrip() for each in result.figures)
    return [result.title, result.status, figures, result.tolerance, f"{result.seconds:.0f}", result.detail]
