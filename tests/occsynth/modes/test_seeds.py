"""The numbers that streams give never change: live runs and later builds of the same pictures draw them again."""

import pytest

from occsynth.modes.seeds import Stream, key_stream, row_stream

PINNED = {
    "a key, as version 0.1 drew": (
        key_stream(3, "r16", "demo/a@1"), 396454562142726114, "ae2bbbe2760a608b1eaba6591500f172"
    ),
    "a picture": (row_stream(3, "r16", "ab" * 32), 752410235823164116, "ab013a329ff76c999a08249cb98d2c5e"),
    "a face of a picture": (
        row_stream(3, "r16", "ab" * 32, "cd" * 32), 638260711223890143, "69429cf778d8af6665398dcad873ccc2"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PINNED)
def test_a_stream_gives_what_it_gave(name: str) -> None:
    stream, number, noise = PINNED[name]
    assert (int(stream.rng().integers(2**60)), stream.noise_key()) == (number, noise)


def test_a_row_knows_neither_name_nor_database() -> None:
    """Its stream is made of what the row publishes: the seed, the mode and hashes of pixels."""
    stream = row_stream(3, "r16", "ab" * 32, "cd" * 32)
    assert stream == Stream(("row of schema 2", "3", "r16", "ab" * 32, "cd" * 32))
