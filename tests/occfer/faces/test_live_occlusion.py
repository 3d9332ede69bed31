"""The Occluder of occsynth in training: in torch's data loading, and as `--live-occlusion` makes it of manifests."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from occfer.errors import ConfigError, DataError
from occfer.faces.live_occlusion import live_occluder
from occsynth.modes.occlusion import Occlusion, Shadow
from occsynth.occluder import Occluder
from occsynth.templates.pack import load_pack, shipped_pack_folder
from tests.occfer.toy_builds import edited

MakeBuild = Callable[..., Path]
FACE = np.random.default_rng(5).integers(30, 220, (48, 48, 3), dtype=np.uint8)


def faces() -> list[np.ndarray]:
    return [np.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=np.uint8) for seed in range(12)]


class OccludedFaces(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """What a user writes: the occluder as an attribute, the pair's number as the key."""

    def __init__(self, mode: str, epoch: int = 0) -> None:
        self.images, self.occluder, self.epoch = faces(), Occluder(mode, seed=7), epoch

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        made = self.occluder(self.images[index], key=str(index), epoch=self.epoch)
        return torch.from_numpy(made.image), torch.from_numpy(made.mask)


def loaded(dataset: OccludedFaces, workers: int, context: str | None = None) -> torch.Tensor:
    loader = DataLoader(dataset, batch_size=5, num_workers=workers, multiprocessing_context=context)
    return torch.cat([torch.cat([image, mask[..., None]], dim=3) for image, mask in loader])


@pytest.mark.parametrize("mode", ["random", "mouth"])
def test_any_number_of_workers_gives_the_same_pixels(mode: str) -> None:
    alone = loaded(OccludedFaces(mode), 0)
    assert alone.shape == (12, 48, 48, 4)
    assert torch.equal(loaded(OccludedFaces(mode), 2), alone)


@pytest.mark.slow
def test_spawned_workers_give_the_same_pixels() -> None:
    assert torch.equal(loaded(OccludedFaces("r16"), 2, "spawn"), loaded(OccludedFaces("r16"), 0))


def test_another_epoch_draws_other_occlusions() -> None:
    assert not torch.equal(loaded(OccludedFaces("r16"), 0), loaded(OccludedFaces("r16", epoch=1), 0))


class Occlude(torch.nn.Module):
    """What a user writes to use it in a torchvision v2 pipeline."""

    def __init__(self, occluder: Occluder) -> None:
        super().__init__()
        self.occluder = occluder

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        return torch.from_numpy(self.occluder(pixels).image).permute(2, 0, 1)


def test_it_works_in_a_torchvision_pipeline() -> None:
    pipeline = v2.Compose([v2.ToImage(), Occlude(Occluder("r16", seed=7)), v2.ToDtype(torch.float32, scale=True)])
    for face in faces()[:3]:
        plain = torch.from_numpy(face).permute(2, 0, 1)
        made = pipeline(face)
        assert made.shape == (3, 48, 48)
        assert made.dtype == torch.float32
        changed = ((made * 255).round() != plain).any(dim=0).float().mean()
        assert 0.01 < changed < 0.2
        assert torch.equal(pipeline(face), made)


def made_with(manifest: Path, **facts: Any) -> Path:
    """The manifest, with other facts in its JSON."""
    path = manifest.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))
    return manifest


def drawn(*manifests: Path, mode: str = "r16", face: str = "toy/s000_anger", of_mode: str = "r16") -> np.ndarray:
    return live_occluder(mode, manifests, seed=3)(FACE, face, of_mode, 2)


def by_hand(mode: str = "r16", **look: Any) -> np.ndarray:
    return Occluder(mode, seed=3, **look)(FACE, key="toy/s000_anger", epoch=2).image


CATEGORIES = ["food", "hand", "drink"]
SHIPPED = {"template_pack": "occsynth", "template_pack_sha256": load_pack().sha256}


@pytest.mark.parametrize("fill", ["black", "mean", "noise"])
def test_live_occlusions_have_the_manifests_fill(make_build: MakeBuild, fill: Any) -> None:
    image = drawn(made_with(make_build(), fill=fill))
    assert np.array_equal(image, by_hand(fill=fill))
    hidden = image[(image != FACE).any(axis=2)]
    colours = len(np.unique(hidden, axis=0))
    assert len(hidden) > 100 and (colours > 50) == (fill == "noise")
    assert (hidden == 0).all() == (fill == "black")


