"""Figures 2 to 4: samples of occluded faces, the confusion matrix, reconstructions."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from occfer.data.image_store import ImageStore
from occfer.data.manifests import Corpus, read_corpus
from occfer.data.packs import open_packs
from occfer.engine.engine import one_process
from occfer.errors import ConfigError, DataError, TrainingError, lookup
from occfer.evaluation.reconstruct import ReconstructOptions, choose_faces, reconstruct, unit_pixels
from occfer.jobs.result import fault
from occfer.metrics.accuracy import accuracy_interval
from occfer.metrics.figure_files import save
from occfer.metrics.figures import confusion_figure, reconstruction_figure
from occfer.metrics.measures import measure
from occfer.protocols.assemble import gather
from occfer.protocols.manifests import ensure
from occfer.protocols.paper_tables import TABLES
from occfer.protocols.protocol import TestedOn
from occfer.protocols.reproduce import ExecutionContext, ReproducedTable, run_protocol
from occfer.protocols.request import DEMO, Request, claimed
from occfer.tables.cells import MethodPredictions
from occfer.tables.paper_methods import FULL

FIGURE2_MODES = ("random",)
DEMO_MODES = ("random", "r8", "r16", "r24", "eyes", "mouth")


@dataclass(frozen=True, slots=True)
class DrawnFigure:
    """A figure that was drawn.

    Attributes:
        file: its path.
        caption: what it shows, in one line.
        failures: number of jobs that failed.
    """

    file: Path
    caption: str
    failures: int = 0


def figure2(request: Request, context: ExecutionContext) -> DrawnFigure:
    """Samples of synthesised occlusions: clean faces, and below them the same faces occluded in each mode.

    The paper shows AffectNet, mode random.
    """
    database = (request.databases or ("affectnet",))[0]
    modes = request.chosen_modes(DEMO_MODES, DEMO_MODES) if request.modes or database == DEMO else FIGURE2_MODES
    builds = [request.needed(database, mode) for mode in modes]
    found, errors = ensure(builds, request.builds, context.build)
    if errors:
        raise DataError(next(iter(errors.values())))
    corpus = read_corpus([found[build].path for build in builds])
    size_px = corpus.manifests[0].size_px
    settings = request.base(found[builds[0]].path)
    by_pair = [_index_by_pair(corpus, manifest) for manifest in range(len(builds))]
    in_every_mode = set.intersection(*map(set, by_pair))
    candidates = [index for pair_id, index in by_pair[0].items() if pair_id in in_every_mode]
    chosen = choose_faces(corpus, candidates, request.faces, request.figure_seed)
    packs = open_packs(corpus, size_px, settings.cache_dir, say=context.say)
    store = ImageStore(packs, corpus.samples, one_process("cpu").device, chosen, resident_fraction=0)
    views = [("clean", unit_pixels(store.host("clean", chosen)))]
    for index_of, build in zip(by_pair, builds, strict=True):
        same_faces = np.array([index_of[corpus.samples[index].pair_id] for index in chosen], dtype=np.int64)
        views.append((build.mode, unit_pixels(store.host("occluded", same_faces))))
    captions = [corpus.samples[index].expression for index in chosen]
    title = f"Occluded faces of {database}, {size_px} px (the paper's Figure 2 shows AffectNet)"
    figure = reconstruction_figure(views, captions, title)
    return DrawnFigure(save(figure, _file(request)), f"{len(chosen)} faces of {database}: {', '.join(modes)}")


def _index_by_pair(corpus: Corpus, manifest: int) -> dict[str, int]:
    """The pairs of one of the corpus' manifests: pair_id to the sample's index."""
    return {sample.pair_id: index for index, sample in enumerate(corpus.samples) if sample.manifest == manifest}


def figure3(request: Request, context: ExecutionContext) -> DrawnFigure:
    """The confusion matrix of `full` on Table 3's first column: truth by answer, counts summed over seeds."""
    made = _run_table(request, context)
    tested, predictions = _first_predictions(made)
    parts = list(predictions.pooled().values())
    measures = [measure(part.truth, part.probabilities) for part in parts]
    correct, n = sum(found.correct for found in measures), sum(found.n for found in measures)
    summary = {
        "classes": list(parts[0].classes),
        "confusion": np.sum([found.confusion for found in measures], axis=0).tolist(),
        "accuracy": correct / n,
        "interval": accuracy_interval(parts).to_json(),
        "n": n,
    }
    seeds = f", {len(parts)} seeds" if len(parts) > 1 else ""
    title = f"{FULL} on {tested.column.title}{seeds} (the paper's Figure 3 shows FED-RO)"
    file = save(confusion_figure(summary, title), _file(request))
    return DrawnFigure(file, f"{FULL} on {tested.column.title}: {correct} of {n} right", made.failures)


