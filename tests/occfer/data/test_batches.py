"""Batches as a function of their number; paired augmentation; pairing; shares of several processes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from occfer.data.augmentation import Augmentation, apply, sample
from occfer.data.batch_maker import BatchMaker, LiveOcclusion
from occfer.data.batches import Batches, PairBatch
from occfer.data.image_store import VIEWS, ImageStore
from occfer.data.manifests import read_corpus
from occfer.data.packs import open_packs
from occfer.data.passes import Pairing, Passes
from occfer.data.random_streams import stream_rng
from occfer.errors import ConfigError
from tests.occfer.toy_builds import WORDS

MakeBuild = Callable[..., Path]
FLIP = Augmentation()
ALL: dict[str, Any] = {
    "crop_px": 2, "colour": 0.2, "rotate_deg": 30.0, "scale": 0.2, "grey_share": 0.4, "erase_share": 0.6,
}  # fmt: skip
"""Every operation beside the flip, at a value that switches it on."""


def streams(seed: int = 0) -> tuple[np.random.Generator, np.random.Generator]:
    return stream_rng(seed, "first"), stream_rng(seed, "later")


@pytest.fixture
def store(make_build: MakeBuild) -> ImageStore:
    corpus = read_corpus([make_build(subjects=3), make_build(subjects=2, name="toy-r8", mode="r8")])
    indices = np.arange(len(corpus.samples))
    return ImageStore(open_packs(corpus, 24), corpus.samples, torch.device("cpu"), indices)


def labels_of(store: ImageStore) -> np.ndarray:
    return np.array([WORDS.index(sample.expression) for sample in store.samples])


def batches_of(
    store: ImageStore,
    *,
    augmentation: Augmentation = FLIP,
    how: str = "paired",
    size: int = 8,
    rank: int = 0,
    world: int = 1,
    stream: str = "student",
    live: LiveOcclusion | None = None,
    clean_share: float = 0.0,
    channels_last: bool = False,
    balanced: bool = False,
    indices: np.ndarray | None = None,
) -> Batches:
    indices, labels = np.arange(len(store.samples)) if indices is None else indices, labels_of(store)
    make = BatchMaker(
        images=store.on_host,
        on_device=store.resident,
        passes=Passes(indices, size, 0, stream, world, balanced=labels if balanced else None),
        pairing=Pairing(how, indices, labels),
        augmentation=augmentation,
        rank=rank,
        live_occlusion=live,
        first_epoch=5,
        clean_share=clean_share,
    )
    return Batches(store, make, labels, channels_last=channels_last)


@given(count=st.integers(2, 200), size=st.integers(2, 64), world=st.integers(1, 4), seed=st.integers(0, 9))
@settings(deadline=None)
def test_a_pass_has_every_sample_once_in_batches_of_equal_size(count: int, size: int, world: int, seed: int) -> None:
    indices = np.arange(100, 100 + count)
    try:
        passes = Passes(indices, size, seed, "student", world)
    except ConfigError:
        assert count // world // -(-count // size) < 2
        return
    assert passes.batches == -(-count // size)
    for epoch in (0, 3):
        drawn = [passes.batch(epoch * passes.batches + index) for index in range(passes.batches)]
        together = np.concatenate(drawn)
        assert len(set(together)) == len(together) == count - count % world
        assert set(together) <= set(indices)
        lengths = {len(each) for each in drawn}
        assert all(length % world == 0 and length >= 2 * world for length in lengths)
        assert max(lengths) - min(lengths) <= world
        assert max(lengths) <= size + world - 1


def test_passes_are_shuffled_by_seed_stream_and_epoch_alone() -> None:
    def order(seed: int, stream: str, epoch: int) -> list[int]:
        return [int(index) for index in Passes(np.arange(40), 40, seed, stream).batch(epoch)]

    first = order(0, "student", 0)
    passes = Passes(np.arange(40), 40, 0, "student")
    passes.batch(7)
    assert passes.batch(0).tolist() == first
    others = [order(1, "student", 0), order(0, "discriminator", 0), order(0, "student", 1), list(range(40))]
    assert first not in others


def test_too_few_samples_for_batch_norm_are_an_error_that_names_the_flags() -> None:
    with pytest.raises(ConfigError, match=r"fewer than two samples to a process.*--batch-size.*--devices"):
        Passes(np.arange(1), 8, 0, "student")
    with pytest.raises(ConfigError, match=r"over 4 process"):
        Passes(np.arange(40), 4, 0, "student", world_size=4)


def test_a_batch_is_the_packs_pixels_between_0_and_1(store: ImageStore) -> None:
    batch = batches_of(store, augmentation=Augmentation(flip=False)).batch(3)
    assert batch.clean is not None
    for view, images in (("occluded", batch.occluded), ("clean", batch.clean)):
        assert images.dtype == torch.float32 and images.shape[1:] == (3, 24, 24)
        expected = store.host(view, batch.indices.numpy())  # type: ignore[arg-type]
        assert torch.equal((images * 255).round().byte().permute(0, 2, 3, 1), torch.from_numpy(expected))
    assert batch.labels.tolist() == labels_of(store)[batch.indices.numpy()].tolist()
    assert batch.all_indices.tolist() == batch.indices.tolist() == batch.clean_indices.tolist()


def test_images_of_merged_manifests_are_found_by_index(store: ImageStore) -> None:
    indices = np.array([30, 2, 21, 20])
    for place, index in enumerate(indices):
        assert (store.host("occluded", indices)[place] == store.host("occluded", np.array([index]))[0]).all()


@pytest.mark.parametrize(
    "augmentation", [Augmentation(), Augmentation(crop_px=3), Augmentation(colour=0.3), Augmentation(True, 2, 0.2)]
)
def test_clean_and_occluded_get_the_same_draw(store: ImageStore, augmentation: Augmentation) -> None:
    changed = 0
    batches = batches_of(store, augmentation=augmentation)
    plain = batches_of(store, augmentation=Augmentation(flip=False))
    for number in range(len(batches)):
        batch, before = batches.batch(number), plain.batch(number)
        assert batch.clean is not None and before.clean is not None
        changed += not torch.equal(batch.clean, before.clean)
        # A square of a third of the side is noise; outside it the pair must stay equal, moved and recoloured or not.
        equal = (batch.clean == batch.occluded).all(dim=1).float().mean(dim=(1, 2))
        assert (equal > 0.6).all()
        assert batch.occluded.min() >= 0 and batch.occluded.max() <= 1
    assert changed


def test_a_draw_does_what_it_says() -> None:
    images = torch.rand(6, 3, 8, 8)
    options = Augmentation(flip=True, crop_px=2)
    draw = sample(options, 6, *streams())
    moved = apply(images, draw, options)
    for index in range(6):
        image = images[index].flip(2) if draw.flip[index] else images[index]
        dy, dx = draw.shift_yx[index].tolist()
        for y, x in ((0, 0), (7, 7), (3, 4)):
            source = image[:, min(max(y + dy, 0), 7), min(max(x + dx, 0), 7)]
            assert torch.equal(moved[index, :, y, x], source)
    assert draw.shift_yx.abs().max() == 2
    assert 0 < draw.flip.sum() < 6


def alone(name: str) -> Augmentation:
    return Augmentation(flip=False, **{name: ALL[name]})


@pytest.mark.parametrize("options", [*map(alone, ALL), Augmentation(**ALL)], ids=[*ALL, "all"])
def test_a_pair_stays_equal_outside_its_moved_mask(options: Augmentation) -> None:
    torch.manual_seed(0)
    mask = torch.zeros(32, 1, 24, 24)
    mask[:, :, 5:13, 8:17] = 1
    clean = torch.rand(32, 3, 24, 24)
    occluded = torch.where(mask > 0, torch.rand(32, 3, 24, 24), clean)
    draw = sample(options, 32, *streams())
    moves = replace(options, colour=0.0)
    moved = apply(mask.expand(-1, 3, -1, -1), replace(draw, grey=None, erased=None), moves)
    one, other = (apply(images, draw, options) for images in (clean, occluded))
    outside = (moved == 0).expand(-1, 3, -1, -1)
    assert torch.equal(one[outside], other[outside])
    assert not torch.equal(one, clean) and not torch.equal(one, other)
    assert outside.float().mean() > 0.5
    for images in (one, other):
        assert images.min() >= 0 and images.max() <= 1


@pytest.mark.parametrize("off", ALL)
def test_switching_one_operation_off_leaves_the_draws_of_the_others(off: str) -> None:
    everything = Augmentation(**ALL)
    whole = sample(everything, 50, *streams())
    less = sample(replace(everything, **dict[str, Any]({off: 0})), 50, *streams())
    drawn_of = {"crop_px": "shift_yx", "colour": "factors", "grey_share": "grey", "erase_share": "erased"}
    assert torch.equal(less.flip, whole.flip)
    kept = set(drawn_of) - {off} - ({"colour"} if off == "crop_px" else set())  # as in version 0.1
    for name in kept:
        assert torch.equal(getattr(less, drawn_of[name]), getattr(whole, drawn_of[name])), name
    assert whole.turn is not None and less.turn is not None
    for column, name in enumerate(("rotate_deg", "scale")):
        assert torch.equal(less.turn[:, column], whole.turn[:, column]) == (name != off)


def test_the_draws_of_version_0_1_are_what_they_were(store: ImageStore) -> None:
    """Beside all later operations, samples, flips, shifts, colours and looser pairs are those of that version."""
    batch = batches_of(store, augmentation=Augmentation(True, 2, 0.25, 20.0, 0.2, 0.5, 0.5), how="category").batch(11)
    rng = stream_rng(0, "student", "batch", 11)
    assert batch.flipped.tolist() == (rng.random(7) < 0.5).tolist()
    rng.integers(-2, 3, size=(7, 2))
    rng.uniform(-1, 1, size=(7, 3))
    labels = labels_of(store)
    positions = rng.random(7)
    expected = []
    for index, position in zip(batch.indices.numpy(), positions, strict=True):
        same = np.flatnonzero(labels == labels[index])
        expected.append(same[int(position * len(same))])
    assert batch.clean_indices.tolist() == expected


def test_rotation_and_scale_move_pixels_where_they_say() -> None:
    square = torch.zeros(1, 3, 41, 41)
    square[:, :, 8:13, 18:23] = 1  # above the centre
    options = Augmentation(flip=False, rotate_deg=90.0, scale=0.5)
    plain = sample(options, 1, *streams())

    def centre(angle_deg: float, growth: float) -> tuple[float, float]:
        turn = torch.tensor([[np.radians(angle_deg), growth]], dtype=torch.float32)
        moved = apply(square, replace(plain, turn=turn), options)[0, 0]
        y, x = torch.meshgrid(torch.arange(41.0), torch.arange(41.0), indexing="ij")
        return float((moved * y).sum() / moved.sum()) - 20, float((moved * x).sum() / moved.sum()) - 20

    for angle_deg, growth, y, x in (
        (0, 1, -10, 0),
        (90, 1, 0, -10),
        (-90, 1, 0, 10),
        (180, 1, 10, 0),
        (0, 1.5, -15, 0),
    ):
        assert centre(angle_deg, growth) == pytest.approx((y, x), abs=0.05), (angle_deg, growth)


def test_the_border_is_repeated_where_a_picture_shrinks() -> None:
    options = Augmentation(flip=False, scale=0.5, rotate_deg=1.0)
    flat = torch.full((64, 3, 24, 24), 0.5)
    assert apply(flat, sample(options, 64, *streams()), options) == pytest.approx(0.5, abs=1e-5)


def test_angles_and_factors_fill_their_ranges() -> None:
    turn = sample(Augmentation(rotate_deg=20.0, scale=0.3), 2000, *streams()).turn
    assert turn is not None
    degrees, growth = turn[:, 0] * 180 / np.pi, turn[:, 1]
    assert -20 <= degrees.min() < -19 and 19 < degrees.max() <= 20
    assert 0.7 <= growth.min() < 0.71 and 1.29 < growth.max() <= 1.3


def test_erasing_hides_one_rectangle_of_one_colour_in_a_share_of_the_pairs() -> None:
    options = Augmentation(flip=False, erase_share=0.3)
    images = torch.full((400, 3, 50, 50), 2.0)  # no colour that is drawn
    draw = sample(options, 400, *streams())
    erased = apply(images, draw, options)
    hidden = erased[:, 0] != 2
    shares = hidden.float().mean(dim=(1, 2))
    assert 0.2 < (shares > 0).float().mean() < 0.4
    assert shares[shares > 0].min() > 0.01 and 0.25 < shares.max() < 0.36
    for image, where in zip(erased, hidden, strict=True):
        if where.any():
            rows, columns = where.any(dim=1), where.any(dim=0)
            assert where.sum() == rows.sum() * columns.sum()
            assert len(image[:, where].unique(dim=1)[0]) == 1


def test_grey_takes_the_colours_of_a_share_of_the_pairs() -> None:
    options = Augmentation(flip=False, grey_share=0.25)
    images = torch.rand(400, 3, 4, 4)
    greyed = apply(images, sample(options, 400, *streams()), options)
    grey = (greyed == greyed[:, :1]).all(dim=(1, 2, 3))
    assert 0.15 < grey.float().mean() < 0.35
    assert torch.equal(greyed[~grey], images[~grey])


@pytest.mark.parametrize("name", ALL)
def test_the_teachers_answers_are_cached_only_where_pairs_are_at_most_mirrored(name: str) -> None:
    assert Augmentation().only_flips and Augmentation(flip=False).only_flips
    assert not Augmentation(**{name: ALL[name]}).only_flips


def test_switched_off_augmentation_leaves_images_alone() -> None:
    options = Augmentation(flip=False)
    images = torch.rand(4, 3, 8, 8)
    assert apply(images, sample(options, 4, *streams()), options) is images


@pytest.mark.parametrize("how", ["category", "unpaired"])
def test_looser_pairings_draw_other_clean_images(store: ImageStore, how: str) -> None:
    labels = labels_of(store)
    batches = batches_of(store, how=how, augmentation=Augmentation(flip=False))
    seen: list[PairBatch] = [batches.batch(number) for number in range(10)]
    indices = torch.cat([batch.indices for batch in seen]).numpy()
    clean_indices = torch.cat([batch.clean_indices for batch in seen]).numpy()
    assert (indices != clean_indices).mean() > 0.5
    assert (labels[indices] == labels[clean_indices]).all() == (how == "category")
    assert seen[0].clean is not None
    expected = torch.from_numpy(store.host("clean", seen[0].clean_indices.numpy()))
    assert torch.equal((seen[0].clean * 255).round().byte().permute(0, 2, 3, 1), expected)


@pytest.mark.parametrize("how", ["paired", "category"])
def test_processes_share_one_global_batch(store: ImageStore, how: str) -> None:
    options = Augmentation(**ALL)
    # 35 samples in batches of 35: one process and five meet the same batch.
    whole = batches_of(store, augmentation=options, how=how, size=35, clean_share=0.3).batch(2)
    shares = [
        batches_of(store, augmentation=options, how=how, size=35, clean_share=0.3, rank=rank, world=5).batch(2)
        for rank in range(5)
    ]
    for share in shares:
        assert share.all_indices.tolist() == whole.indices.tolist()
    for name in ("indices", "clean_indices", "labels", "flipped", "occluded", "clean"):
        together = torch.stack([getattr(share, name) for share in shares], dim=1).flatten(0, 1)
        assert torch.equal(together, getattr(whole, name)), name


def test_batches_follow_from_their_number(store: ImageStore) -> None:
    options = Augmentation(True, 2, 0.1)
    forward, jumping = (batches_of(store, augmentation=options, how="unpaired") for _ in range(2))
    drawn = [forward.batch(number) for number in range(8)]
    for number in (7, 2, 5):
        again = jumping.batch(number)
        assert torch.equal(again.occluded, drawn[number].occluded)
        assert torch.equal(again.clean_indices, drawn[number].clean_indices)


def test_live_occlusions_are_drawn_for_pair_and_epoch(store: ImageStore) -> None:
    calls: list[tuple[str, int]] = []

    def darken(clean: np.ndarray, face: str, _mode: str, epoch: int) -> np.ndarray:
        calls.append((face, epoch))
        return clean // 2

    one_manifest = np.flatnonzero([sample.manifest == 0 for sample in store.samples])
    batches = batches_of(store, augmentation=Augmentation(flip=False), live=darken, indices=one_manifest)
    batch = batches.batch(len(batches) + 1)
    indices = batch.indices.numpy()
    assert calls == [(f"{store.samples[index].database}/{store.samples[index].pair_id}", 6) for index in indices]
    expected = torch.from_numpy(store.host("clean", indices) // 2)
    assert torch.equal((batch.occluded * 255).round().byte().permute(0, 2, 3, 1), expected)


def test_a_face_that_a_balanced_pass_shows_again_is_occluded_anew(store: ImageStore) -> None:
    calls: list[tuple[str, int]] = []

    def record(clean: np.ndarray, face: str, _mode: str, number: int) -> np.ndarray:
        calls.append((face, number))
        return clean

    once = np.array([sample.manifest == 0 for sample in store.samples])  # the other manifest shows them again
    labels = labels_of(store)
    kept = np.flatnonzero(once & ((labels != 0) | (np.arange(len(labels)) == labels.argmin())))
    batches = batches_of(store, live=record, balanced=True, indices=kept)
    for number in range(2 * len(batches)):
        batches.batch(number)
    assert len(calls) == 2 * len(kept) and len(set(calls)) == len(calls)
    assert {number // 2**32 for _, number in calls} == {0, 1, 2}
    assert {number % 2**32 for _, number in calls} == {5, 6}


def test_faces_that_two_manifests_share_are_occluded_differently(store: ImageStore) -> None:
    calls: list[tuple[str, int]] = []

    def record(clean: np.ndarray, face: str, _mode: str, number: int) -> np.ndarray:
        calls.append((face, number))
        return clean

    batches = batches_of(store, live=record)
    for number in range(len(batches)):
        batches.batch(number)
    assert len(set(calls)) == len(calls) == len(store.samples) > len({face for face, _ in calls})
    assert {number for _, number in calls} == {5, 5 + 2**48}


@pytest.mark.parametrize("live", [False, True])
def test_a_share_of_clean_faces_takes_the_place_of_occluded_ones(store: ImageStore, live: bool) -> None:
    hidden: list[str] = []

    def blacken(clean: np.ndarray, face: str, _mode: str, _epoch: int) -> np.ndarray:
        hidden.append(face)
        return np.zeros_like(clean)

    options = Augmentation(flip=False)
    some = batches_of(store, augmentation=options, clean_share=0.3, live=blacken if live else None)
    held = batches_of(resident_as(store), augmentation=options, clean_share=0.3, live=blacken if live else None)
    none = batches_of(store, augmentation=options, live=blacken if live else None)
    shown: list[bool] = []
    for number in range(20):
        batch, plain = some.batch(number), none.batch(number)
        assert batch.clean is not None and plain.clean is not None
        assert torch.equal(batch.clean, plain.clean)
        is_clean = (batch.occluded == batch.clean).all(dim=(1, 2, 3))
        assert torch.equal(batch.occluded[~is_clean], plain.occluded[~is_clean])
        drawn = len(hidden)
        assert torch.equal(held.batch(number).occluded, batch.occluded)
        del hidden[drawn:]
        shown += is_clean.tolist()
    assert 0.2 < np.mean(shown) < 0.4
    assert len(hidden) == live * (2 * len(shown) - sum(shown))  # no occlusion is drawn that nobody sees


@pytest.mark.parametrize("how", ["paired", "unpaired"])
def test_the_clean_face_that_is_shown_is_the_samples_own(store: ImageStore, how: str) -> None:
    """Also from a device that holds all images, and where it meets the clean image of another sample."""
    batches = batches_of(store, augmentation=Augmentation(flip=False), how=how, clean_share=0.5)
    resident = batches_of(resident_as(store), augmentation=Augmentation(flip=False), how=how, clean_share=0.5)
    found: list[bool] = []
    for number in range(5):
        batch, again = batches.batch(number), resident.batch(number)
        assert torch.equal(batch.occluded, again.occluded)
        own = torch.from_numpy(store.host("clean", batch.indices.numpy()))
        found += ((batch.occluded * 255).round().byte().permute(0, 2, 3, 1) == own).all(dim=(1, 2, 3)).tolist()
    assert 0.3 < np.mean(found) < 0.7


def resident_as(store: ImageStore) -> ImageStore:
    """A store of the same images as an accelerator holds them."""
    indices = np.arange(len(store.samples))
    held = ImageStore(store.on_host.packs, store.samples, torch.device("cpu"), indices)
    held._place[indices] = indices
    held._tensors = {view: held._copy(view, indices) for view in VIEWS}
    return held


def test_the_memory_layout_is_the_one_asked_for(store: ImageStore) -> None:
    for channels_last in (False, True):
        batch = batches_of(store, channels_last=channels_last).batch(0)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        assert batch.occluded.is_contiguous(memory_format=layout)


def test_streams_of_different_names_differ() -> None:
    drawn = {stream_rng(seed, *names).integers(2**62) for seed in (0, 1) for names in (("a",), ("b",), ("a", 1))}
    assert len(drawn) == 6


def test_resident_images_are_those_of_the_packs(store: ImageStore) -> None:
    """As on an accelerator: resident images are gathered there, the others come from the packs."""
    indices = np.array([5, 3, 21, 34])
    store._place[indices] = np.arange(len(indices))
    store._tensors = {view: store._copy(view, indices, chunk=3) for view in VIEWS}
    assert store.resident
    for asked in (np.array([21, 5, 5]), np.array([34, 6])):
        for view in VIEWS:
            assert torch.equal(store.view(view, asked), torch.from_numpy(store.host(view, asked)))
    store._tensors["clean"] += 1  # only the resident images change
    assert not torch.equal(store.clean(indices), torch.from_numpy(store.host("clean", indices)))
    assert torch.equal(store.clean(np.array([3, 6])), torch.from_numpy(store.host("clean", np.array([3, 6]))))