@pytest.mark.parametrize("categories", [["food", "hand", "drink"], ["drink"], ["hand", "food"]])
def test_live_occlusions_have_the_manifests_categories(make_build: MakeBuild, categories: list[str]) -> None:
    manifest = made_with(make_build(), fill="template", categories=categories, **SHIPPED)
    occluder = live_occluder("r16", [manifest], seed=3).occluders["toy", "r16"]
    found = {occluder(FACE, key=str(number)).occlusion.category for number in range(30)}
    assert found == set(categories)
    assert np.array_equal(drawn(manifest), by_hand(categories=tuple(categories)))


@pytest.mark.parametrize("split", ["train", "test"])
def test_live_occlusions_keep_to_the_manifests_part_of_the_templates(make_build: MakeBuild, split: Any) -> None:
    facts = {"categories": ["food", "hand", "drink"], "template_split": split, **SHIPPED}
    manifest = made_with(make_build(), fill="template", **facts)
    occluder = live_occluder("r16", [manifest], seed=3).occluders["toy", "r16"]
    found = {occluder(FACE, key=str(number)).occlusion.template for number in range(40)}
    assert len(found) > 10
    assert {file in load_pack().held_out for file in found} == {split == "test"}
    other = made_with(make_build(name="toy-eyes", mode="eyes"), fill="template", categories=CATEGORIES, **SHIPPED)
    with pytest.raises(ConfigError, match=r"hidden in different ways \(fill, categories, template pack or its split"):
        drawn(manifest, other)


def test_what_is_worn_is_drawn_live_and_leaves_other_modes_their_categories(make_build: MakeBuild) -> None:
    facts = {"template_pack": "occsynth", "template_pack_sha256": load_pack().worn_sha256, "categories": ["wear"]}
    mask = made_with(make_build(name="toy-mask", mode="mask"), fill="template", **facts)
    eyes = made_with(make_build(name="toy-eyes", mode="eyes"), fill="template", categories=CATEGORIES, **SHIPPED)
    for mode in ("mask", "r16", "sunglasses"):
        assert np.array_equal(drawn(mask, eyes, mode=mode), by_hand(mode))


def test_a_manifest_with_the_defaults_is_occluded_as_before(make_build: MakeBuild) -> None:
    manifest = made_with(make_build(), fill="template", categories=["food", "hand", "drink"], **SHIPPED)
    assert np.array_equal(drawn(manifest), by_hand())


@pytest.mark.parametrize("choice", ["colour_match", "shadow"])
def test_live_occlusions_have_the_colour_match_and_shadow_of_the_first_row(make_build: MakeBuild, choice: str) -> None:
    record = Occlusion("template", "food/a.png", "0" * 64, "food", (9, 9), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    matched, shaded = replace(record, gain_rgb=(256, 256, 256)), replace(record, shadow=Shadow((1, 1), 1.0, 90))
    text = (matched if choice == "colour_match" else shaded).to_json()
    build = make_build(edit=edited(lambda row: replace(row, occlusion=text)))
    manifest = made_with(build, fill="template", categories=["food"], **SHIPPED)
    found = drawn(manifest, mode="eyes")
    assert np.array_equal(found, by_hand("eyes", **{"categories": ("food",), choice: True}))
    assert not np.array_equal(found, by_hand("eyes", categories=("food",)))


@pytest.mark.parametrize("mode", ["upper-40", "cover-20", "left-7"])
@pytest.mark.parametrize("fill", ["template", "black"])
def test_modes_with_a_share_are_drawn_live(make_build: MakeBuild, mode: str, fill: Any) -> None:
    pack = {"categories": ["hand"], **SHIPPED} if fill == "template" else {}
    manifest = made_with(make_build(), fill=fill, **pack)
    look = {"fill": fill, "categories": ("hand",) if pack else None}
    assert np.array_equal(drawn(manifest, mode=mode), by_hand(mode, **look))


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("look", ["", "natural"])
def test_live_occlusions_have_the_look_and_the_colours_of_the_manifest(
    make_build: MakeBuild, look: Any, grey: bool
) -> None:
    """A manifest that says neither, from before there was a choice, keeps the colours and is pasted."""
    shaded = Occlusion(
        "template", "food/a.png", "0" * 64, "food", (9, 9), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), shadow=Shadow((1, 1), 1, 90)
    )
    text = (shaded if look else replace(shaded, shadow=None)).to_json()
    build = make_build(edit=edited(lambda row: replace(row, occlusion=text)))
    facts = ({"look": look} if look else {}) | ({"grey": grey} if grey else {})
    manifest = made_with(build, fill="template", categories=["food"], **SHIPPED, **facts)
    of_grey = np.repeat(FACE[:, :, :1], 3, axis=2)
    found = live_occluder("eyes", [manifest], seed=3)(of_grey, "toy/s000_anger", "r16", 2)
    by_hand = Occluder("eyes", seed=3, categories=("food",), look=look or "pasted", keep_colour=not grey)
    assert np.array_equal(found, by_hand(of_grey, key="toy/s000_anger", epoch=2).image)
    assert (found == found[:, :, :1]).all() == grey


