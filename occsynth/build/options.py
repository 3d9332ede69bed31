"""What a build is asked for: the options as given, and their check against the database."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from occsynth.build.fold_list import read_fold_list
from occsynth.build.settings import CompleteSettings, align_word
from occsynth.build.subset import read_subset
from occsynth.databases import DATABASES, find_variant
from occsynth.databases.labels import parse_scheme
from occsynth.databases.read_only import refuse_overlap
from occsynth.databases.record import Classes, Database, LabelOptions
from occsynth.databases.roots import raw_root
from occsynth.errors import BuildError, lookup
from occsynth.faces.landmarks import model_sha256
from occsynth.manifest import MAX_SIZE_PX
from occsynth.modes import REAL, SQUARES, default_look, find_mode
from occsynth.occluder import Occluder
from occsynth.option_values import (
    ALIGNMENTS,
    FILLS,
    IMAGE_FORMATS,
    LOOKS,
    SQUARES_AT,
    TEMPLATE_SPLITS,
    WEAR,
    AlignKind,
    Fill,
    ImageFormat,
    SquareAt,
    TemplateSplit,
)
from occsynth.templates.pack import TemplatePack, load_pack


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The options of `occsynth build`, as given and not yet checked; None stands for the database's default.

    `complete` checks them and fills in the defaults.

    Attributes:
        db: key of the database.
        modes: occlusion modes, groups already expanded (see `occsynth.modes.expand`).
        root: raw root; default the remembered one.
        size_px: side of the aligned face.
        seed: another number draws other occlusions.
        fill: one of `FILLS`.
        categories: of templates to draw from; default as in `occsynth.occluder.Occluder`.
        templates: folder of a template pack; default the one that ships with occsynth.
        align: one of `ALIGNMENTS`; default the variant's.
        variant: form of the database; default its first.
        subset: text file that lists the images to keep, see `occsynth.build.subset`.
        classes: 7, or 8 with contempt.
        labels: what codes mean, such as `1=surprise,2=fear`; default the database's own scheme.
        folds: text file, or folder of one per fold, that says which fold each image or subject is in, see
            `occsynth.build.fold_list`.
        out: the build root.
        image_format: one of `IMAGE_FORMATS`.
        workers: number of processes; default one per core.
        backend: one of `BACKENDS`.
        scheduler: address of a running Dask scheduler.
        slurm: options of SLURM's jobs, see `occsynth.slurm.SlurmJobs`.
        resume: continue from the finished chunks of an interrupted build.
        overwrite: build again what already exists under this name, and replace files of its names that no build made.
        strict: rejects (but not those that the database's protocol leaves out) are an error.
        colour_match: pull a template's brightness half-way towards the face's.
        shadow: draw a contact shadow under templates.
        keep_colour: leave templates and noise coloured where the face is grey.
        look: one of `LOOKS`; default that of each mode.
        square_at: one of `SQUARES_AT`.
        template_split: one of `TEMPLATE_SPLITS`.
    """

    db: str
    modes: tuple[str, ...]
    root: Path | None = None
    size_px: int | None = None
    seed: int = 0
    fill: str = "template"
    categories: tuple[str, ...] | None = None
    templates: Path | None = None
    align: str | None = None
    variant: str | None = None
    subset: Path | None = None
    classes: int = 7
    labels: str = ""
    folds: Path | None = None
    out: Path = Path("builds")
    image_format: str = "png"
    workers: int | None = None
    backend: str = "loky"
    scheduler: str = ""
    slurm: tuple[str, ...] = ()
    resume: bool = True
    overwrite: bool = False
    strict: bool = False
    colour_match: bool = False
    shadow: bool = False
    keep_colour: bool = False
    look: str | None = None
    square_at: str = "picture"
    template_split: str = "all"


