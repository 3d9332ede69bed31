"""`occsynth templates add`: imports cut-outs into a template pack, each with its licence and source."""

import csv
import io
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from platformdirs import user_data_path

from occsynth.errors import ManifestError, SourceError, TemplateError
from occsynth.escapes import for_csv, from_csv
from occsynth.files import explained_os_errors, inside, lies_in, write_atomic
from occsynth.option_values import Edge, ImportKind
from occsynth.ownership import owned_folder
from occsynth.parallel import Progress
from occsynth.pixels.images import Pixels, pixels_sha256
from occsynth.reading import read_cells, read_table
from occsynth.templates.cut_out import FinishedCutOut, decode_rgba, finish, guess_base_edge
from occsynth.templates.import_coco import read_instances
from occsynth.templates.import_folders import (
    CutOut,
    ImportOptions,
    read_masks_folder,
    read_pack_folder,
    read_rgba_folder,
)
from occsynth.templates.pack import INDEX_COLUMNS

MAKER = "occsynth templates add"


@dataclass(frozen=True, slots=True)
class SkippedCutOut:
    """A file or annotation that was not imported.

    Attributes:
        label: the file, or the picture and annotation.
        reason: why, in one line.
        duplicate: the pack already has a template with these pixels.
    """

    label: str
    reason: str
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import did.

    Attributes:
        folder: the template pack.
        added: names of the new files in the pack, sorted.
        skipped: everything that was read and not added, in the order it was read.
        notes: other things that the user should know.
    """

    folder: Path
    added: list[str]
    skipped: list[SkippedCutOut]
    notes: list[str]

    def reasons(self) -> dict[str, int]:
        """How many were skipped for each reason, the most common first; numbers inside a reason are ignored."""
        counts = Counter(re.sub(r"\d+", "N", each.reason) for each in self.skipped)
        return dict(counts.most_common())


def default_pack_folder(source: Path) -> Path:
    """Where the pack made from `source` goes without `--out`: the user's data folder, under the name of the source."""
    return user_data_path("occsynth") / "templates" / slug(source.resolve().stem)


