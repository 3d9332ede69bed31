"""The robustness profile: a model's accuracy by what is hidden and how much of it, or two models' and their difference.

One database, built with several kinds and sizes of occluders. profile.csv has a line a group, profile.json everything;
the predictions lie beside them in a folder a model.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from occfer.data.manifests import built_alike
from occfer.errors import CheckpointError, DataError, ReportError
from occfer.evaluation.compare import write_rows
from occfer.evaluation.evaluate import EvaluateOptions, Evaluation, evaluate, model_files
from occfer.evaluation.result_folders import places_of
from occfer.events import OnStep
from occfer.files import read_json, write_csv, write_json
from occfer.method_table import method_named, shown_name
from occfer.metrics.accuracy import AccuracyEstimate, accuracy_of
from occfer.metrics.groups import Group, groups_of
from occfer.metrics.paired import ALL, CommonPredictions, GroupComparison, common_pairs, compare_answers
from occfer.metrics.predictions import Predictions
from occfer.runs.checkpoint import read_facts
from occfer.runs.model_facts import ModelFacts
from occfer.runs.run_folder import RunPaths

FILE = "profile.json"
NAMES = ("a", "b")
CSV_COLUMNS = ("by", "group", "n", "correct", "accuracy", "low", "high", "interval")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileOptions:
    """What to profile on what.

    Attributes:
        checkpoints: one or two, each as for `occfer.evaluation.evaluate.EvaluateOptions`.
        manifests: CSVs of one database; none for the training manifest and those beside it that differ in the mode.
        out: folder for the results.
        device, batch_size, cache_dir: as for `EvaluateOptions`.
    """

    checkpoints: tuple[Path, ...]
    out: Path
    manifests: tuple[Path, ...] = ()
    device: str = "auto"
    batch_size: int = 64
    cache_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """A group of pairs.

    Attributes:
        by, label: see `occfer.metrics.groups.Group`; `all` and `all` for all pairs.
        n: pairs.
        shares: each model's accuracy on them.
        paired: the difference, of two models.
    """

    by: str
    label: str
    n: int
    shares: tuple[AccuracyEstimate, ...]
    paired: GroupComparison | None = None


@dataclass(frozen=True, slots=True)
class ProfiledModel:
    """One of the models.

    Attributes:
        method: its key.
        checkpoint: as given.
        folder: its predictions, under the profile's folder.
    """

    method: str
    checkpoint: str
    folder: str

    @property
    def title(self) -> str:
        """`full (runs/demo)`."""
        return f"{shown_name(self.method)} ({self.checkpoint})"


@dataclass(frozen=True, slots=True)
class Profile:
    """What came out; the content of profile.json.

    Attributes:
        models: one or two.
        tested: `demo (eyes, r16)`.
        rows: all pairs first.
        notes: what the user should know.
    """

    models: tuple[ProfiledModel, ...]
    tested: str
    rows: tuple[ProfileRow, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Profile":
        """The inverse of `to_json`; raises ReportError for anything else."""
        try:
            return cls(
                models=tuple(ProfiledModel(**each) for each in content["models"]),
                tested=str(content["tested"]),
                rows=tuple(_row_of_json(each) for each in content["rows"]),
                notes=tuple(map(str, content["notes"])),
            )
        except (KeyError, TypeError) as error:
            raise ReportError(f"this is no profile ({type(error).__name__}: {error})") from error


def read_profile(folder: Path) -> Profile:
    """A profile from its folder; raises ReportError where there is none."""
    try:
        return Profile.from_json(read_json(folder / FILE))
    except CheckpointError as error:
        raise ReportError(str(error)) from error


def _row_of_json(content: dict[str, Any]) -> ProfileRow:
    shares = tuple(AccuracyEstimate.from_json(each) for each in content["shares"])
    paired = None if content["paired"] is None else GroupComparison.from_json(content["paired"])
    return ProfileRow(content["by"], content["label"], content["n"], shares, paired)


def profile(options: ProfileOptions, on_step: OnStep | None = None) -> Profile:
    """Tests one or two models on every manifest and writes the profile; `profile_figure` draws it.

    Raises:
        CheckpointError, DataError: as for `evaluate`; or the manifests are of several databases, or none was found.
        ReportError: a model that sees clean images, or two models that were tested on different pairs.
    """
    if not 1 <= len(options.checkpoints) <= len(NAMES):
        raise ReportError("a profile is of one model, or of two: give --checkpoint once or twice")
    if RunPaths(options.out).config.is_file():
        raise ReportError(f"-o {options.out} is a run folder; choose another one")
    facts = [read_facts(model_files(path)[0]) for path in options.checkpoints]
    for known in facts:
        _refuse_clean_view(known)
    manifests = options.manifests or _find_manifests(options.checkpoints[0], facts[0])
    evaluations = tuple(
        evaluate(_evaluation(options, path, name, manifests), on_step)
        for path, name in zip(options.checkpoints, NAMES, strict=False)
    )
    tested = {pair.database for each in evaluations for pair in each.predictions.pairs}
    if len(tested) > 1:
        raise DataError(f"a profile is of one database, not of {', '.join(sorted(tested))}; choose with --manifest")
    rows, notes = _rows([each.predictions for each in evaluations])
    said = [note for each in evaluations for note in each.notes]
    notes += [f"intervals: {how}" for how in dict.fromkeys(share.interval.how for share in rows[0].shares)]
    made = Profile(
        models=tuple(_profiled(each) for each in evaluations),
        tested=evaluations[0].title.partition(" on ")[2],
        rows=tuple(rows),
        notes=tuple(dict.fromkeys([*said, *notes])),
    )
    write_json(options.out / FILE, made.to_json())
    _write_csv(options.out / "profile.csv", made.rows)
    return made


def _refuse_clean_view(facts: ModelFacts) -> None:
    if method_named(facts.method).view == "clean":
        raise ReportError(f"the method {facts.method} is tested on clean images, on which no occlusion can matter")


def _find_manifests(checkpoint: Path, facts: ModelFacts) -> tuple[Path, ...]:
    """The training manifest and those beside it, of the one database that the model was trained on."""
    typed = [Path(text) for text in facts.config.get("manifests", [])]
    found = [next((p for p in places_of(path, checkpoint) if p.is_file()), None) for path in typed]
    if not found or None in found:
        raise DataError(
            f"--checkpoint {checkpoint}: its training manifest ({', '.join(map(str, typed)) or 'unknown'}) was not "
            "found; name the manifests to test on with --manifest"
        )
    return tuple(dict.fromkeys(each for path in found if path is not None for each in built_alike(path)))


def _evaluation(options: ProfileOptions, checkpoint: Path, name: str, manifests: tuple[Path, ...]) -> EvaluateOptions:
    return EvaluateOptions(
        checkpoint=checkpoint,
        manifests=manifests,
        device=options.device,
        batch_size=options.batch_size,
        cache_dir=options.cache_dir,
        out=options.out / name,
    )


def _profiled(found: Evaluation) -> ProfiledModel:
    return ProfiledModel(found.summary["method"], found.summary["checkpoint"], found.folder.name)


def _rows(answers: Sequence[Predictions]) -> tuple[list[ProfileRow], list[str]]:
    if len(answers) == 1:
        (only,) = answers
        groups = groups_of(only.pairs)
        everyone = ProfileRow(ALL, ALL, len(only.pairs), (accuracy_of(only),))
        return [everyone, *(_row(only, group) for group in groups)], []
    common = common_pairs(*answers)
    rows = [ProfileRow(row.by, row.label, row.n, (row.a, row.b), row) for row in compare_answers(common)]
    return rows, _left_out(common)


def _row(answers: Predictions, group: Group) -> ProfileRow:
    part = answers.where(group.members)
    return ProfileRow(group.by, group.label, len(part.pairs), (accuracy_of(part),))


def _left_out(common: CommonPredictions) -> list[str]:
    count = common.only_in_a + common.only_in_b
    return [f"{count} pairs that only one of the models was tested on were left out"] if count else []


def _write_csv(path: Path, rows: Sequence[ProfileRow]) -> None:
    """A line a group, shares in [0, 1]; of two models, the columns of compare.csv."""
    paired = [row.paired for row in rows if row.paired is not None]
    if paired:
        write_rows(path, paired)
        return
    write_csv(path, CSV_COLUMNS, map(_cells, rows))


def _cells(row: ProfileRow) -> tuple[object, ...]:
    (share,) = row.shares
    bounds = share.interval
    return (row.by, row.label, row.n, share.correct, share.accuracy, bounds.low, bounds.high, bounds.how)