def test_faces_of_two_looks_cannot_be_hidden_alike(make_build: MakeBuild) -> None:
    template: dict[str, Any] = {"fill": "template", "categories": ["food"], "grey": True, **SHIPPED}
    one = made_with(make_build(), **template)
    for facts in ({"look": "natural"}, {"grey": False}):
        other = made_with(make_build(name="toy-eyes", mode="eyes"), **template | facts)
        with pytest.raises(ConfigError, match=r"hidden in different ways .*look, colours on grey faces"):
            drawn(one, other)


@pytest.mark.parametrize("square_at", ["picture", "face"])
def test_live_squares_lie_where_the_manifests_squares_lie(make_build: MakeBuild, square_at: Any) -> None:
    squares = made_with(make_build(), fill="black", square_at="face" if square_at == "face" else "")
    eyes = made_with(make_build(name="toy-eyes", mode="eyes"), fill="black")
    assert np.array_equal(drawn(squares, eyes), by_hand(fill="black", square_at=square_at))
    assert not np.array_equal(by_hand(fill="black", square_at="face"), by_hand(fill="black"))


def test_squares_of_two_kinds_leave_open_where_live_squares_lie(make_build: MakeBuild) -> None:
    one = made_with(make_build(), fill="black")
    other = made_with(make_build(name="toy-r8", mode="r8"), fill="black", square_at="face")
    with pytest.raises(ConfigError, match=r"--live-occlusion r16: the squares of .*toy-r16.csv lie anywhere .* on the"):
        drawn(one, other)
    assert np.array_equal(drawn(one, other, mode="eyes"), by_hand("eyes", fill="black"))


