"""A protocol: which rows are trained on which pairs and tested on which images, and the jobs that this takes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from occfer.config import TrainConfig, digest
from occfer.data.manifests import REAL
from occfer.jobs.graph import Job, make_job
from occfer.jobs.relevant_settings import content_of, only_own
from occfer.method_table import METHOD_TABLE
from occfer.methods import Method
from occfer.protocols.manifests import ManifestFacts
from occfer.tables.result_table import Column

RUNS = "runs"
BRANCHES = "branches"
CLEAN, CLEAN_ON_OCCLUDED, FULL = "clean", "clean-on-occluded", "full"


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Pairs that every row is trained on, once a fold and seed.

    Attributes:
        key: for names.
        manifests: merged.
        test_manifests: tested on by the run itself, instead of a part of `manifests`.
        folds: each tested once; (None,) where the split is official.
        size_px: side of the images; None for the first manifest's.
    """

    key: str
    manifests: tuple[ManifestFacts, ...]
    test_manifests: tuple[ManifestFacts, ...] = ()
    folds: tuple[int | None, ...] = (None,)
    size_px: int | None = None

    @property
    def tests_clean(self) -> bool:
        """Whether its test rows have clean images, for the reference that sees those."""
        return all(each.mode != REAL for each in self.test_manifests)

    @property
    def clean_sha256(self) -> str:
        """Digest of its clean images: training sets that agree in it have the same clean branches."""
        return digest([each.clean_sha256 for each in (*self.manifests, *self.test_manifests)])


@dataclass(frozen=True, slots=True)
class TestedOn:
    """One column of the table.

    Attributes:
        column: its key and title.
        training: key of the training set.
        evaluate_on: manifests that the trained models are tested on afterwards; empty for the test of the run itself.
    """

    column: Column
    training: str
    evaluate_on: tuple[ManifestFacts, ...] = ()

    def takes(self, row: str, known: TrainingSet) -> bool:
        """Whether a row can be tested here: the reference on clean images needs some."""
        tested = all(each.mode != REAL for each in self.evaluate_on) if self.evaluate_on else known.tests_clean
        return row != CLEAN or tested


@dataclass(frozen=True, slots=True)
class Protocol:
    """What a table needs.

    Attributes:
        sets: by key.
        columns: of the table.
        absent: column to the reason why it cannot be tested, such as a database that is not there.
        rows: keys of `METHOD_TABLE`, in the table's order.
        notes: for the reader of the table.
    """

    sets: Mapping[str, TrainingSet]
    columns: tuple[TestedOn, ...]
    rows: tuple[str, ...]
    notes: tuple[str, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)

    @property
    def present(self) -> tuple[TestedOn, ...]:
        """The columns that can be tested."""
        return tuple(tested for tested in self.columns if tested.column.key not in self.absent)

    @property
    def manifests(self) -> tuple[ManifestFacts, ...]:
        """All that are trained or tested on, once each."""
        sets = [each for known in self.sets.values() for each in (*known.manifests, *known.test_manifests)]
        return tuple(dict.fromkeys([*sets, *(each for tested in self.columns for each in tested.evaluate_on)]))


@dataclass(frozen=True, slots=True)
class Cast:
    """Who trains a run: row, training set, fold, seed."""

    row: str
    training: str
    fold: int | None
    seed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The jobs of a protocol.

    Attributes:
        train: by row, training set, fold and seed; those that only others need are among them.
        evaluate: by column too, for columns that are tested afterwards.
    """

    train: Mapping[Cast, Job]
    evaluate: Mapping[tuple[Cast, str], Job]

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Each once."""
        return tuple({job.key: job for job in (*self.train.values(), *self.evaluate.values())}.values())

    def result(self, cast: Cast, tested: TestedOn) -> Job | None:
        """The job whose predictions.csv answers for a column; None where it is not in the plan."""
        return self.evaluate.get((cast, tested.column.key)) if tested.evaluate_on else self.train.get(cast)


