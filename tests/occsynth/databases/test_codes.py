"""Labels that are codes, for every database that has them: shifted, in other writings, as words, in damaged lists."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from occsynth.databases import DATABASES, EXPRESSIONS, LabelOptions
from occsynth.databases.codes import Codes
from occsynth.databases.labels import LEFT_OUT, expression_of, parse_scheme
from occsynth.databases.record import CONTEMPT, SEVEN, FaceRecord, Reject, ScanItem
from occsynth.errors import BuildError, DatabaseLayoutError
from occsynth.escapes import printable
from tests.occsynth.databases.coded_trees import CODED, LISTED

SEVEN_OF = {name: [code for code, word in case[2].items() if expression_of(word)] for name, case in CODED.items()}


def scanned(name: str, root: Path, labels: LabelOptions = SEVEN) -> list[ScanItem]:
    """The items of `candidates` where a scan would ask the detector, which this has nothing to do with."""
    key, variant, _, _ = CODED[name]
    scan = DATABASES[key].candidates or DATABASES[key].scan
    return list(scan(root, variant, labels))


def classes(items: Sequence[ScanItem]) -> set[str]:
    return {item.expression for item in items if isinstance(item, FaceRecord)}


def made(name: str, root: Path, labels: Sequence[str], mangle: Callable[[str], str] = str) -> None:
    CODED[name][3](root, labels, mangle)


def test_every_database_with_codes_is_tried_here() -> None:
    tried = {case[0] for case in CODED.values()}
    assert tried | {"folder"} == {key for key, database in DATABASES.items() if database.has_codes}


@pytest.mark.parametrize("name", CODED)
def test_its_own_scheme_gives_its_classes(name: str, tmp_path: Path) -> None:
    made(name, tmp_path, SEVEN_OF[name])
    wanted = {expression_of(CODED[name][2][code]) for code in SEVEN_OF[name]}
    assert classes(scanned(name, tmp_path)) - {"neutral"} == wanted - {"neutral"}


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("name", CODED)
def test_codes_that_are_shifted_by_one_stop_the_scan(name: str, by: int, tmp_path: Path) -> None:
    shifted = [str(int(code) + by) for code in SEVEN_OF[name]]
    made(name, tmp_path, shifted)
    with pytest.raises(DatabaseLayoutError, match="The labels look shifted") as refused:
        scanned(name, tmp_path)
    said = str(refused.value)
    assert said.startswith(f"{CODED[name][0]}: ") and printable(said) == said and len(said) < 700
    assert f"one {'below' if by < 0 else 'above'} the scheme" in said
    scheme = re.search(r"type --labels (\S+)$", said)
    assert scheme is not None
    wanted = {expression_of(CODED[name][2][code]) for code in SEVEN_OF[name]} - {"neutral"}
    found = classes(scanned(name, tmp_path, LabelOptions(scheme=parse_scheme(scheme[1]))))
    assert found - {"neutral"} == wanted, "what the error says to type gives the right classes"


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("name", CODED)
def test_eight_classes_that_are_shifted_stop_the_scan(name: str, by: int, tmp_path: Path) -> None:
    known = [int(code) for code, word in CODED[name][2].items() if expression_of(word) or word == CONTEMPT]
    made(name, tmp_path, [str(code + by) for code in known])
    with pytest.raises(DatabaseLayoutError, match="The labels look shifted"):
        scanned(name, tmp_path, LabelOptions(classes=8))


@pytest.mark.parametrize("name", CODED)
def test_one_code_far_outside_stops_the_scan_and_is_not_called_shifted(name: str, tmp_path: Path) -> None:
    made(name, tmp_path, [*SEVEN_OF[name], "99"])
    with pytest.raises(DatabaseLayoutError, match=r"label 99 \(first in .+\) is outside the scheme") as refused:
        scanned(name, tmp_path)
    assert "shifted" not in str(refused.value) and "--labels CODE=CLASS" in str(refused.value)


@pytest.mark.parametrize("name", CODED)
def test_a_list_that_lacks_a_class_is_not_called_shifted(name: str, tmp_path: Path) -> None:
    for number, left_out in enumerate(SEVEN_OF[name]):
        root = tmp_path / str(number)
        made(name, root, [code for code in SEVEN_OF[name] if code != left_out])
        assert classes(scanned(name, root))


@pytest.mark.parametrize("writing", ["{}.0", "0{}", " {} ", "{}.0000000e+00", "+{}"])
@pytest.mark.parametrize("name", list(LISTED))
def test_a_code_may_be_written_as_any_number(name: str, writing: str, tmp_path: Path) -> None:
    made(name, tmp_path, [writing.format(code) for code in SEVEN_OF[name]])
    items = scanned(name, tmp_path)
    assert not [
        item for item in items if isinstance(item, Reject) and not item.by_protocol and "list" not in item.reason
    ]
    assert len(classes(items)) >= 6


@pytest.mark.parametrize("case", [str, str.upper, str.title])
@pytest.mark.parametrize("name", CODED)
def test_class_names_in_place_of_codes_are_understood(name: str, case: Callable[[str], str], tmp_path: Path) -> None:
    made(name, tmp_path, [case(CODED[name][2][code]) for code in SEVEN_OF[name]])
    assert len(classes(scanned(name, tmp_path))) >= 6


@pytest.mark.parametrize("word", ["confused", "x", "1-2", "4.5", "nan", "one"])
@pytest.mark.parametrize("name", CODED)
def test_an_unknown_word_is_a_reject_of_its_image(name: str, word: str, tmp_path: Path) -> None:
    made(name, tmp_path, [SEVEN_OF[name][0], word])
    items = scanned(name, tmp_path)
    faults = [item for item in items if isinstance(item, Reject) and f"unknown label '{word}'" in item.reason]
    if name != "fer2013 folders":  # there it is the name of a folder
        assert len(faults) == 1 and not faults[0].by_protocol
    assert classes(items)


@pytest.mark.parametrize(
    "mangle",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text.replace("\n", "\r\n"),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("\n", "  \n"),
        lambda text: text + "\n\n",
    ],
    ids=["mark", "Windows", "mark and Windows", "no last line end", "blanks at the end", "blank lines"],
)
@pytest.mark.parametrize("name", LISTED)
def test_line_ends_marks_and_blanks_change_nothing(name: str, mangle: Callable[[str], str], tmp_path: Path) -> None:
    made(name, tmp_path / "plain", SEVEN_OF[name])
    made(name, tmp_path / "mangled", SEVEN_OF[name], mangle)
    assert scanned(name, tmp_path / "mangled") == scanned(name, tmp_path / "plain")


def test_each_list_of_affectnet_is_looked_at_alone(tmp_path: Path) -> None:
    """A validation list that is shifted stays within what the training list and it use together."""
    made("affectnet", tmp_path, list("01234567"))
    lists = tmp_path / "Manually_Annotated_file_lists"
    (lists / "training.csv").rename(lists / "other.csv")
    made("affectnet", tmp_path, list("12345678"))
    (lists / "training.csv").rename(lists / "validation.csv")
    (lists / "other.csv").rename(lists / "training.csv")
    with pytest.raises(DatabaseLayoutError, match=r"use 1 to 8 of the scheme .* but never its first code"):
        scanned("affectnet", tmp_path)


def test_neutral_sequences_of_ck_plus_are_no_shift(tmp_path: Path) -> None:
    made("ck+", tmp_path, ["0", "1", "7"])
    items = scanned("ck+", tmp_path)
    assert classes(items) == {"neutral", "anger", "surprise"}


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("1=surprise,2=fear", {"1": "surprise", "2": "fear"}),
        (" 01 = Happy , 2.0=sad,", {"1": "happiness", "2": "sadness"}),
        ("glad=happy,CROSS=angry,7=contempt", {"glad": "happiness", "cross": "anger", "7": "contempt"}),
        ("", {}),
    ],
)
def test_what_labels_may_say(text: str, scheme: dict[str, str]) -> None:
    assert dict(parse_scheme(text)) == scheme


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1:surprise", "'1:surprise' is no code with its class; write --labels 1=surprise,2=fear,..."),
        ("1=", "'1=' is no code with its class"),
        ("=fear", "'=fear' is no code with its class"),
        ("1=glad", "names the unknown class 'glad'; known are anger, disgust, fear"),
        ("1=fear,01=sad", "gives the code 1 twice"),
        ("happy,sad", "'happy' is no code"),
    ],
)
def test_what_labels_may_not_say(text: str, said: str) -> None:
    with pytest.raises(BuildError) as refused:
        parse_scheme(text)
    assert said in str(refused.value)


def test_the_order_of_a_scheme_does_not_matter() -> None:
    assert parse_scheme("10=sad,9=fear,x=happy") == parse_scheme("x=happy,9=fear,10=sad")


def test_known_classes_are_the_canonical_ones() -> None:
    codes = Codes("x", {}, LabelOptions(classes=8))
    assert {codes.judge("x", word) for word in (*EXPRESSIONS, CONTEMPT)} == {*EXPRESSIONS, CONTEMPT}
    for word in LEFT_OUT[1:]:
        reject = codes.judge("x", word)
        assert isinstance(reject, Reject) and reject.by_protocol and "eight expressions" in reject.reason
