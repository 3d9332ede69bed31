"""The landmark file: the same bytes each time, and no damage that gets through."""

import io
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occsynth.errors import ManifestError
from occsynth.faces.landmark_file import open_landmarks, write_landmarks

NAMES = ["s1/anger", "s2/joy"]
POINTS = np.random.default_rng(0).normal(50, 9, (2, 68, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("landmarks") / "a.landmarks.npz"
    write_landmarks(path, lambda: [([name], POINTS[[number]]) for number, name in enumerate(NAMES)], 2, 8)
    return path


def same(path: Path) -> bool:
    pair_ids, points_xy = open_landmarks(path)
    return list(pair_ids) == NAMES and points_xy.tobytes() == POINTS.tobytes()


def test_numpy_reads_it_too(file: Path) -> None:
    assert same(file)
    with np.load(file, allow_pickle=False) as content:
        assert list(content["pair_ids"]) == NAMES
        assert content["points_xy"].tobytes() == POINTS.tobytes()


def test_no_flipped_bit_gets_through(file: Path, tmp_path: Path) -> None:
    """Bits that say nothing, such as the date of a zip's member, may change nothing."""
    good, path = file.read_bytes(), tmp_path / "b.npz"
    refused = 0
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            assert same(path), f"byte {place}"
        except ManifestError as error:
            refused += 1
            assert "Delete it; `occsynth landmarks` makes it again" in str(error)
            assert "\n" not in str(error)
    assert refused > 0.9 * (POINTS.nbytes + 2 * 8 * 4)


def test_no_cut_gets_through(file: Path, tmp_path: Path) -> None:
    good, path = file.read_bytes(), tmp_path / "b.npz"
    for length in range(len(good)):
        path.write_bytes(good[:length])
        with pytest.raises(ManifestError, match="is no landmark file, or damaged"):
            open_landmarks(path)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_anything_is_answered(file: Path, data: st.DataObject) -> None:
    """Several bytes of any value at any places."""
    changed = bytearray(file.read_bytes())
    places = st.lists(st.tuples(st.integers(0, len(changed) - 1), st.integers(0, 255)), min_size=1, max_size=12)
    for place, value in data.draw(places):
        changed[place] = value
    path = file.with_name("fuzzed.npz")
    path.write_bytes(changed)
    try:
        assert same(path)
    except ManifestError:
        return


def archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def npy(array: npt.NDArray[np.generic]) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def claiming(header: str) -> bytes:
    text = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


IDS = npy(np.array(NAMES))


@pytest.mark.parametrize(
    "points",
    [
        npy(POINTS[:, :67]),
        npy(POINTS[:1]),
        npy(POINTS.astype(np.float64)),
        b"",
        b"\x93NUMPY\x01\x00",
        claiming("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 68, 2), }"),
        claiming("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 68, 2), }"),
        claiming("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 68, 2), }"),
        claiming("{'descr': '|O', 'fortran_order': False, 'shape': (2, 68, 2), }"),
        claiming("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 68, 2"),
        claiming("  {'a"),
        claiming("__import__('os').system('true')"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, points: bytes) -> None:
    """A zip whose checksums are right, but not its arrays."""
    with pytest.raises(ManifestError, match="is no landmark file, or damaged"):
        open_landmarks(archive(tmp_path / "a.npz", {"pair_ids": IDS, "points_xy": points}))


def test_a_compressed_file_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", {"pair_ids": IDS, "points_xy": bytes(10**7)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(ManifestError, match="it is compressed"):
        open_landmarks(path)
