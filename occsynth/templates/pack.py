"""Template packs: folders with an `index.csv` and RGBA cut-outs, in one sub-folder per category."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from occsynth.errors import ManifestError, TemplateError
from occsynth.escapes import from_csv
from occsynth.files import inside, is_file
from occsynth.option_values import WEAR, TemplateSplit
from occsynth.reading import read_table
from occsynth.templates.split import held_out
from occsynth.templates.sprites import ReducedSprite, Sprite, decode_sprite, reduce_sprite
from occsynth.templates.wear import Wear, WearKind, read_wear

INDEX_COLUMNS = (
    "file",
    "category",
    "name",
    "licence",
    "source",
    "attribution",
    "opaque_fraction",
    "see_through",
    "base_edge",
    "skin_tone",
)
_SPRITES_KEPT = 128  # a large pack would otherwise fill the memory of every worker
_REDUCED_KEPT = 512


def shipped_pack_folder() -> Path:
    """The template pack that ships with occsynth: in the installed package, or at the top of a checkout."""
    installed = Path(__file__).parents[1] / "assets" / "templates"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "templates"


@dataclass(frozen=True, slots=True)
class Template:
    """One row of the index of a template pack.

    Attributes:
        file: path of the image in the pack; manifests name the template by it.
        see_through: whether the face shows through, as through a glass.
        base_edge: `bottom` if the object goes on outside the picture there (the forearm of a hand), else empty.
        skin_tone: 1 (very light) to 5 (dark) for hands, else empty.
        wear: where on a face it is worn; None for what is not worn.
    """

    file: str
    category: str
    name: str
    licence: str
    source: str
    see_through: bool
    base_edge: str
    skin_tone: str
    wear: Wear | None = None


@dataclass(eq=False)
class TemplatePack:
    """A template pack: its index, and its sprites as they are needed.

    Attributes:
        folder: the folder of the pack.
        templates: the templates by `file`, sorted.
    """

    folder: Path
    templates: dict[str, Template]
    _groups: dict[tuple[object, ...], tuple[tuple[Template, ...], ...]] = field(default_factory=dict, repr=False)
    _sprites: OrderedDict[str, Sprite] = field(default_factory=OrderedDict, repr=False)
    _digests: dict[str, str] = field(default_factory=dict, repr=False)
    _reduced: OrderedDict[tuple[str, tuple[int, int], float], ReducedSprite] = field(
        default_factory=OrderedDict, repr=False
    )

    def __getstate__(self) -> dict[str, object]:
        """Leaves out the decoded sprites, so that little is sent to each worker process."""
        return {
            "folder": self.folder,
            "templates": self.templates,
            "_groups": {},
            "_sprites": OrderedDict(),
            "_digests": {},
            "_reduced": OrderedDict(),
        }

    @cached_property
    def sha256(self) -> str:
        """Digest over the name, the index fields that change pixels, and the file's bytes of every template.

        What is worn does not count: it is drawn only where it was asked for, and other builds need not know of it.
        """
        return self._digest(each for each in self.templates.values() if each.wear is None)

    @cached_property
    def worn_sha256(self) -> str:
        """The digest of a build that draws what is worn: over all templates, and where on a face they are worn."""
        return self._digest(self.templates.values())

    def is_known_as(self, sha256: str) -> bool:
        """Whether a build from this pack may have recorded this digest."""
        return sha256 in (self.sha256, self.worn_sha256)

    def _digest(self, templates: Iterable[Template]) -> str:
        digest = hashlib.sha256()
        for template in templates:
            line = (template.file, template.category, str(template.see_through), template.base_edge)
            worn = () if template.wear is None else (repr(template.wear),)
            digest.update("\x1f".join((*line, *worn, self.file_sha256(template.file), "\n")).encode())
        return digest.hexdigest()

    @cached_property
    def held_out(self) -> frozenset[str]:
        """The files that the split `test` draws and `train` does not, see `occsynth.templates.split`."""
        return held_out(
            (each.file, f"{each.category}/{each.wear.kind}" if each.wear else each.category, each.name)
            for each in self.templates.values()
        )

    def groups(
        self, categories: tuple[str, ...], *, see_through: bool, worn: bool = False, split: TemplateSplit = "all"
    ) -> tuple[tuple[Template, ...], ...]:
        """The templates of each category, sorted by file; categories without any are left out.

        Args:
            categories: names of categories.
            see_through: whether templates that the face shows through are included.
            worn: whether templates that are worn are included.
            split: which of them.

        Raises:
            TemplateError: no category has any.
        """
        key = (categories, see_through, worn, split)
        if key not in self._groups:
            usable = [
                each
                for each in self.templates.values()
                if (see_through or not each.see_through) and (worn or each.wear is None) and self._is_in(each, split)
            ]
            groups = (tuple(each for each in usable if each.category == name) for name in categories)
            self._groups[key] = tuple(filter(None, groups))
        if not self._groups[key]:
            kind = "" if see_through else " that is not see-through"
            hint = "" if worn or WEAR not in categories else "; what is worn is drawn by other modes, such as random"
            raise TemplateError(
                f"{self.folder} has no template{_of(split)}{kind} of category {', '.join(categories)}; it has "
                f"{', '.join(sorted({each.category for each in self.templates.values()})) or 'none'}{hint}"
            )
        return self._groups[key]

    def worn_groups(
        self, kinds: tuple[WearKind, ...], *, split: TemplateSplit = "all"
    ) -> tuple[tuple[Template, ...], ...]:
        """The templates of each kind of wear, sorted by file; kinds without any are left out.

        Raises:
            TemplateError: no kind has any.
        """
        key = (kinds, split)
        if key not in self._groups:
            usable = [each for each in self.templates.values() if each.wear is not None and self._is_in(each, split)]
            groups = (tuple(each for each in usable if each.wear and each.wear.kind == kind) for kind in kinds)
            self._groups[key] = tuple(filter(None, groups))
        if not self._groups[key]:
            raise TemplateError(
                f"{self.folder} has no template{_of(split)} of kind {', '.join(kinds)}; "
                f"{self.folder / 'wear.csv'} must say what is worn, and where on a face"
            )
        return self._groups[key]

    def _is_in(self, template: Template, split: TemplateSplit) -> bool:
        return split == "all" or (template.file in self.held_out) == (split == "test")

    def file_sha256(self, file: str) -> str:
        """SHA-256 of a template's file; raises TemplateError if the file cannot be read."""
        if file not in self._digests:
            self._digests[file] = hashlib.sha256(self._read(file)).hexdigest()
        return self._digests[file]

    def sprite(self, file: str) -> Sprite:
        """The decoded template; the most recently used ones are kept. Raises TemplateError if it cannot be used."""
        if file not in self._sprites:
            edge = self.templates[file].base_edge if file in self.templates else ""
            self._sprites[file] = decode_sprite(self._read(file), f"{self.folder / file}", edge)
            while len(self._sprites) > _SPRITES_KEPT:
                self._sprites.popitem(last=False)
        self._sprites.move_to_end(file)
        return self._sprites[file]

    def reduced(self, file: str, wh: tuple[int, int], feather_px: float = 0.0) -> ReducedSprite:
        """A sprite shrunk to `wh`, its edge softened (see `reduce_sprite`); the most recently used ones are kept.

        Raises:
            ManifestError: `wh` is larger than the template.
            TemplateError: the template cannot be used.
        """
        key = (file, wh, feather_px)
        if key not in self._reduced:
            sprite = self.sprite(file)
            if wh[0] > sprite.wh[0] or wh[1] > sprite.wh[1]:
                raise ManifestError(f"column occlusion: {file} is {sprite.wh}, which must not be enlarged to {wh}")
            self._reduced[key] = reduce_sprite(sprite, wh, feather_px)
            while len(self._reduced) > _REDUCED_KEPT:
                self._reduced.popitem(last=False)
        self._reduced.move_to_end(key)
        return self._reduced[key]

    def _read(self, file: str) -> bytes:
        try:
            return inside(self.folder, file).read_bytes()
        except ManifestError as error:
            raise TemplateError(f"template {error}") from error
        except OSError as error:
            raise TemplateError(f"template {self.folder / file} cannot be read: {error.strerror or error}") from error


