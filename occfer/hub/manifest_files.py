"""Published manifests as a data set of the Hub: the rows, the facts beside them, a card, and no image."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from occfer.errors import HubError
from occfer.hub.card_head import Licence, with_head
from occfer.hub.repository import LARGEST_FILE_BYTES, Address
from occfer.hub.terms import terms_of, title_of
from occsynth.errors import OccSynthError
from occsynth.escapes import for_markdown
from occsynth.manifest import Manifest, open_manifest
from occsynth.reading import read_bytes
from occsynth.sharing.published import refuse_unpublished

_SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M", 10**7: "1M<n<10M"}
"""The Hub's classes of size, by the number of rows below which they lie."""


def published_manifests(paths: Sequence[Path]) -> list[Manifest]:
    """Opens manifests and looks at each of their rows.

    Raises:
        HubError: one is no manifest, or not as `occsynth publish` writes it; or two have one name.
    """
    try:
        manifests = [open_manifest(path) for path in paths]
        for manifest in manifests:
            refuse_unpublished(manifest)
    except OccSynthError as error:
        raise HubError(str(error)) from error
    names = [manifest.info.name for manifest in manifests]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise HubError(f"two of the manifests are called {twice}; share them in repositories of their own")
    return manifests


def manifest_files(manifests: Sequence[Manifest]) -> dict[str, bytes]:
    """The CSV and the JSON of each, by the name of the manifest, as they lie on the disk."""
    files = {}
    for manifest in manifests:
        ending = ".csv.gz" if manifest.path.name.endswith(".gz") else ".csv"
        for path, name in (
            (manifest.path, f"{manifest.info.name}{ending}"),
            (manifest.beside(".json"), f"{manifest.info.name}.json"),
        ):
            files[name] = read_bytes(path, HubError, largest=LARGEST_FILE_BYTES)
    return files


def data_card(address: Address, manifests: Sequence[Manifest], files: Mapping[str, bytes], licence: Licence) -> bytes:
    """The README.md of a repository with published manifests.

    Args:
        address: of the repository.
        manifests: that it holds.
        files: see `manifest_files`.
        licence: of the manifests, as the user states it; that of the images is the database's.
    """
    rows = sum(manifest.info.rows for manifest in manifests)
    databases = list(dict.fromkeys(manifest.info.database for manifest in manifests))
    tables = {manifest.info.name: _table_of(manifest, files) for manifest in manifests}
    head: dict[str, Any] = licence.head() | {
        "pretty_name": address.name.partition("/")[2],
        "tags": ["facial-expression-recognition", "occlusion", "occsynth", *databases],
        "task_categories": ["image-classification"],
        "size_categories": [next((name for most, name in _SIZES.items() if rows < most), "n>10M")],
        "configs": [{"config_name": name, "data_files": table} for name, table in tables.items()],
    }
    parts = [
        f"# {for_markdown(address.name.partition('/')[2])}",
        "Published manifests of occsynth: which occlusions were put on which faces. They hold no image, no label, no "
        "person and no file name. Whoever holds the database makes the same pairs from them, pixel for pixel.",
        "## The licence you need",
        "This repository grants no right to any image. To make the pairs, you need your own copy of:",
        "\n".join(f"- {for_markdown(f'{title_of(each)} ({each}): {terms_of(each)}')}" for each in databases),
        "## Make the pairs",
        _commands(address, manifests, tables),
        "## What is in it",
        _table(manifests),
    ]
    return with_head(head, "\n\n".join(parts))


def _table_of(manifest: Manifest, files: Mapping[str, bytes]) -> str:
    name = f"{manifest.info.name}.csv"
    return name if name in files else f"{name}.gz"


def _commands(address: Address, manifests: Sequence[Manifest], tables: Mapping[str, str]) -> str:
    folder = address.name.partition("/")[2]
    lines = [f"$ occfer pull {address}"]
    for manifest in manifests:
        root = "" if manifest.info.database == "demo" else f" --root /your/{manifest.info.database}"
        lines.append(f"$ occsynth replay {folder}/{tables[manifest.info.name]}{root} --out replayed")
    return "\n".join(["```console", *lines, "```"])


def _table(manifests: Sequence[Manifest]) -> str:
    lines = ["| manifest | database | mode | rows | size | seed |", "| --- | --- | --- | --- | --- | --- |"]
    for manifest in manifests:
        info = manifest.info
        cells = (info.name, info.database, info.mode, str(info.rows), f"{info.size_px} px", str(info.seed))
        lines.append(f"| {' | '.join(map(for_markdown, cells))} |")
    return "\n".join(lines)
