"""`occfer report`: one self-contained page of everything in some folders, and its tables as CSV, Markdown and LaTeX."""

import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from occfer.errors import ReportError
from occfer.files import write_text
from occfer.metrics.intervals import METHOD, is_old
from occfer.reports.embedded_figures import EmbeddedFigure, data_uri
from occfer.reports.folder_contents import FolderContents, read_folders
from occfer.reports.heat_sections import heat_sections
from occfer.reports.html_table import TableView, has_old_intervals, table_view
from occfer.reports.provenance import manifests_of, shows_demo, what_ran
from occfer.reports.runs_table import KEY, runs_table
from occfer.reports.sections import Section, comparison_section, profile_section, run_sections, table_sections
from occfer.tables.columns import adjusted
from occfer.tables.paper import CITATION
from occfer.tables.result_table import ResultTable
from occfer.tables.text_files import write_texts
from occsynth.escapes import for_html, page_policy
from occsynth.ownership import MARK, owned_folder, refuse_foreign_file

ASSETS = Path(__file__).parent
TABLES = "report-tables"
MAKER = "occfer report"
DEMO_CAUTION = (
    "Faces of the demo database are rendered, not photographed. Figures on them show that the pipeline works; they are "
    "no evidence about people."
)
QUICK_CAUTION = "Tables marked quick were made to show that everything runs. Their accuracies are not results."
UNTRAINED_CAUTION = "Lines marked not trained ran on a handful of batches. Their accuracies mean nothing."
RECONSTRUCTION_CAUTION = (
    "A baseline marked reconstruction follows its paper, and our own decisions where the paper says nothing. Its "
    "figures are not those of its authors."
)
OLD_INTERVALS_CAUTION = (
    "Some intervals were made by version 0.1, and are too narrow for few subjects and close to 100 %. Run the command "
    "again that made them: finished trainings are used again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """What to report on.

    Attributes:
        folders: of runs, runs over all folds, evaluations, profiles, comparisons, tables; or folders that hold such
            folders.
        out: the page, `.html`; its tables are written to `report-tables` beside it.
        overwrite: whether a page or tables that this command has not made may be replaced.
        device: `auto`, `cpu`, `cuda` or `mps`, for reconstructions.
        reconstructions: whether decoders are run.
    """

    folders: tuple[Path, ...]
    out: Path = Path("report.html")
    overwrite: bool = False
    device: str = "auto"
    reconstructions: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """A page that was written.

    Attributes:
        path: the page.
        tables: the files of its tables, CSV, Markdown and LaTeX.
        contents: what it was made from.
        cautions: the sentences at its top.
        size_bytes: of the page.
    """

    path: Path
    tables: tuple[Path, ...]
    contents: FolderContents
    cautions: tuple[str, ...]
    size_bytes: int


def write_report(options: ReportOptions) -> Report:
    """Writes the page. It needs no network, runs only its own script, and has the same bytes for the same results.

    Raises:
        ReportError: a folder holds no results or damaged ones, or the page cannot be written, or would replace files of
            the user's.
    """
    if options.out.suffix.lower() not in (".html", ".htm"):
        raise ReportError(f"-o {options.out}: the report is a page; its name must end in .html, as in report.html")
    refuse_foreign_file(options.out, MAKER, ReportError, overwrite=options.overwrite)
    contents = read_folders(options.folders)
    tables = _tables(contents, options.out.parent)
    folder = options.out.parent / TABLES
    try:
        # the page shows what lies in the folder of tables, so both are written by one process
        with owned_folder(folder, MAKER, ReportError, overwrite=options.overwrite) if tables else nullcontext():
            page = _page(options, contents, tables)
            options.out.parent.mkdir(parents=True, exist_ok=True)
            files = [file for name, table in tables for file in _texts(folder / name, table)]
            write_text(options.out, page)
    except OSError as error:
        raise ReportError(f"-o {options.out} cannot be written ({error}); choose another place") from error
    cautions = tuple(_cautions(contents, tables))
    return Report(options.out, tuple(files), contents, cautions, options.out.stat().st_size)


def _texts(folder: Path, table: ResultTable) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return write_texts(folder, table)


def _tables(contents: FolderContents, parent: Path) -> list[tuple[str, ResultTable]]:
    """Every table with a name of its own that can be a folder's."""
    # version 0.1 adjusted p-values over each column
    known = [(folder.name or table.key, adjusted(table)) for folder, table in contents.tables]
    if contents.results:
        known.insert(0, (KEY, runs_table(contents.results, parent)))
    names: dict[str, ResultTable] = {}
    for name, table in known:
        plain = re.sub(r"[^\w.+-]+", "-", name).strip(".-") or "table"
        free = (plain if count == 1 else f"{plain}-{count}" for count in range(1, len(known) + 1))
        names[next(each for each in free if each not in names)] = table
    return list(names.items())


def _cautions(contents: FolderContents, tables: Sequence[tuple[str, ResultTable]]) -> list[str]:
    cautions = []
    if shows_demo(contents, manifests_of(contents)):
        cautions.append(DEMO_CAUTION)
    plain = [table for _, table in tables]
    lines = [line for table in plain for line in table.lines]
    if any(table.quick for table in plain):
        cautions.append(QUICK_CAUTION)
    if any(line.not_trained for line in lines):
        cautions.append(UNTRAINED_CAUTION)
    if any(line.reconstruction for line in lines):
        cautions.append(RECONSTRUCTION_CAUTION)
    overlap = sum(result.facts.overlap or 0 for result in contents.results)
    if overlap:
        cautions.append(
            f"{overlap} tested samples show people or pictures that their model was trained on (--allow-overlap)."
        )
    shown = [group.interval for _, found in contents.comparisons for group in found.groups]
    shown += [share.interval for _, found in contents.profiles for group in found.groups for share in group.shares]
    if has_old_intervals(plain) or any(map(is_old, shown)):
        cautions.append(OLD_INTERVALS_CAUTION)
    return cautions


def _page(options: ReportOptions, contents: FolderContents, tables: Sequence[tuple[str, ResultTable]]) -> str:
    style, script = ((ASSETS / f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True,
        finalize=for_html,
    )  # fmt: skip
    template = environment.from_string((ASSETS / "report.html.j2").read_text(encoding="utf-8"))
    return template.render(
        title=_title(contents, tables),
        sources=[str(folder) for folder in options.folders],
        mark=MARK.format(MAKER),
        policy=page_policy(script, style),
        style=style,
        script=script,
        cautions=_cautions(contents, tables),
        citation=CITATION,
        method=METHOD,
        tables=_table_views(tables),
        profiles=[profile_section(folder, profile) for folder, profile in contents.profiles],
        comparisons=[comparison_section(folder, compared) for folder, compared in contents.comparisons],
        heat=list(heat_sections(contents.heat, contents.heat_notes)),
        runs=_runs(options, contents),
        pictures=[EmbeddedFigure(data_uri(path), f"{path.stem}: {path}") for path in contents.pictures],
        manifests=manifests_of(contents),
        ran=what_ran(contents),
    )


def _title(contents: FolderContents, tables: Sequence[tuple[str, ResultTable]]) -> str:
    """`Results on demo`, with all databases that occur."""
    named = [name for _, table in tables for name in table.database.split(",")]
    named += [profile.tested.partition(" (")[0] for _, profile in contents.profiles]
    databases = list(dict.fromkeys(filter(None, named)))
    return f"Results on {', '.join(databases)}" if databases else "Results"


def _table_views(tables: Sequence[tuple[str, ResultTable]]) -> list[TableView]:
    return [table_view(table, f"table-{number}", f"{TABLES}/{name}/") for number, (name, table) in enumerate(tables, 1)]


def _runs(options: ReportOptions, contents: FolderContents) -> list[Section]:
    sections = list(run_sections(contents.results, options.device, reconstructions=options.reconstructions))
    for folder, table in contents.tables:
        sections += table_sections(folder, table, options.device, reconstructions=options.reconstructions)
    return sections
