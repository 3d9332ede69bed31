"""Packs: a manifest's images decoded once, into memory-mapped uint8 arrays.

A pack is a folder of `clean.npy` and `occluded.npy`, `(N, S, S, 3)` uint8 RGB in the order of the manifest's rows, and
`pack.json`. Its name holds the digest of what it was made from, it is written under another name and renamed when
complete, and a lock keeps a second process from making it again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import cv2
import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from occfer.config import digest
from occfer.data.manifests import Corpus, Sample, Source, image_path
from occfer.errors import DataError
from occfer.events import OnProgress

LAYOUT = 1  # raised when packs of an older version cannot be read any more
DIGEST_DIGITS = 16
LOCK_TIMEOUT_S = 6 * 3600.0

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """The images of one manifest.

    Attributes:
        folder: where it lies.
        clean, occluded: `(N, S, S, 3)` uint8 RGB, memory-mapped (changes stay in memory and are never written); a row
            without a clean image is zero there.
        resized: how many images had another size.
    """

    folder: Path
    clean: Images
    occluded: Images
    resized: int


def open_packs(
    corpus: Corpus, size_px: int, cache_dir: Path | None = None, on_progress: OnProgress | None = None
) -> list[Pack]:
    """One pack a manifest of the corpus, made where it is missing or stale.

    Args:
        corpus: the manifests and their rows.
        size_px: side of the images; others are resized (area averaging down, bilinear up).
        cache_dir: where packs lie; None takes `cache/packs` in the build root, or the user's cache folder where that
            cannot be written.
        on_progress: called with (rows done, rows) while a pack is made.

    Raises:
        DataError: an image is missing, unreadable or not the one that the manifest names; no space; locked for hours.
    """
    return [
        _open_pack(_Job(source, corpus.of_source(index), size_px, on_progress), cache_dir)
        for index, source in enumerate(corpus.sources)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    source: Source
    samples: Sequence[Sample]
    size_px: int
    on_progress: OnProgress | None

    @property
    def stem(self) -> str:
        return f"{self.source.name}-{self.size_px}px"

    @property
    def content(self) -> dict[str, str | int]:
        """What the pack depends on."""
        source = self.source
        return {
            "layout": LAYOUT,
            "manifest_sha256": source.sha256,
            "format": source.format,
            "size_px": self.size_px,
        }


def _open_pack(job: _Job, cache_dir: Path | None) -> Pack:
    base = cache_dir or _default_folder(job.source.root)
    folder = base / f"{job.stem}-{digest(job.content)[:DIGEST_DIGITS]}"
    try:
        base.mkdir(parents=True, exist_ok=True)
        if not (folder / "pack.json").is_file():
            with FileLock(base / f"{job.stem}.lock", timeout=LOCK_TIMEOUT_S):
                if not (folder / "pack.json").is_file():
                    _make(job, folder)
        return _read(folder, len(job.samples), job.size_px)
    except Timeout as error:
        raise DataError(f"{base / job.stem}.lock is held by another process; if none runs, delete that file") from error
    except OSError as error:
        raise DataError(
            f"the pack of {job.source.name} cannot be written to {base} ({error}); choose another folder with "
            "--cache-dir"
        ) from error


def _default_folder(root: Path) -> Path:
    own = root / "cache" / "packs"
    existing = next(folder for folder in (own, *own.parents) if folder.exists())
    if os.access(existing, os.W_OK | os.X_OK):
        return own
    # Two read-only builds may hold manifests of one name: the folder is the root's own.
    return user_cache_path("occfer") / "packs" / hashlib.sha256(str(root).encode()).hexdigest()[:12]


def _make(job: _Job, folder: Path) -> None:
    for stale in folder.parent.glob(f"{job.stem}-{'[0-9a-f]' * DIGEST_DIGITS}*"):
        shutil.rmtree(stale, ignore_errors=True)
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True)
    try:
        resized = 0
        with (part / "clean.npy").open("wb") as clean, (part / "occluded.npy").open("wb") as occluded:
            _write_header(clean, len(job.samples), job.size_px)
            _write_header(occluded, len(job.samples), job.size_px)
            for done, pair in enumerate(_decoded(job), start=1):
                # Plain writes, not a memory map: a full disk is then an error instead of a bus error.
                clean.write(pair.clean)
                occluded.write(pair.occluded)
                resized += pair.resized
                if job.on_progress is not None:
                    job.on_progress(done, len(job.samples))
        facts = job.content | {"rows": len(job.samples), "resized": resized}
        (part / "pack.json").write_text(json.dumps(facts) + "\n")
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    clean: bytes
    occluded: bytes
    resized: int


def _decoded(job: _Job) -> Iterator[_Decoded]:
    """The rows' images in order, decoded by a few threads; few enough in flight that memory stays flat."""
    source = job.source
    exact = source.format == "png"

    def decode(sample: Sample) -> _Decoded:
        occluded, resized = _load(source, sample.occluded, sample.occluded_sha256 if exact else "", job.size_px)
        if not sample.clean:
            return _Decoded(bytes(len(occluded)), occluded, resized)
        clean, clean_resized = _load(source, sample.clean, sample.clean_sha256 if exact else "", job.size_px)
        return _Decoded(clean, occluded, resized + clean_resized)

    threads = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(job.samples), 64 * threads):
            yield from pool.map(decode, job.samples[start : start + 64 * threads])


def _load(source: Source, relative: str, sha256: str, size_px: int) -> tuple[bytes, int]:
    path = image_path(source, relative)
    image = read_rgb(path)
    if sha256 and hashlib.sha256(image.tobytes()).hexdigest() != sha256:
        raise DataError(
            f"{path}: its pixels are not those that the manifest names; check the build with "
            f"`occsynth verify {source.path}`, then build or replay it again"
        )
    if image.shape[:2] == (size_px, size_px):
        return image.tobytes(), 0
    return resize(image, size_px).tobytes(), 1


def read_rgb(path: Path) -> Images:
    """`(H, W, 3)` uint8 RGB of an image file.

    Raises:
        DataError: it is missing or no image.
    """
    try:
        encoded = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}; is the build complete? `occsynth verify` says"
        ) from error
    try:
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except cv2.error:
        image = None
    if image is None:
        raise DataError(f"{path} is no image that OpenCV can decode; build or replay the manifest again")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def resize(image: Images, size_px: int) -> Images:
    """`(size_px, size_px, 3)` uint8: area averaging where the image shrinks, else bilinear."""
    shrinks = max(image.shape[:2]) > size_px
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size_px, size_px), interpolation=how), dtype=np.uint8)


def _write_header(file: IO[bytes], rows: int, size_px: int) -> None:
    shape = (rows, size_px, size_px, 3)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _read(folder: Path, rows: int, size_px: int) -> Pack:
    try:
        # Copy-on-write: torch wants writable memory, the files must stay as they are.
        clean, occluded = (
            np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False) for name in ("clean", "occluded")
        )
        resized = int(json.loads((folder / "pack.json").read_text())["resized"])
    except (ValueError, KeyError, EOFError) as error:
        raise DataError(f"{folder} is damaged ({error}); delete it, it is made again from the images") from error
    if not clean.shape == occluded.shape == (rows, size_px, size_px, 3):
        raise DataError(f"{folder} does not fit its manifest; delete it, it is made again from the images")
    return Pack(folder, clean, occluded, resized)
