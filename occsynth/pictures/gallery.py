"""The gallery: one HTML file with the pairs of a build, their filters and nothing from elsewhere."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from occsynth.errors import ManifestError
from occsynth.files import explained_os_errors, replacing
from occsynth.manifest import Manifest
from occsynth.pictures.sample import VIEWS, Sample, balanced_sample, percent, printable

ASSETS = Path(__file__).parent
LIMIT = 500

_MAGIC = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}


@dataclass(frozen=True, slots=True)
class Gallery:
    """A gallery that was written: how many of all pairs it shows, and its size."""

    path: Path
    shown: int
    total: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Card:
    """What the page says of one pair; every text is free of control characters, and escaped by the template."""

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


def write_gallery(manifests: Sequence[Manifest], out: Path, *, limit: int = LIMIT, seed: int = 0) -> Gallery:
    """Writes a self-contained page of one build or of several, such as the modes of `table2`.

    The images are the files of the build, byte for byte, read one pair at a time. A security policy inside the page
    lets it run its own script and style and load nothing.

    Args:
        out: HTML file to write.
        limit: with more pairs, a sample of so many in equal shares of classes and modes; the page says so.
        seed: another one shows another sample.

    Raises:
        ManifestError: no rows, or an image is missing or neither PNG nor JPEG.
        BuildError: `out` cannot be written.
    """
    samples, total = balanced_sample(manifests, limit, seed)
    if not samples:
        raise ManifestError(f"{manifests[0].path} has no rows to show")
    style, script = ((ASSETS / f"gallery.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    template = environment.from_string((ASSETS / "gallery.html.j2").read_text(encoding="utf-8"))
    page = template.stream(
        title=printable(", ".join(dict.fromkeys(manifest.info.name for manifest in manifests))),
        policy=_policy(script, style),
        style=style,
        script=script,
        facts=_facts(manifests),
        filters=_filters(samples),
        cards=_cards(samples),
        size_px=max(manifest.info.size_px for manifest in manifests),
        shown=len(samples),
        total=total,
    )
    page.enable_buffering(64)
    with explained_os_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(page)
        return Gallery(out, len(samples), total, out.stat().st_size)


def _policy(script: str, style: str) -> str:
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style))
    allowed_script, allowed_style = (f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; img-src data:; script-src {allowed_script}; style-src {allowed_style}; "
        "base-uri 'none'; form-action 'none'"
    )


def _facts(manifests: Sequence[Manifest]) -> list[tuple[str, str]]:
    """What the JSON of the manifests says, each different value once."""
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
    return [(name, printable(text)) for name, text in joined if text]


def _filters(samples: Sequence[Sample]) -> list[_Filter]:
    """A drop-down list for each property that differs between the samples."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("expression", "mode", "category", "part")}
    for sample in samples:
        values = (sample.row.expression, sample.row.mode, sample.occluder()[0], sample.part())
        for counter, value in zip(counts.values(), values, strict=True):
            counter[printable(value)] += 1
    labels = {"expression": "class", "mode": "mode", "category": "occluder", "part": "split or fold"}
    return [_Filter(key, labels[key], sorted(counter.items())) for key, counter in counts.items()]


def _cards(samples: Sequence[Sample]) -> Iterator[_Card]:
    for sample in samples:
        row = sample.row
        category, item = sample.occluder()
        shares = {"face": row.coverage_face, "eyes": row.coverage_eyes, "mouth": row.coverage_mouth}
        measured = row.coverage_face is not None
        searched = (row.pair_id, row.subject, row.expression, row.mode, category, item, sample.part())
        hidden = ", ".join(f"{name} {percent(share)}" for name, share in shares.items()) if measured else ""
        yield _Card(
            expression=printable(row.expression),
            mode=printable(row.mode),
            category=printable(category),
            item=printable(item),
            part=printable(sample.part()),
            coverage=hidden.replace(" %", "\N{NO-BREAK SPACE}%"),
            pair_id=printable(row.pair_id),
            search_text=printable(" ".join(searched)).lower(),
            images=list(_images(sample)),
        )


def _images(sample: Sample) -> Iterator[tuple[str, str]]:
    for view in VIEWS:
        path = sample.file(view)
        if path is None:
            continue
        content = path.read_bytes()
        kind = next((kind for magic, kind in _MAGIC.items() if content.startswith(magic)), None)
        if kind is None:
            raise ManifestError(f"{path} is neither PNG nor JPEG; `occsynth verify` lists what else is damaged")
        yield view, f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
