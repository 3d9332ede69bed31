"""Explaining a trained model on a manifest: the heat of every face, the shares inside the occluder, and a sheet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from occfer.data.image_store import ImageStore
from occfer.data.manifests import Corpus, read_corpus
from occfer.data.packs import open_packs
from occfer.engine.engine import Engine, one_process
from occfer.errors import DataError
from occfer.evaluation.evaluate import check_classes, folder_in_run, model_files, other_pictures
from occfer.evaluation.heat_results import KIND, SHEET, Explained, HeatResult, open_heat, write_heat_result
from occfer.evaluation.reconstruct import choose_faces
from occfer.evaluation.result_folders import claimed_results
from occfer.evaluation.seen_faces import trained_on
from occfer.evaluation.tested_samples import PartName, choose_samples
from occfer.events import OnStep, ignore
from occfer.explain.faces import explained_faces
from occfer.explain.grad_cam import load_explainer, refuse_unexplainable
from occfer.explain.sheet import ShownFace, heat_sheet
from occfer.files import file_sha256
from occfer.method_table import method_named, shown_name
from occfer.metrics.figure_files import save
from occfer.metrics.heat import HeatedPair
from occfer.runs.checkpoint import model_file, read_model_info
from occfer.runs.environment import write_environment
from occfer.runs.model_info import ModelInfo

MAKER = "occfer explain"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOptions:
    """What to explain on what.

    Attributes:
        checkpoint: a model file, a run folder, or the folder of a run over all folds, each of which then explains the
            faces that it was not trained on.
        manifests: CSVs, merged.
        explained: `answer` for what each answer rests on, `truth` for what speaks for the true expression.
        part, fold: see `occfer.evaluation.tested_samples.choose_samples`.
        faces: how many faces the sheet shows; the classes take turns. 0 draws none.
        seed: decides which.
        device: `auto`, `cpu`, `cuda` or `mps`.
        batch_size: images per call of the model.
        cache_dir: folder of image packs; None takes `cache/packs` in the build root.
        out: folder for the results; None takes `explain/<manifests>` in the run folder.
        overwrite: whether results may be written among files that are not of this command.
    """

    checkpoint: Path
    manifests: tuple[Path, ...]
    explained: Explained = "answer"
    part: PartName = "test"
    fold: int | None = None
    faces: int = 14
    seed: int = 0
    device: str = "auto"
    batch_size: int = 64
    cache_dir: Path | None = None
    out: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """The result of `explain`.

    Attributes:
        result: the shares, read back from their files.
        sheet: the figure; None if none was asked for.
    """

    result: HeatResult
    sheet: Path | None


def explain(options: ExplainOptions, on_step: OnStep | None = None) -> Explanation:
    """Computes the heat of every occluded face; writes explain.json, heat.csv, sheet.png and environment.json.

    Args:
        options: what to explain on what.
        on_step: called with the events `pack`, `predict` and `note` of `occfer.events`.

    Raises:
        CheckpointError: there is no such model.
        ConfigError: captum is not installed.
        DataError: there is nothing to explain, or a mask is damaged.
        MethodError: the model cannot be explained.
        ReportError: the folder for the results holds a run or files of the user's, or another process works in it.
    """
    if not options.manifests:
        raise DataError("no manifest given; name one with --manifest builds/manifests/NAME.csv")
    files = model_files(options.checkpoint)
    for file in files:
        refuse_unexplainable(file)
    corpus = read_corpus(options.manifests)
    folder = options.out or _default_folder(options, files, corpus)
    with claimed_results(folder, MAKER, "-o", lambda _folder: False, overwrite=options.overwrite):
        work = _Work(options, corpus, one_process(options.device), on_step or ignore)
        return work.explain(files, folder)


def _default_folder(options: ExplainOptions, files: Sequence[Path], corpus: Corpus) -> Path:
    folder = folder_in_run(options.checkpoint, files, corpus, KIND, options.part, options.fold)
    return folder if options.explained == "answer" else folder.with_name(f"{folder.name}-{options.explained}")


class _Work:
    """What is gathered while one model after the other explains its samples of the same manifests."""

    def __init__(self, options: ExplainOptions, corpus: Corpus, engine: Engine, report: OnStep) -> None:
        self._options, self._corpus, self._engine, self._report = options, corpus, engine, report
        self._pairs: list[HeatedPair] = []
        self._shown: list[ShownFace] = []
        self._notes: list[str] = []
        self._map_hw = (0, 0)

    def explain(self, files: Sequence[Path], folder: Path) -> Explanation:
        """Explains the models' samples and writes the results."""
        options = self._options
        models = [read_model_info(file) for file in files]
        if method_named(models[0].method).view == "clean":
            self._notes.append(
                f"the method {models[0].method} is tested on clean faces; the heat is that of occluded ones"
            )
        parts = [choose_samples(self._corpus, info, options.part, options.fold) for info in models]
        asked = [index for indices, _ in parts for index in indices]
        if len(set(asked)) < len(asked):
            raise DataError("the models of several folds explain each face once; leave out --rows and --fold")
        chosen = choose_faces(self._corpus, asked, options.faces, options.seed, need_clean=False).tolist()
        for file, info, (indices, about) in zip(files, models, parts, strict=True):
            self._notes += [*about, *other_pictures(info, self._corpus)]
            self._explain_with(file, info, indices, set(chosen))
        sheet = self._draw(models[0], folder, chosen)
        write_environment(folder, self._engine.device.type)
        write_heat_result(folder, self._facts(files, models[0]), self._pairs)
        return Explanation(open_heat(folder), sheet)

    def _explain_with(self, file: Path, info: ModelInfo, indices: Sequence[int], on_sheet: set[int]) -> None:
        corpus = self._corpus
        samples = [corpus.samples[index] for index in indices]
        check_classes(samples, info.classes)
        if seen := len(trained_on(info, corpus.manifests).among(samples)):
            self._notes.append(f"{seen} of {len(samples)} pairs show people or pictures that the model was trained on")
        explainer = load_explainer(file, self._engine)
        packs = open_packs(corpus, info.size_px, self._options.cache_dir, self._packed, self._say)
        tested = np.array(indices, dtype=np.int64)
        store = ImageStore(packs, corpus.samples, self._engine.device, tested, resident_fraction=0)
        faces = explained_faces(
            explainer, corpus, store, tested,
            of_truth=self._options.explained == "truth", batch_size=self._options.batch_size,
        )  # fmt: skip
        for done, face in enumerate(faces, start=1):
            self._pairs.append(face.heated)
            self._map_hw = face.map_hw
            if face.index in on_sheet:
                clean = store.host("clean", tested[done - 1 : done])[0] if corpus.samples[face.index].clean else None
                self._shown.append(ShownFace(face, clean))
            self._report({"event": "explain", "done": done, "rows": len(samples)})

    def _draw(self, info: ModelInfo, folder: Path, chosen: Sequence[int]) -> Path | None:
        path = folder / SHEET
        path.unlink(missing_ok=True)  # that of an earlier call, which may show other heat
        if not chosen:
            return None
        order = {index: place for place, index in enumerate(chosen)}
        shown = sorted(self._shown, key=lambda each: order[each.face.index])
        of = "answers" if self._options.explained == "answer" else "true expressions"
        cells = "{} x {}".format(*self._map_hw)
        title = f"{shown_name(info.method)} on {self._corpus.names}: heat of its {of} (Grad-CAM, {cells} cells)"
        return save(heat_sheet(shown, title), path)

    def _facts(self, files: Sequence[Path], info: ModelInfo) -> dict[str, Any]:
        return {
            "method": info.method,
            "checkpoint": str(self._options.checkpoint),
            "models": [file_sha256(model_file(file)) for file in files],
            "explained": self._options.explained,
            "classes": list(info.classes),
            "map_hw": list(self._map_hw),
            "manifests": [
                {"name": each.name, "database": each.database, "mode": each.mode, "sha256": each.sha256}
                for each in self._corpus.manifests
            ],
            "notes": list(dict.fromkeys(self._notes)),
        }

    def _say(self, text: str) -> None:
        self._report({"event": "note", "text": text})

    def _packed(self, done: int, pairs: int) -> None:
        self._report({"event": "pack", "done": done, "rows": pairs})