def complete(options: BuildOptions) -> CompleteSettings:
    """Checks the options and fills in the defaults.

    Raises:
        OccSynthError: naming the flag that is wrong and what it may be.
    """
    database = lookup(DATABASES, options.db, kind="database")
    variant = find_variant(database, options.variant or "")
    _check_modes(options, database)
    align = options.align or variant.align
    for flag, value, allowed in (
        ("--fill", options.fill, FILLS),
        ("--align", align, ALIGNMENTS),
        ("--format", options.image_format, IMAGE_FORMATS),
        ("--look", options.look or "pasted", LOOKS),
        ("--square-at", options.square_at, SQUARES_AT),
        ("--template-split", options.template_split, TEMPLATE_SPLITS),
    ):
        lookup(dict.fromkeys(allowed), value, kind=flag)
    size_px = options.size_px or database.size_px
    if not 8 <= size_px <= MAX_SIZE_PX:
        raise BuildError(f"--size {size_px} is outside 8 to {MAX_SIZE_PX} pixels")
    pack, categories = _pack(options)
    subset = read_subset(options.subset) if options.subset else None
    folds = read_fold_list(options.folds) if options.folds else None
    changed = [
        variant.name if variant != database.variants[0] else "",
        align_word(align, variant),
        "jpeg" if options.image_format == "jpeg" else "",
    ]
    settings = CompleteSettings(
        db=options.db,
        variant=variant.name,
        cropped=variant.cropped,
        modes=options.modes,
        raw_root=str(raw_root(options.db, options.root).resolve()),
        out=str(options.out.resolve()),
        size_px=size_px,
        seed=options.seed,
        fill=cast(Fill, options.fill),
        categories=categories,
        pack_folder=str(pack.folder.resolve()) if pack else "",
        pack_sha256=pack.sha256 if pack else "",
        align=cast(AlignKind, align),
        image_format=cast(ImageFormat, options.image_format),
        colour_match=options.colour_match,
        shadow=options.shadow,
        keep_colour=options.keep_colour,
        natural_modes=_natural_modes(options),
        square_at=cast(SquareAt, options.square_at),
        worn_sha256=pack.worn_sha256 if pack and _draws_worn(options.modes, categories) else "",
        template_split=cast(TemplateSplit, options.template_split),
        subset=subset.name if subset else "",
        subset_sha256=subset.sha256 if subset else "",
        labels=_labels(options, database),
        folds=folds.name if folds else "",
        folds_sha256=folds.sha256 if folds else "",
        clean_folder="-".join([f"{options.db}-{size_px}px", *filter(None, changed)]),
        model_sha256=model_sha256(),
    )
    folders = [f"data/{name}" for name in (*settings.names(), settings.shared_folder()) if name]
    refuse_overlap(options.out, ("manifests", "cache/landmarks", ".work", *folders), Path(settings.raw_root))
    return settings


def _labels(options: BuildOptions, database: Database) -> LabelOptions:
    """What is asked of the labels; raises BuildError where this database has no such choice."""
    if options.classes not in (7, 8):
        raise BuildError(f"--classes {options.classes} is neither 7 nor 8")
    if options.classes == 8 and not database.has_contempt:
        keys = ", ".join(key for key, each in DATABASES.items() if each.has_contempt)
        raise BuildError(f"--classes 8: {database.key} has no contempt, the eighth class; {keys} have it")
    scheme = parse_scheme(options.labels)
    if scheme and not database.has_codes:
        keys = ", ".join(key for key, each in DATABASES.items() if each.has_codes)
        raise BuildError(f"--labels: {database.key} does not write its labels as codes; {keys} do")
    return LabelOptions(cast(Classes, options.classes), scheme)


def _check_modes(options: BuildOptions, database: Database) -> None:
    for mode in options.modes:
        if mode != REAL:
            find_mode(mode)
    if options.square_at != "picture" and not set(options.modes) & set(SQUARES):
        raise BuildError(
            f"--square-at {options.square_at}: {', '.join(options.modes)} draws no square; only {', '.join(SQUARES)} do"
        )
    real = REAL in options.modes
    if real and options.folds:
        raise BuildError("--folds: --mode real is for tests only, so it has no folds; leave one or the other out")
    if real and len(options.modes) > 1:
        raise BuildError("--mode real cannot be combined with other modes: its images are already occluded")
    if database.real and not real:
        raise BuildError(f"{database.key}: its images are already occluded; use --mode real")
    if real and not database.real and options.subset is None:
        raise BuildError(
            f"--mode real is for images that are already occluded; for {database.key} give --subset LIST, "
            "the list of its occluded images"
        )


def _pack(options: BuildOptions) -> tuple[TemplatePack | None, tuple[str, ...]]:
    if options.fill != "template" or REAL in options.modes:
        _refuse_template_options(options)
        return None, ()
    pack = load_pack(options.templates)
    split = cast(TemplateSplit, options.template_split)
    for mode in options.modes:
        occluder = Occluder(mode, pack, categories=options.categories, template_split=split)
    return pack, occluder.choices.categories


def _natural_modes(options: BuildOptions) -> tuple[str, ...]:
    """The modes whose templates look natural; raises BuildError for what this look decides by itself."""
    if options.fill != "template" or REAL in options.modes:
        return ()
    natural = tuple(mode for mode in options.modes if (options.look or default_look(mode)) == "natural")
    own = {"--colour-match": options.colour_match, "--shadow": options.shadow}
    flags = [flag for flag, value in own.items() if value]
    if natural and flags:
        raise BuildError(
            f"{', '.join(flags)}: the look natural decides brightness and shadow by itself; leave that out, "
            "or give --look pasted"
        )
    return natural


def _draws_worn(modes: tuple[str, ...], categories: tuple[str, ...]) -> bool:
    return WEAR in categories or any(find_mode(mode).wears for mode in modes)


def _refuse_template_options(options: BuildOptions) -> None:
    given = {
        "--category": options.categories,
        "--templates": options.templates,
        "--colour-match": options.colour_match,
        "--shadow": options.shadow,
        "--keep-colour": options.keep_colour and (options.fill != "noise" or REAL in options.modes),
        "--look": options.look,
        "--template-split": options.template_split != "all",
    }
    flags = [flag for flag, value in given.items() if value]
    if flags:
        why = "--mode real" if REAL in options.modes else f"--fill {options.fill}"
        raise BuildError(f"{', '.join(flags)}: {why} draws no template; leave one or the other out")
