"""Image packs: a manifest's images decoded once, into memory-mapped uint8 arrays.

A pack is a folder of `clean.npy` and `occluded.npy`, `(N, S, S, 3)` uint8 RGB in the order of the manifest's rows, and
`pack.json`. Its name holds the digest of what it was made from, so a changed manifest gets another pack. It is written
under another name and renamed when complete, and a lock keeps a second process from making it at the same time.
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
from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from occfer.config import digest
from occfer.data.arrays import Images
from occfer.data.manifests import Corpus, CorpusManifest, Sample, image_path
from occfer.errors import DataError
from occfer.events import OnProgress

LAYOUT = 1  # increased when packs of an older version can no longer be read
DIGEST_DIGITS = 16
LOCK_TIMEOUT_S = 6 * 3600.0


@dataclass(frozen=True, slots=True, eq=False)
class ImagePack:
    """The images of one manifest.

    Attributes:
        folder: of its files.
        clean, occluded: `(N, S, S, 3)` uint8 RGB, memory-mapped (changes stay in memory and are never written); a
            missing clean image is zero.
        resized: how many images had another size.
    """

    folder: Path
    clean: Images
    occluded: Images
    resized: int


def open_packs(
    corpus: Corpus, size_px: int, cache_dir: Path | None = None, on_progress: OnProgress | None = None
) -> list[ImagePack]:
    """One pack per manifest of the corpus, made where it is missing or stale.

    Args:
        corpus: the manifests and their samples.
        size_px: side of the images; images of another size are resized (area averaging down, bilinear up).
        cache_dir: folder of packs; None takes `cache/packs` in the build root, or the user's cache folder if the build
            root is read-only.
        on_progress: called with (pairs done, pairs) while a pack is made.

    Raises:
        DataError: an image is missing, unreadable or not the one that the manifest names; the disk is full; or another
            process holds the lock for hours.
    """
    return [
        _open_pack(_PackSpec(manifest, corpus.of_manifest(index), size_px, on_progress), cache_dir)
        for index, manifest in enumerate(corpus.manifests)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _PackSpec:
    """What a pack is made from."""

    manifest: CorpusManifest
    samples: Sequence[Sample]
    size_px: int
    on_progress: OnProgress | None

    @property
    def stem(self) -> str:
        return f"{self.manifest.name}-{self.size_px}px"

    @property
    def content(self) -> dict[str, str | int]:
        """What the pack depends on."""
        manifest = self.manifest
        return {
            "layout": LAYOUT,
            "manifest_sha256": manifest.sha256,
            "format": manifest.format,
            "size_px": self.size_px,
        }


def _open_pack(spec: _PackSpec, cache_dir: Path | None) -> ImagePack:
    base = cache_dir or _default_folder(spec.manifest.root)
    folder = base / f"{spec.stem}-{digest(spec.content)[:DIGEST_DIGITS]}"
    try:
        base.mkdir(parents=True, exist_ok=True)
        # Asked again under the lock: another process may have made the pack while this one waited.
        if not (folder / "pack.json").is_file():
            with FileLock(base / f"{spec.stem}.lock", timeout=LOCK_TIMEOUT_S):
                if not (folder / "pack.json").is_file():
                    _make(spec, folder)
        return _read(folder, len(spec.samples), spec.size_px)
    except Timeout as error:
        raise DataError(
            f"{base / spec.stem}.lock is held by another process; if no other process runs, delete that file"
        ) from error
    except OSError as error:
        raise DataError(
            f"the pack of {spec.manifest.name} cannot be written to {base} ({error}); choose another folder with "
            "--cache-dir"
        ) from error


def _default_folder(root: Path) -> Path:
    own = root / "cache" / "packs"
    existing = next(folder for folder in (own, *own.parents) if folder.exists())
    if os.access(existing, os.W_OK | os.X_OK):
        return own
    # Two read-only builds may hold manifests of the same name, so each build root has a folder of its own.
    return user_cache_path("occfer") / "packs" / hashlib.sha256(str(root).encode()).hexdigest()[:12]


def _make(spec: _PackSpec, folder: Path) -> None:
    for stale in folder.parent.glob(f"{spec.stem}-{'[0-9a-f]' * DIGEST_DIGITS}*"):
        shutil.rmtree(stale, ignore_errors=True)
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True)
    try:
        resized = 0
        with (part / "clean.npy").open("wb") as clean, (part / "occluded.npy").open("wb") as occluded:
            _write_header(clean, len(spec.samples), spec.size_px)
            _write_header(occluded, len(spec.samples), spec.size_px)
            for done, pair in enumerate(_decoded(spec), start=1):
                # Plain writes instead of a memory map: on a full disk they raise OSError, a map kills the process.
                clean.write(pair.clean)
                occluded.write(pair.occluded)
                resized += pair.resized
                if spec.on_progress is not None:
                    spec.on_progress(done, len(spec.samples))
        content = spec.content | {"rows": len(spec.samples), "resized": resized}
        (part / "pack.json").write_text(json.dumps(content) + "\n")
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


@dataclass(frozen=True, slots=True, eq=False)
class _DecodedPair:
    """The bytes of a pair's images, and how many of the two were resized."""

    clean: bytes
    occluded: bytes
    resized: int


