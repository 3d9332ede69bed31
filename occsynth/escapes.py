r"""Text from elsewhere, escaped for the medium that shows it: terminal, CSV, HTML, Markdown, LaTeX, figure.

Names of classes, files, people and versions come from manifests, run folders and databases that someone may have sent.
Each medium has one function here, called where the text enters the medium.
"""

import base64
import hashlib
import re
import unicodedata

_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # the last four are = + - @ in full width
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "†": r"\dag{}", "±": r"$\pm$",
}  # fmt: skip

LONGEST = 5000
"""Letters of a text that is shown in one line; a path has at most 4096 bytes."""
CUT = "[...]"


def printable(text: str) -> str:
    r"""The text with undecodable bytes and control characters escaped, so that it fits one line of a UTF-8 file.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    if text.isprintable():
        return text
    plain = text.encode("utf-8", "backslashreplace").decode()
    return "".join(char if _shows(char) else char.encode("unicode_escape").decode() for char in plain)


def _shows(char: str) -> bool:
    """Whether a character is seen as what it is; Python counts spaces other than the usual one as not printable."""
    return char.isprintable() or unicodedata.category(char) == "Zs"


def for_terminal(text: str) -> str:
    """The text in one line that cannot control a terminal: a message, whose spaces and line ends are no more than one.

    >>> for_terminal("no\\n  such file")
    'no such file'
    """
    return printable(shortened(" ".join(text.split())))


def cell_for_terminal(text: str) -> str:
    r"""The text in one line that cannot control a terminal, letter by letter: a name that can be typed again.

    >>> cell_for_terminal("two  spaces\n")
    'two  spaces\\n'
    """
    return printable(shortened(text))


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text, without its middle if it is longer than that; its end often says what to do.

    >>> shortened("abcdefghijklmnopqrstuvwxyz", longest=15)
    'abcdef[...]wxyz'
    """
    if len(text) <= longest:
        return text
    end = (longest - len(CUT)) * 2 // 5
    return text[: longest - len(CUT) - end] + CUT + text[-end:]


def for_csv(value: object) -> str:
    """A cell that a spreadsheet shows instead of running it: a text that begins like a formula gets a `'` in front.

    `from_csv` takes it off again. So that it finds exactly what was written, a text that already begins with `'` and
    then like a formula gets one more.

    >>> for_csv("=1+1"), for_csv(-0.5), for_csv("-0.5"), for_csv(None)
    ("'=1+1", '-0.5', '-0.5', '')
    """
    text = "" if value is None else str(value)
    return "'" + text if _FORMULA.match(text) and not _is_number(text) else text


def from_csv(cell: str) -> str:
    """The text of a cell that `for_csv` made.

    >>> from_csv("'=1+1"), from_csv("'s-Gravenhage")
    ('=1+1', "'s-Gravenhage")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def for_html(value: object) -> object:
    """A value for a page, as the `finalize` of a Jinja environment with `autoescape`, which then escapes markup.

    Control characters, and those that reverse the direction of writing, could show a reader another text than there is.
    """
    return printable(value) if type(value) is str else value  # markup of our own is of another type


def page_policy(script: str, style: str) -> str:
    """The Content-Security-Policy that lets a page use its own script and style, and load nothing."""
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style))
    allowed_script, allowed_style = (f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; img-src data:; script-src {allowed_script}; style-src {allowed_style}; "
        "base-uri 'none'; form-action 'none'"
    )


def for_markdown(text: str) -> str:
    r"""The text in one line that shows as it is in Markdown and in the HTML made of it.

    >>> for_markdown("a|b <i>")
    'a\\|b \\<i\\>'
    """
    return re.sub(r"([\\`*_|<>\[\]#&!~$])", r"\\\1", for_terminal(text))


def for_latex(text: str) -> str:
    r"""The text in one line that LaTeX prints as it is.

    >>> for_latex("50 %")
    '50 \\%'
    """
    return "".join(_LATEX.get(letter, letter) for letter in for_terminal(text))


def for_figure(text: str, longest: int = 80) -> str:
    """The text in one line for a figure, without its middle if it is long.

    Figures switch mathematics off (`text.parse_math` of matplotlib), so that a `$` is a letter in every text of theirs,
    also in one that did not pass here.
    """
    return printable(shortened(" ".join(text.split()), longest))
