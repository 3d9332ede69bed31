"""Writes what `occfer doctor --gpu` found on a card into docs/performance.md.

`python docs/gpu_figures.py gpu-check.json`
"""

import sys
from pathlib import Path

from occfer.doctor.report import Report, cells, read_report
from occfer.errors import ReportError
from occfer.files import write_text

PAGE = Path(__file__).parent / "performance.md"
BEGIN, END = "<!-- gpu: begin -->", "<!-- gpu: end -->"


def markdown(report: Report) -> str:
    """The machine in a line, and a table of the checks; raises ReportError if a CPU stood in for the card."""
    if report.checked != "cuda":
        raise ReportError("this report is of a CPU in place of a card: it says nothing about one")
    machine, lines = report.machine, ["| check | status | figures |", "|---|---|---|"]
    lines += ["| " + " | ".join(each.replace("|", "/") for each in cells(found)[:3]) + " |" for found in report.checks]
    where = f"{machine.device}, {machine.cores} cores, CUDA {machine.cuda}, torch {report.versions.get('torch', '?')}"
    return f"{where}, on {report.date[:10]}, in {report.seconds:.0f} s:\n\n" + "\n".join(lines) + "\n"


def put(text: str, page: str) -> str:
    """The page with the text between its two marks."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    write_text(PAGE, put(markdown(read_report(Path(sys.argv[1]))), PAGE.read_text(encoding="utf-8")))