def _decoded(spec: _PackSpec) -> Iterator[_DecodedPair]:
    """The pairs in order, decoded by a few threads; only some are in flight at a time, so that memory stays flat."""
    manifest = spec.manifest
    exact = manifest.format == "png"

    def decode(sample: Sample) -> _DecodedPair:
        occluded, resized = _load(manifest, sample.occluded, sample.occluded_sha256 if exact else "", spec.size_px)
        if not sample.clean:
            return _DecodedPair(bytes(len(occluded)), occluded, resized)
        clean, clean_resized = _load(manifest, sample.clean, sample.clean_sha256 if exact else "", spec.size_px)
        return _DecodedPair(clean, occluded, resized + clean_resized)

    threads = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(spec.samples), 64 * threads):
            yield from pool.map(decode, spec.samples[start : start + 64 * threads])


def _load(manifest: CorpusManifest, relative: str, sha256: str, size_px: int) -> tuple[bytes, int]:
    path = image_path(manifest, relative)
    image = read_rgb(path)
    if sha256 and hashlib.sha256(image.tobytes()).hexdigest() != sha256:
        raise DataError(
            f"{path}: its pixels are not those that the manifest names; check the build with "
            f"`occsynth verify {manifest.path}`, then build or replay it again"
        )
    if image.shape[:2] == (size_px, size_px):
        return image.tobytes(), 0
    return resize(image, size_px).tobytes(), 1


def read_rgb(path: Path) -> Images:
    """`(H, W, 3)` uint8 RGB of an image file.

    Raises:
        DataError: it is missing or not an image.
    """
    try:
        encoded = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}; check with `occsynth verify` whether the build is complete"
        ) from error
    try:
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except cv2.error:
        image = None
    if image is None:
        raise DataError(f"{path} is not an image that OpenCV can decode; build or replay the manifest again")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def resize(image: Images, size_px: int) -> Images:
    """`(size_px, size_px, 3)` uint8: area averaging where the image shrinks, else bilinear."""
    shrinks = max(image.shape[:2]) > size_px
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size_px, size_px), interpolation=how), dtype=np.uint8)


def _write_header(file: IO[bytes], rows: int, size_px: int) -> None:
    shape = (rows, size_px, size_px, 3)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _read(folder: Path, rows: int, size_px: int) -> ImagePack:
    try:
        # Copy-on-write: torch asks for writable memory, but the files must not change.
        clean, occluded = (
            np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False) for name in ("clean", "occluded")
        )
        resized = int(json.loads((folder / "pack.json").read_text())["resized"])
    except (ValueError, KeyError, EOFError) as error:
        raise DataError(f"{folder} is damaged ({error}); delete it, and it is made again from the images") from error
    if not clean.shape == occluded.shape == (rows, size_px, size_px, 3):
        raise DataError(f"{folder} does not fit its manifest; delete it, and it is made again from the images")
    return ImagePack(folder, clean, occluded, resized)