def small_pack(folder: Path) -> Path:
    """A template pack of two templates."""
    rows = list(csv.reader((shipped_pack_folder() / "index.csv").open(encoding="utf-8")))
    for row in rows[1:3]:
        (folder / row[0]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shipped_pack_folder() / row[0], folder / row[0])
    with (folder / "index.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows[:3])
    return folder


@pytest.mark.parametrize("place", ["builds", ".", "elsewhere"])
def test_a_pack_of_ones_own_is_found_near_the_build(
    make_build: MakeBuild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """In the build root, beside it, or in the current folder."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    pack = load_pack(small_pack(tmp_path / place / "mine"))
    categories = sorted({each.category for each in pack.templates.values()})
    facts = {"template_pack": "mine", "template_pack_sha256": pack.sha256, "categories": categories}
    manifest = made_with(make_build(), fill="template", **facts)
    assert np.array_equal(drawn(manifest), by_hand(templates=pack.folder))
    occluder = live_occluder("r16", [manifest], seed=3)
    for file in pack.templates:
        (pack.folder / file).unlink()
    with pytest.raises(DataError, match=r"^the live occlusion of toy/s000_anger cannot be drawn: template .*mine"):
        occluder(FACE, "toy/s000_anger", "r16", 2)


def test_a_pack_that_is_not_there_is_one_line_that_says_where_it_was_looked_for(
    make_build: MakeBuild, tmp_path: Path
) -> None:
    another = small_pack(tmp_path / "mine")  # of that name, but not that pack
    manifest = made_with(make_build(), fill="template", template_pack=another.name, template_pack_sha256="ab" * 32)
    with pytest.raises(ConfigError) as raised:
        live_occluder("r16", [manifest], seed=0)
    text = str(raised.value)
    assert "\n" not in text and "template pack 'mine' (digest abababababababab), which is not in" in text
    assert f"{tmp_path / 'builds'}, {tmp_path}" in text


def test_each_database_keeps_its_fill_and_one_of_two_fills_is_refused(make_build: MakeBuild) -> None:
    black = made_with(make_build(), fill="black")
    noise = made_with(make_build(name="other-r16", database="other"), fill="noise")
    assert np.array_equal(drawn(black, noise), by_hand(fill="black"))
    expected = Occluder("r16", seed=3, fill="noise")(FACE, key="other/s000_anger", epoch=2).image
    assert np.array_equal(drawn(black, noise, face="other/s000_anger"), expected)
    again = made_with(make_build(name="toy-r8", mode="r8"), fill="mean")
    with pytest.raises(
        ConfigError, match=r"--live-occlusion r16: .*toy-r16.csv and .*toy-r8.csv show faces of the same"
    ):
        live_occluder("r16", [black, again], seed=3)
    real = made_with(make_build(name="toy-real", mode="real"), fill="", categories=[])
    assert np.array_equal(drawn(real, black), by_hand(fill="black"))


def test_each_manifest_keeps_its_own_mode_and_look(make_build: MakeBuild) -> None:
    black = made_with(make_build(), fill="black")
    noise = made_with(make_build(name="toy-eyes", mode="eyes"), fill="noise")
    other = made_with(make_build(name="other-r8", database="other", mode="r8"), fill="mean")
    real = made_with(make_build(name="toy-real", mode="real"), fill="", categories=[])
    builds = (black, noise, other, real)
    assert np.array_equal(drawn(*builds, mode="manifest"), by_hand("r16", fill="black"))
    assert np.array_equal(drawn(*builds, mode="manifest", of_mode="eyes"), by_hand("eyes", fill="noise"))
    expected = Occluder("r8", seed=3, fill="mean")(FACE, key="other/s000_anger", epoch=2).image
    assert np.array_equal(drawn(*builds, mode="manifest", face="other/s000_anger", of_mode="r8"), expected)
    again = made_with(make_build(name="toy-again", mode="eyes"), fill="mean")
    with pytest.raises(ConfigError, match=r"^--live-occlusion manifest: .*toy-eyes.csv and .*toy-again.csv show faces"):
        live_occluder("manifest", [black, noise, again], seed=3)
    assert live_occluder("manifest", [black], 3).digest != live_occluder("r16", [black], 3).digest


def test_a_digest_names_what_is_drawn(make_build: MakeBuild) -> None:
    """Each choice of the manifest, the landmarks and the alignment change it, and nothing else does."""
    manifest = make_build()

    def of(mode: str = "eyes", seed: int = 3, **facts: Any) -> str:
        return live_occluder(mode, [made_with(manifest, **facts)], seed).digest

    made_with(manifest, **SHIPPED, fill="template", categories=CATEGORIES)
    first = of()
    others = [of("mouth"), of(seed=4)]
    before = manifest.with_suffix(".json").read_text()
    for facts in ({"fill": "black"}, {"categories": ["hand"]}, {"template_split": "train"}, {"look": "natural"}):
        others.append(of(**facts))
        manifest.with_suffix(".json").write_text(before)
    occluder = live_occluder("eyes", [manifest], 3)
    others.append(replace(occluder, aligned=not occluder.aligned).digest)
    others.append(replace(occluder, faces={"toy/s000_anger": (np.zeros((478, 2), dtype=np.float32), 24)}).digest)
    assert len({first, *others}) == 1 + len(others)
    assert of() == first


def test_a_manifest_without_landmarks_is_told_of(make_build: MakeBuild) -> None:
    """A part of a manifest is often saved without them, and its live occlusions then lie elsewhere."""
    manifest = make_build()
    beside = manifest.with_suffix(".landmarks.npz")
    real = make_build(name="toy-real", mode="real")
    (note,) = live_occluder("eyes", [manifest, real], 3).notes
    assert note.startswith(f"{beside} is missing or damaged: live occlusions are placed as on a face that fills")
    ids = np.array(["s000_anger"])
    np.savez(beside, pair_ids=ids, points_xy=np.full((1, 68, 2), 9, dtype=np.float32))
    occluder = live_occluder("eyes", [manifest, real], 3)
    assert occluder.notes == [] and list(occluder.faces) == ["toy/s000_anger"]
    beside.write_bytes(beside.read_bytes()[:-100])
    assert len(live_occluder("eyes", [manifest], 3).notes) == 1