def load_pack(folder: Path | None = None) -> TemplatePack:
    """The template pack in a folder.

    >>> pack = load_pack()
    >>> pack.templates["food/banana.png"].licence, pack.sprite("food/banana.png").wh
    ('CC0-1.0', (256, 102))

    Args:
        folder: default the pack that ships with occsynth.

    Raises:
        TemplateError: the index or a file of it is missing, columns are missing, a template has no licence or source,
            or a name leaves the folder.
    """
    folder = shipped_pack_folder() if folder is None else folder
    index = folder / "index.csv"
    if not index.exists():
        raise TemplateError(
            f"{index} not found. A template pack is a folder with an index.csv; "
            "`occsynth templates add` makes one from a folder of RGBA images"
        )
    table = read_table(index, INDEX_COLUMNS, TemplateError)
    rows = ({name: from_csv(cell) for name, cell in row.items()} for _, row in table)
    wear = read_wear(folder / "wear.csv")
    entries = [_template(row, index, folder, wear.get(row["file"])) for row in rows]
    if not entries:
        raise TemplateError(f"{index} lists no template")
    return TemplatePack(folder, {each.file: each for each in sorted(entries, key=lambda each: each.file)})


def _of(split: TemplateSplit) -> str:
    return "" if split == "all" else f" of the split {split}"


def _template(row: dict[str, str], index: Path, folder: Path, wear: Wear | None) -> Template:
    name = row["file"]
    try:
        path = inside(folder, name)
    except ManifestError as error:
        raise TemplateError(f"{index}: {error}") from error
    if not is_file(path):
        raise TemplateError(f"{index} lists {name[:200]}, which is not in {folder}")
    if not row["licence"] or not row["source"]:
        raise TemplateError(f"{index}: {name} has no licence or no source; fill both in")
    if row["base_edge"] not in ("", "bottom"):
        raise TemplateError(f"{index}: {name}: base_edge is '{row['base_edge'][:80]}'; it must be 'bottom' or empty")
    if wear is not None and row["category"] != WEAR:
        raise TemplateError(f"{index}: {name} is listed in wear.csv, so its category must be '{WEAR}'")
    see_through = row["see_through"].strip().lower() == "true"
    text = (name, row["category"], row["name"], row["licence"], row["source"])
    return Template(*text, see_through, row["base_edge"], row["skin_tone"], wear)
