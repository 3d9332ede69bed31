"""What a build was asked for, checked and completed with the database's defaults."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from occsynth import __version__
from occsynth.build.subset import read_subset
from occsynth.databases import DATABASES
from occsynth.databases.counts import published_counts
from occsynth.databases.record import Database, Variant
from occsynth.databases.roots import raw_root
from occsynth.errors import BuildError, UnknownNameError, lookup
from occsynth.faces.landmarks import model_sha256
from occsynth.manifest import MAX_SIZE_PX, ManifestInfo
from occsynth.modes import DESCRIPTIONS, REAL
from occsynth.option_values import FILLS, Fill
from occsynth.occluder import Occluder
from occsynth.pixels.images import ENDINGS
from occsynth.templates.pack import TemplatePack, load_pack, shipped_pack_folder

ALIGNMENTS = ("similarity", "none")


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The options of `occsynth build`, as given; None stands for the database's default.

    Attributes:
        db: key of the database.
        modes: occlusion modes, groups already opened (see `occsynth.modes.expand`).
        root: raw root; default the remembered one.
        subset: list of file stems that are kept.
        workers: processes; default one a core.
        strict: rejects (but those that the database's protocol leaves out) are an error.
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
    out: Path = Path("builds")
    image_format: str = "png"
    workers: int | None = None
    backend: str = "loky"
    scheduler: str = ""
    resume: bool = True
    overwrite: bool = False
    strict: bool = False
    colour_match: bool = False
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides a build's pixels, complete and checked; it travels to the workers."""

    db: str
    variant: str
    cropped: bool
    modes: tuple[str, ...]
    raw_root: str
    out: str
    size_px: int
    seed: int
    fill: Fill
    categories: tuple[str, ...]
    pack_folder: str
    pack_sha256: str
    align: str
    image_format: str
    colour_match: bool
    shadow: bool
    subset: str
    subset_sha256: str
    clean_folder: str
    model_sha256: str

    def identity(self) -> str:
        """Digest over what decides the made bytes; where things lie on this machine does not count."""
        content = {
            name: value for name, value in asdict(self).items() if name not in ("raw_root", "out", "pack_folder")
        }
        return hashlib.sha256(json.dumps([content, versions()], sort_keys=True).encode()).hexdigest()

    def name(self, mode: str) -> str:
        """Name of the build of one mode: database, mode, and every choice that is not the default."""
        return _name(self, mode)

    def info(self, mode: str) -> ManifestInfo:
        """The manifest's JSON for one mode, without its counts."""
        templated = mode != REAL and self.fill == "template"
        database = DATABASES[self.db]
        return ManifestInfo(
            name=self.name(mode),
            database=self.db,
            variant=self.variant,
            mode=mode,
            seed=self.seed,
            size_px=self.size_px,
            fill=self.fill if mode != REAL else "",
            categories=list(self.categories) if templated else [],
            align=self.align,
            format=self.image_format,
            subset=self.subset,
            subset_sha256=self.subset_sha256,
            template_pack=_pack_name(self.pack_folder) if templated else "",
            template_pack_sha256=self.pack_sha256 if templated else "",
            landmark_model_sha256=self.model_sha256,
            versions=versions(),
            published=dict(published_counts(database, _variant(database, self.variant))),
        )


def versions() -> dict[str, str]:
    """Versions of what makes the pixels."""
    try:
        mediapipe = version("mediapipe")
    except PackageNotFoundError:
        mediapipe = "not installed"
    return {"occsynth": __version__, "opencv": cv2.__version__, "numpy": np.__version__, "mediapipe": mediapipe}


