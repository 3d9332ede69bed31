"""`occsynth templates add`: brings cut-outs from elsewhere into a pack, each with its licence and source."""

import csv
import io
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock
from PIL import Image
from platformdirs import user_data_path

from occsynth.errors import ManifestError, SourceError, TemplateError
from occsynth.files import explained_os_errors, write_atomic
from occsynth.manifest import inside
from occsynth.parallel import Progress
from occsynth.pixels.images import Pixels, pixels_sha256
from occsynth.templates.import_coco import read_instances
from occsynth.templates.import_folders import Candidate, Origin, read_masks_folder, read_pack_folder, read_rgba_folder
from occsynth.templates.pack import INDEX_COLUMNS
from occsynth.templates.sprites import Edge, Finished, decode_rgba, finish, guess_base_edge

Kind = Literal["auto", "rgba", "masks", "coco"]
KINDS: tuple[Kind, ...] = ("auto", "rgba", "masks", "coco")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or annotation that gave no template; `duplicate` where the pack has its pixels already."""

    label: str
    reason: str
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import did.

    Attributes:
        folder: the pack.
        added: file names in the pack, sorted.
        skipped: everything that was looked at and not added, with the reason, in the order it was read.
        notes: what the user should know besides.
    """

    folder: Path
    added: list[str]
    skipped: list[Skipped]
    notes: list[str]

    def reasons(self) -> dict[str, int]:
        """How many were skipped for each reason, the commonest first; numbers inside a reason do not part it."""
        counts = Counter(re.sub(r"\d+", "N", each.reason) for each in self.skipped)
        return dict(counts.most_common())


def default_pack_folder(source: Path) -> Path:
    """Where the pack made from `source` lands without `--out`: in the user's data folder, under the source's name."""
    return user_data_path("occsynth") / "templates" / slug(source.resolve().stem)


def slug(text: str) -> str:
    """Lower-case letters, digits, `_` and `-`, at most 64 of them, never empty: safe as a file or folder name."""
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
    kind: Kind = "auto",
    images: Path | None = None,
    coco_categories: Sequence[str] | None = None,
    base_edge: Edge | None = None,
    min_side_px: int = 64,
    long_side_px: int = 512,
    limit: int | None = None,
    progress: Progress | None = None,
) -> ImportSummary:
    """Imports cut-outs into the pack at `out`, which is made or added to; its index is replaced last, at once.

    Args:
        source: folder of RGBA images (categories as sub-folders), folder with `images/` and `masks/`, another pack
            with its `index.csv`, or a COCO instances JSON.
        licence: of every cut-out; a pack's index and the pictures of a COCO file come before it.
        source_text: where they come from, for the index.
        category: in the pack, for all of them.
        images: folder of the pictures of a COCO file.
        coco_categories: names in the COCO file, default those of `COCO_CATEGORIES`.
        base_edge: where objects go on outside their picture; None to guess it for hands.
        min_side_px: the longer side of what is visible must reach it.
        long_side_px: longer cut-outs are shrunk to it.
        limit: at most so many new templates a category.
        progress: called with `templates`, how many are looked at, and of how many.

    Raises:
        TemplateError: nothing found or usable, no licence or source, or an index that is not a pack's.
        BuildError: the pack cannot be written.
    """
    origin = Origin(_one_line(licence), _one_line(source_text), _one_line(attribution), category, base_edge)
    kind = _kind_of(source, kind)
    if kind == "coco":
        notes = ["where the COCO file names the licence of a picture, that one stands in the index"]
        candidates = list(read_instances(source, images, coco_categories, origin, min_side_px))
    else:
        candidates, notes = _read_folder(source, kind, origin)
    if source.resolve() == out.resolve():
        raise TemplateError(f"{out} is the folder that is imported; name another with --out")
    if not candidates:
        raise TemplateError(f"{source}: nothing to import was found")
    _refuse_without_credentials(source, candidates)
    if any(each.licence.upper().startswith("CC-BY") and not each.attribution for each in candidates):
        notes.append("the licence asks to name the author; say whom with --attribution")
    with explained_os_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / ".lock"):
            pack = _OpenPack(out)
            finisher = partial(_finish, min_side_px=min_side_px, long_side_px=long_side_px)
            added, skipped = _add_all(pack, candidates, finisher, limit=limit, progress=progress)
            if added:
                pack.write_index()
    if not added and not any(each.duplicate for each in skipped):
        first = skipped[0]
        raise TemplateError(
            f"{source}: none of {len(candidates)} could be used; the first, {first.label}: {first.reason}"
        )
    return ImportSummary(out, sorted(added), skipped, notes)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _kind_of(source: Path, kind: Kind) -> Kind:
    if not source.exists():
        raise TemplateError(f"{source} not found. Give a folder of cut-outs or a COCO instances JSON")
    if kind == "auto":
        has_masks = (source / "images").is_dir() and (source / "masks").is_dir()
        kind = "coco" if source.is_file() else "masks" if has_masks else "rgba"
    if kind != "coco" and not source.is_dir():
        raise TemplateError(f"{source} is not a folder; kind {kind} is a folder of images")
    return kind


