"""Descriptions of other people's models: each key is checked, and what does not belong is one clear line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occfer.data.manifests import CONTEMPT, EXPRESSIONS
from occfer.errors import ConfigError
from occfer.outside.description import OTHER_WORDS, About, Described, Network, read_description
from tests.fuzzing import changed_bytes, fuzzed, read_or_refused

FIVE_LINES = b"""\
size_px = 64
colour = "grey"
mean = 0.5
std = 0.5
classes = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
"""


def read(folder: Path, text: str, kind: type[About] = Network) -> About:
    path = folder / "model.toml"
    path.write_text(text)
    return read_description(path, kind)


def test_five_lines_are_enough(tmp_path: Path) -> None:
    found = read(tmp_path, FIVE_LINES.decode())
    assert isinstance(found, Network)
    assert (found.size_px, found.colour, found.mean, found.std, len(found.classes)) == (64, "grey", 0.5, 0.5, 7)
    assert (found.name, found.crop, found.scale, found.trained_on) == ("", (0, 0, 1, 1), 1, ())


def test_every_word_of_others_means_one_of_ours() -> None:
    assert set(OTHER_WORDS.values()) <= {*EXPRESSIONS, CONTEMPT}
    assert not set(OTHER_WORDS) & {*EXPRESSIONS, CONTEMPT}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("size_px = 0", "size_px is 0; it must be between 1 and 4096"),
        ("size_px = 100_000", "size_px is 100000"),
        ('size_px = "64"', "size_px is '64': it must be a valid integer"),
        ('colour = "yuv"', "colour is 'yuv'"),
        ("mean = [0.5, 0.5]", "mean holds 2 numbers; give one, or one for each of 1 channels"),
        ("std = 0", "scale and std must be numbers above 0"),
        ("scale = -255", "scale and std must be numbers above 0"),
        ("crop = [0, 0, 1, 0.5]", "crop is .*; it must be a square of left, top, right and bottom"),
        ("crop = [0.5, 0, 0.5, 0]", "must be a square"),
        ("crop = [0, 0, 99, 99]", "must be a square"),
        ('classes = ["happy", "sleepy"]', "the class 'sleepy' is none of occsynth's .*write '-' for an output"),
        ('classes = ["happy", "joy"]', "two classes mean happiness"),
        ('classes = ["happy", "-"]', "classes names 1 expressions"),
        (f"classes = {['-'] * 101}", "classes holds 101 outputs"),
        ('colours = "rgb"', "the key 'colours' says nothing here; known are name, about, .*, colour, scale, mean, std"),
        (f'name = "{"x" * 101}"', "a name has more than 100 letters"),
        (f"trained_on = {['x'] * 101}", "trained_on has more than 100 entries"),
    ],
)
def test_an_impossible_value_is_one_clear_line(tmp_path: Path, line: str, message: str) -> None:
    kept = [each for each in FIVE_LINES.decode().splitlines() if not each.startswith(line.partition(" ")[0] + " ")]
    with pytest.raises(ConfigError, match=message) as caught:
        read(tmp_path, "\n".join((*kept, line)))
    assert "--describe" in str(caught.value) and "model.toml" in str(caught.value)


def test_a_missing_key_and_keys_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is incomplete: classes is missing"):
        read(tmp_path, "size_px = 64")
    with pytest.raises(ConfigError, match=r"the key 'colour' says nothing here; known are .*classes"):
        read(tmp_path, FIVE_LINES.decode(), Described)
    with pytest.raises(
        ConfigError, match="the key 'size_px' says nothing here; known are name, about, trained_on, selected_by"
    ):
        read(tmp_path, "size_px = 64", About)
    for text, message in (("size_px: 64", "not readable TOML"), ("mean = nan", "no finite number")):
        with pytest.raises(ConfigError, match=message):
            read(tmp_path, text)
    found = read(tmp_path, 'name = "a"', Described)
    assert isinstance(found, Described) and found.classes == EXPRESSIONS and found.size_px == 0


@given(st.data())
@fuzzed()
def test_fuzz_a_description(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.toml"
    path.write_bytes(data.draw(changed_bytes(FIVE_LINES)))
    found = read_or_refused(lambda: read_description(path, Network), ConfigError)
    assert found is None or (isinstance(found, Network) and 1 <= found.size_px <= 4096)