def slug(text: str) -> str:
    """Text as a safe file name: lower-case letters, digits, `_` and `-`, at most 64 of them and at least one."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9-]+", "_", plain).strip("_-")[:64].strip("_-") or "item"


def add_pack(
    source: Path,
    out: Path,
    *,
    licence: str = "",
    source_text: str = "",
    attribution: str = "",
    category: str | None = None,
    kind: ImportKind = "auto",
    images: Path | None = None,
    coco_categories: Sequence[str] | None = None,
    base_edge: Edge | None = None,
    min_side_px: int = 64,
    long_side_px: int = 512,
    limit: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ImportSummary:
    """Imports cut-outs into the template pack at `out`, creating it if needed.

    The index of the pack is replaced last and at once, so an import that is killed leaves a pack that works.

    Args:
        source: folder of RGBA images (categories as sub-folders), folder with `images/` and `masks/`, another template
            pack with its `index.csv`, or a COCO instances JSON.
        out: folder of the pack.
        licence: licence of every cut-out; what the index of a pack or a COCO file says of a picture takes precedence.
        source_text: where the cut-outs come from, for the index.
        attribution: whom the licence asks to name.
        category: category of every cut-out in the pack; default their sub-folder.
        kind: how the cut-outs are stored.
        images: folder of the pictures of a COCO file.
        coco_categories: categories of the COCO file to import, default those of `COCO_CATEGORIES`.
        base_edge: edge at which the objects go on outside their picture; None to guess it for hands.
        min_side_px: cut-outs whose longer visible side is shorter are skipped.
        long_side_px: cut-outs whose longer side is longer are shrunk to it.
        limit: largest number of new templates per category.
        overwrite: write into `out` even if it holds files of something else than a pack.
        progress: called with `templates`, how many cut-outs were read, and their total number.

    Raises:
        TemplateError: nothing to import, or none of it usable; a licence or source is missing; an index is malformed.
        TemplateError: `out` lies in the folder to import from, is in use, or holds something else than a pack.
        BuildError: the pack cannot be written.
    """
    options = ImportOptions(_one_line(licence), _one_line(source_text), _one_line(attribution), category, base_edge)
    kind = _kind_of(source, kind)
    for folder in filter(None, (source, images)):
        if lies_in(out, folder):
            raise TemplateError(f"{out} lies in the folder to import from, {folder}; name another one with --out")
    if kind == "coco":
        notes = ["where the COCO file names the licence of a picture, the index has that one"]
        cut_outs = list(read_instances(source, images, coco_categories, options, min_side_px))
    else:
        cut_outs, notes = _read_folder(source, kind, options)
    if not cut_outs:
        raise TemplateError(f"{source}: nothing to import was found")
    _refuse_without_credentials(source, cut_outs)
    if any(each.licence.upper().startswith("CC-BY") and not each.attribution for each in cut_outs):
        notes.append("the licence asks you to name the author; do so with --attribution")
    claimed = owned_folder(out, MAKER, TemplateError, overwrite=overwrite, made_before=_is_pack)
    with explained_os_errors(out), claimed:
        pack = _OpenPack(out, overwrite)
        finisher = partial(_finish, min_side_px=min_side_px, long_side_px=long_side_px)
        added, skipped = _add_all(pack, cut_outs, finisher, limit=limit, progress=progress)
        if added:
            pack.write_index()
    if not added and not any(each.duplicate for each in skipped):
        first = skipped[0]
        raise TemplateError(
            f"{source}: none of {len(cut_outs)} could be used; the first, {first.label}: {first.reason}"
        )
    return ImportSummary(out, sorted(added), skipped, notes)


def _is_pack(folder: Path) -> bool:
    """Whether a folder is a template pack, or version 0.1 has begun to make it one."""
    return (folder / ".lock").is_file() or _index_columns(folder / "index.csv") == INDEX_COLUMNS


def _index_columns(index: Path) -> tuple[str, ...]:
    """The first line of an index; empty if it cannot be read."""
    try:
        return tuple(next(read_cells(index, TemplateError, encoding="utf-8-sig"), (0, []))[1])
    except TemplateError:
        return ()


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _kind_of(source: Path, kind: ImportKind) -> ImportKind:
    if not source.exists():
        raise TemplateError(f"{source} not found. Give a folder of cut-outs or a COCO instances JSON")
    if kind == "auto":
        has_masks = (source / "images").is_dir() and (source / "masks").is_dir()
        kind = "coco" if source.is_file() else "masks" if has_masks else "rgba"
    if kind != "coco" and not source.is_dir():
        raise TemplateError(f"{source} is not a folder, but --kind {kind} needs a folder of images")
    return kind


def _read_folder(source: Path, kind: ImportKind, options: ImportOptions) -> tuple[list[CutOut], list[str]]:
    """The cut-outs of a folder, and notes for the user."""
    if kind == "masks":
        return list(read_masks_folder(source, options)), []
    if not (source / "index.csv").is_file():
        return list(read_rgba_folder(source, options)), []
    unused = [name for name, text in (("licence", options.licence), ("source", options.source)) if text]
    notes = [f"{source / 'index.csv'} overrides --{' and --'.join(unused)}"] if unused else []
    if (source / "wear.csv").is_file():
        notes.append(f"{source / 'wear.csv'} is not imported: what is worn becomes an object like others")
    return list(read_pack_folder(source, options.category)), notes


def _refuse_without_credentials(source: Path, cut_outs: Sequence[CutOut]) -> None:
    for name, option in (("licence", "--licence"), ("source", "--source")):
        without = [each.label for each in cut_outs if not getattr(each, name).strip()]
        if without:
            raise TemplateError(
                f"{source}: no {name} for {len(without)} of {len(cut_outs)}, such as {without[0]}; a template pack "
                f"needs it. Give it with {option} (a licence by its SPDX name, such as CC0-1.0 or CC-BY-4.0)"
            )


def _add_all(
    pack: "_OpenPack",
    cut_outs: Sequence[CutOut],
    finisher: Callable[[CutOut], FinishedCutOut],
    *,
    limit: int | None,
    progress: Progress | None,
) -> tuple[list[str], list[SkippedCutOut]]:
    added: list[str] = []
    skipped: list[SkippedCutOut] = []
    per_category: Counter[str | None] = Counter()
    for number, each in enumerate(cut_outs, start=1):
        if progress is not None:
            progress("templates", number, len(cut_outs))
        if limit is not None and per_category[each.category] >= limit:
            skipped.append(SkippedCutOut(each.label, f"more than {limit} of its category"))
            continue
        try:
            finished = finisher(each)
        except SourceError as error:
            skipped.append(SkippedCutOut(each.label, str(error)))
            continue
        known = pack.find(finished.rgba)
        if known:
            skipped.append(SkippedCutOut(each.label, f"its pixels are already in the pack, as {known}", duplicate=True))
            continue
        added.append(pack.add(each, finished))
        per_category[each.category] += 1
    return added, skipped


def _finish(cut_out: CutOut, *, min_side_px: int, long_side_px: int) -> FinishedCutOut:
    rgba = cut_out.read()  # a file that is not an image is skipped as such, not for want of a category
    if cut_out.category is None:
        raise SourceError("no category: put it into a sub-folder named food, hand or drink, or give --category")
    edge = cut_out.base_edge
    if edge is None:
        edge = guess_base_edge(rgba[:, :, 3]) if slug(cut_out.category) == "hand" else ""
    return finish(rgba, base_edge=edge, min_side_px=min_side_px, long_side_px=long_side_px)


@dataclass
class _OpenPack:
    """A template pack while it is added to.

    Attributes:
        folder: the folder of the pack.
        overwrite: whether an `index.csv` of something else is replaced.
        rows: rows of its index by file.
        unread: files whose pixels are not in `digests` yet, by image size.
        digests: files by the shape and the digest of their pixels.
    """

    folder: Path
    overwrite: bool
    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    unread: dict[tuple[int, int], list[str]] = field(default_factory=lambda: defaultdict(list))
    digests: dict[tuple[tuple[int, ...], str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        index = self.folder / "index.csv"
        if not index.exists():
            return
        if _index_columns(index) != INDEX_COLUMNS:
            if self.overwrite:
                return
            raise TemplateError(f"{index} is not the index of a template pack: its columns differ")
        lines = (cells for _, cells in read_table(index, INDEX_COLUMNS, TemplateError))
        rows = ({name: from_csv(cell) for name, cell in cells.items()} for cells in lines)
        self.rows = {row["file"]: row for row in rows}
        for file_name in self.rows:
            try:
                with Image.open(inside(self.folder, file_name)) as image:
                    self.unread[image.size].append(file_name)
            except (ManifestError, OSError) as error:
                raise TemplateError(f"{index} lists {file_name}, which cannot be read: {error}") from error

    def find(self, rgba: Pixels) -> str | None:
        """The template with the same pixels, or None; only templates of the same size are decoded."""
        for file_name in self.unread.pop((rgba.shape[1], rgba.shape[0]), []):
            known = np.ascontiguousarray(decode_rgba((self.folder / file_name).read_bytes()))
            self.digests[known.shape, pixels_sha256(known)] = file_name
        return self.digests.get((rgba.shape, pixels_sha256(rgba)))

    def add(self, cut_out: CutOut, finished: FinishedCutOut) -> str:
        """Writes the image and adds its row; the first digits of its digest make a name that is taken unique.

        Raises:
            TemplateError: even that name is taken.
        """
        digest = pixels_sha256(finished.rgba)
        category, name = slug(cut_out.category or ""), slug(cut_out.name)
        buffer = io.BytesIO()
        Image.fromarray(finished.rgba).save(buffer, "PNG", optimize=True)
        if self._is_taken(f"{category}/{name}.png", buffer.getvalue()):
            name = f"{name}_{digest[:8]}"
        file_name = f"{category}/{name}.png"
        if self._is_taken(file_name, buffer.getvalue()):
            raise TemplateError(f"{self.folder / file_name} already exists and is not in the pack's index; remove it")
        write_atomic(self.folder / file_name, buffer.getvalue())
        see_through = finished.see_through if cut_out.see_through is None else cut_out.see_through
        texts = map(_one_line, (cut_out.licence, cut_out.source, cut_out.attribution))
        measured = (f"{finished.opaque_fraction:.3f}", str(see_through).lower(), finished.base_edge)
        cells = (file_name, category, name, *texts, *measured, cut_out.skin_tone)
        self.rows[file_name] = dict(zip(INDEX_COLUMNS, cells, strict=True))
        self.digests[finished.rgba.shape, digest] = file_name
        return file_name

    def _is_taken(self, file_name: str, content: bytes) -> bool:
        """Whether a template has this name, or a file that holds something else; names are compared without case."""
        if file_name.casefold() in map(str.casefold, self.rows):
            return True
        path = self.folder / file_name
        return not self.overwrite and path.exists() and not (path.is_file() and path.read_bytes() == content)

    def write_index(self) -> None:
        """Replaces `index.csv` at once, sorted by file."""
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, INDEX_COLUMNS, lineterminator="\n")
        writer.writeheader()
        rows = (self.rows[file_name] for file_name in sorted(self.rows))
        writer.writerows({name: for_csv(cell) for name, cell in row.items()} for row in rows)
        write_atomic(self.folder / "index.csv", buffer.getvalue().encode())
