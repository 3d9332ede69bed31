"""What a reproduced table records about its making: command, versions, device, manifests, failures, settings."""

from dataclasses import fields
from typing import Any

from occfer.config import TrainConfig
from occfer.config_fields import NOT_COMPARED
from occfer.protocols.manifests import ProtocolManifest
from occfer.protocols.request import Request
from occfer.runs.environment import device_in_words, versions
from occfer.tables.result_table import FailedJob, Provenance, RecordedManifest


def provenance(
    request: Request,
    settings: TrainConfig,
    manifests: tuple[ProtocolManifest, ...] = (),
    failed: tuple[FailedJob, ...] = (),
    device: str = "",
) -> Provenance:
    """What ran, where and on what; without `device`, on the device of this machine that the settings name."""
    return Provenance(
        command=request.command,
        versions=versions(),
        device=device or device_in_words(settings.device),
        manifests=tuple(RecordedManifest(each.name, each.sha256, each.rows, each.rejects) for each in manifests),
        failed=failed,
        settings=changed_settings(settings),
    )


def changed_settings(settings: TrainConfig) -> dict[str, Any]:
    """The settings that decide results and are not at their defaults, as JSON values."""
    values = settings.to_json()
    left_out = NOT_COMPARED | {"manifests", "test_manifests", "method", "fold"}
    return {
        field.name: values[field.name]
        for field in fields(settings)
        if field.name not in left_out and getattr(settings, field.name) != field.default
    }
