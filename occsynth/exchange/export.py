"""An export: a build in a format that other programs load without a script, written part by part, its README last."""

import hashlib
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from occsynth import __version__
from occsynth.databases import DATABASES
from occsynth.errors import BuildError
from occsynth.exchange.arrow import IMAGE, Features, features, need_pyarrow, with_images, write_parquet
from occsynth.exchange.imagefolder import METADATA, table_features, table_rows, write_pictures
from occsynth.exchange.readme import readme
from occsynth.exchange.samples import PARTS, UNSPLIT, VIEWS, Plan, Sample, make_plan, shard_name
from occsynth.exchange.webdataset import tar_features, write_tar
from occsynth.files import explained_os_errors, flush_all_to_disk, replacing, write_atomic
from occsynth.manifest import Manifest
from occsynth.option_values import ExportFormat
from occsynth.ownership import owned_folder
from occsynth.parallel import Progress
from occsynth.reading import read_json

MAKER = "occsynth export"
RECORD, README = "export.json", "README.md"
SHARD_MB = 500
"""Of images in a file by default, the size that the Hub advises."""

_PART = "|".join((*PARTS.values(), UNSPLIT))
_OWN = re.compile(
    rf"README\.md|data/({_PART})-\d{{5}}-of-\d{{5}}\.(parquet|tar)"
    rf"|({_PART})/(metadata\.parquet|({'|'.join(VIEWS)})/[a-z]+/\d{{8}}\.(png|jpg))"
)
"""The paths that exports write, beside their record."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export wrote.

    Attributes:
        parts: how many samples each part holds.
        files: how many files hold them, without the pictures of an image folder.
        terms: of the database whose images these are; empty where nothing forbids to pass them on.
    """

    parts: dict[str, int]
    files: int
    terms: str


def export(
    manifest: Manifest,
    to: ExportFormat,
    out: Path,
    *,
    shard_mb: int = SHARD_MB,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Writes a build's images, labels and other facts into a folder that `datasets.load_dataset` loads.

    The same manifest gives the same bytes, with the same version of pyarrow where Parquet is written. An export that
    was interrupted goes on with the files that are missing.

    Args:
        manifest: of a build; a published one has no images.
        to: the format, except `croissant`.
        out: the folder to write to.
        shard_mb: megabytes of images in a file of `parquet` or `webdataset`.
        overwrite: write into a folder that holds something else, and replace another export there.
        progress: called with the phases `rows` and `samples`.

    Raises:
        ManifestError: the manifest is published or malformed, or an image is missing or damaged.
        BuildError: `out` holds something else or another export, or cannot be written; or pyarrow is missing.
    """
    if to != "webdataset":
        need_pyarrow()
    report = progress or (lambda _phase, _done, _total: None)
    total = manifest.info.rows
    plan = make_plan(manifest, shard_mb * 10**6, lambda done: report("rows", done, total))
    record = _record(plan, to)
    with owned_folder(out, MAKER, BuildError, overwrite=overwrite), explained_os_errors(out):
        _begin(out, record, overwrite=overwrite)
        patterns, types = _write(plan, to, out, _counter(report, plan.rows))
        database = DATABASES.get(manifest.info.database)
        terms = database.terms if database else "those of whoever made them"
        flush_all_to_disk()  # the README says that all is there
        write_atomic(out / README, readme(plan, types, patterns, terms).encode())
    counts = {part: sum(plan.shards[part]) for part in plan.shards}
    files = len(plan.shards) if to == "imagefolder" else sum(map(len, plan.shards.values()))
    return ExportReport(counts, files, "" if terms.startswith("CC0") else terms)


def _counter(report: Progress, total: int) -> Callable[[int], None]:
    done = 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        report("samples", done, total)

    add(0)
    return add


def _record(plan: Plan, to: ExportFormat) -> dict[str, object]:
    """What decides the bytes of an export."""
    info = plan.manifest.info
    versions = {"occsynth": __version__}
    if to != "webdataset":
        versions["pyarrow"] = need_pyarrow().__version__
    digest = hashlib.sha256(info.dumps().encode())
    for row in plan.manifest.rows():
        digest.update(json.dumps(row.cells()).encode())
    return {
        "format": to,
        "manifest": info.name,
        "manifest_sha256": digest.hexdigest(),
        "samples": plan.shards,
        "versions": versions,
    }


def _begin(out: Path, record: dict[str, object], *, overwrite: bool) -> None:
    """Keeps the files of an interrupted export of the same record, and removes those of another one.

    Raises:
        BuildError: there is another export, and `overwrite` is not given.
    """
    path = out / RECORD
    former = None
    with suppress(ValueError):
        former = read_json(path, ValueError)
    if former is not None and former != record and not overwrite:
        raise BuildError(
            f"{out} holds another export, of {former.get('manifest')} as {former.get('format')}. Choose another "
            "folder, or give --overwrite to replace it"
        )
    if overwrite:
        for file in list(out.rglob("*")):
            if _OWN.fullmatch(file.relative_to(out).as_posix()) and not file.is_dir():
                file.unlink()
    (out / README).unlink(missing_ok=True)  # a folder with it is complete
    write_atomic(path, (json.dumps(record, indent=2) + "\n").encode())


def _write(plan: Plan, to: ExportFormat, out: Path, tell: Callable[[int], None]) -> tuple[dict[str, str], Features]:
    """Writes all but the README; returns the pattern of the files of each part, and the types of the columns."""
    images: Features = dict.fromkeys(VIEWS, IMAGE)
    if to == "imagefolder":
        for part in plan.shards:
            _write_folder(plan, part, out / part, tell)
        return {part: f"{part}/**" for part in plan.shards}, images | features(plan)
    ending = ".tar" if to == "webdataset" else ".parquet"
    types = tar_features(plan) if to == "webdataset" else images | features(plan)
    for part in plan.shards:
        for path, samples in _shards(plan, part, out / "data", ending, tell):
            with replacing(path) as file:
                if to == "webdataset":
                    write_tar(file, samples, plan)
                else:
                    write_parquet(file, map(partial(with_images, plan), samples), types)
    return {part: f"data/{part}-*{ending}" for part in plan.shards}, types


def _write_folder(plan: Plan, part: str, folder: Path, tell: Callable[[int], None]) -> None:
    for sample in plan.samples(part):
        write_pictures(folder, sample)
        tell(1)
    with replacing(folder / METADATA) as file:
        write_parquet(file, table_rows(plan, part), table_features(plan))


def _shards(
    plan: Plan, part: str, folder: Path, ending: str, tell: Callable[[int], None]
) -> Iterator[tuple[Path, Iterator[Sample]]]:
    """The files of a part that are not there yet, each with its samples."""
    folder.mkdir(exist_ok=True)
    counts, samples = plan.shards[part], plan.samples(part)
    for number, count in enumerate(counts):
        path = folder / shard_name(part, number, len(counts), ending)
        of_shard = islice(samples, count)
        if not path.exists():
            yield path, _told(of_shard, tell)
            continue
        deque(_told(of_shard, tell), maxlen=0)


def _told(samples: Iterator[Sample], tell: Callable[[int], None]) -> Iterator[Sample]:
    for sample in samples:
        yield sample
        tell(1)
