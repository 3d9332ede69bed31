"""Files of settings: all forms say the same, are refused in the same words, and come back as they were saved."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.config import TrainConfig
from occfer.errors import ConfigError
from occfer.recipes import RECIPES, Recipe
from occfer.setting import setting_of, to_plain
from occfer.settings_file import NOT_IN_FILE, read_settings, read_yaml, save_settings

ENDINGS = (".json", ".toml", ".yaml", ".yml")
MANIFEST = Path("a.csv")
HINTS = get_type_hints(TrainConfig)
IN_FILE = [each for each in fields(TrainConfig) if each.name not in NOT_IN_FILE]


def written(folder: Path, ending: str, settings: dict[str, Any]) -> Path:
    """A file as a user would type it."""
    path = folder / f"settings{ending}"
    lines = {
        ".json": json.dumps(settings),
        ".toml": "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()),
    }
    path.write_text(lines.get(ending, "".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items())))
    return path


def config_of(path: Path) -> TrainConfig:
    return TrainConfig.from_json({"manifests": [str(MANIFEST)]} | read_settings(path, NOT_IN_FILE))


@pytest.mark.parametrize("ending", ENDINGS)
def test_each_form_says_the_same(tmp_path: Path, ending: str) -> None:
    settings = {"rate": 1e-05, "epochs": 3, "flip": False, "method": "full", "backbone": 'timm:a "b" \\ c'}
    path = written(tmp_path, ending, settings)
    assert read_settings(path, NOT_IN_FILE) == settings
    assert config_of(path.rename(path.with_suffix(ending.upper()))).rate == 1e-05


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"epochs": 1.5}, "--epochs 1.5: must be a whole number"),
        ({"epochs": True}, "--epochs True: must be a whole number"),
        ({"rate": "1e-5"}, "--rate '1e-5': must be a number"),
        ({"flip": 3}, "--flip 3: must be true or false"),
        ({"backbone": 3}, "--backbone 3: must be a text"),
        ({"schedule": "none"}, "--schedule 'none': choose one of constant, linear, cosine, step"),
        ({"cache_dir": ["a"]}, "--cache-dir ['a']: must be a path"),
        ({"rate": 0}, "--rate 0.0: must be greater than 0"),
        ({"magic": 1, "fold": 2}, ": this command has no setting fold, magic"),
    ],
)
def test_what_is_wrong_is_said_in_the_same_words(tmp_path: Path, ending: str, settings: Any, said: str) -> None:
    path = written(tmp_path, ending, settings)
    words = ["train", "--manifest", "a.csv", "--config", str(path), "--save-config", str(tmp_path / "new.json")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line in (f"error: {said}", f"error: --config {path}{said}")
    assert not (tmp_path / "new.json").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.toml", "epochs = 1\nepochs = 2\n", "is not readable TOML: Cannot overwrite a value"),
        ("a.yaml", "epochs: 1\nepochs: 2\n", 'found duplicate key "epochs"'),
        ("a.yaml", "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "a.yaml has the alias *a; write the value out where"),
        ("a.yaml", "- epochs\n", "a.yaml must hold settings such as epochs: 8"),
        ("a.yaml", "", "a.yaml must hold settings such as epochs: 8"),
        ("a.json", "[1]", 'a.json must hold a JSON object such as {"lambda_sim": 1.0}'),
        ("a.conf", "epochs: 8\n", "a.conf is not readable JSON"),
        ("a.toml", "[training]\nepochs = 8\n", "a.toml: this command has no setting training"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    result = CliRunner().invoke(app, ["train", "--manifest", "a.csv", "--config", str(tmp_path / name)])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: --config {tmp_path / name}") and said in line


def values_of(name: str) -> st.SearchStrategy[Any]:
    """Values that a setting allows, as they come from a flag."""
    found, hint = setting_of(TrainConfig.__dataclass_fields__[name]), HINTS[name]
    if get_origin(hint) is not None and str(get_origin(hint)) == "typing.Literal":
        return st.sampled_from(get_args(hint))
    kinds = {hint, *get_args(hint)}
    text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
    if bool in kinds:
        known: st.SearchStrategy[Any] = st.booleans()
    elif int in kinds:
        most = 10**6 if found.at_most is None else int(found.at_most)
        known = st.integers(int(found.at_least or 0), most)
    elif float in kinds:
        known = st.floats(
            found.at_least if found.above is None else found.above,
            found.at_most if found.below is None else found.below,
            exclude_min=found.above is not None,
            exclude_max=found.below is not None,
            allow_nan=False,
            allow_infinity=False,
        )
    elif Path in kinds:
        known = text.map(Path)
    else:
        known = text
    return st.none() | known if type(None) in kinds else known


@st.composite
def configs(draw: st.DrawFn) -> TrainConfig:
    some = draw(st.lists(st.sampled_from([each.name for each in IN_FILE]), unique=True, max_size=len(IN_FILE)))
    values = {name: draw(values_of(name)) for name in some} | {"force": True}
    if values.get("guide") != "everywhere":
        values["pairing"] = "paired"
    return TrainConfig(manifests=(MANIFEST,), **values)


@pytest.mark.parametrize("ending", ENDINGS[:3])
@hypothesis_settings(max_examples=40, deadline=None)
@given(config=configs())
def test_what_is_saved_is_read_back_as_the_same_run(
    tmp_path_factory: pytest.TempPathFactory, ending: str, config: TrainConfig
) -> None:
    path = tmp_path_factory.mktemp("saved") / f"settings{ending}"
    save_settings(path, config)
    assert config_of(path) == config
    save_settings(path, config)  # its own file may be written again


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("recipe", [None, *RECIPES])
def test_every_setting_is_in_the_file(tmp_path: Path, ending: str, recipe: Recipe | None) -> None:
    path = tmp_path / f"settings{ending}"
    words = ["train", "--manifest", "a.csv", "--lambda-sim", "2", "--save-config", str(path)]
    result = CliRunner().invoke(app, words if recipe is None else [*words, "--recipe", recipe])
    assert result.exit_code == 0 and result.stdout == f"config\t{path}\n", result.output
    found = read_settings(path, NOT_IN_FILE)
    chosen: dict[str, Any] = (dict(RECIPES[recipe]) if recipe else {}) | {"lambda_sim": 2.0}
    for each in IN_FILE:
        wanted = to_plain(chosen.get(each.name, each.default))
        assert found.get(each.name) == wanted, each.name
        assert each.name in path.read_text() or (wanted is None and ending == ".toml")
    again = tmp_path / f"again{ending}"
    words = ["train", "--manifest", "b.csv", "--config", str(path), "--save-config", str(again)]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert again.read_bytes() == path.read_bytes()


def test_a_saved_file_is_of_the_run_and_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", "--manifest", "none.csv", "--epochs", "0", "--save-config", "deep/mine.toml"]
    assert CliRunner().invoke(app, [*words, "--epochs", "-1"]).exit_code != 0
    assert CliRunner().invoke(app, words).exit_code == 0
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")] == ["deep/mine.toml"]
    assert "\n# stage 2\n" in (tmp_path / "deep/mine.toml").read_text()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.txt", "a.txt: the name must end in .json, .toml, .yaml or .yml"),
        ("thesis.json", "thesis.json already exists and holds something else. Give another name"),
        ("folder.yaml", "folder.yaml already exists and holds something else. Give another name"),
        ("thesis.json/a.toml", "a.toml cannot be written: "),
    ],
)
def test_a_file_that_cannot_be_saved_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("thesis.json").write_text('{"epochs": 3}')
    Path("folder.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"^--save-config ") as caught:
        save_settings(Path(name), TrainConfig(manifests=(MANIFEST,)))
    assert said in str(caught.value)
    assert Path("thesis.json").read_text() == '{"epochs": 3}'


def test_a_yaml_file_comes_back_in_the_types_of_json(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: a  # of the run\nrate: 1e-5\nnorm: no\ntable: {n: 3, words: [u, v], x: ~}\n")
    table = {"n": 3, "words": ["u", "v"], "x": None}
    assert read_yaml(path) == {"name": "a", "rate": 1e-5, "norm": "no", "table": table}
    path.write_text("# nothing\n")
    assert read_yaml(path) is None


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: 1\na: 2\n", 'duplicate key "a"'),
        ("a: {b: 1, b: 2}\n", 'duplicate key "b"'),
        (BOMB, r"has the alias \*a; write the value out"),
        ("a: " + "[" * 30_000, "nested deeper than 32"),
        ("- " * 30_000, "nested deeper than 32"),
        ("a: " + "[" * 40 + "]" * 40, "nested deeper than 32"),
        ("# " + "x" * 70_000, "larger than 65,536 bytes"),
        ("a: 2020-01-01", "a date, a time or no finite number"),
        ("a: .nan", "no finite number"),
        ("a: !!binary aGk=", "not JSON serializable"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("1: 2", "has the name 1, which is no text"),
        ("a: {~: 2}", "has the name None, which is no text"),
        ("? [1]\n: 2", r"has the name \(1,\), which is no text"),
        ("a: 1\n---\na: 2\n", "but found another document"),
        ("a: [1", "not readable YAML"),
        ("a: " + "9" * 5000, "not readable YAML: Exceeds the limit"),
        ('a: "\\ud83d"', "surrogates not allowed"),
        ("%YAML 1.1\n---\na: 1.0\nb: 1e-5\n", "should have a dot"),
        ('a: "\udcff"', "not readable YAML"),
    ],
)
def test_other_yaml_is_one_clear_error(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "a.yml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=what) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_yaml_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")