def figure4(request: Request, context: ExecutionContext) -> DrawnFigure:
    """Clean, occluded and reconstructed faces, from the first run of `full` on Table 1's first column."""
    made = _run_table(request, context)
    planner, plan = made.prepared.planner, made.prepared.plan
    tested = next(iter(made.prepared.protocol.present), None)
    if tested is None:
        raise _nothing(made)
    job = plan.train[next(planner.runs(tested.training, [FULL]))]
    if not job.done:
        raise TrainingError(f"{job.name} has failed: {made.report.failed.get(job.key, 'a job before it failed')}")
    if wrong := fault(job.folder, job.key, models=True):  # no other job has needed the model
        raise TrainingError(f"{wrong}; delete {job.folder}, and the next call makes it again")
    found = reconstruct(
        ReconstructOptions(
            checkpoint=job.folder,
            manifests=tuple(each.path for each in planner.protocol.sets[tested.training].manifests),
            faces=request.faces,
            seed=request.figure_seed,
            device=planner.settings.device,
            cache_dir=planner.settings.cache_dir,
            out=_file(request),
            overwrite=True,  # in the folder that this call has claimed
        )
    )
    caption = f"{len(found.pair_ids)} faces, mean squared error {found.error:.4f}"
    return DrawnFigure(found.figure, caption, made.failures)


FIGURES: dict[str, Callable[[Request, ExecutionContext], DrawnFigure]] = {
    "figure2": figure2,
    "figure3": figure3,
    "figure4": figure4,
}


def draw(request: Request, context: ExecutionContext) -> DrawnFigure:
    """Draws a figure of the paper, after training what it shows.

    Raises:
        OccFERError: the request is wrong, or what it shows could not be trained.
    """
    draw_figure = lookup(FIGURES, request.what, kind="figure")
    with claimed(request):
        return draw_figure(request, context)


def table_behind(request: Request) -> Request | None:
    """The table that a figure is taken from, with the one method that it shows; None where nothing is trained."""
    if request.what == "figure3":
        return replace(request, what="table3", methods=(FULL,))
    if request.what == "figure4":
        return replace(request, what="table1", methods=(FULL,), databases=request.databases or ("raf-db",))
    return request if request.what in TABLES else None


def _run_table(request: Request, context: ExecutionContext) -> ReproducedTable:
    table = table_behind(request)
    if table is None:
        raise ConfigError(f"{request.what} shows nothing that is trained")
    return run_protocol(table, context)


def _first_predictions(made: ReproducedTable) -> tuple[TestedOn, MethodPredictions]:
    prepared = made.prepared
    for tested in prepared.protocol.present:
        found = gather(prepared.planner, prepared.plan, FULL, tested, made.report)
        if not isinstance(found, str):
            return tested, found
    raise _nothing(made)


def _nothing(made: ReproducedTable) -> TrainingError:
    failed = made.table.provenance.failed
    reason = f"{failed[0].job}: {failed[0].error}" if failed else "no column could be tested"
    return TrainingError(f"nothing to draw: {reason}")


def _file(request: Request) -> Path:
    return request.folder / f"{request.what}.{request.figure_format}"
