"""How every figure looks, and how it is written: the colours, matplotlib's settings, and files of the same bytes."""

import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from occfer.errors import ReportError
from occsynth.files import replacing
from occsynth.ownership import MARK

# Of Okabe and Ito's palette: colour-blind readers tell them apart, and so does a grey print.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#555555"
FORMATS = ("png", "pdf", "svg")
DPI = 200
# typed loosely: matplotlib's stubs list every one of its settings as a literal
STYLE: Any = {
    "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "figure.titlesize": 9,
    "pdf.fonttype": 42,  # TrueType: many publishers refuse the Type 3 fonts that are the default
    "text.parse_math": False,  # a $ in a name is shown as it is
}  # fmt: skip


def save(figure: Figure, path: Path, maker: str = "") -> Path:
    """Writes a figure atomically; the same figure gives the same bytes.

    Args:
        figure: what is drawn.
        path: the file; an existing one is replaced.
        maker: a command, whose mark the file gets, see `occsynth.ownership.MARK`; a figure in a folder that has an
            owner needs none.

    Raises:
        ReportError: the ending is not one of `FORMATS`, or the file cannot be written.
    """
    if path.suffix[1:] not in FORMATS:
        raise ReportError(f"{path}: figures end in .{', .'.join(FORMATS)}")
    # matplotlib would write the time, and random ids into an SVG
    undated = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[path.suffix[1:]]
    about: dict[str, str | None] = dict(undated)
    if maker:
        about["Software" if path.suffix == ".png" else "Creator"] = MARK.format(maker)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            mpl.rc_context({**STYLE, "svg.hashsalt": "occfer"}),
            replacing(path, ending=path.suffix) as part,
            warnings.catch_warnings(),
        ):
            # a letter that the font lacks is drawn as a box, and a name may leave no room for the axes
            warnings.filterwarnings("ignore", "Glyph|constrained_layout")
            figure.savefig(part, dpi=DPI, metadata=about)
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error.strerror}") from error
    return path
