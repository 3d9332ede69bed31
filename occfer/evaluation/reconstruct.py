"""What the decoder makes of occluded faces: clean, occluded and reconstructed side by side (the paper's Figure 4)."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from occfer.data.arrays import Images, Indices, UnitImages
from occfer.data.image_store import ImageStore, network_input
from occfer.data.manifests import Corpus, read_corpus
from occfer.data.packs import open_packs
from occfer.engine.engine import one_process
from occfer.errors import DataError, MethodError, ReportError
from occfer.evaluation.evaluate import model_files
from occfer.evaluation.tested_samples import PartName, choose_samples
from occfer.events import OnProgress
from occfer.methods import METHODS
from occfer.metrics.figure_files import save
from occfer.metrics.figures import reconstruction_figure
from occfer.runs.checkpoint import Model, load_model, read_model_info
from occfer.runs.model_info import ModelInfo
from occsynth.ownership import refuse_foreign_file

MAKER = "occfer reconstruct"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructOptions:
    """What to reconstruct.

    Attributes:
        checkpoint: a model file or a run folder, of a method with a decoder.
        manifests: CSVs with clean and occluded images.
        part, fold: see `occfer.evaluation.tested_samples.choose_samples`.
        faces: how many faces; the classes take turns.
        seed: decides which faces.
        device: `auto`, `cpu`, `cuda` or `mps`.
        cache_dir: folder of image packs; None takes `cache/packs` in the build root.
        out: the figure: `.png`, `.pdf` or `.svg`.
        overwrite: whether a file of that name that something else has made may be replaced.
    """

    checkpoint: Path
    manifests: tuple[Path, ...]
    part: PartName = "test"
    fold: int | None = None
    faces: int = 7
    seed: int = 0
    device: str = "auto"
    cache_dir: Path | None = None
    out: Path = Path("reconstruction.png")
    overwrite: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Reconstruction:
    """The result of `reconstruct`.

    Attributes:
        pair_ids: of the N faces.
        clean, occluded, reconstructed: `(N, S, S, 3)` float32 RGB in [0, 1].
        error: mean squared error of the reconstructed against the clean images, as in Eq. 7.
        notes: which samples the faces were chosen from.
        figure: the file.
    """

    pair_ids: tuple[str, ...]
    clean: UnitImages
    occluded: UnitImages
    reconstructed: UnitImages
    error: float
    notes: tuple[str, ...]
    figure: Path


def reconstruct(options: ReconstructOptions, on_progress: OnProgress | None = None) -> Reconstruction:
    """Draws the grid.

    Args:
        options: of what.
        on_progress: called with (pairs done, pairs) while images are decoded.

    Raises:
        MethodError: the method trains no decoder.
        CheckpointError, DataError: as for `occfer.evaluation.evaluate.evaluate`.
        ReportError: the figure cannot be written, or would replace a file that this command has not made.
    """
    refuse_foreign_file(options.out, MAKER, ReportError, overwrite=options.overwrite)
    file, *others = model_files(options.checkpoint)
    if others:
        raise DataError(
            f"--checkpoint {options.checkpoint} holds {1 + len(others)} models, one per fold; name one of them, such "
            f"as {file.parent.parent}"
        )
    _need_decoder(read_model_info(file), file)
    model = load_model(file)
    corpus = read_corpus(options.manifests)
    tested, notes = choose_samples(corpus, model.info, options.part, options.fold)
    chosen = choose_faces(corpus, tested, options.faces, options.seed)
    engine = one_process(options.device)
    packs = open_packs(corpus, model.info.size_px, options.cache_dir, on_progress, notes.append)
    store = ImageStore(packs, corpus.samples, engine.device, chosen, resident_fraction=0)
    occluded = store.host("occluded", chosen)
    clean = unit_pixels(store.host("clean", chosen))
    reconstructed = _decode(model, occluded, engine.device)
    samples = [corpus.samples[index] for index in chosen]
    figure = reconstruction_figure(
        [("clean", clean), ("occluded", unit_pixels(occluded)), ("reconstructed", reconstructed)],
        [sample.expression for sample in samples],
        f"{model.info.method}: {corpus.names}",
    )
    return Reconstruction(
        pair_ids=tuple(sample.pair_id for sample in samples),
        clean=clean,
        occluded=unit_pixels(occluded),
        reconstructed=reconstructed,
        error=float(((reconstructed - clean) ** 2).mean()),
        notes=tuple(notes),
        figure=save(figure, options.out, MAKER),
    )


def _need_decoder(info: ModelInfo, path: Path) -> None:
    able = [name for name, method in METHODS.items() if method.needs_decoder]
    if info.method not in able:
        raise MethodError(
            f"{path}: the method '{info.method}' trains no decoder, so there is nothing to reconstruct with; "
            f"methods that do: {', '.join(able)}"
        )


def choose_faces(corpus: Corpus, indices: Sequence[int], count: int, seed: int, *, need_clean: bool = True) -> Indices:
    """Samples with a clean image, the classes in turn; within a class, their order follows from the seed.

    Args:
        corpus, indices: to choose from.
        count: how many.
        seed: another one chooses others.
        need_clean: whether samples without a clean image are left out.

    Raises:
        DataError: no sample has a clean image, and it is needed.
    """

    def draw(index: int) -> str:
        return hashlib.sha256("\x1f".join((str(seed), *corpus.samples[index].key)).encode()).hexdigest()

    by_class: dict[str, list[int]] = defaultdict(list)
    for index in sorted(indices, key=draw):
        if corpus.samples[index].clean or not need_clean:
            by_class[corpus.samples[index].expression].append(index)
    if not by_class:
        raise DataError("none of the pairs has a clean image to compare with; use a manifest of another mode than real")
    turns = max(map(len, by_class.values()))
    queue = [by_class[name][turn] for turn in range(turns) for name in sorted(by_class) if turn < len(by_class[name])]
    order = {name: place for place, name in enumerate(sorted(by_class))}
    shown = sorted(queue[:count], key=lambda index: order[corpus.samples[index].expression])
    return np.array(shown, dtype=np.int64)


def _decode(model: Model, occluded: Images, device: torch.device) -> UnitImages:
    if model.decoder is None:
        raise MethodError("the model file holds no decoder, so there is nothing to reconstruct with")
    size_hw = (occluded.shape[1], occluded.shape[2])
    with torch.no_grad():
        features = model.classifier.to(device).features(network_input(torch.from_numpy(occluded).to(device)))
        pictures = model.decoder.to(device)(features, size_hw)
    return np.asarray(pictures.permute(0, 2, 3, 1).cpu().numpy(), dtype=np.float32)


def unit_pixels(images: Images) -> UnitImages:
    """Pixels from 0 to 255 as float32 in [0, 1]."""
    return np.asarray(images / np.float32(255), dtype=np.float32)
