"""Reading manifests and dividing their samples into training, validation and test."""

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from occfer.data.manifests import EXPRESSIONS, Corpus, image_path, read_build, read_corpus, read_landmarks
from occfer.data.splits import Split, split_corpus
from occfer.errors import DataError
from occsynth import reading
from occsynth.databases import record
from occsynth.manifest import Row
from tests.occfer.toy_builds import WORDS, Build, edited, without_clean, write_build

MakeBuild = Callable[..., Path]


def divide(
    *manifests: Path, tests: tuple[Path, ...] = (), fold: int | None = None, val: float = 0.1, seed: int = 0
) -> tuple[Corpus, Split]:
    corpus = read_corpus(manifests, tests)
    return corpus, split_corpus(corpus, fold=fold, val_fraction=val, seed=seed)


def subjects(corpus: Corpus, indices: tuple[int, ...]) -> set[str]:
    return {corpus.samples[index].subject for index in indices}


def parts(split: Split) -> list[int]:
    return sorted([*split.train, *split.val, *split.test, *split.duplicates, *split.without_clean])


def test_the_words_are_occsynths() -> None:
    assert EXPRESSIONS == record.EXPRESSIONS


def test_a_fold_is_tested_and_validation_subjects_are_held_out(make_build: MakeBuild) -> None:
    corpus, split = divide(make_build(), fold=1)
    assert subjects(corpus, split.test) == {"s001", "s004"}
    assert len(subjects(corpus, split.val)) == 1
    assert not subjects(corpus, split.val) & (subjects(corpus, split.train) | subjects(corpus, split.test))
    assert parts(split) == list(range(len(corpus.samples)))
    assert split.classes == WORDS


def test_the_validation_part_follows_the_seed_and_not_the_order(make_build: MakeBuild, tmp_path: Path) -> None:
    manifest = make_build(subjects=9)
    turned = write_build(tmp_path / "turned", Build(subjects=9, edit=lambda rows: rows[::-1]))
    held = []
    for path, seed in ((manifest, 0), (turned, 0), (manifest, 1), (manifest, 2), (manifest, 3)):
        corpus, split = divide(path, fold=0, seed=seed)
        held.append(subjects(corpus, split.val))
    assert held[0] == held[1]
    assert len({tuple(sorted(each)) for each in held}) > 1


def test_without_subjects_validation_is_stratified(make_build: MakeBuild) -> None:
    def ten_of_each(rows: list[Row]) -> list[Row]:
        return [
            replace(row, pair_id=f"{row.pair_id}_{copy}", source_pixels_sha256=f"{row.pair_id}{copy}")
            for row in rows
            for copy in range(10)
        ]

    corpus, split = divide(
        make_build(subjects=0, folds=0, edit=ten_of_each), tests=(other_database(make_build),), val=0.2
    )
    counts = {word: sum(corpus.samples[index].expression == word for index in split.val) for word in WORDS}
    assert counts == dict.fromkeys(WORDS, 2)


def other_database(make_build: MakeBuild, **settings: Any) -> Path:
    return make_build(**({"name": "far", "database": "faraway", "folds": 0, "subjects": 2} | settings))


def test_an_official_split_is_used_with_its_own_validation_part(make_build: MakeBuild) -> None:
    corpus, split = divide(make_build(folds=0, splits=("train", "val", "test")))
    assert {corpus.samples[index].split for index in split.val} == {"val"}
    assert {corpus.samples[index].split for index in split.test} == {"test"}


def test_where_there_is_no_test_part_the_validation_part_is_tested(make_build: MakeBuild) -> None:
    corpus, split = divide(make_build(folds=0, splits=("train", "train", "val")))
    assert {corpus.samples[index].split for index in split.test} == {"val"}
    assert {corpus.samples[index].split for index in split.val} == {"train"}


def test_all_of_a_test_manifest_of_another_database_is_tested(make_build: MakeBuild) -> None:
    corpus, split = divide(make_build(), tests=(other_database(make_build),))
    assert len(split.test) == 14
    assert {corpus.samples[index].database for index in split.test} == {"faraway"}
    assert len(split.train) + len(split.val) == 42


def test_another_mode_of_the_same_database_is_tested_on_the_same_fold(make_build: MakeBuild) -> None:
    corpus, split = divide(make_build(), tests=(make_build(name="toy-r24", mode="r24"),), fold=2)
    assert subjects(corpus, split.test) == {"s002", "s005"}
    assert {corpus.samples[index].mode for index in split.test} == {"r24"}
    assert {corpus.samples[index].mode for index in split.train} == {"r16"}


def test_modes_are_merged_and_keep_a_face_on_one_side(make_build: MakeBuild) -> None:
    corpus, split = divide(make_build(), make_build(name="toy-r8", mode="r8"), fold=0)
    assert len(split.train) + len(split.val) == 56
    trained = {corpus.samples[index].pair_id for index in split.train}
    assert not trained & {corpus.samples[index].pair_id for index in split.val}


