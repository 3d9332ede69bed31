"""Samples as Parquet files, whose schema tells `datasets` which columns are images and what the classes are called."""

import json
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from occsynth.errors import BuildError
from occsynth.exchange.samples import NUMBERS, VIEWS, Plan, Sample
from occsynth.parallel import batches

Features = dict[str, dict[str, Any]]
"""The types of columns, as `datasets` writes them into JSON."""
TEXT = {"dtype": "string", "_type": "Value"}
IMAGE = {"_type": "Image"}

ROWS_AT_ONCE = 100
"""Rows of a group, all of which a reader loads to see one: the number that the Hub advises for images."""


def need_pyarrow() -> Any:
    """The library pyarrow; raises BuildError with what to install if it is missing."""
    try:
        import_module("pyarrow.parquet")
        return import_module("pyarrow")
    except ImportError:
        raise BuildError(
            "--to parquet and --to imagefolder write Parquet with pyarrow: pip install 'occsynth[exchange]'. "
            "--to webdataset needs nothing more"
        ) from None


def label_feature(plan: Plan) -> dict[str, Any]:
    """The type of a column of class numbers, with their names."""
    return {"names": list(plan.labels), "_type": "ClassLabel"}


def features(plan: Plan) -> Features:
    """The types of the columns beside the images."""
    return {
        "label": label_feature(plan),
        **dict.fromkeys(plan.texts(), TEXT),
        "fold": {"dtype": "int64", "_type": "Value"},
        **{name: {"dtype": "float64", "_type": "Value"} for name in NUMBERS},
    }


def values(plan: Plan, sample: Sample) -> dict[str, Any]:
    """A sample's values in these columns."""
    label = plan.labels.index(sample.row.expression)
    return {"label": label, **sample.texts(), "fold": sample.row.fold, **sample.numbers()}


def write_parquet(part: Path, rows: Iterable[dict[str, Any]], types: Features) -> None:
    """Writes a Parquet file in groups of rows, so that memory does not grow with their number.

    Nothing is compressed, since images are already. The same rows give the same bytes with the same version of pyarrow,
    which the file names: it holds no time and no place.

    Args:
        part: the file.
        rows: values by column; an image is a dict of its `bytes` and its `path`, or None.
        types: of the columns.
    """
    arrow = need_pyarrow()
    image = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    kinds = {"string": arrow.string(), "int64": arrow.int64(), "float64": arrow.float64()}
    fields = [
        (name, image if kind == IMAGE else kinds[kind.get("dtype", "int64")])  # a ClassLabel is a number
        for name, kind in types.items()
    ]
    schema = arrow.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": types}})})
    with arrow.parquet.ParquetWriter(part, schema, compression="none") as writer:
        for group in batches(rows, ROWS_AT_ONCE):
            writer.write_table(arrow.Table.from_pylist(group, schema=schema), row_group_size=ROWS_AT_ONCE)


def with_images(plan: Plan, sample: Sample) -> dict[str, Any]:
    """A sample's values, and its images as they are in their files."""
    row = values(plan, sample)
    for view in VIEWS:
        name = f"{view}/{sample.key}{sample.ending(view)}"
        row[view] = {"bytes": sample.image(view), "path": name} if sample.ending(view) else None
    return row
