"""`python -m benchmarks [--only a,b] [--quick] [--write]`: runs the benchmarks in turn, each in its own process."""

import argparse
import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    feed,
    growth,
    inference,
    landmark_pass,
    occlude_files,
    report,
    train_step,
    two_workers,
    whole_build,
)
from benchmarks.measure import Finding, machine, one_core

BENCHMARKS: dict[str, tuple[Callable[[], list[Finding]], Callable[[], list[Finding]]]] = {
    "a": (occlude_files.measure, lambda: occlude_files.measure(12, 1)),
    "b": (whole_build.measure, lambda: whole_build.measure(12, 1)),
    "c": (landmark_pass.measure, lambda: landmark_pass.measure(8, 1)),
    "d": (two_workers.measure, lambda: two_workers.measure(24, 1)),
    "e": (growth.measure, lambda: growth.measure((8, 16))),
    "f": (train_step.engine_against_bare, lambda: train_step.engine_against_bare(1, 4, ("mobilenet_v2",), 32)),
    "g": (train_step.shortcut, lambda: train_step.shortcut(1, 4, "mobilenet_v2", 32)),
    "h": (train_step.data_path, lambda: train_step.data_path(1, 4, 32)),
    "i": (inference.measure, lambda: inference.measure(1, "mobilenet_v2", 32, compiled=False)),
    "j": (feed.measure, lambda: feed.measure(1, 4)),
}
"""Each benchmark at its full size, and at a small size that only shows that it runs."""

SEVERAL_CORES = ("d", "j")


def run_here(letter: str, *, quick: bool) -> list[Finding]:
    """Runs one benchmark in this process, which then stays on one core."""
    if letter not in SEVERAL_CORES:
        one_core()
    full, small = BENCHMARKS[letter]
    return small() if quick else full()


def run_apart(letter: str, *, quick: bool) -> list[Finding]:
    """Runs one benchmark in a process of its own."""
    command = [sys.executable, "-m", "benchmarks", "--only", letter, "--json", *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[1])
    return [Finding(**{**each, "ratios": tuple(each["ratios"])}) for each in json.loads(done.stdout)]


def main() -> None:
    """Prints a line for each finding, and with `--write` writes docs/benchmarks.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="See benchmarks/README.md.")
    parser.add_argument(
        "--only", default=",".join(BENCHMARKS), metavar="a,b,...", help="Letters of the benchmarks to run; default all."
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="Tiny sizes: shows that they run, measures nothing.",
    )
    parser.add_argument("--write", action="store_true", help="Write docs/benchmarks.md and the table in docs/scale.md.")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    letters = arguments.only.split(",")
    unknown = [letter for letter in letters if letter not in BENCHMARKS]
    if unknown:
        parser.error(f"unknown benchmark {', '.join(unknown)}; choose from {', '.join(BENCHMARKS)}")
    if arguments.json:
        sys.stdout.write(json.dumps([dataclasses.asdict(each) for each in run_here(letters[0], quick=arguments.quick)]))
        return
    findings = []
    for letter in letters:
        for finding in run_apart(letter, quick=arguments.quick):
            sys.stdout.write("\t".join(finding.cells()) + "\n")
            sys.stdout.flush()
            findings.append(finding)
    if arguments.write:
        for path in report.write(findings, machine()):
            sys.stdout.write(f"written\t{path.relative_to(report.ROOT)}\n")


if __name__ == "__main__":
    main()
