"""Testing a trained model on the occluded images of a manifest: its own test part, another mode, another database.

Only the branch that the method tests is run: the occluded branch on occluded images for all but the method `clean`.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from occfer.data.arrays import View
from occfer.data.image_store import ImageStore
from occfer.data.manifests import REAL, Corpus, Sample, read_corpus
from occfer.data.packs import open_packs
from occfer.data.seen_templates import TrainedTemplates
from occfer.engine.engine import Engine, one_process
from occfer.errors import CheckpointError, DataError
from occfer.evaluation.result_folders import claimed_results
from occfer.evaluation.seen_faces import TrainedOn, trained_on
from occfer.evaluation.tested_samples import PartName, choose_samples
from occfer.events import OnStep, ignore
from occfer.files import digest, read_json
from occfer.inference.ask_samples import ask_samples
from occfer.method_table import load_predictor, method_named, shown_name
from occfer.metrics.clean_faces import on_clean_faces
from occfer.metrics.clean_result import write_clean_result
from occfer.metrics.figures import draw_results
from occfer.metrics.predictions import Predictions, make_predictions, pooled
from occfer.metrics.result_files import METRICS, write_result
from occfer.metrics.summary import summarise, summarise_folds
from occfer.runs.checkpoint import read_model_info
from occfer.runs.environment import write_environment
from occfer.runs.model_info import ModelInfo, data_facts
from occfer.runs.run_folder import RunPaths, fold_folders

LONGEST_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """What to test on what.

    Attributes:
        checkpoint: a model file, a run folder, or the folder of a run over all folds, whose answers are then pooled.
        manifests: CSVs, merged.
        part: `test` for the samples that are meant to be tested on, `val` for the official validation part, or `all`;
            see `occfer.evaluation.tested_samples`.
        fold: in place of the model's own.
        view: `occluded` or `clean` faces; None for those that the method is tested on. With `clean`, a model that is
            tested on occluded faces is asked about these too, for the drop.
        with_clean: whether the clean faces are tested too, into the folder `clean-faces` in that of the results.
        allow_overlap: test also on people and pictures that the model was trained on.
        device: `auto`, `cpu`, `cuda` or `mps`.
        batch_size: images per call of the model.
        cache_dir: folder of image packs; None takes `cache/packs` in the build root.
        out: folder for the results; None takes `evaluation/<manifests>` in the run folder, or in the current one for a
            model from Hugging Face.
        overwrite: whether results may be written among files that are not of an evaluation.
        figure_format: of figures of the results; empty draws none.
    """

    checkpoint: Path
    manifests: tuple[Path, ...]
    part: PartName = "test"
    fold: int | None = None
    view: View | None = None
    with_clean: bool = False
    allow_overlap: bool = False
    device: str = "auto"
    batch_size: int = 64
    cache_dir: Path | None = None
    out: Path | None = None
    overwrite: bool = False
    figure_format: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The result of `evaluate`.

    Attributes:
        predictions: for every tested pair.
        summary: the content of metrics.json.
        notes: what the user should know about the tested samples.
        folder: of predictions.csv and metrics.json.
        figures: the files that were drawn there.
    """

    predictions: Predictions
    summary: dict[str, Any]
    notes: tuple[str, ...]
    folder: Path
    figures: tuple[Path, ...]

    @property
    def title(self) -> str:
        """What was tested on what, such as `full on demo (eyes, r16)`, for figures."""
        return _title(self.summary)


def evaluate(options: EvaluateOptions, on_step: OnStep | None = None) -> Evaluation:
    """Tests a model and writes predictions.csv and metrics.json.

    >>> from pathlib import Path
    >>> from occfer.evaluation.evaluate import EvaluateOptions, evaluate
    >>> manifest = Path("builds/manifests/demo-r16.csv")
    >>> found = evaluate(EvaluateOptions(checkpoint=Path("runs/demo"), manifests=(manifest,), device="cpu"))
    >>> found.title
    'full on demo (r16)'
    >>> sorted(path.name for path in found.folder.glob("[!.]*"))
    ['environment.json', 'metrics.json', 'predictions.csv']

    Args:
        options: what to test on what.
        on_step: called with the events `pack`, `predict` and `note` of `occfer.events`.

    Raises:
        CheckpointError: there is no such model.
        DataError: there is nothing to test on, or there are expressions that the model does not know, or people or
            pictures that it was trained on.
        ReportError: the folder for the results holds a run or files of the user's, or another process works in it.
    """
    if not options.manifests:
        raise DataError("no manifest given; name one with --manifest builds/manifests/NAME.csv")
    report = on_step or ignore
    files = model_files(options.checkpoint)
    models = [read_model_info(file) for file in files]
    corpus = read_corpus(options.manifests)
    folder = options.out or _default_folder(options, files, corpus, method_named(models[0].method).view)
    with claimed_results(folder, "occfer evaluate", "--out", _holds_evaluation, overwrite=options.overwrite):
        return _evaluate(options, files, models, corpus, folder, report)


