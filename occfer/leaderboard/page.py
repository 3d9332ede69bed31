"""`occfer leaderboard`: a folder with one page, which works offline, and all of its figures as CSV."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from occfer.benchmark.result import TestedSuite
from occfer.errors import ReportError
from occfer.files import write_csv, write_text
from occfer.leaderboard.boards import Board, read_boards
from occfer.leaderboard.lines import CSV_HEADER, Line, csv_lines, detail_headings, headings, line_of
from occfer.metrics.intervals import METHOD
from occsynth.escapes import for_html, page_policy
from occsynth.ownership import MARK, owned_folder

ASSETS = Path(__file__).parent
MAKER = "occfer leaderboard"
PAGE, FIGURES = "index.html", "leaderboard.csv"
DEMO = "demo"
DEMO_CAUTION = (
    "The faces of the demo database are rendered, not photographed: figures on them show that everything runs, and say "
    "nothing about people."
)


@dataclass(frozen=True, slots=True)
class Site:
    """A leaderboard that was written.

    Attributes:
        page, figures: its files.
        boards: what it shows.
    """

    page: Path
    figures: Path
    boards: tuple[Board, ...]


@dataclass(frozen=True, slots=True)
class _Section:
    """A board as the page shows it."""

    anchor: str
    suite: TestedSuite
    what: str
    headings: tuple[str, ...]
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


def write_leaderboard(places: Sequence[Path], out: Path, *, overwrite: bool = False) -> Site:
    """Writes the page and its figures. It has the same bytes for the same results, in whatever order they are given.

    Args:
        places: files and folders of results, see `read_boards`.
        out: folder of the site.
        overwrite: whether files may be written into a folder that this command has not made.

    Raises:
        ReportError: see `read_boards`; or the folder holds files of the user's, or cannot be written to.
    """
    boards = read_boards(places)
    page = _page(boards)
    try:
        with owned_folder(out, MAKER, ReportError, overwrite=overwrite):
            write_csv(out / FIGURES, CSV_HEADER, csv_lines(boards))
            write_text(out / PAGE, page)
    except OSError as error:
        raise ReportError(f"-o {out} cannot be written ({error}); choose another place") from error
    return Site(out / PAGE, out / FIGURES, tuple(boards))


def _page(boards: Sequence[Board]) -> str:
    style, script = ((ASSETS / f"leaderboard.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True,
        finalize=for_html,
    )  # fmt: skip
    template = environment.from_string((ASSETS / "leaderboard.html.j2").read_text(encoding="utf-8"))
    return template.render(
        mark=MARK.format(MAKER),
        policy=page_policy(script, style),
        style=style,
        script=script,
        cautions=list(_cautions(boards)),
        sections=[_section(f"suite-{number}", board) for number, board in enumerate(boards, 1)],
        figures=FIGURES,
        method=METHOD,
    )


def _cautions(boards: Sequence[Board]) -> Iterator[str]:
    if any(board.suite.database == DEMO for board in boards):
        yield DEMO_CAUTION
    names = Counter(board.suite.name for board in boards)
    for name, count in names.items():
        if count > 1:
            yield (
                f"{count} suites are called {name}. As their digests show, they differ, so each has its own table; "
                "figures of different tables cannot be compared."
            )


def _section(anchor: str, board: Board) -> _Section:
    clean, columns = board.results[0].clean, len(board.columns)
    of_columns = "1 occluded column" if columns == 1 else f"{columns} occluded columns"
    people = f" of {clean.subjects:,} people" if clean.subjects < clean.n else ""
    return _Section(
        anchor=anchor,
        suite=board.suite,
        what=f"{clean.n:,} faces{people}, each clean and in {of_columns}",
        headings=tuple(headings(board)),
        columns=tuple(detail_headings(board)),
        lines=tuple(line_of(result, board) for result in board.results),
    )