def test_real_occlusions_are_only_tested_on(make_build: MakeBuild) -> None:
    real = make_build(name="real", database="wild", mode="real", subjects=2, folds=0, edit=edited(without_clean))
    corpus, split = divide(make_build(), real, fold=0)
    assert {corpus.samples[index].database for index in split.test} == {"toy", "wild"}
    corpus, split = divide(make_build(), real, tests=(other_database(make_build),))
    assert {corpus.samples[index].database for index in split.test} == {"faraway"}
    assert len(split.without_clean) == 14
    with pytest.raises(DataError, match=r"every pair is tested"):
        divide(real)


def test_folds_without_a_choice_are_an_error_that_says_so(make_build: MakeBuild) -> None:
    manifest = make_build()
    with pytest.raises(DataError, match=r"toy comes with folds \(0, 1, 2\): choose the one to test on with --fold"):
        divide(manifest)
    with pytest.raises(DataError, match=r"--fold 7: toy has the folds 0, 1, 2"):
        divide(manifest, fold=7)


def test_a_fold_that_nothing_has_is_an_error(make_build: MakeBuild) -> None:
    with pytest.raises(DataError, match=r"no training manifest has folds"):
        divide(make_build(folds=0, splits=("train", "test")), fold=0)


def test_nothing_to_test_on_is_an_error(make_build: MakeBuild) -> None:
    with pytest.raises(DataError, match=r"nothing to test on.*--test-manifest"):
        divide(make_build(folds=0))


def test_a_subject_on_both_sides_is_refused(make_build: MakeBuild) -> None:
    leaky = make_build(edit=edited(lambda row: replace(row, fold=0 if row.expression == "fear" else 1)))
    with pytest.raises(DataError, match=r"6 subjects are in both the training and the test samples.*s000 of toy"):
        divide(leaky, fold=0)


def test_two_releases_of_one_database_show_the_same_people(make_build: MakeBuild) -> None:
    small = make_build(name="small", database="ck+48", seed=3)
    with pytest.raises(DataError, match=r"in both the training and the test samples"):
        divide(make_build(name="large", database="ck+"), tests=(small,))


@pytest.mark.parametrize("column", ["source_pixels_sha256", "clean_pixels_sha256", "occluded_pixels_sha256"])
def test_copies_of_test_images_leave_the_training_samples(make_build: MakeBuild, column: str) -> None:
    target: dict[str, str] = {}

    def remember(row: Row) -> Row:
        target.setdefault("sha256", getattr(row, column))
        return row

    tests = other_database(make_build, edit=edited(remember))

    def copy(row: Row) -> Row:
        return Row(**(asdict(row) | {column: target["sha256"]})) if row.pair_id == "s003_fear" else row

    corpus, split = divide(make_build(edit=edited(copy)), tests=(tests,))
    assert [corpus.samples[index].pair_id for index in split.duplicates] == ["s003_fear"]
    assert not set(split.duplicates) & {*split.train, *split.val}


def test_a_manifest_of_one_subject_is_a_clear_error(make_build: MakeBuild) -> None:
    with pytest.raises(DataError, match=r"every pair is tested in fold 0; all show one subject"):
        divide(make_build(subjects=1), fold=0)
    alone = make_build(name="alone", subjects=1, folds=0)
    with pytest.raises(DataError, match=r"all of one subject \(s000\).*--val-fraction 0"):
        divide(alone, tests=(other_database(make_build),))
    assert len(divide(alone, tests=(other_database(make_build),), val=0)[1].train) == 7


def test_an_empty_class_is_a_clear_error(make_build: MakeBuild) -> None:
    gap = make_build(edit=edited(lambda row: None if row.expression == "fear" and row.fold != 0 else row))
    with pytest.raises(DataError, match=r"the test samples show the expression fear, of which no training sample"):
        divide(gap, fold=0)


def test_one_class_is_nothing_to_learn(make_build: MakeBuild) -> None:
    with pytest.raises(DataError, match=r"all training samples show one expression"):
        divide(make_build(words=("fear",)), fold=0)


def test_fewer_classes_make_a_shorter_vocabulary_in_the_canonical_order(make_build: MakeBuild) -> None:
    assert divide(make_build(words=("sadness", "anger")), fold=0)[1].classes == ("anger", "sadness")


def test_an_unknown_expression_is_a_clear_error(make_build: MakeBuild) -> None:
    with pytest.raises(DataError, match=r"'s000_anger' has the unknown expression 'rage'; known are anger"):
        read_corpus([make_build(edit=edited(lambda row: replace(row, expression="rage")))])


def test_a_path_that_leaves_the_root_is_refused(make_build: MakeBuild) -> None:
    with pytest.raises(DataError, match=r"leaves its root"):
        corpus = read_corpus([make_build(edit=edited(lambda row: replace(row, clean="../../secret.png")))])
        image_path(corpus.manifests[0], corpus.samples[0].clean)


