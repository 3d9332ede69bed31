"""Samples as folders of pictures, with a table that joins the pictures of a sample.

`PART/VIEW/CLASS/NUMBER.png` suits programs that take the class from the folder, one view at a time. `datasets` reads
the table `PART/metadata.parquet` instead, which makes a column of each view.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from occsynth.exchange.arrow import TEXT, Features, features, values
from occsynth.exchange.samples import VIEWS, Plan, Sample
from occsynth.files import write_atomic

METADATA = "metadata.parquet"


def pictures(sample: Sample) -> dict[str, str]:
    """The path of each picture of a sample, under the folder of its part."""
    return {
        view: f"{view}/{sample.row.expression}/{sample.key}{sample.ending(view)}"
        for view in VIEWS
        if sample.ending(view)
    }


def write_pictures(folder: Path, sample: Sample) -> None:
    """Writes the pictures of a sample; those that are there with as many bytes were written before, and stay."""
    for view, relative in pictures(sample).items():
        content, path = sample.image(view), folder / relative
        if not path.is_file() or path.stat().st_size != len(content):
            write_atomic(path, content, durable=False)


def table_rows(plan: Plan, part: str) -> Iterator[dict[str, Any]]:
    """The rows of the table of a part."""
    for sample in plan.samples(part):
        there = pictures(sample)
        yield {**{f"{view}_file_name": there.get(view) for view in VIEWS}, **values(plan, sample)}


def table_features(plan: Plan) -> Features:
    """The types of the columns of the table; `datasets` makes `clean` of `clean_file_name`, and so on."""
    return {**{f"{view}_file_name": TEXT for view in VIEWS}, **features(plan)}