@dataclass(slots=True)
class Planner:
    """Makes the jobs of a protocol.

    Attributes:
        protocol: what for.
        settings: of every run, but for what is particular to one: manifests, method, fold, seed, folder.
        seeds: how many; the first is the settings' own.
        out: folder of runs and branches.
        keep_models: whether every model stays, not only `full`'s and those that are tested later: the thousands of a
            table are hundreds of gigabytes.
    """

    protocol: Protocol
    settings: TrainConfig
    seeds: int
    out: Path
    keep_models: bool = False
    _train: dict[Cast, Job] = field(default_factory=dict)

    def plan(self) -> Plan:
        """Every job that the table needs.

        Raises:
            OccFERError: a setting is wrong.
        """
        rows = [row for row in self.protocol.rows if row in METHOD_TABLE]
        evaluate: dict[tuple[Cast, str], Job] = {}
        for tested in self.protocol.present:
            known = self.protocol.sets[tested.training]
            for cast in self.casts(tested.training, [row for row in rows if tested.takes(row, known)]):
                job = self._job(cast)
                if tested.evaluate_on:
                    evaluate[cast, tested.column.key] = self._evaluation(cast, job, tested)
        return Plan(dict(self._train), evaluate)

    def casts(self, training: str, rows: Sequence[str]) -> Iterator[Cast]:
        """Everyone who is trained on a training set."""
        for fold in self.protocol.sets[training].folds:
            for row in rows:
                for seed in range(self.settings.seed, self.settings.seed + self.seeds):
                    yield self.cast(row, training, fold, seed)

    def cast(self, row: str, training: str, fold: int | None, seed: int) -> Cast:
        """One of them; the clean reference is that of the first training set with the same clean images."""
        if row == CLEAN:
            known = self.protocol.sets
            training = next(key for key in known if known[key].clean_sha256 == known[training].clean_sha256)
        return Cast(row, training, fold, seed)

    def _job(self, cast: Cast) -> Job:
        if cast not in self._train:
            self._train[cast] = self._training(cast)
        return self._train[cast]

    def _training(self, cast: Cast) -> Job:
        known = self.protocol.sets[cast.training]
        config = only_own(
            replace(
                self.settings,
                manifests=tuple(each.path for each in known.manifests),
                test_manifests=tuple(each.path for each in known.test_manifests),
                method=cast.row,
                fold=cast.fold,
                seed=cast.seed,
                size_px=self.settings.size_px or known.size_px,
                branch_cache=self.out / BRANCHES,
                # what jobs depend on is their content, not where they run
                out=Path(),
            )
        )
        # the clean reference is trained and tested on clean images alone
        shas = [
            [each.clean_sha256 if cast.row == CLEAN else each.sha256 for each in some]
            for some in (known.manifests, known.test_manifests)
        ]
        shown = replace(cast, training="+".join(dict.fromkeys(each.database for each in known.manifests)))
        content = content_of(config, *shas)
        return make_job(
            "train",
            f"train {cast.row} on {where(cast)}",
            parent=self.out / RUNS,
            content=content,
            payload={"config": config.to_json(), "keep_model": self._keeps(cast)},
            needs=[self._job(before) for before in self._before(cast)],
            label=label(cast.row, known, config),
            cost=cost(cast.row, known, config),
            folder_name=f"{cast.row}-{where(shown if cast.row == CLEAN else cast, '-')}",
        )

    def _before(self, cast: Cast) -> Iterator[Cast]:
        """The runs that train the branches which this one starts from or is guided by."""
        row = METHOD_TABLE[cast.row]
        if row.stage2:
            yield Cast("resnet", cast.training, cast.fold, cast.seed)
        teacher = CLEAN if self.protocol.sets[cast.training].tests_clean else CLEAN_ON_OCCLUDED
        if "clean" in row.branches and cast.row not in (CLEAN, teacher):
            yield self.cast(teacher, cast.training, cast.fold, cast.seed)

    def _keeps(self, cast: Cast) -> bool:
        if self.keep_models or cast.row == FULL:
            return True
        return any(tested.evaluate_on and tested.training == cast.training for tested in self.protocol.columns)

    def _evaluation(self, cast: Cast, trained: Job, tested: TestedOn) -> Job:
        cache_dir = self.settings.cache_dir
        return make_job(
            "evaluate",
            f"test {cast.row} of {where(cast)} on {', '.join(each.name for each in tested.evaluate_on)}",
            parent=self.out / RUNS,
            content={"manifests": [each.sha256 for each in tested.evaluate_on]},
            payload={
                "run": str(trained.folder),
                "manifests": [str(each.path) for each in tested.evaluate_on],
                "device": self.settings.device,
                "cache_dir": None if cache_dir is None else str(cache_dir),
            },
            needs=[trained],
            label=f"test {cast.row} {sum(each.rows for each in tested.evaluate_on)}",
            cost=sum(each.rows for each in tested.evaluate_on) / 3,
            folder_name=f"{cast.row}-{where(cast, '-')}-on-{tested.column.key.replace('>', '')}",
        )


def where(cast: Cast, between: str = ", ") -> str:
    """`ck+-r8, fold 3, seed 0`, or `ck+-r8-fold3-seed0`."""
    space = " " if between == ", " else ""
    fold = () if cast.fold is None else (f"fold{space}{cast.fold}",)
    return between.join((cast.training, *fold, f"seed{space}{cast.seed}"))


def label(row: str, known: TrainingSet, config: TrainConfig) -> str:
    """What runs that take about as long have in common."""
    size_px = config.size_px or known.manifests[0].size_px
    plain = (row, config.backbone, f"{size_px}px", *(f"{name}{value}" for name, value in _lengths(row, config).items()))
    return " ".join((*plain, f"rows{sum(each.rows for each in known.manifests)}"))


def _lengths(row: str, config: TrainConfig) -> dict[str, Any]:
    if METHOD_TABLE[row].kind == "baseline":
        names: tuple[str, ...] = ("baseline_epochs", "baseline_updates", "rgbt_templates", "forest_trees")
    else:
        names = ("pretrain_epochs", "epochs", "batch_size")
    return {name: getattr(config, name) for name in names}


def cost(row: str, known: TrainingSet, config: TrainConfig) -> float:
    """A rough number of image passes, to start long jobs first: baselines are the longest of all."""
    rows = sum(each.rows for each in known.manifests)
    found = METHOD_TABLE[row]
    if found.kind == "baseline":
        return float(rows * 1000)
    passes = config.epochs * passes_of(found) if found.stage2 else config.pretrain_epochs
    return float(rows * passes)


def passes_of(method: Method) -> float:
    """Forward and backward passes of an update of stage 2, in updates of a plain network."""
    return 1.0 + 0.4 * method.needs_discriminator + 0.3 * method.needs_decoder
