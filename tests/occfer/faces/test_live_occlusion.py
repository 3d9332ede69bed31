"""The Occluder of occsynth inside torch's data loading: the same pixels for any number of worker processes."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from occsynth.occluder import Occluder


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