def _holds_evaluation(folder: Path) -> bool:
    """Whether version 0.1 has tested a model into a folder."""
    try:
        return {"checkpoint", "manifests"} <= read_json(folder / METRICS).keys()
    except CheckpointError:
        return False


def _evaluate(
    options: EvaluateOptions,
    files: Sequence[Path],
    models: Sequence[ModelInfo],
    corpus: Corpus,
    folder: Path,
    report: OnStep,
) -> Evaluation:
    evaluator = _Evaluator(options, corpus, one_process(options.device), report)
    view = options.view or method_named(models[0].method).view
    more_views: tuple[View, ...] = _more_views(options, models[0], corpus)
    parts: list[Predictions] = []
    others: list[Predictions] = []
    notes: list[str] = []
    overlap = 0
    for file, info in zip(files, models, strict=True):
        indices, about_samples = choose_samples(corpus, info, options.part, options.fold)
        trained = trained_on(info, corpus.manifests)
        seen, about_overlap = _seen(trained, corpus, indices, allowed=options.allow_overlap)
        overlap += seen
        answers, about_points = evaluator.answers(file, info, indices, view, trained.templates)
        parts.append(answers)
        others += [evaluator.answers(file, info, indices, each)[0] for each in more_views]
        notes += [*about_samples, *about_overlap, *other_pictures(info, corpus), *about_points]
    predictions = pooled(parts)
    notes = list(dict.fromkeys(notes))
    about = _about(models, options, corpus, notes) | {"overlap": overlap}
    summary = about | {"view": view} | _sum_up(models, parts)
    if others and view == "clean":
        summary["drop"] = on_clean_faces([predictions], [pooled(others)]).to_json()
    elif others:
        summary |= write_clean_result(folder, about, pooled(others), predictions)
    write_environment(folder, evaluator.engine.device.type)
    write_result(folder, predictions, summary)
    drawn = []
    if options.figure_format:
        drawn = draw_results(predictions, summary, _title(summary), folder, options.figure_format)
    return Evaluation(predictions, summary, tuple(notes), folder, tuple(drawn))


def _more_views(options: EvaluateOptions, info: ModelInfo, corpus: Corpus) -> tuple[View, ...]:
    """What is tested besides the view that was asked for: the other side of the drop, where there is one."""
    if method_named(info.method).view == "clean":
        return ()
    if options.view == "clean":
        return ("occluded",)
    return ("clean",) if options.with_clean and all(sample.clean for sample in corpus.samples) else ()


def _title(summary: dict[str, Any]) -> str:
    modes: dict[str, list[str]] = defaultdict(list)
    for manifest in summary["manifests"]:
        modes[manifest["database"]].append(manifest["mode"])
    tested = " and ".join(f"{database} ({', '.join(names)})" for database, names in modes.items())
    faces = "" if summary["view"] == method_named(summary["method"]).view else f"the {summary['view']} faces of "
    return f"{shown_name(summary['method'])} on {faces}{tested}"


def model_files(checkpoint: Path) -> list[Path]:
    """The model files of a checkpoint: one, or one per fold.

    Raises:
        DataError: it is a folder that holds no trained model.
    """
    if not checkpoint.is_dir():
        return [checkpoint]
    best = RunPaths(checkpoint).best
    if best.is_file():
        return [best]
    files = [RunPaths(folder).best for folder in fold_folders(checkpoint)]
    if not files:
        raise DataError(f"--checkpoint {checkpoint} holds no trained model ({best} not found); finish it with --resume")
    return files


@dataclass(frozen=True, slots=True, eq=False)
class _Evaluator:
    """Tests one model after the other on the same manifests and device."""

    options: EvaluateOptions
    corpus: Corpus
    engine: Engine
    report: OnStep

    def answers(
        self,
        file: Path,
        info: ModelInfo,
        indices: Sequence[int],
        view: View,
        templates: TrainedTemplates | None = None,
    ) -> tuple[Predictions, Sequence[str]]:
        """A model's answers to the clean or the occluded faces of some samples, and notes about their landmarks."""
        samples = [self.corpus.samples[index] for index in indices]
        check_classes(samples, info.classes)
        without = [sample.pair_id for sample in samples if view == "clean" and not sample.clean]
        if without:
            who = f"method {info.method} is tested" if self.options.view is None else "--view clean tests"
            raise DataError(
                f"{who} on clean images, which {len(without)} pairs do not have "
                f"('{without[0]}' first); leave out manifests of mode {REAL}"
            )
        packs = open_packs(self.corpus, info.size_px, self.options.cache_dir, self._packed, self._say)
        tested = np.array(indices, dtype=np.int64)
        # Each image is used once, so copying all of them to the device first would gain nothing.
        store = ImageStore(packs, self.corpus.samples, self.engine.device, tested, resident_fraction=0)
        predictor = load_predictor(file, self.engine, self.options.batch_size)

        def asked(done: int) -> None:
            self.report({"event": "predict", "done": done, "rows": len(indices)})

        probabilities, notes = ask_samples(
            predictor, view, self.corpus, store, tested, batch_size=self.options.batch_size, on_asked=asked
        )
        seen = None if templates is None or view == "clean" else templates.seen(self.corpus, samples)
        return make_predictions(samples, info.classes, probabilities, seen), notes

    def _say(self, text: str) -> None:
        self.report({"event": "note", "text": text})

    def _packed(self, done: int, pairs: int) -> None:
        self.report({"event": "pack", "done": done, "rows": pairs})


