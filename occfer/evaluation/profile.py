"""The robustness profile: accuracy by what hides the face and how much of it, of one model or of two that are compared.

It is made on one database, built with several kinds and sizes of occluders. profile.csv has one line per group,
profile.json everything; each model's predictions lie in a folder beside them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from occfer.data.manifests import built_alike
from occfer.errors import DataError, ReportError
from occfer.evaluation.compare import read_groups_file, write_groups
from occfer.evaluation.evaluate import EvaluateOptions, Evaluation, evaluate, model_files
from occfer.evaluation.result_folders import claimed_results, places_of
from occfer.events import OnStep
from occfer.files import write_csv, write_sealed
from occfer.method_table import method_named, shown_name
from occfer.metrics.accuracy import AccuracyEstimate, accuracy_of
from occfer.metrics.figure_files import save
from occfer.metrics.groups import Group, groups_of
from occfer.metrics.paired import ALL, CommonPredictions, GroupComparison, common_pairs, compare_answers
from occfer.metrics.predictions import Predictions
from occfer.runs.checkpoint import read_model_info
from occfer.runs.model_info import ModelInfo, config_facts
from occsynth.files import is_file
from occsynth.reading import record_of

FILE = "profile.json"
NAMES = ("a", "b")
CSV_COLUMNS = ("by", "group", "n", "correct", "accuracy", "low", "high", "interval")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileOptions:
    """What to profile on what.

    Attributes:
        checkpoints: one or two, each as for `occfer.evaluation.evaluate.EvaluateOptions`.
        manifests: CSVs of one database; none for the training manifest and those beside it that differ in the occlusion
            mode alone.
        out: folder for the results.
        overwrite: whether they may be written among files that are not of a profile.
        figure_format: of the figure; empty draws none.
        device, batch_size, cache_dir: as for `EvaluateOptions`.
    """

    checkpoints: tuple[Path, ...]
    out: Path
    manifests: tuple[Path, ...] = ()
    overwrite: bool = False
    figure_format: str = ""
    device: str = "auto"
    batch_size: int = 64
    cache_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class ProfileGroup:
    """A group of pairs.

    Attributes:
        by, label: see `occfer.metrics.groups.Group`; `all` and `all` for all pairs.
        n: number of pairs.
        shares: each model's accuracy on them.
        paired: the comparison of two models; None for one.
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
        folder: of its predictions, inside the profile's folder.
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
    """The result of `profile`; the content of profile.json.

    Attributes:
        models: one or two.
        tested: what they were tested on, such as `demo (eyes, r16)`.
        groups: all pairs first.
        notes: what the user should know.
    """

    models: tuple[ProfiledModel, ...]
    tested: str
    groups: tuple[ProfileGroup, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON values; the groups are called `rows` there, as in version 0.1."""
        content = asdict(self)
        return {"rows" if name == "groups" else name: value for name, value in content.items()}


@dataclass(frozen=True, slots=True)
class _ProfileFile:
    """The content of profile.json."""

    models: tuple[ProfiledModel, ...]
    tested: str
    rows: tuple[ProfileGroup, ...]
    notes: tuple[str, ...]


def read_profile(folder: Path) -> Profile:
    """A profile from its folder; raises ReportError where there is none."""
    path = folder / FILE
    content = read_groups_file(path, "a profile")
    found = record_of(_ProfileFile, content, f"{path} is not a profile", ReportError)
    models = len(found.models)
    fits = all(len(each.shares) == models and (each.paired is None) == (models == 1) for each in found.rows)
    if not 1 <= models <= len(NAMES) or not fits or any(each.folder not in NAMES for each in found.models):
        raise ReportError(f"{path} is not a profile: it must be of one model, a, or of two, a and b, in every group")
    return Profile(found.models, found.tested, found.rows, found.notes)


def profile(options: ProfileOptions, on_step: OnStep | None = None) -> Profile:
    """Tests one or two models on every manifest, and writes and draws the profile.

    Raises:
        CheckpointError, DataError: as for `evaluate`; or the manifests are of several databases, or none was found.
        ReportError: a model sees clean images, or two models have no pair in common; or the folder for the results
            holds a run or files of the user's, or another process works in it.
    """
    if not 1 <= len(options.checkpoints) <= len(NAMES):
        raise ReportError("a profile is made of one model or of two: give --checkpoint once or twice")
    with claimed_results(options.out, "occfer profile", "-o", _holds_profile, overwrite=options.overwrite):
        return _profile(options, on_step)


def _holds_profile(folder: Path) -> bool:
    """Whether version 0.1 has made a profile in a folder."""
    try:
        read_profile(folder)
    except ReportError:
        return False
    return True


def _profile(options: ProfileOptions, on_step: OnStep | None) -> Profile:
    # imported here, because the figure is drawn from the records of this module
    from occfer.evaluation.profile_figure import profile_figure

    infos = [read_model_info(model_files(path)[0]) for path in options.checkpoints]
    for info in infos:
        _refuse_clean_view(info)
    manifests = options.manifests or _find_manifests(options.checkpoints[0], infos[0])
    evaluations = tuple(
        evaluate(_evaluation(options, path, name, manifests), on_step)
        for path, name in zip(options.checkpoints, NAMES, strict=False)
    )
    tested = {pair.database for each in evaluations for pair in each.predictions.pairs}
    if len(tested) > 1:
        raise DataError(f"a profile is made on one database, not {', '.join(sorted(tested))}; choose with --manifest")
    groups, notes = _groups([each.predictions for each in evaluations])
    from_tests = [note for each in evaluations for note in each.notes]
    notes.append(f"intervals of all pairs: {'; '.join(dict.fromkeys(each.interval.how for each in groups[0].shares))}")
    made = Profile(
        models=tuple(_profiled(each) for each in evaluations),
        tested=evaluations[0].title.partition(" on ")[2],
        groups=tuple(groups),
        notes=tuple(dict.fromkeys([*from_tests, *notes])),
    )
    write_sealed(options.out / FILE, made.to_json())
    _write_csv(options.out / "profile.csv", made.groups)
    if options.figure_format:
        save(profile_figure(made), options.out / f"profile.{options.figure_format}")
    return made


def _refuse_clean_view(info: ModelInfo) -> None:
    if method_named(info.method).view == "clean":
        raise ReportError(f"the method {info.method} is tested on clean images, so occlusions have no effect on it")


def _find_manifests(checkpoint: Path, info: ModelInfo) -> tuple[Path, ...]:
    """The training manifest, and those beside it that differ in the occlusion mode alone."""
    typed = [Path(text) for text in config_facts(info.config, str(checkpoint)).manifests]
    found = [next(filter(is_file, places_of(path, checkpoint)), None) for path in typed]
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
        overwrite=options.overwrite,
    )


def _profiled(found: Evaluation) -> ProfiledModel:
    return ProfiledModel(found.summary["method"], found.summary["checkpoint"], found.folder.name)


def _groups(answers: Sequence[Predictions]) -> tuple[list[ProfileGroup], list[str]]:
    if len(answers) == 1:
        (only,) = answers
        everyone = ProfileGroup(ALL, ALL, len(only.pairs), (accuracy_of(only),))
        return [everyone, *(_group(only, group) for group in groups_of(only.pairs))], []
    common = common_pairs(*answers)
    groups = [ProfileGroup(each.by, each.label, each.n, (each.a, each.b), each) for each in compare_answers(common)]
    return groups, _left_out(common)


def _group(answers: Predictions, group: Group) -> ProfileGroup:
    part = answers.where(group.members)
    return ProfileGroup(group.by, group.label, len(part.pairs), (accuracy_of(part),))


def _left_out(common: CommonPredictions) -> list[str]:
    count = common.only_in_a + common.only_in_b
    return [f"{count} pairs were left out, because only one of the models was tested on them"] if count else []


def _write_csv(path: Path, groups: Sequence[ProfileGroup]) -> None:
    """One line per group, accuracies in [0, 1]; for two models, the columns of compare.csv."""
    paired = [group.paired for group in groups if group.paired is not None]
    if paired:
        write_groups(path, paired)
        return
    write_csv(path, CSV_COLUMNS, map(_cells, groups))


def _cells(group: ProfileGroup) -> tuple[object, ...]:
    (share,) = group.shares
    bounds = share.interval
    return (group.by, group.label, group.n, share.correct, share.accuracy, bounds.low, bounds.high, bounds.how)
