"""The complete settings of a build, and what follows from them: its identity, its name and its manifest's JSON."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np

from occsynth import __version__
from occsynth.databases import DATABASES, find_variant
from occsynth.databases.counts import published_counts
from occsynth.databases.record import LabelOptions, Variant
from occsynth.manifest import SCHEMA, ManifestInfo
from occsynth.modes import REAL, SQUARES, default_look, find_mode
from occsynth.occluder import Occluder
from occsynth.option_values import WEAR, AlignKind, Fill, ImageFormat, Look, SquareAt, TemplateSplit
from occsynth.templates.pack import load_pack, shipped_pack_folder


@dataclass(frozen=True, slots=True)
class CompleteSettings:
    """Everything that decides a build's pixels: `BuildOptions` checked, with every default filled in.

    Plain hashable values only, since it travels to the workers and is a key of their caches.
    """

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
    align: AlignKind
    image_format: ImageFormat
    colour_match: bool
    shadow: bool
    keep_colour: bool
    natural_modes: tuple[str, ...]
    square_at: SquareAt
    worn_sha256: str
    template_split: TemplateSplit
    subset: str
    subset_sha256: str
    labels: LabelOptions
    folds: str
    folds_sha256: str
    clean_folder: str
    model_sha256: str

    def identity(self) -> str:
        """Digest over what decides the bytes that are made.

        Where folders are on this machine does not count: a build that was moved still finds its unfinished work. The
        schema does, because the rows of another one are drawn from other streams.
        """
        content = {
            name: value
            for name, value in asdict(self).items()
            if name not in ("raw_root", "out", "pack_folder") and value != _BEFORE.get(name)
        }
        return hashlib.sha256(json.dumps([content, versions(), SCHEMA], sort_keys=True).encode()).hexdigest()

    def name(self, mode: str) -> str:
        """Name of the build of one mode: database, mode, and every choice that is not the default."""
        return _name(self, mode)

    def names(self) -> list[str]:
        """The names of the builds of all modes."""
        return [self.name(mode) for mode in self.modes]

    def shared_folder(self) -> str:
        """The folder of `data/` with the clean images; empty with mode `real`, which has none."""
        return "" if REAL in self.modes else self.clean_folder

    def squares_on_face(self, mode: str) -> bool:
        """Whether a mode draws squares whose centre lies on the face."""
        return mode in SQUARES and self.square_at == "face"

    def look(self, mode: str) -> Look:
        """How templates look in a mode."""
        return "natural" if mode in self.natural_modes else "pasted"

    def greys(self, mode: str) -> bool:
        """Whether what hides a grey face is turned grey."""
        return mode != REAL and self.fill in ("template", "noise") and not self.keep_colour

    def drawn_categories(self, mode: str) -> tuple[str, ...]:
        """The categories of templates that a mode draws from; not all heed `--category`."""
        return (WEAR,) if mode != REAL and find_mode(mode).wears else self.categories

    def drawn_sha256(self, mode: str) -> str:
        """The digest of the templates that a mode may draw."""
        return self.worn_sha256 if WEAR in self.drawn_categories(mode) else self.pack_sha256

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
            categories=list(self.drawn_categories(mode)) if templated else [],
            align=self.align,
            format=self.image_format,
            subset=self.subset,
            subset_sha256=self.subset_sha256,
            classes=self.labels.classes,
            labels=dict(self.labels.scheme),
            folds=self.folds,
            folds_sha256=self.folds_sha256,
            template_pack=_pack_name(self.pack_folder) if templated else "",
            template_pack_sha256=self.drawn_sha256(mode) if templated else "",
            template_split=self.template_split if templated and self.template_split != "all" else "",
            square_at="face" if self.squares_on_face(mode) else "",
            look="natural" if self.look(mode) == "natural" else "",
            grey=self.greys(mode),
            landmark_model_sha256=self.model_sha256,
            versions=versions(),
            published=dict(published_counts(database, find_variant(database, self.variant), self.labels)),
        )


_BEFORE = {
    "keep_colour": True,
    "natural_modes": (),
    "square_at": "picture",
    "worn_sha256": "",
    "template_split": "all",
    "labels": {"classes": 7, "scheme": ()},
    "folds": "",
    "folds_sha256": "",
}
"""What was done before there was such a setting: it does not count, so that builds of earlier versions go on."""


def versions() -> dict[str, str]:
    """Versions of the packages that make the pixels."""
    try:
        mediapipe = version("mediapipe")
    except PackageNotFoundError:
        mediapipe = "not installed"
    return {"occsynth": __version__, "opencv": cv2.__version__, "numpy": np.__version__, "mediapipe": mediapipe}


def _default_categories(pack_folder: str) -> tuple[str, ...]:
    """The categories that are drawn from when `--category` is not given."""
    return Occluder("random", Path(pack_folder) if pack_folder else None).choices.categories


def _pack_name(folder: str) -> str:
    return "occsynth" if Path(folder) == shipped_pack_folder().resolve() else Path(folder).name


@cache  # every image path asks for it
def _name(settings: CompleteSettings, mode: str) -> str:
    database = DATABASES[settings.db]
    variant = find_variant(database, settings.variant)
    templated = mode != REAL and settings.fill == "template"
    own = templated and not find_mode(mode).wears and settings.categories != _default_categories(settings.pack_folder)
    foreign = templated and not load_pack().is_known_as(settings.drawn_sha256(mode))
    parts = [
        settings.variant if settings.variant != database.variants[0].name else "",
        f"{settings.size_px}px" if settings.size_px != database.size_px else "",
        align_word(settings.align, variant),
        settings.fill if settings.fill != "template" and mode != REAL else "",
        f"seed{settings.seed}" if settings.seed and mode != REAL else "",
        *(settings.categories if own else ()),
        f"pack{settings.drawn_sha256(mode)[:8]}" if foreign else "",
        f"templates-{settings.template_split}" if templated and settings.template_split != "all" else "",
        "matched" if templated and settings.colour_match else "",
        "shadow" if templated and settings.shadow else "",
        "colour" if settings.keep_colour else "",
        settings.look(mode) if templated and settings.look(mode) != default_look(mode) else "",
        "face" if settings.squares_on_face(mode) else "",
        label_word(settings.labels),
        f"folds-{settings.folds}" if settings.folds else "",
        settings.subset,
        "jpeg" if settings.image_format == "jpeg" else "",
    ]
    return "-".join([settings.db, mode, *filter(None, parts)])


def label_options(info: ManifestInfo) -> LabelOptions:
    """How the labels of a build's database were read."""
    return LabelOptions(8 if info.classes == 8 else 7, tuple(info.labels.items()))


def label_word(labels: LabelOptions) -> str:
    """The words in a build's name for other labels than a database's own, with seven classes."""
    scheme = json.dumps(labels.scheme)
    digest = f"labels{hashlib.sha256(scheme.encode()).hexdigest()[:8]}" if labels.scheme else ""
    return "-".join(filter(None, [f"{labels.classes}classes" if labels.classes != 7 else "", digest]))


def align_word(align: str, variant: Variant) -> str:
    """The word in a build's name for an alignment other than the variant's own; empty for the variant's own."""
    return "" if align == variant.align else {"none": "unaligned"}.get(align, "aligned")
