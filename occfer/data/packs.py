"""Image packs: a manifest's images decoded once, into memory-mapped uint8 arrays.

A pack is a folder of `clean.npy` and `occluded.npy`, `(N, S, S, 3)` uint8 RGB in the order of the manifest's rows, and
`pack.json`. Its name holds the digest of what it was made from, so a changed manifest gets another pack. It is written
under another name, flushed to the disk and renamed when complete, and one process at a time makes it, while others
wait. Whoever opens a pack compares its checksums first; a damaged one is made again from the images.
"""

import hashlib
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from platformdirs import user_cache_path

from occfer.data.arrays import Images
from occfer.data.manifests import Corpus, CorpusManifest, Sample, image_path
from occfer.errors import DamagedError, DataError
from occfer.events import OnProgress
from occfer.files import digest, read_sealed, write_sealed
from occsynth.files import flush_to_disk
from occsynth.ownership import take_turn
from occsynth.reading import read_bytes, record_of

LAYOUT = 1  # increased when packs of an older version can no longer be read
DIGEST_DIGITS = 16
ARRAYS = ("clean", "occluded")
READ_AT_ONCE_BYTES = 4 * 2**20
LARGEST_FILE_BYTES = 2**26
"""Of a build's image: the largest, of 4096x4096 pixels, takes 48 MiB uncompressed."""


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

    def __reduce__(self) -> tuple[Any, ...]:
        """What is sent to another process: the folder instead of all pixels, where the arrays are mapped from files."""
        if isinstance(self.clean, np.memmap):
            return _mapped, (self.folder, self.resized)
        return ImagePack, (self.folder, self.clean, self.occluded, self.resized)


