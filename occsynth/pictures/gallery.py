"""The gallery: one HTML file that shows the pairs of a build, with filters, and loads nothing from elsewhere."""

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from occsynth.errors import BuildError, ManifestError
from occsynth.escapes import for_html, page_policy
from occsynth.files import explained_os_errors, replacing
from occsynth.manifest import Manifest
from occsynth.ownership import MARK, refuse_foreign_file
from occsynth.pictures.pairs import MAKER, PAIR_IMAGES, Pair, balanced_pairs, percent

ASSETS = Path(__file__).parent
LIMIT = 500

_MAGIC = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}


@dataclass(frozen=True, slots=True)
class Gallery:
    """A gallery that was written.

    Attributes:
        path: the HTML file.
        shown: number of pairs in it.
        total: number of pairs in the manifests.
        size_bytes: size of the file.
    """

    path: Path
    shown: int
    total: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Card:
    """What the page shows of one pair. The page's template escapes every text."""

    expression: str
    mode: str
    category: str
    item: str
    part: str
    coverage: str
    pair_id: str
    search_text: str
    images: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Filter:
    key: str
    label: str
    values: list[tuple[str, int]]


def write_gallery(
    manifests: Sequence[Manifest], out: Path, *, limit: int = LIMIT, seed: int = 0, overwrite: bool = False
) -> Gallery:
    """Writes a self-contained page of one or several builds, such as the modes of `table2`.

    The images are the files of the build, byte for byte, read one pair at a time. A security policy inside the page
    allows its own script and style and forbids it to load anything.

    Args:
        manifests: manifests of the builds.
        out: HTML file to write.
        limit: how many pairs at most; of more pairs, the page shows a sample in equal shares of classes and modes and
            says so.
        seed: another number shows another sample.
        overwrite: replace `out` even if it is no earlier gallery.

    Raises:
        ManifestError: there are no rows, or an image is missing or neither PNG nor JPEG.
        BuildError: `out` is no earlier gallery, or cannot be written.
    """
    refuse_foreign_file(out, MAKER, BuildError, overwrite=overwrite)
    pairs, total = balanced_pairs(manifests, limit, seed)
    if not pairs:
        raise ManifestError(f"{manifests[0].path} has no rows to show")
    style, script = ((ASSETS / f"gallery.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True, finalize=for_html)
    template = environment.from_string((ASSETS / "gallery.html.j2").read_text(encoding="utf-8"))
    page = template.stream(
        title=", ".join(dict.fromkeys(manifest.info.name for manifest in manifests)),
        policy=page_policy(script, style),
        mark=MARK.format(MAKER),
        style=style,
        script=script,
        facts=_facts(manifests),
        filters=_filters(pairs),
        cards=_cards(pairs),
        size_px=max(manifest.info.size_px for manifest in manifests),
        shown=len(pairs),
        total=total,
    )
    page.enable_buffering(64)
    with explained_os_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(page)
        return Gallery(out, len(pairs), total, out.stat().st_size)


def _facts(manifests: Sequence[Manifest]) -> list[tuple[str, str]]:
    """What the JSON files of the manifests say, each value once."""
    infos = [manifest.info for manifest in manifests]
    facts = {
        "database": [info.database for info in infos],
        "face size": [f"{info.size_px} px" for info in infos],
        "seed": [str(info.seed) for info in infos],
        "fill": [info.fill for info in infos],
        "alignment": [info.align for info in infos],
        "format": [info.format for info in infos],
        "rejects": [f"{info.rejects:,} of {info.sources:,} sources" for info in infos],
        "templates": [info.template_pack_sha256[:16] for info in infos],
        "versions": [", ".join(f"{name} {version}" for name, version in info.versions.items()) for info in infos],
    }
    joined = ((name, "; ".join(filter(None, dict.fromkeys(values)))) for name, values in facts.items())
    return [(name, text) for name, text in joined if text]


def _filters(pairs: Sequence[Pair]) -> list[_Filter]:
    """A drop-down list for each property that differs between the pairs."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("expression", "mode", "category", "part")}
    for pair in pairs:
        values = (pair.row.expression, pair.row.mode, pair.occluder()[0], pair.split_or_fold())
        for counter, value in zip(counts.values(), values, strict=True):
            counter[value] += 1
    labels = {"expression": "class", "mode": "mode", "category": "occluder", "part": "split or fold"}
    return [_Filter(key, labels[key], sorted(counter.items())) for key, counter in counts.items()]


def _cards(pairs: Sequence[Pair]) -> Iterator[_Card]:
    for pair in pairs:
        row = pair.row
        category, item = pair.occluder()
        shares = {"face": row.coverage_face, "eyes": row.coverage_eyes, "mouth": row.coverage_mouth}
        measured = row.coverage_face is not None
        searched = (row.pair_id, row.subject, row.expression, row.mode, category, item, pair.split_or_fold())
        hidden = ", ".join(f"{name} {percent(share)}" for name, share in shares.items()) if measured else ""
        yield _Card(
            expression=row.expression,
            mode=row.mode,
            category=category,
            item=item,
            part=pair.split_or_fold(),
            coverage=hidden.replace(" %", "\N{NO-BREAK SPACE}%"),
            pair_id=row.pair_id,
            search_text=" ".join(searched).lower(),
            images=list(_images(pair)),
        )


def _images(pair: Pair) -> Iterator[tuple[str, str]]:
    for image in PAIR_IMAGES:
        path = pair.file(image)
        if path is None:
            continue
        content = path.read_bytes()
        kind = next((kind for magic, kind in _MAGIC.items() if content.startswith(magic)), None)
        if kind is None:
            raise ManifestError(f"{path} is neither PNG nor JPEG; `occsynth verify` lists all damaged images")
        yield image, f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
