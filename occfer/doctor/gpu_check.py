"""The check of a GPU: every check in a process of its own, and one JSON file with what they found.

A new check is a function of a `Bench` and a line in `CHECKS`.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import torch

from occfer.data.manifests import EXPRESSIONS
from occfer.doctor import export_check, speed_checks, training_checks
from occfer.doctor.installation import installed
from occfer.doctor.outcome import SIZES, Bench, Checked, Figure, Outcome, Sizes
from occfer.doctor.own_process import in_own_process
from occfer.doctor.report import OPTIONAL, CheckResult, Report, machine
from occfer.errors import ConfigError, ReportError, lookup
from occfer.files import write_json, write_text
from occfer.runs.environment import command_line, versions
from occsynth.escapes import for_terminal
from occsynth.ownership import MARK, refuse_foreign_file
from occsynth.processes import SAFE_PATH

MAKER = "occfer doctor"
FILE = Path("gpu-check.json")
SUBSET, SUBJECTS = "some", range(1, 13)
"""The list, and the people of the demo database on it: few, since the CPU must train on their faces too."""
BUILD_S = 240.0
TOTAL_S: dict[Checked, float] = {"cuda": 600.0, "cpu": 3600.0}
"""What all checks may take together: on a CPU, which only stands in for a card, they are not waited for."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `CHECKS`.

    Attributes:
        title: what it says of itself in the table.
        run: the check.
        limit_s: after so many seconds it is stopped; on a CPU, six times as many.
        needs_faces: whether it trains on the demo faces.
        not_on_cpu: why a CPU cannot stand in for the card; empty where it can.
    """

    title: str
    run: Callable[[Bench], Outcome]
    limit_s: float = 90.0
    needs_faces: bool = True
    not_on_cpu: str = ""


CHECKS: dict[str, Check] = {
    "like-cpu": Check("a run equals the CPU's", training_checks.like_the_cpu, 120),
    "bf16": Check("bf16 trains", training_checks.trains_in_bf16),
    "fp16": Check("fp16 trains", training_checks.trains_in_fp16, not_on_cpu="fp16, with its loss scale, needs a card"),
    "all-cards": Check("DDP over all cards", training_checks.on_all_cards, 150),
    "resume": Check("killed and resumed", training_checks.killed_and_resumed, 150),
    "live-occlusion": Check("live occlusions keep it fed", speed_checks.live_occlusion_feeds, 120),
    "bare-loop": Check("stage 2 of full against a bare loop", speed_checks.against_a_bare_loop, needs_faces=False),
    "table4": Check("Table 4 at batch 8", speed_checks.table4, needs_faces=False),
    "onnx": Check("export and ONNX Runtime", export_check.onnx_answers),
}
"""The checks in the order in which they are made."""


def check_gpu(
    device: Checked,
    out: Path,
    *,
    only: Sequence[str] = (),
    overwrite: bool = False,
    sizes: Sizes | None = None,
    on_result: Callable[[CheckResult], None] = lambda _result: None,
    on_start: Callable[[str], None] = lambda _title: None,
) -> Report:
    """Makes the checks and writes the report.

    Args:
        device: `cuda`, or `cpu` to run the same checks with the CPU in place of a card.
        out: the file of the report; an existing report is replaced.
        only: keys of `CHECKS`; none for all.
        overwrite: whether another file of that name may be replaced too.
        sizes: of networks and images; by default those for the device.
        on_result: called with each result.
        on_start: called with the title of each check that begins.

    Raises:
        ConfigError: there is no card, or the file cannot be written.
        UnknownNameError: there is no such check.
        ReportError: the file is there and is no report.
    """
    chosen = {name: lookup(CHECKS, name, kind="check") for name in only} or CHECKS
    refuse_foreign_file(out, MAKER, ReportError, overwrite=overwrite)
    date, began = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="occfer-doctor-") as name:
        folder = Path(name)
        found = in_own_process(partial(machine, device), folder / "machine.log", 120)
        if found.answer is None:
            raise ConfigError(f"PyTorch cannot say what devices there are: {found.fault}")
        if device == "cuda" and not found.answer.cards:
            raise ConfigError(
                f"no card to check: this machine has no CUDA device that PyTorch {torch.__version__} can use. Look at "
                "nvidia-smi and at the version of PyTorch; --device cpu tries the checks on the CPU"
            )
        built = _Faces(folder)
        results = []
        for key, check in chosen.items():
            on_start(check.title)
            left_s = TOTAL_S[device] - (time.monotonic() - began)
            results.append(_made(key, check, device, sizes or SIZES[device], built, folder / key, left_s))
            on_result(results[-1])
    report = Report(
        made_by=MARK.format(MAKER),
        date=date,
        command=command_line(),
        checked=device,
        machine=found.answer,
        seconds=round(time.monotonic() - began, 1),
        versions=versions() | installed(OPTIONAL),
        checks=tuple(results),
    )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_json(out, asdict(report))
    except OSError as error:
        raise ConfigError(f"-o {out} cannot be written ({error.strerror or error}); choose another file") from error
    return report


def _made(
    key: str, check: Check, device: Checked, sizes: Sizes, faces: "_Faces", folder: Path, left_s: float
) -> CheckResult:
    began = time.monotonic()
    outcome, log = Outcome("failed", f"no time was left of the {TOTAL_S[device]:.0f} s for all checks"), ""
    if device == "cpu" and check.not_on_cpu:
        outcome = Outcome("skipped", check.not_on_cpu)
    elif left_s > 0 and check.needs_faces and (fault := faces.build()):
        outcome = Outcome("failed", fault)
    elif left_s > 0:
        folder.mkdir()
        bench = Bench(device=device, manifest=faces.manifest, folder=folder, sizes=sizes)
        limit_s = min(check.limit_s * (6 if device == "cpu" else 1), max(1.0, left_s - (time.monotonic() - began)))
        ended = in_own_process(partial(_measured, check.run, bench), folder / "log", limit_s)
        outcome = ended.answer or Outcome("failed", ended.fault)
        log = ended.log if outcome.status == "failed" else ""
    return CheckResult(
        key, check.title, outcome.status, for_terminal(outcome.detail), outcome.figures, outcome.tolerance,
        round(time.monotonic() - began, 1), log,
    )  # fmt: skip


def _measured(run: Callable[[Bench], Outcome], bench: Bench) -> Outcome:
    """The outcome of a check, with the memory of the card that its own process took."""
    outcome = run(bench)
    if bench.device == "cpu" or not torch.cuda.max_memory_allocated():
        return outcome
    peak = Figure("peak memory of the card", torch.cuda.max_memory_allocated() / 1e6, "MB")
    return replace(outcome, figures=(*outcome.figures, peak))


class _Faces:
    """Some demo faces, built by the first check that needs them, with the command that users build them with."""

    def __init__(self, folder: Path) -> None:
        self._out = folder / "builds"
        self._fault: str | None = None

    @property
    def manifest(self) -> Path:
        """Their manifest."""
        return self._out / "manifests" / f"demo-r16-{SUBSET}.csv"

    def build(self) -> str:
        """Why they could not be built; empty if they were."""
        if self._fault is None:
            subset = self._out.with_name(f"{SUBSET}.txt")
            write_text(subset, "\n".join(f"s{number:03d}_{word}" for number in SUBJECTS for word in EXPRESSIONS))
            words = ("build", "--db", "demo", "--mode", "r16", "--subset", str(subset), "--out", str(self._out))
            self._fault = ""
            try:
                subprocess.run(
                    [sys.executable, "-m", "occsynth", *words],
                    capture_output=True, text=True, errors="replace", check=True, env={**os.environ, **SAFE_PATH},
                    timeout=BUILD_S,
                )  # fmt: skip
            except subprocess.CalledProcessError as error:
                said = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
                self._fault = f"the demo faces could not be built ({said}); `occsynth doctor` may know why"
            except subprocess.TimeoutExpired:
                self._fault = f"the demo faces could not be built in {BUILD_S:.0f} s; see `occsynth doctor`"
        return self._fault
