"""Reading a template pack whose images cannot be used."""

import shutil
from pathlib import Path

import pytest

from occsynth.errors import TemplateError
from occsynth.templates.pack import load_pack, shipped_pack_folder
from tests.occsynth.pixels.image_files import claimed_png


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (claimed_png(60_000, 60_000), "has more than 100,000,000 pixels"),
        (b"", "is not an 8-bit RGBA image"),
        (b"no image", "is not an 8-bit RGBA image"),
    ],
)
def test_an_image_of_a_foreign_pack_that_cannot_be_used_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    shutil.copytree(shipped_pack_folder(), tmp_path / "pack", ignore=shutil.ignore_patterns("render", "hand", "drink"))
    index = tmp_path / "pack/index.csv"
    index.write_text("".join(line for line in index.open() if line.startswith(("file,", "food/"))))
    (tmp_path / "pack/food/pear.png").write_bytes(content)
    with pytest.raises(TemplateError, match=rf"food/pear\.png {said}"):
        load_pack(tmp_path / "pack").sprite("food/pear.png")
