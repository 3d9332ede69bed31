"""The settings that a method's result depends on: a change of any other one leaves it as it is."""

from dataclasses import fields
from typing import Any

from occfer.config import TrainConfig
from occfer.config_fields import NOT_COMPARED, ONE_RUN, changing, identity
from occfer.files import file_sha256
from occfer.method_table import method_named
from occfer.models.hub import given_file
from occfer.setting import EVERYTHING, GUIDANCE, STAGE_2, baseline, loss


def settings_of(method: str) -> frozenset[str]:
    """Fields of `TrainConfig` that the method's result depends on, by what each says that it changes.

    What only a single run takes is left out, but for the data and the method: a job's content holds their digests.

    Raises:
        UnknownNameError: there is no such method.
    """
    always = changing(frozenset(EVERYTHING))
    own = changing(_parts_of(method)) - ONE_RUN
    if not own:  # a baseline for which no setting says that it changes it: every setting may matter
        own = frozenset(field.name for field in fields(TrainConfig)) - NOT_COMPARED
    return always | own


def _parts_of(name: str) -> frozenset[str]:
    """The parts of a method's training, as settings name what they change."""
    method = method_named(name)
    if method.kind == "baseline":
        return frozenset(baseline(name))
    branches = tuple(f"{role} branch" for role in method.branches)
    stage2 = STAGE_2 if method.stage2 else ()
    guidance = GUIDANCE if method.losses else ()
    return frozenset((*branches, *stage2, *guidance, *loss(*method.losses)))


def only_own(config: TrainConfig) -> TrainConfig:
    """The configuration with every setting that does not matter to its method at its default.

    So two configurations that give the same result are equal, but for where and how they run.
    """
    own = settings_of(config.method) | NOT_COMPARED
    return TrainConfig.from_json({name: value for name, value in config.to_json().items() if name in own})


def content_of(config: TrainConfig, manifests: list[str], test_manifests: list[str]) -> dict[str, Any]:
    """What a run's result depends on, as JSON values: its method's settings, and digests in place of files.

    Args:
        config: of the run.
        manifests, test_manifests: SHA-256 of its manifests.

    Raises:
        WeightsError: the file of initial weights is not there.
    """
    content = identity(config, settings_of(config.method))
    content |= {"manifests": manifests, "test_manifests": test_manifests}
    if file := given_file(content.get("weights", "none")):
        content["weights"] = file_sha256(file)
    return content
