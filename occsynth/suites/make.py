"""Making a suite: its faces are chosen, and every column is built over them in one pass per split of templates."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from occsynth.build.build import build
from occsynth.build.options import BuildOptions
from occsynth.databases import DATABASES, find_variant
from occsynth.databases.labels import parse_scheme
from occsynth.databases.read_only import refuse_raw_root
from occsynth.databases.record import Classes, FaceRecord, LabelOptions
from occsynth.databases.roots import raw_root
from occsynth.errors import SuiteError, lookup
from occsynth.files import write_atomic
from occsynth.modes import GROUPS
from occsynth.option_values import TemplateSplit
from occsynth.ownership import owned_folder
from occsynth.parallel import Progress
from occsynth.suites.suite import FILE, Column, Suite, dump_suite

MAKER = "occsynth suite make"
BUILDS = "builds"
_LIST = "suite.txt"

_MODES = {
    "paper": ("random", *GROUPS["table2"]),
    "coverage": ("cover-20", "cover-40", "cover-60"),
    "halves": ("upper-50", "lower-50"),
}
"""The modes of a suite unless a recipe says otherwise, by the mean that they count in."""
_TEMPLATES: dict[str, TemplateSplit] = {"seen": "train", "unseen": "test"}


def standard_columns() -> tuple[Column, ...]:
    """Every mode of the paper, coverage of 20, 40 and 60 %, the upper and the lower half; each with seen and unseen."""
    return tuple(
        Column(f"{mode}-{known}", mode, split, (group, known))
        for known, split in _TEMPLATES.items()
        for group, modes in _MODES.items()
        for mode in modes
    )


def recipe_for(db: str, root: Path | None, *, folds: tuple[int, ...] = (), seed: int = 0) -> Suite:
    """The recipe of a suite of the standard columns for any database.

    Its faces are those of the official test part, or of the validation part where there is no test part; else those of
    the folds that are named, or of all.

    Raises:
        OccSynthError: there is no such database or no such fold, or the database has parts and folds were named.
    """
    database = lookup(DATABASES, db, kind="database")
    records = list(_records(Suite(db, "1", db, ()), root))
    splits = {record.split for record in records}
    part = next((split for split in ("test", "val") if split in splits), "")
    if part and folds:
        raise SuiteError(f"--folds: {db} comes with an official {part} part, which a suite tests on; leave it out")
    _check_folds(folds, records, db)
    title = f"{database.title}: {f'{part} part' if part else _folds_in_words(folds)}"
    return Suite(db, "1", db, standard_columns(), title, part=part, folds=folds, seed=seed)


def _check_folds(folds: tuple[int, ...], records: Iterable[FaceRecord], db: str) -> None:
    known = {record.fold for record in records if record.fold is not None}
    if missing := [fold for fold in folds if fold not in known]:
        raise SuiteError(f"fold {missing[0]}: {db} has {f'the folds {sorted(known)}' if known else 'no folds'}")


def _folds_in_words(folds: tuple[int, ...]) -> str:
    return f"fold {', '.join(map(str, folds))}" if folds else "all faces"


@dataclass(frozen=True, slots=True)
class MadeSuite:
    """What was made: the suite, whose columns name their manifests, and how many faces it has."""

    suite: Suite
    faces: int
    warnings: tuple[str, ...]


def make_suite(
    recipe: Suite,
    out: Path,
    *,
    root: Path | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> MadeSuite:
    """Builds every column of a recipe under `out/builds`, and writes `out/suite.toml`; called again, it continues.

    Args:
        recipe: a suite; what an earlier freezing wrote into it does not count.
        out: a new folder, or one that this command has made.
        root: raw root; default the remembered one.
        workers: number of processes; default one per core.
        overwrite: write into a folder that holds other files too, and build again what is there.
        progress: see `occsynth.build.build.build`.

    Raises:
        SuiteError: no face is left, or the columns show different faces; or `out` is not this command's.
        OccSynthError: as for a build.
    """
    refuse_raw_root(out, raw_root(recipe.database, root), "-o")
    with owned_folder(out, MAKER, SuiteError, overwrite=overwrite):
        chosen = [record.source for record in _records(recipe, root)]
        if not chosen:
            raise SuiteError(f"{recipe.database}: no face is in {recipe.part or _folds_in_words(recipe.folds)}")
        listed = out / _LIST
        write_atomic(listed, "".join(f"{source}\n" for source in sorted(set(chosen))).encode())
        manifests: dict[str, str] = {}
        rows: dict[str, int] = {}
        warnings: list[str] = []
        for split in dict.fromkeys(column.templates for column in recipe.columns):
            columns = [column for column in recipe.columns if column.templates == split]
            options = BuildOptions(
                db=recipe.database,
                modes=tuple(column.mode for column in columns),
                root=root,
                size_px=recipe.size_px or None,
                seed=recipe.seed,
                variant=recipe.variant or None,
                subset=listed,
                classes=recipe.classes,
                labels=recipe.labels,
                template_split=split,
                out=out / BUILDS,
                workers=workers,
                overwrite=overwrite,
            )
            report = build(options, progress)
            warnings += report.warnings
            for column, manifest in zip(columns, report.manifests, strict=True):
                manifests[column.name], rows[column.name] = f"{BUILDS}/manifests/{manifest.name}", report.rows
        if len(set(rows.values())) > 1:
            raise SuiteError(f"{out}: the columns have different numbers of faces: {rows}; make it again elsewhere")
        made = replace(
            recipe,
            columns=tuple(replace(each, manifest=manifests[each.name], sha256="") for each in recipe.columns),
            truth_sha256="",
            digest="",
        )
        write_atomic(out / FILE, dump_suite(made).encode())
    return MadeSuite(made, next(iter(rows.values())), tuple(dict.fromkeys(warnings)))


def _records(recipe: Suite, root: Path | None) -> Iterator[FaceRecord]:
    """The faces of a recipe, as the database's importer finds them."""
    database = DATABASES[recipe.database]
    variant = find_variant(database, recipe.variant)
    classes: Classes = 8 if recipe.classes == 8 else 7
    labels = LabelOptions(classes, parse_scheme(recipe.labels) if recipe.labels else ())
    found = database.scan(raw_root(recipe.database, root), variant.name, labels)
    records = [each for each in found if isinstance(each, FaceRecord)]
    _check_folds(recipe.folds, records, recipe.database)
    for record in records:
        if (not recipe.part or record.split == recipe.part) and (not recipe.folds or record.fold in recipe.folds):
            yield record