def complete(options: BuildOptions) -> Settings:
    """The options, checked and completed.

    Raises:
        OccSynthError: naming the flag that is wrong and what it may be.
    """
    database = lookup(DATABASES, options.db, kind="database")
    variant = _variant(database, options.variant or database.variants[0].name)
    _check_modes(options, database)
    for flag, value, allowed in (
        ("--fill", options.fill, FILLS),
        ("--align", options.align or variant.align, ALIGNMENTS),
        ("--format", options.image_format, tuple(ENDINGS)),
    ):
        if value not in allowed:
            raise UnknownNameError(f"{flag} '{value}'; choose one of: {', '.join(allowed)}")
    size_px = options.size_px or database.size_px
    if not 8 <= size_px <= MAX_SIZE_PX:
        raise BuildError(f"--size {size_px} is outside 8 to {MAX_SIZE_PX} pixels")
    align = options.align or variant.align
    pack, categories = _pack(options)
    subset = read_subset(options.subset) if options.subset else None
    changed = [
        variant.name if variant != database.variants[0] else "",
        _align_word(align, variant),
        "jpeg" if options.image_format == "jpeg" else "",
    ]
    return Settings(
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
        align=align,
        image_format=options.image_format,
        colour_match=options.colour_match,
        shadow=options.shadow,
        subset=subset.name if subset else "",
        subset_sha256=subset.sha256 if subset else "",
        clean_folder="-".join([f"{options.db}-{size_px}px", *filter(None, changed)]),
        model_sha256=model_sha256(),
    )


def default_categories(pack_folder: str) -> tuple[str, ...]:
    """The categories that are drawn from when `--category` is not given."""
    return Occluder("random", Path(pack_folder) if pack_folder else None).choices.categories


def _variant(database: Database, name: str) -> Variant:
    return lookup({each.name: each for each in database.variants}, name, kind=f"{database.key} --variant")


def _check_modes(options: BuildOptions, database: Database) -> None:
    for mode in options.modes:
        lookup(DESCRIPTIONS, mode, kind="mode")
    real = REAL in options.modes
    if real and len(options.modes) > 1:
        raise BuildError("--mode real stands alone: its images are occluded already")
    if database.real and not real:
        raise BuildError(f"{database.key}: its images are occluded already; use --mode real")
    if real and not database.real and options.subset is None:
        raise BuildError(
            f"--mode real is for images that are occluded already; for {database.key} give --subset LIST, "
            "the list of its occluded images"
        )


def _pack(options: BuildOptions) -> tuple[TemplatePack | None, tuple[str, ...]]:
    if options.fill != "template" or REAL in options.modes:
        _refuse_template_options(options)
        return None, ()
    occluder = Occluder("random", options.templates, categories=options.categories)
    return occluder.choices.pack, occluder.choices.categories


def _refuse_template_options(options: BuildOptions) -> None:
    given = {
        "--category": options.categories,
        "--templates": options.templates,
        "--colour-match": options.colour_match,
        "--shadow": options.shadow,
    }
    flags = [flag for flag, value in given.items() if value]
    if flags:
        why = "--mode real" if REAL in options.modes else f"--fill {options.fill}"
        raise BuildError(f"{', '.join(flags)}: {why} draws no template; leave one or the other out")


def _pack_name(folder: str) -> str:
    return "occsynth" if Path(folder) == shipped_pack_folder().resolve() else Path(folder).name


@cache
def _name(settings: Settings, mode: str) -> str:
    database = DATABASES[settings.db]
    variant = _variant(database, settings.variant)
    templated = mode != REAL and settings.fill == "template"
    chosen = (
        settings.categories if templated and settings.categories != default_categories(settings.pack_folder) else ()
    )
    foreign = templated and settings.pack_sha256 != load_pack().sha256
    parts = [
        settings.variant if settings.variant != database.variants[0].name else "",
        f"{settings.size_px}px" if settings.size_px != database.size_px else "",
        _align_word(settings.align, variant),
        settings.fill if settings.fill != "template" and mode != REAL else "",
        f"seed{settings.seed}" if settings.seed and mode != REAL else "",
        *chosen,
        f"pack{settings.pack_sha256[:8]}" if foreign else "",
        "matched" if templated and settings.colour_match else "",
        "shadow" if templated and settings.shadow else "",
        settings.subset,
        "jpeg" if settings.image_format == "jpeg" else "",
    ]
    return "-".join([settings.db, mode, *filter(None, parts)])


def _align_word(align: str, variant: Variant) -> str:
    """What a name says of an alignment that is not the variant's own."""
    return "" if align == variant.align else {"none": "unaligned"}.get(align, "aligned")
