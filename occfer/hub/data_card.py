"""The card of a data set of manifests: which licence a user needs, since no image comes with it, and what to type."""

from typing import Any

from occfer.hub.card_head import Licence, with_head
from occfer.hub.manifest_files import ManifestSet
from occfer.hub.repository import Address
from occfer.hub.terms import terms_of, title_of
from occsynth.escapes import for_markdown

_SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M", 10**7: "1M<n<10M"}
"""The Hub's classes of size, by the number of rows below which they lie."""


def data_card(address: Address, manifests: ManifestSet, licence: Licence) -> bytes:
    """The README.md of a repository with published manifests.

    Args:
        address: of the repository.
        manifests: that it holds.
        licence: of the manifests, as the user states it; that of the images is the database's.
    """
    every = manifests.tables.values()
    rows = sum(each.info.rows for each in every)
    databases = list(dict.fromkeys(each.info.database for each in every))
    name = address.name.partition("/")[2]
    suite = manifests.suite
    head: dict[str, Any] = licence.head() | {
        "pretty_name": name,
        "tags": ["facial-expression-recognition", "occlusion", "occsynth", *databases],
        "task_categories": ["image-classification"],
        "size_categories": [next((size for most, size in _SIZES.items() if rows < most), "n>10M")],
        "configs": [{"config_name": table, "data_files": manifests.names[table]} for table in manifests.tables],
    }
    parts = [
        f"# {for_markdown(name)}",
        "Published manifests of occsynth: which occlusions were put on which faces. They hold no image, no label, no "
        "person and no file name. Whoever holds the database makes the same pairs from them, pixel for pixel.",
        *(
            [
                for_markdown(
                    f"Together they are the suite {suite.name}, version {suite.version}, for occfer benchmark."
                )
                + f" Its digest is `{suite.digest}`: results of another digest are results of another suite."
            ]
            if suite
            else []
        ),
        "## The licence you need",
        "This repository grants no right to any image. To make the pairs, you need your own copy of:",
        "\n".join(f"- {for_markdown(f'{title_of(each)} ({each}): {terms_of(each)}')}" for each in databases),
        "## Use it",
        "\n".join(["```console", f"$ occfer pull {address}", *_commands(name, manifests), "```"]),
        "## What is in it",
        _table(manifests),
    ]
    return with_head(head, "\n\n".join(parts))


def _commands(folder: str, manifests: ManifestSet) -> list[str]:
    if manifests.suite:
        root = _root(manifests.suite.database)
        return [f"$ occfer benchmark --suite {folder}{root} --checkpoint YOUR_MODEL"]
    return [
        f"$ occsynth replay {folder}/{manifests.names[table]}{_root(each.info.database)} --out replayed"
        for table, each in manifests.tables.items()
    ]


def _root(database: str) -> str:
    return "" if database == "demo" else f" --root /your/{database}"


def _table(manifests: ManifestSet) -> str:
    lines = ["| table | database | mode | rows | size | seed |", "| --- | --- | --- | --- | --- | --- |"]
    for table, manifest in manifests.tables.items():
        info = manifest.info
        cells = (table, info.database, info.mode, str(info.rows), f"{info.size_px} px", str(info.seed))
        lines.append(f"| {' | '.join(map(for_markdown, cells))} |")
    return "\n".join(lines)