def test_a_repeated_pair_is_an_error(make_build: MakeBuild) -> None:
    with pytest.raises(DataError, match=r"7 rows repeat a pair_id"):
        read_corpus([make_build(subjects=1, edit=lambda rows: rows * 2)])
    first, second = make_build(), make_build(name="again")
    with pytest.raises(DataError, match=r"'s000_anger' of toy, mode r16, is in .*toy-r16\.csv and in .*again\.csv"):
        read_corpus([first, second])


def test_a_pair_in_two_manifests_of_one_name_is_an_error(make_build: MakeBuild, tmp_path: Path) -> None:
    """A build in two folders, and a part of a manifest beside it, whose JSON names the whole."""
    first = make_build()
    copied = shutil.copytree(first.parents[1], tmp_path / "copy") / "manifests" / first.name
    part = first.with_name("part.csv")
    part.write_bytes(b"".join(first.read_bytes().splitlines(keepends=True)[:4]))
    shutil.copy(first.with_suffix(".json"), part.with_suffix(".json"))
    for second in (copied, part):
        with pytest.raises(DataError, match=r"is in .*toy-r16\.csv and in .*: merge manifests of different"):
            read_corpus([first, second])
    assert [each.name for each in read_corpus([part]).manifests] == ["part"]


def test_a_missing_or_empty_or_withheld_manifest_says_what_to_do(make_build: MakeBuild, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not found. Build it with `occsynth build`"):
        read_corpus([tmp_path / "none.csv"])
    with pytest.raises(DataError, match=r"has no rows; see .*rejects\.csv"):
        read_corpus([make_build(edit=lambda rows: [])])
    with pytest.raises(DataError, match=r"expression is withheld.*occsynth replay"):
        read_corpus([make_build(name="published", withheld=("expression", "subject"))])


def test_a_gzipped_manifest_reads_the_same(make_build: MakeBuild) -> None:
    manifest = make_build()
    plain = read_corpus([manifest])
    manifest.with_name("toy-r16.csv.gz").write_bytes(gzip.compress(manifest.read_bytes()))
    manifest.unlink()
    packed = read_corpus([manifest])
    assert packed.samples == plain.samples
    assert packed.manifests[0].sha256 == plain.manifests[0].sha256


def test_a_manifest_that_unpacks_without_end_is_not_hashed(
    make_build: MakeBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report asks for the digest alone, without reading the rows."""
    monkeypatch.setattr(reading, "GZIP_FREE_BYTES", 2**16)
    manifest = make_build()
    manifest.with_name("toy-r16.csv.gz").write_bytes(gzip.compress(bytes(2**22)))
    manifest.unlink()
    with pytest.raises(DataError, match=r"toy-r16\.csv\.gz cannot be read: it unpacks to more than 50 times its size"):
        read_build(manifest)


@pytest.mark.parametrize("text", ["[", "[]", '{"category": 3}', '{"fill": null}', "[" * 1000])
def test_a_malformed_occlusion_is_named_by_its_pair(make_build: MakeBuild, text: str) -> None:
    manifest = make_build(edit=lambda rows: [replace(rows[0], occlusion=text), *rows[1:]])
    with pytest.raises(DataError, match="column occlusion of pair 's000_anger'"):
        read_corpus([manifest])


def test_a_list_of_rejects_without_its_columns_is_named(make_build: MakeBuild) -> None:
    manifest = make_build()
    manifest.with_name("toy-r16.rejects.csv").write_text("file;why\n")
    with pytest.raises(DataError, match="columns missing: source, reason; columns found: file;why"):
        read_build(manifest)


@pytest.mark.parametrize("text", ["a\0b", "x" * 5000, "y/" * 4000])
def test_a_text_that_is_no_path_is_no_manifest(text: str) -> None:
    with pytest.raises(DataError, match=r"cannot be a manifest|a manifest is a|not found"):
        read_corpus([Path(f"{text}.csv")])


def test_a_manifest_named_twice_is_read_once(make_build: MakeBuild) -> None:
    manifest = make_build()
    corpus = read_corpus([manifest, manifest], [manifest])
    assert len(corpus.manifests) == corpus.training == 1
    assert json.loads(manifest.with_suffix(".json").read_text())["rows"] == len(corpus.samples)


def test_landmarks_are_read_by_pair(make_build: MakeBuild) -> None:
    manifest = make_build(subjects=1)
    read = read_corpus([manifest]).manifests[0]
    with pytest.raises(DataError, match=r"landmarks.npz not found; make it with `occsynth landmarks"):
        read_landmarks(read, ["s000_anger"])
    points = np.arange(2 * 68 * 2, dtype=np.float32).reshape(2, 68, 2)
    np.savez(read.landmarks, pair_ids=np.array(["s000_anger", "s000_fear"]), points_xy=points)
    assert (read_landmarks(read, ["s000_fear", "s000_anger"]) == points[::-1]).all()
    with pytest.raises(DataError, match=r"lacks 1 pairs, 's000_sadness' first"):
        read_landmarks(read, ["s000_sadness"])