def check_classes(samples: Sequence[Sample], classes: Sequence[str]) -> None:
    """Raises DataError for samples of expressions that a model does not know."""
    unknown = Counter(sample.expression for sample in samples if sample.expression not in classes)
    if unknown:
        listed = ", ".join(f"{word} ({count} pairs)" for word, count in sorted(unknown.items()))
        raise DataError(f"the manifest holds {listed}; the model was trained on {', '.join(classes)} only")


def _seen(trained: TrainedOn, corpus: Corpus, indices: Sequence[int], *, allowed: bool) -> tuple[int, list[str]]:
    """How many of the samples show what the model was trained on, and a note about it."""
    samples = [corpus.samples[index] for index in indices]
    if trained.samples is None:
        return 0, [f"not checked whether the model was trained on any of these faces: {trained.reason}"]
    seen = trained.among(samples)
    if not seen:
        return 0, []
    example = seen[0]
    who = f"{example.subject} of {example.database}" if example.subject else f"'{example.pair_id}'"
    what = f"{len(seen)} of {len(samples)} pairs show people or pictures that the model was trained on ({who} first)"
    if not allowed:
        raise DataError(
            f"{what}: a test on them says nothing about new faces. Test on the model's own part with --rows test and "
            "without --fold, or test on them anyway with --allow-overlap"
        )
    return len(seen), [f"{what}, as --allow-overlap allows"]


def other_pictures(info: ModelInfo, corpus: Corpus) -> list[str]:
    """How the manifests' images differ from those that the model was trained on."""
    by_size: dict[int, list[str]] = defaultdict(list)
    by_align: dict[str, list[str]] = defaultdict(list)
    for manifest in corpus.manifests:
        by_size[manifest.size_px].append(manifest.name)
        by_align[manifest.align].append(manifest.name)
    resized = [
        f"images of {size_px} px were resized to {info.size_px} px ({', '.join(names)})"
        for size_px, names in by_size.items()
        if size_px != info.size_px
    ]
    aligned = [
        f"faces aligned by '{align}', while the model was trained on '{info.align}' ({', '.join(names)})"
        for align, names in by_align.items()
        if info.align not in ("", align)
    ]
    return resized + aligned


def _about(
    models: Sequence[ModelInfo], options: EvaluateOptions, corpus: Corpus, notes: Sequence[str]
) -> dict[str, Any]:
    info = models[0]
    return {
        "method": info.method,
        "checkpoint": str(options.checkpoint),
        "folds_trained": [info.data.get("fold") for info in models],
        "manifests": [
            {"name": each.name, "database": each.database, "mode": each.mode, "sha256": each.sha256}
            for each in corpus.manifests
        ],
        "manifest_files": [str(path) for path in options.manifests],
        "notes": list(notes),
    }


def _sum_up(models: Sequence[ModelInfo], parts: Sequence[Predictions]) -> dict[str, Any]:
    if len(models) == 1:
        return summarise(parts[0])
    tested = [(data_facts(info.data, "data").fold, part) for info, part in zip(models, parts, strict=True)]
    folds = {fold: part for fold, part in tested if fold is not None}
    if len(folds) < len(models):
        raise DataError("the models of the folds do not say which fold each was not trained on; test them one by one")
    return summarise_folds(folds)


def _default_folder(options: EvaluateOptions, files: Sequence[Path], corpus: Corpus, own_view: View) -> Path:
    folder = folder_in_run(options.checkpoint, files, corpus, "evaluation", options.part, options.fold)
    if options.view is not None and options.view != own_view:
        return folder.with_name(f"{folder.name}-{options.view}")
    return folder


def folder_in_run(
    checkpoint: Path, files: Sequence[Path], corpus: Corpus, kind: str, part: PartName, fold: int | None
) -> Path:
    """Where results about a checkpoint go by default: `kind/<manifests>` in its run folder.

    Args:
        checkpoint, files: as given, and its model files.
        corpus: the manifests, which the folder is named after.
        kind: of results.
        part, fold: which samples; another choice than the usual one is in the name.
    """
    run = checkpoint
    if not run.is_dir():
        run = files[0].parent.parent if files[0].parent.name == "checkpoints" else files[0].parent
    name = _names(corpus)
    if part != "test":
        name += f"-{part}"
    elif fold is not None:
        name += f"-fold{fold}"
    if run.parent.name == "snapshots":  # of the cache of Hugging Face, which is no place for results
        run = Path()
    return run / kind / name


def _names(corpus: Corpus) -> str:
    """The manifests' names as the name of a folder, shortened if there are many."""
    joined = "+".join(manifest.name for manifest in corpus.manifests)
    if len(joined) <= LONGEST_NAME:
        return joined
    return f"{corpus.manifests[0].name}+{len(corpus.manifests) - 1}-{digest(joined)[:8]}"
