"""benchmark.json: what comes back, and that a file whose figures do not fit one another is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from occfer.benchmark.result import FILE, BenchmarkResult, Provenance, read_benchmark, write_benchmark
from occfer.errors import ReportError
from tests.occfer.benchmark.results import column, small_result

WITH_REAL = replace(small_result(), real=column("real", 11, kind="real"))


@pytest.mark.parametrize("result", [small_result(), WITH_REAL, replace(small_result(), provenance=Provenance())])
def test_a_result_comes_back(result: BenchmarkResult, tmp_path: Path) -> None:
    assert read_benchmark(write_benchmark(tmp_path, result)) == result
    assert read_benchmark(tmp_path) == result


def test_the_figures_that_follow_from_others() -> None:
    result = small_result()
    assert result.worst.name == "eyes-unseen"
    assert result.relative_drop == pytest.approx((0.8 - 0.5) / 0.8)
    nothing = replace(result, clean=replace(result.clean, accuracy=0.0))
    assert nothing.relative_drop is None


def test_what_a_table_must_say_of_the_training() -> None:
    assert small_result().provenance.marks == ()
    assert Provenance().marks == ("training faces unknown",)
    known = Provenance(overlap=3, known_templates=5).marks
    assert known == ("knows 3 of the tested faces", "knows the templates of 5 unseen rows")


Change = Callable[[dict[str, Any]], None]


def put(*place: str | int, value: object) -> Change:
    def change(content: dict[str, Any]) -> None:
        inner: Any = content
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value

    return change


def again(content: dict[str, Any]) -> None:
    content["columns"].append(content["columns"][0])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (put("columns", 0, "correct", value=13), "says an accuracy of 0.6 for 13 of 20"),
        (put("columns", 0, "correct", value=21), "has 21 right answers about 20 faces"),
        (put("columns", 0, "accuracy", value=0.7), "says an accuracy of 0.7 for 12 of 20"),
        (put("columns", 0, "n", value=40), "has 40 faces, but the clean one 20"),
        (put("columns", 0, "subjects", value=21), "of 21 subjects"),
        (put("columns", 0, "kind", value="real"), "is of the kind real"),
        (put("columns", 0, "drop", value=0.5), "says a drop of 0.5"),
        (put("columns", 0, "drop", value=None), "has a drop without an interval"),
        (put("columns", 0, "interval", "low", value=0.61), "does not hold its accuracy"),
        (put("columns", 0, "interval", "high", value=float("nan")), "does not hold its accuracy"),
        (put("columns", 0, "drop_interval", "low", value=0.5), "the interval of the drop"),
        (put("columns", 0, "groups", value=["paper"]), "the mean of 'seen' is over 1 columns, of which there are 0"),
        (put("columns", 0, "name", value="x" * 101), "is too long"),
        (put("columns", 0, "name", value="clean"), "two columns have one name"),
        (put("mean", "accuracy", value=0.6), "the mean of 'all' is given as 0.6"),
        (put("mean", "columns", value=3), "is over 3 columns"),
        (put("clean", "correct", value=-1), "has -1 right answers"),
        (put("suite", "digest", value=""), "must not be empty"),
        (put("contestant", "classes", value=["a"] * 101), "more classes"),
        (put("provenance", "overlap", value=-1), "is negative"),
        (put("notes", value=["x" * 3000]), "'a note' is too long"),
        (put("format", value=2), "update occsynth"),
        (put("columns", value=[]), "it has 0 columns"),
        (put("columns", 0, "n", value="20"), "columns.0.n"),
        (again, "two columns have one name"),
    ],
)  # fmt: skip
def test_a_result_that_does_not_fit_itself_is_refused(change: Change, told: str, tmp_path: Path) -> None:
    path = write_benchmark(tmp_path, small_result())
    content = json.loads(path.read_text())
    del content["checksums"]
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ReportError) as caught:
        read_benchmark(path)
    assert told in str(caught.value) and FILE in str(caught.value)


def test_a_damaged_file_is_noticed(tmp_path: Path) -> None:
    path = write_benchmark(tmp_path, small_result())
    path.write_text(path.read_text().replace('"mine"', '"ours"'))
    with pytest.raises(ReportError, match="is not as it was written"):
        read_benchmark(path)
    with pytest.raises(ReportError, match="cannot be read"):
        read_benchmark(tmp_path / "none.json")