def _read_folder(source: Path, kind: Kind, origin: Origin) -> tuple[list[Candidate], list[str]]:
    """What a folder holds, and what to say about it."""
    if kind == "masks":
        return list(read_masks_folder(source, origin)), []
    if not (source / "index.csv").is_file():
        return list(read_rgba_folder(source, origin)), []
    unused = [name for name, text in (("licence", origin.licence), ("source", origin.source)) if text]
    notes = [f"{source / 'index.csv'} speaks for its files; the given {' and '.join(unused)} were not used"]
    return list(read_pack_folder(source, origin.category)), notes if unused else []


def _refuse_without_credentials(source: Path, candidates: Sequence[Candidate]) -> None:
    for name, option in (("licence", "--licence"), ("source", "--source")):
        without = [each.label for each in candidates if not getattr(each, name).strip()]
        if without:
            raise TemplateError(
                f"{source}: no {name} for {len(without)} of {len(candidates)}, {without[0]} for one; a pack without it "
                f"is refused. Say it with {option} (a licence by its SPDX name, such as CC0-1.0 or CC-BY-4.0)"
            )


def _add_all(
    pack: "_OpenPack",
    candidates: Sequence[Candidate],
    finisher: Callable[[Candidate], Finished],
    *,
    limit: int | None,
    progress: Progress | None,
) -> tuple[list[str], list[Skipped]]:
    added: list[str] = []
    skipped: list[Skipped] = []
    per_category: Counter[str | None] = Counter()
    for number, each in enumerate(candidates, start=1):
        if progress is not None:
            progress("templates", number, len(candidates))
        if limit is not None and per_category[each.category] >= limit:
            skipped.append(Skipped(each.label, f"more than {limit} of its category"))
            continue
        try:
            finished = finisher(each)
        except SourceError as error:
            skipped.append(Skipped(each.label, str(error)))
            continue
        known = pack.find(finished.rgba)
        if known:
            skipped.append(Skipped(each.label, f"its pixels are in the pack already, as {known}", duplicate=True))
            continue
        added.append(pack.add(each, finished))
        per_category[each.category] += 1
    return added, skipped


def _finish(candidate: Candidate, *, min_side_px: int, long_side_px: int) -> Finished:
    if candidate.category is None:
        candidate.cut()  # a better reason comes first
        raise SourceError("no category: put it into a sub-folder named food, hand or drink, or give --category")
    rgba = candidate.cut()
    edge = candidate.base_edge
    if edge is None:
        edge = guess_base_edge(rgba[:, :, 3]) if slug(candidate.category) == "hand" else ""
    return finish(rgba, base_edge=edge, min_side_px=min_side_px, long_side_px=long_side_px)


@dataclass
class _OpenPack:
    """A pack while it is added to: the rows of its index, and which pixels it holds."""

    folder: Path
    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    unread: dict[tuple[int, int], list[str]] = field(default_factory=lambda: defaultdict(list))
    digests: dict[tuple[tuple[int, ...], str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        index = self.folder / "index.csv"
        if not index.exists():
            return
        try:
            with index.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, restval="")
                if tuple(reader.fieldnames or ()) != INDEX_COLUMNS:
                    raise TemplateError(f"{index} is not the index of a template pack: its columns differ")
                self.rows = {row["file"]: row for row in reader}
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise TemplateError(f"{index} cannot be read: {error}") from error
        for file_name in self.rows:
            try:
                with Image.open(inside(self.folder, file_name)) as image:
                    self.unread[image.size].append(file_name)
            except (ManifestError, OSError) as error:
                raise TemplateError(f"{index} lists {file_name}, which cannot be read: {error}") from error

    def find(self, rgba: Pixels) -> str | None:
        """The template with the same pixels; only those of the same size are decoded."""
        for file_name in self.unread.pop((rgba.shape[1], rgba.shape[0]), []):
            known = np.ascontiguousarray(decode_rgba((self.folder / file_name).read_bytes()))
            self.digests[known.shape, pixels_sha256(known)] = file_name
        return self.digests.get((rgba.shape, pixels_sha256(rgba)))

    def add(self, candidate: Candidate, finished: Finished) -> str:
        """Writes the image and notes its row; a name that is taken gets the first digits of its digest."""
        digest = pixels_sha256(finished.rgba)
        category, name = slug(candidate.category or ""), slug(candidate.name)
        if f"{category}/{name}.png".casefold() in {file_name.casefold() for file_name in self.rows}:
            name = f"{name}_{digest[:8]}"
        file_name = f"{category}/{name}.png"
        buffer = io.BytesIO()
        Image.fromarray(finished.rgba).save(buffer, "PNG", optimize=True)
        write_atomic(self.folder / file_name, buffer.getvalue())
        see_through = finished.see_through if candidate.see_through is None else candidate.see_through
        texts = map(_one_line, (candidate.licence, candidate.source, candidate.attribution))
        measured = (f"{finished.opaque_fraction:.3f}", str(see_through).lower(), finished.base_edge)
        cells = (file_name, category, name, *texts, *measured, candidate.skin_tone)
        self.rows[file_name] = dict(zip(INDEX_COLUMNS, cells, strict=True))
        self.digests[finished.rgba.shape, digest] = file_name
        return file_name

    def write_index(self) -> None:
        """Replaces `index.csv` at once, sorted by file."""
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, INDEX_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows[file_name] for file_name in sorted(self.rows))
        write_atomic(self.folder / "index.csv", buffer.getvalue().encode())
