"""The heat of the occluded faces of a manifest, one after the other, with the shares inside their occluders."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from occfer.data.arrays import Float32Array, Images, Indices
from occfer.data.image_store import ImageStore
from occfer.data.manifests import Corpus, Sample, image_path
from occfer.data.packs import read_rgb
from occfer.errors import DataError
from occfer.explain.grad_cam import Explainer, on_pictures
from occfer.metrics.heat import HeatedPair, rounded, shares
from occfer.metrics.predictions import predicted_pair

Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedFace:
    """An occluded face and where the network looked on it.

    Attributes:
        index: of its sample in the corpus.
        heated: its answer and shares.
        occluded: `(S, S, 3)` uint8 RGB, as the network saw it.
        mask: `(P, P)` uint8, the manifest's; None where there is none.
        heat: `(P, P)` float32, not negative; P is the side of the manifest's pictures.
        map_hw: cells of the map that the heat was enlarged from.
    """

    index: int
    heated: HeatedPair
    occluded: Images
    mask: Mask | None
    heat: Float32Array
    map_hw: tuple[int, int]


def explained_faces(
    explainer: Explainer, corpus: Corpus, store: ImageStore, indices: Indices, *, of_truth: bool, batch_size: int
) -> Iterator[ExplainedFace]:
    """Explains the occluded faces of samples, in their order.

    Args:
        explainer: the model.
        corpus, store: the samples and their images, at the model's size.
        indices: of the samples.
        of_truth: whether the true expression is explained, and not the model's answer.
        batch_size: images per call.

    Raises:
        DataError: a mask is missing or not the one that the manifest names.
        MethodError: see `Explainer.heat`.
    """
    classes = explainer.info.classes
    for start in range(0, len(indices), batch_size):
        chunk = indices[start : start + batch_size]
        samples = [corpus.samples[index] for index in chunk]
        images = store.host("occluded", chunk)
        truths = np.array([classes.index(sample.expression) for sample in samples], dtype=np.int64)
        heat = explainer.heat(images, truths if of_truth else None)
        answers = heat.probabilities.argmax(axis=1)
        for place, (index, sample) in enumerate(zip(chunk.tolist(), samples, strict=True)):
            mask = read_mask(corpus, sample) if sample.mask else None
            enlarged = on_pictures(heat.maps[place : place + 1], corpus.manifests[sample.manifest].size_px)[0]
            explained = int(truths[place] if of_truth else answers[place])
            share_of_face, share_of_heat = (None, None) if mask is None else shares(enlarged, mask)
            heated = HeatedPair(
                pair=predicted_pair(sample),
                answer=classes[int(answers[place])],
                explained=classes[explained],
                probability=rounded(float(heat.probabilities[place, explained])),
                share_of_face=share_of_face,
                share_of_heat=share_of_heat,
            )
            map_hw = (heat.maps.shape[1], heat.maps.shape[2])
            yield ExplainedFace(index, heated, images[place], mask, enlarged, map_hw)


def read_mask(corpus: Corpus, sample: Sample) -> Mask:
    """`(P, P)` uint8: a sample's mask; raises DataError where it is not the one that the manifest names."""
    manifest = corpus.manifests[sample.manifest]
    path = image_path(manifest, sample.mask)
    mask = np.ascontiguousarray(read_rgb(path)[:, :, 0])
    if mask.shape != (manifest.size_px, manifest.size_px):
        raise DataError(f"{path} has {mask.shape[1]} x {mask.shape[0]} pixels instead of {manifest.size_px} a side")
    if sample.mask_sha256 and hashlib.sha256(mask.tobytes()).hexdigest() != sample.mask_sha256:
        raise DataError(
            f"{path}: its pixels are not those that the manifest names in the row of '{sample.pair_id}'; check the "
            f"build with `occsynth verify {manifest.path}`, then build or replay it again"
        )
    return mask
