"""Checking a suite: whether a folder is what was frozen, and what differs from another one."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from occsynth.errors import OccSynthError
from occsynth.files import inside
from occsynth.manifest import Manifest, open_manifest
from occsynth.suites.freeze import column_sha256
from occsynth.suites.suite import Column, Suite, read_suite, suite_digest


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found.

    Attributes:
        suite: the content of suite.toml.
        faces: how many faces the columns show; 0 where that cannot be said.
        problems: why it is not the frozen suite; none where it is.
    """

    suite: Suite
    faces: int
    problems: tuple[str, ...]


def check(folder: Path) -> Checked:
    """Whether a folder is the suite that its digest names: its text, and every manifest.

    Raises:
        SuiteError: there is no suite, or suite.toml is malformed.
    """
    suite = read_suite(folder)
    folder = folder if folder.is_dir() else folder.parent
    if not suite.is_frozen:
        return Checked(suite, 0, ("it is not frozen: it has no digest; see `occsynth suite freeze`",))
    problems: list[str] = []
    faces: dict[str, list[str]] = {}
    for column in suite.columns:
        try:
            manifest = open_manifest(inside(folder, column.manifest))
            problems += _faults(suite, column, manifest)
            faces[column.name] = sorted(row.source_pixels_sha256 for row in manifest.rows())
        except OccSynthError as error:
            problems.append(f"column {column.name}: {error}")
    first = next(iter(faces.values()), [])
    problems += [f"column {name} shows other faces than the first column" for name in faces if faces[name] != first]
    if (found := suite_digest(suite)) != suite.digest:
        problems.append(f"what suite.toml says has the digest {found}, not the {suite.digest} that stands there")
    return Checked(suite, len(first), tuple(problems))


def _faults(suite: Suite, column: Column, manifest: Manifest) -> Iterator[str]:
    where, info = f"column {column.name}", manifest.info
    if (found := column_sha256(manifest)) != column.sha256:
        yield f"{where}: {manifest.path.name} has the digest {found}, not {column.sha256}"
    split = info.template_split or "all"
    if (info.database, info.mode, split) != (suite.database, column.mode, column.templates):
        yield f"{where}: {manifest.path.name} is of {info.database}, mode {info.mode}, templates {split}"
    if "expression" not in info.withheld:
        yield f"{where}: {manifest.path.name} is not published: it holds labels"


def differences(one: Suite, other: Suite) -> list[str]:
    """What differs between two suites, a line for each field and column."""
    found = [
        f"{field.name}: {getattr(one, field.name)!r} and {getattr(other, field.name)!r}"
        for field in fields(Suite)
        if field.name != "columns" and getattr(one, field.name) != getattr(other, field.name)
    ]
    ours, theirs = ({column.name: column for column in suite.columns} for suite in (one, other))
    found += [f"column {name}: only in the first" for name in ours.keys() - theirs.keys()]
    found += [f"column {name}: only in the second" for name in theirs.keys() - ours.keys()]
    for name in (name for name in ours if name in theirs):
        changed = [
            each.name for each in fields(Column) if getattr(ours[name], each.name) != getattr(theirs[name], each.name)
        ]
        if changed:
            found.append(f"column {name}: other {', '.join(changed)}")
    return found
