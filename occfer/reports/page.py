"""`occfer report`: one self-contained page of everything in some folders, and its tables as CSV, Markdown and LaTeX."""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from occfer.errors import ReportError
from occfer.files import write_text
from occfer.reports.embedded_figures import Drawing, embed
from occfer.reports.folder_contents import Found, find
from occfer.reports.html_table import TableView, doubts, table_view
from occfer.reports.provenance import manifests_of, shows_demo, what_ran
from occfer.reports.runs_table import KEY, runs_table
from occfer.reports.sections import Section, comparison_section, profile_section, run_sections, table_sections
from occfer.tables.paper import CITATION
from occfer.tables.result_table import ResultTable
from occfer.tables.text import write_texts

ASSETS = Path(__file__).parent
TABLES = "report-tables"
DEMO_CAUTION = (
    "Faces of the demo database are rendered, not photographed. Figures on them show that the pipeline works; they are "
    "no evidence about people."
)
QUICK_CAUTION = "Tables marked quick were made to show that everything runs. Their accuracies are no result."
UNTRAINED_CAUTION = "Rows marked not trained ran on a handful of batches. Their accuracies say nothing."
RECONSTRUCTION_CAUTION = (
    "A baseline called a reconstruction follows what its paper says and our decisions where that is silent. Its "
    "figures are not its authors'."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """What to report on.

    Attributes:
        folders: of runs, runs over all folds, evaluations, profiles, comparisons, tables; or folders that hold such.
        out: the page, `.html`; its tables go into `report-tables` beside it.
        device: `auto`, `cpu` or `cuda`, for reconstructions.
        reconstructions: whether decoders are run.
    """

    folders: tuple[Path, ...]
    out: Path = Path("report.html")
    device: str = "auto"
    reconstructions: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What was written.

    Attributes:
        path: the page.
        tables: its tables as text.
        found: what it is made of.
        cautions: what its first lines say.
        size_bytes: of the page.
    """

    path: Path
    tables: tuple[Path, ...]
    found: Found
    cautions: tuple[str, ...]
    size_bytes: int


def write_report(options: ReportOptions) -> Report:
    """Writes the page. It needs no network, runs only its own script, and is the same bytes for the same results.

    Raises:
        ReportError: a folder without results, damaged ones, or a place that cannot be written to.
    """
    if options.out.suffix.lower() not in (".html", ".htm"):
        raise ReportError(f"-o {options.out}: the report is a page, such as report.html")
    found = find(options.folders)
    tables = _tables(found, options.out.parent)
    folder = options.out.parent / TABLES
    page = _page(options, found, tables)
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        files = [file for name, table in tables for file in _texts(folder / name, table)]
        write_text(options.out, page)
    except OSError as error:
        raise ReportError(f"-o {options.out} cannot be written ({error}); choose another place") from error
    cautions = tuple(_cautions(found, tables))
    return Report(options.out, tuple(files), found, cautions, options.out.stat().st_size)


def _texts(folder: Path, table: ResultTable) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return write_texts(folder, table)


def _tables(found: Found, parent: Path) -> list[tuple[str, ResultTable]]:
    """Every table with a name that no other has and that fits a folder's."""
    known = [(folder.name or table.key, table) for folder, table in found.tables]
    if found.results:
        known.insert(0, (KEY, runs_table(found.results, parent)))
    names: dict[str, ResultTable] = {}
    for name, table in known:
        plain = re.sub(r"[^\w.+-]+", "-", name).strip(".-") or "table"
        free = (plain if count == 1 else f"{plain}-{count}" for count in range(1, len(known) + 1))
        names[next(each for each in free if each not in names)] = table
    return list(names.items())


def _cautions(found: Found, tables: Sequence[tuple[str, ResultTable]]) -> list[str]:
    said = []
    if shows_demo(found, manifests_of(found)):
        said.append(DEMO_CAUTION)
    plain = [table for _, table in tables]
    rows = [row for table in plain for row in table.rows]
    if any(table.quick for table in plain):
        said.append(QUICK_CAUTION)
    if any(row.not_trained for row in rows):
        said.append(UNTRAINED_CAUTION)
    if any(row.reconstruction for row in rows):
        said.append(RECONSTRUCTION_CAUTION)
    seen = sum(int(result.metrics.get("overlap") or 0) for result in found.results)
    if seen:
        said.append(f"{seen} tested rows show people or pictures that their model was trained on (--allow-overlap).")
    if doubted := doubts(plain):
        said.append(f"Some intervals are too narrow, since they rest on {'; '.join(doubted)}.")
    return said


def _page(options: ReportOptions, found: Found, tables: Sequence[tuple[str, ResultTable]]) -> str:
    style, script = ((ASSETS / f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True,
        finalize=_printable,
    )  # fmt: skip
    template = environment.from_string((ASSETS / "report.html.j2").read_text(encoding="utf-8"))
    return template.render(
        title=_title(found, tables),
        sources=[str(folder) for folder in options.folders],
        policy=_policy(script, style),
        style=style,
        script=script,
        cautions=_cautions(found, tables),
        citation=CITATION,
        tables=_table_views(tables),
        profiles=[profile_section(folder, made) for folder, made in found.profiles],
        comparisons=[comparison_section(folder, made) for folder, made in found.comparisons],
        runs=_runs(options, found),
        pictures=[Drawing(embed(path), f"{path.stem}: {path}") for path in found.pictures],
        manifests=manifests_of(found),
        ran=what_ran(found),
    )


def _title(found: Found, tables: Sequence[tuple[str, ResultTable]]) -> str:
    """`Results on demo`, or the databases that there are."""
    named = [name for _, table in tables for name in table.database.split(",")]
    named += [made.tested.partition(" (")[0] for _, made in found.profiles]
    databases = list(dict.fromkeys(filter(None, named)))
    return f"Results on {', '.join(databases)}" if databases else "Results"


def _table_views(tables: Sequence[tuple[str, ResultTable]]) -> list[TableView]:
    return [table_view(table, f"table-{number}", f"{TABLES}/{name}/") for number, (name, table) in enumerate(tables, 1)]


def _runs(options: ReportOptions, found: Found) -> list[Section]:
    drawn = list(run_sections(found.results, options.device, reconstructions=options.reconstructions))
    for folder, table in found.tables:
        drawn += table_sections(folder, table, options.device, reconstructions=options.reconstructions)
    return drawn


def _printable(value: Any) -> Any:
    """Text without control characters and without what turns the direction of writing; the rest is escaped later."""
    if type(value) is not str:  # numbers, and the page's own style and script
        return value
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value)


def _policy(script: str, style: str) -> str:
    """Lets the page run its own script and style and load nothing."""
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style))
    allowed_script, allowed_style = (f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; img-src data:; script-src {allowed_script}; style-src {allowed_style}; "
        "base-uri 'none'; form-action 'none'"
    )