def open_packs(
    corpus: Corpus,
    size_px: int,
    cache_dir: Path | None = None,
    on_progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> list[ImagePack]:
    """One pack per manifest of the corpus, made where it is missing, stale or damaged.

    Args:
        corpus: the manifests and their samples.
        size_px: side of the images; images of another size are resized (area averaging down, bilinear up).
        cache_dir: folder of packs; None takes `cache/packs` in the build root, or the user's cache folder if the build
            root is read-only.
        on_progress: called with (pairs done, pairs) while a pack is made.
        say: tells the user that a damaged pack is made again, or whom this process waits for, in one line.

    Raises:
        DataError: an image is missing, unreadable or not the one that the manifest names; or the disk is full.
    """
    return [
        _open_pack(_PackSpec(manifest, corpus.of_manifest(index), size_px, on_progress, say), cache_dir)
        for index, manifest in enumerate(corpus.manifests)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _PackSpec:
    """What a pack is made from."""

    manifest: CorpusManifest
    samples: Sequence[Sample]
    size_px: int
    on_progress: OnProgress | None
    say: Callable[[str], None]

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
        if _damage(spec, folder):
            with ExitStack() as turn:
                told = False
                # the packs of one name take turns, since an outdated one is deleted when a new one is made
                while other := take_turn(turn, base / spec.stem, "occfer"):
                    if not told:
                        spec.say(f"waiting for {other}, which decodes the images of {spec.manifest.name}")
                        told = True
                # Asked again: another process may have made the pack while this one waited.
                if damage := _damage(spec, folder):
                    if folder.exists():
                        spec.say(f"{damage}; the pack is made again from the images")
                    _make(spec, folder)
        return _read(folder)
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


@dataclass(frozen=True, slots=True)
class _PackFacts:
    """The content of pack.json beside what the pack depends on: counts, the CRC-32 of each array's file, and whose
    pack it is.

    CRC-32 finds accidents as well as a digest would, and keeps up with a fast disk.
    """

    rows: int
    resized: int
    crc32: dict[str, int] = field(default_factory=dict)
    manifest: str = ""


def _damage(spec: _PackSpec, folder: Path) -> str:
    """Why a pack cannot be used, in a few words; empty if it can."""
    try:
        content = read_sealed(folder / "pack.json")
        facts = record_of(_PackFacts, content, str(folder / "pack.json"), DamagedError)
        if {name: content.get(name) for name in spec.content} != spec.content:
            return f"{folder} holds the pack of something else"
        if facts.rows != len(spec.samples):
            return f"{folder} holds {facts.rows} pairs, and the manifest {len(spec.samples)}"
        if facts.crc32.keys() != set(ARRAYS):
            return f"{folder} has no checksums: version 0.1 made it"
        files = [folder / f"{name}.npy" for name in ARRAYS]
        with ThreadPoolExecutor(len(files)) as pool:
            found = dict(zip(ARRAYS, pool.map(_crc32, files), strict=True))
    except (DamagedError, OSError) as error:
        return str(error)
    wrong = [name for name in ARRAYS if found[name] != facts.crc32[name]]
    return f"{folder / wrong[0]}.npy is not as it was written: its checksum differs" if wrong else ""


def _crc32(path: Path) -> int:
    """The checksum of a file, computed once per process: models of many folds are tested on the same pack."""
    stat = path.stat()
    return _crc32_of(path, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1000)
def _crc32_of(path: Path, _inode: int, _size: int, _mtime_ns: int) -> int:
    crc, buffer = 0, bytearray(READ_AT_ONCE_BYTES)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            crc = zlib.crc32(memoryview(buffer)[:count], crc)
    return crc


class _ArrayWriter:
    """Writes images into an array's file and sums it up.

    Plain writes instead of a memory map: on a full disk they raise OSError, a map kills the process.
    """

    def __init__(self, file: IO[bytes], rows: int, size_px: int) -> None:
        self.crc32 = 0
        self._file = file
        shape = (rows, size_px, size_px, 3)
        np.lib.format.write_array_header_1_0(self, {"descr": "|u1", "fortran_order": False, "shape": shape})

    def write(self, content: bytes) -> None:
        self.crc32 = zlib.crc32(content, self.crc32)
        self._file.write(content)


def _make(spec: _PackSpec, folder: Path) -> None:
    for ending in ("", ".part"):
        for found in folder.parent.glob(f"{spec.stem}-{'[0-9a-f]' * DIGEST_DIGITS}{ending}"):
            if found == folder or not _is_of_another(found, spec.manifest.path):
                shutil.rmtree(found, ignore_errors=True)
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True)
    try:
        resized = 0
        with (part / "clean.npy").open("wb") as clean_file, (part / "occluded.npy").open("wb") as occluded_file:
            clean = _ArrayWriter(clean_file, len(spec.samples), spec.size_px)
            occluded = _ArrayWriter(occluded_file, len(spec.samples), spec.size_px)
            for done, pair in enumerate(_decoded(spec), start=1):
                clean.write(pair.clean)
                occluded.write(pair.occluded)
                resized += pair.resized
                if spec.on_progress is not None:
                    spec.on_progress(done, len(spec.samples))
        for name in ARRAYS:
            flush_to_disk(part / f"{name}.npy")
        facts = {"rows": len(spec.samples), "resized": resized, "manifest": str(spec.manifest.path)}
        sums = {"clean": clean.crc32, "occluded": occluded.crc32}
        write_sealed(part / "pack.json", spec.content | facts | {"crc32": sums})
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _is_of_another(folder: Path, manifest: Path) -> bool:
    """Whether a pack belongs to another manifest of the same name, as in a folder that two builds share."""
    try:
        owner = read_sealed(folder / "pack.json").get("manifest", "")
    except (DamagedError, OSError):
        return False
    return isinstance(owner, str) and owner not in ("", str(manifest)) and Path(owner).is_file()


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
        occluded, resized = _load(spec, sample, sample.occluded, sample.occluded_sha256 if exact else "")
        if not sample.clean:
            return _DecodedPair(bytes(len(occluded)), occluded, resized)
        clean, clean_resized = _load(spec, sample, sample.clean, sample.clean_sha256 if exact else "")
        return _DecodedPair(clean, occluded, resized + clean_resized)

    threads = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(spec.samples), 64 * threads):
            yield from pool.map(decode, spec.samples[start : start + 64 * threads])


def _load(spec: _PackSpec, sample: Sample, relative: str, sha256: str) -> tuple[bytes, int]:
    """An image's bytes and whether it was resized; `sha256` is empty where the file need not hold the exact pixels."""
    manifest, size_px = spec.manifest, spec.size_px
    path = image_path(manifest, relative)
    image = read_rgb(path)
    if sha256 and hashlib.sha256(image.tobytes()).hexdigest() != sha256:
        raise DataError(
            f"{path}: its pixels are not those that the manifest names in the row of '{sample.pair_id}'; check the "
            f"build with `occsynth verify {manifest.path}`, then build or replay it again"
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
        encoded = np.frombuffer(read_bytes(path, DataError, largest=LARGEST_FILE_BYTES), dtype=np.uint8)
    except DataError as error:
        raise DataError(f"{error}; check with `occsynth verify` whether the build is complete") from error
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


def _read(folder: Path) -> ImagePack:
    return _mapped(folder, read_sealed(folder / "pack.json")["resized"])


def _mapped(folder: Path, resized: int) -> ImagePack:
    # Copy-on-write: torch asks for writable memory, but the files must not change.
    clean, occluded = (np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False) for name in ARRAYS)
    return ImagePack(folder, clean, occluded, resized)
