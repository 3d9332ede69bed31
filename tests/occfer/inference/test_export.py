"""Export: the same answers as torch, only the model in the file, and nothing in an untrusted file is executed."""

import hashlib
import io
import json
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from torch import nn

from occfer.engine.engine import one_process
from occfer.errors import CheckpointError, ConfigError, DataError, ExportError, OccFERError
from occfer.inference import export as export_module
from occfer.inference.export import FORMATS, export
from occfer.inference.exported import HEADER, ExportedInfo
from occfer.inference.onnx_file import open_onnx
from occfer.inference.pt2_file import open_pt2
from occfer.load import load
from occfer.method_table import load_predictor
from occfer.models.classifier import build_classifier
from occfer.runs.checkpoint import save_model
from occfer.runs.model_info import ModelInfo
from tests.builds import ROOT
from tests.occfer.toy_builds import WORDS

SIZE_PX = 24
Images = npt.NDArray[np.uint8]


def info_of(backbone: str = "tiny", **changes: Any) -> ModelInfo:
    info: dict[str, Any] = {
        "method": "full", "branch": "occluded", "view": "occluded", "backbone": backbone, "classes": WORDS,
        "size_px": SIZE_PX, "align": "similarity", "config": {"out": "/home/somebody/runs"}, "data": {"fold": 0},
    }  # fmt: skip
    return ModelInfo(**(info | changes))


def write_model(path: Path, backbone: str = "tiny", seed: int = 0, **changes: Any) -> Path:
    info = info_of(backbone, **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = build_classifier(
            backbone, len(WORDS), stem=info.stem, size_px=info.size_px, network_px=info.network_px
        )
        for module in classifier.modules():
            if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
                module.running_mean.normal_(std=0.1)
        save_model(path, classifier.state_dict(), None, info)
    return path


def pictures(count: int, size_px: int = SIZE_PX) -> Images:
    return np.random.default_rng(count).integers(0, 256, (count, size_px, size_px, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A tiny model's checkpoint, and its export in every format."""
    from occfer.models import BACKBONES
    from tests.occfer.toy_builds import add_tiny_backbone

    folder = tmp_path_factory.mktemp("models")
    add_tiny_backbone()
    made = {"safetensors": write_model(folder / "best.safetensors")}
    for kind, form in FORMATS.items():
        made[kind] = export(made["safetensors"], folder / f"model{form.ending}", kind=kind, faces=pictures(6)).path
    del BACKBONES["tiny"]
    yield made


@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_answers_as_the_checkpoint(files: dict[str, Path], kind: str, tiny_backbone: None) -> None:
    wanted = load_predictor(files["safetensors"], one_process("cpu"))
    found = load(files[kind], device="cpu", batch_size=4).predictor
    assert found.info.classes == WORDS and found.info.size_px == SIZE_PX and found.info.align == "similarity"
    for count in (0, 1, 3, 4, 5, 13):  # below, at and beyond the batch size
        answer = found.probabilities(pictures(count))
        assert answer.shape == (count, len(WORDS)) and answer.dtype == np.float64
        np.testing.assert_allclose(answer, wanted.probabilities(pictures(count)), atol=1e-5)
        np.testing.assert_allclose(answer.sum(axis=1), 1)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_real_backbone_and_a_run_folder(tmp_path: Path, kind: str) -> None:
    model = write_model(tmp_path / "run" / "checkpoints" / "best.safetensors", "resnet18", size_px=48)
    made = export(tmp_path / "run", tmp_path / "out" / f"m.{kind}", kind=kind)
    assert made.compared == 1 + 2 + 5 + 8 and 0 <= made.largest_difference <= 1e-5
    assert made.info.backbone == "resnet18"
    wanted = load(model, device="cpu").predict(pictures(5, 48)).probabilities
    np.testing.assert_allclose(load(made.path, device="cpu").predict(pictures(5, 48)).probabilities, wanted, atol=1e-5)
    assert sorted(path.name for path in made.path.parent.iterdir()) == [made.path.name]


@pytest.mark.parametrize(
    ("backbone", "changes"),
    [
        ("tiny", {"stem": "small"}),
        ("tiny", {"network_px": 64}),
        ("tiny", {"network_px": 32, "stem": "small"}),
        pytest.param("timm:mobilenetv3_small_050", {"stem": "small"}, marks=pytest.mark.slow),
        pytest.param("timm:resnet10t", {"network_px": 64}, marks=pytest.mark.slow),
    ],
    ids=lambda each: each if isinstance(each, str) else "-".join(map(str, each.values())) or "plain",
)
@pytest.mark.parametrize("kind", FORMATS)
def test_stem_and_network_size_are_part_of_the_file(
    tmp_path: Path, kind: str, backbone: str, changes: dict[str, Any], tiny_backbone: None
) -> None:
    model = write_model(tmp_path / "best.safetensors", backbone, size_px=48, **changes)
    made = export(model, tmp_path / f"m.{kind}", kind=kind)
    opened = load(made.path, device="cpu")
    assert (opened.info.stem, opened.info.network_px) == (changes.get("stem", "full"), changes.get("network_px"))
    wanted = load(model, device="cpu").predict(pictures(3, 48)).probabilities
    np.testing.assert_allclose(opened.predict(pictures(3, 48)).probabilities, wanted, atol=1e-5)


def test_the_file_says_what_it_is_but_not_where_it_was_trained(files: dict[str, Path]) -> None:
    digest = hashlib.sha256(files["safetensors"].read_bytes()).hexdigest()
    for opened in (open_onnx(files["onnx"], "cpu"), open_pt2(files["pt2"], "cpu")):
        assert opened.checkpoint_sha256 == digest
        assert opened.info.method == "full" and opened.info.config == {} and opened.info.data == {}
    with zipfile.ZipFile(files["pt2"]) as archive:
        packed = b"".join(archive.read(name) for name in archive.namelist())
    for content in (files["onnx"].read_bytes(), packed):
        for private in (b"somebody", str(ROOT).encode(), b"site-packages", b".py"):
            assert private not in content


def test_the_same_model_gives_the_same_file(files: dict[str, Path], tmp_path: Path, tiny_backbone: None) -> None:
    again = export(files["safetensors"], tmp_path / "model.onnx", kind="onnx").path
    assert again.read_bytes() == files["onnx"].read_bytes()


def test_onnx_needs_neither_torch_nor_the_training_code(files: dict[str, Path]) -> None:
    code = (
        "import sys\nimport numpy as np\nsys.modules['torch'] = None\n"
        "from occfer.load import load\n"
        "model = load(sys.argv[1], device='cpu')\n"
        "found = model.predict(np.zeros((2, 24, 24, 3), np.uint8))\n"
        "print(found.expressions)\n"
        "ours = {name for name in sys.modules if name.startswith('occfer.')}\n"
        "print(sorted(ours), {'torchvision', 'lightning_fabric', 'safetensors', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(files["onnx"])], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    words, loaded = done.stdout.splitlines()
    assert words.count("'") == 4
    wanted = (
        "data", "data.arrays", "data.vocabulary", "errors", "faces", "faces.face", "inference", "inference.exported",
        "inference.onnx_file", "inference.onnx_graph", "inference.recogniser", "load", "models", "models.backbones",
        "models.hub", "models.weight_names", "runs", "runs.model_info", "runs.predictor",
    )  # fmt: skip
    assert loaded == f"{[f'occfer.{name}' for name in wanted]} set()"


def test_a_graph_with_other_answers_is_not_written(
    files: dict[str, Path], tmp_path: Path, tiny_backbone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that computes something else while it is captured, in place of a faulty exporter."""
    plain = export_module.ImagesToLogits.forward

    def faulty(self: export_module.ImagesToLogits, images: torch.Tensor) -> torch.Tensor:
        logits = plain(self, images)
        return logits + 2e-4 if torch.compiler.is_exporting() else logits

    monkeypatch.setattr(export_module.ImagesToLogits, "forward", faulty)
    out = tmp_path / "model.pt2"
    out.write_bytes(b"as it was")
    with pytest.raises(ExportError, match=r"differs from the network by 0\.0002 in a logit at batch size 1, beyond 0"):
        export(files["safetensors"], out, kind="pt2", overwrite=True)
    assert out.read_bytes() == b"as it was" and len(list(tmp_path.iterdir())) == 1


def test_export_says_what_is_wrong(files: dict[str, Path], tmp_path: Path, tiny_backbone: None) -> None:
    model = files["safetensors"]
    with pytest.raises(ExportError, match=r"-o m\.pt2: a file of --format onnx must end in \.onnx"):
        export(model, Path("m.pt2"), kind="onnx")
    with pytest.raises(OccFERError, match="unknown format 'tflite'; choose one of: onnx, pt2"):
        export(model, Path("m.tflite"), kind="tflite")
    with pytest.raises(CheckpointError, match="not found"):
        export(tmp_path / "gone.safetensors", tmp_path / "m.onnx", kind="onnx")
    other = write_model(tmp_path / "other.safetensors", method="pg-cnn")
    with pytest.raises(
        ExportError, match="is of the method 'pg-cnn', which cannot be exported; methods that can be: resnet,"
    ):
        export(other, tmp_path / "m.onnx", kind="onnx")
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match=r"cannot be written .* choose another file"):
        export(model, tmp_path / "file" / "m.pt2", kind="pt2")


@pytest.mark.parametrize("kind", FORMATS)
def test_images_of_another_shape_are_refused(files: dict[str, Path], kind: str) -> None:
    found = FORMATS[kind].open(files[kind])
    for wrong in (pictures(2, 32), pictures(2).astype(np.float32), pictures(1)[0]):
        with pytest.raises(DataError, match=r"the model takes uint8 \(N, 24, 24, 3\)"):
            found.logits(wrong)  # type: ignore[arg-type]  # the wrong type is what is tested


def test_a_missing_device_is_an_error(files: dict[str, Path]) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    for kind in FORMATS:
        with pytest.raises(ConfigError, match="--device cuda: this"):
            load(files[kind], device="cuda")
        with pytest.raises(ConfigError, match="--device mps: "):
            load(files[kind], device="mps")


# ---- files of strangers


def changed(path: Path, out: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    model = onnx.load_model(path)
    change(model)
    out.write_bytes(model.SerializeToString())
    return out


def _external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../../etc/passwd"


def _external_inside_a_node(model: onnx.ModelProto) -> None:
    node = model.graph.node.add()
    node.op_type = "If"
    branch = node.attribute.add()
    branch.name, branch.type = "then_branch", onnx.AttributeProto.GRAPH
    constant = branch.g.node.add()
    constant.op_type = "Constant"
    value = constant.attribute.add()
    value.name, value.type = "value", onnx.AttributeProto.TENSOR
    value.t.external_data.add().key = "location"


def _headless(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


def _header(**changes: Any) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        entry = next(each for each in model.metadata_props if each.key == HEADER)
        entry.value = json.dumps(json.loads(entry.value) | changes)

    return change


def _renamed_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 48


def _fixed_batch(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 2


def _claimed(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [10**6, 10**6]


def _add_node(model: onnx.ModelProto, kind: str, *inputs: npt.NDArray[Any], **attributes: Any) -> None:
    names = [f"in{place}" for place in range(len(inputs))]
    model.graph.initializer.extend(map(onnx.numpy_helper.from_array, inputs, names))
    model.graph.node.append(onnx.helper.make_node(kind, names, ["x"], **attributes))


def _endless(model: onnx.ModelProto) -> None:
    _add_node(model, "ConstantOfShape", np.array([10**9], np.int64))


def _column_and_row(model: onnx.ModelProto) -> None:
    _add_node(model, "Add", np.ones((70_000, 1), np.float32), np.ones((1, 70_000), np.float32))


def _unknown_until_it_runs(model: onnx.ModelProto) -> None:
    _add_node(model, "NonZero", np.ones((3, 3), np.float32))


def _loop(model: onnx.ModelProto) -> None:
    body = onnx.helper.make_graph([], "body", [], [])
    _add_node(model, "Loop", np.array(10**9, np.int64), np.array(True), body=body)


def _later_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 10**9


def _many_nodes(model: onnx.ModelProto) -> None:
    model.graph.node.extend([model.graph.node[0]] * 10_000)


def _unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "RunProgram"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_external, "keeps the tensor .* in another file, which is refused"),
        (_external_inside_a_node, "in another file, which is refused"),
        (_headless, "does not say what it is"),
        (_header(format=9), "has the format 9; this version reads 1"),
        (_header(classes=["a", "a"]), "its classes are not printable words that all differ"),
        (_header(classes=["a", "b"]), "takes .* and returns .*; its metadata promises"),
        (_header(classes="anger"), "classes is 'anger': it must be a valid array"),
        (_header(classes=[str(number) for number in range(101)]), "it has 101 classes"),
        (_header(size_px=10**9), "its size_px is not between 1 and 4096"),
        (_header(size_px=1e9), "size_px is 1000000000.0: it must be a valid integer"),
        (_header(method=["full"]), "method is .*: it must be a valid string"),
        (_header(data="toy", config=[]), "data is 'toy': it must be an object"),
        (_header(kind="state"), "unfinished run"),
        (_renamed_input, "takes .*48.*; its metadata promises|does not load in ONNX Runtime"),
        (_fixed_batch, "takes only batches of a fixed size"),
        (_unknown_operator, "'permute' has the size .-1. for one image, which is unknown"),
        (_claimed, "claims more numbers in the tensor .* than it holds"),
        (
            _endless,
            "'x' has the size .1000000000. for one image, which is unknown .-1. or more than such a model needs",
        ),
        (_column_and_row, r"'x' has the size \[70000, 70000\] for one image"),
        (_unknown_until_it_runs, "for one image, which is unknown"),
        (_loop, "parts that are graphs themselves"),
        (_later_opset, "damaged: its sizes do not fit|does not load in ONNX Runtime|which is unknown"),
        (_many_nodes, "it has more than 10,000 nodes"),
    ],
)
def test_a_hostile_onnx_file_is_refused(
    files: dict[str, Path], tmp_path: Path, change: Callable[[onnx.ModelProto], None], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        open_onnx(changed(files["onnx"], tmp_path / "bad.onnx", change), "cpu")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_file_is_one_clear_error(files: dict[str, Path], tmp_path: Path, kind: str) -> None:
    content = files[kind].read_bytes()
    path = tmp_path / f"bad.{kind}"
    for wrong in (b"", b"no model at all", content[: len(content) // 2], content[:-10]):
        path.write_bytes(wrong)
        with pytest.raises(CheckpointError, match="bad"):
            load(path, device="cpu")
    with pytest.raises(CheckpointError, match="not found"):
        load(tmp_path / f"gone.{kind}", device="cpu")


class Attack:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._path,))


def repacked(path: Path, out: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A copy of an archive after a change to its files, by their names under the root folder."""
    with zipfile.ZipFile(path) as archive:
        root = archive.namelist()[0].partition("/")[0]
        records = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    change(records)
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in records.items():
            archive.writestr(f"{root}/{name}", content)
    return out


def in_graph(old: str, new: str) -> Callable[[dict[str, bytes]], None]:
    def change(records: dict[str, bytes]) -> None:
        text = records["models/model.json"].decode()
        assert old in text
        records["models/model.json"] = text.replace(old, new).encode()

    return change


def test_nothing_in_a_hostile_pt2_archive_is_run(files: dict[str, Path], tmp_path: Path) -> None:
    sign = tmp_path / "was run"
    attack = pickle.dumps(Attack(sign))
    buffer = io.BytesIO()
    torch.save(Attack(sign), buffer)
    call = f"__import__('pathlib').Path({str(sign)!r}).touch()"

    def add(name: str, content: bytes) -> Callable[[dict[str, bytes]], None]:
        return lambda records: records.update({name: content})

    def pickled_weight(records: dict[str, bytes]) -> None:
        name = "data/weights/model_weights_config.json"
        table = json.loads(records[name])
        entry = next(iter(table["config"].values()))
        entry["use_pickle"] = True
        records[f"data/weights/{entry['path_name']}"] = buffer.getvalue()
        records[name] = json.dumps(table).encode()

    def expressions(records: dict[str, bytes], text: str) -> None:
        graph = records["models/model.json"].decode()
        records["models/model.json"] = re.sub(r'"expr_str": "[^"]*"', f'"expr_str": "{text}"', graph).encode()

    def stretched(records: dict[str, bytes]) -> None:
        name = "data/weights/model_weights_config.json"
        table = json.loads(records[name])
        meta = next(iter(table["config"].values()))["tensor_meta"]
        meta["sizes"], meta["strides"] = [{"as_int": 10**12}], [{"as_int": 0}]
        records[name] = json.dumps(table).encode()

    def many_operators(records: dict[str, bytes]) -> None:
        graph = json.loads(records["models/model.json"])
        graph["graph_module"]["graph"]["nodes"] += graph["graph_module"]["graph"]["nodes"][:1] * 10_000
        records["models/model.json"] = json.dumps(graph).encode()

    def guards(records: dict[str, bytes]) -> None:
        graph = json.loads(records["models/model.json"])
        graph["guards_code"] = [call]
        records["models/model.json"] = json.dumps(graph).encode()

    attacks = {
        "sample": add("data/sample_inputs/model.pt", buffer.getvalue()),
        "opaque": add("data/constants/opaque_obj_0", attack),
        "library": add("data/aotinductor/model/run.so", b"\x7fELF"),
        "legacy": add("data/weights/model.pt", buffer.getvalue()),
        "second": add("models/other.json", b"{}"),
        "weight": pickled_weight,
        "guards": guards,
        "expression": in_graph("Symbol('s", f"{call}+Symbol('s"),
        "operator": in_graph("torch.ops.aten.relu.default", "torch.ops.aten.from_file.default"),
        "name": in_graph('"images"', json.dumps(f"images\n{call}")),
        "tree": in_graph("builtins.tuple", "posix.system"),
        "power": in_graph("Symbol('s", "9**9**9**Symbol('s"),
        "long number": in_graph("Symbol('s", "9e999999999+Symbol('s"),
        "number as expression": lambda records: expressions(records, "9e999999999"),
        "word as expression": lambda records: expressions(records, "x.y"),
        "deep expression": lambda records: expressions(records, "(" * 10_000 + "s0" + ")" * 10_000),
        "endless symbol": lambda records: expressions(records, "s" + "0" * 100_000),
        "long word": in_graph('"images"', json.dumps("i" * 100_000)),
        "whole number": in_graph('"as_int": 2}', '"as_int": ' + "9" * 4000 + "}"),
        "copies of one number": stretched,
        "many operators": many_operators,
    }
    for name, change in attacks.items():
        with pytest.raises(CheckpointError, match="was refused, since torch might run what it holds"):
            open_pt2(repacked(files["pt2"], tmp_path / f"{name}.pt2", change), "cpu")
        assert not sign.exists(), name
    same = open_pt2(repacked(files["pt2"], tmp_path / "same.pt2", lambda records: None), "cpu")
    assert same.logits(pictures(2)).shape == (2, len(WORDS))


@pytest.mark.parametrize("levels", [10, 100_000])
def test_a_pt2_archive_of_deep_json_is_one_line(files: dict[str, Path], tmp_path: Path, levels: int) -> None:
    tree = "[" * levels + "]" * levels

    def deep_tree(records: dict[str, bytes]) -> None:
        graph = json.loads(records["models/model.json"])
        graph["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = tree
        records["models/model.json"] = json.dumps(graph).encode()

    def deep_graph(records: dict[str, bytes]) -> None:
        records["models/model.json"] = tree.encode()

    for change in (deep_tree, deep_graph):
        with pytest.raises(CheckpointError, match=r"deep\.pt2 does not load|model\.json of .*deep\.pt2|is not a JSON"):
            open_pt2(repacked(files["pt2"], tmp_path / "deep.pt2", change), "cpu")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (6, b"\x00\x08"),
        (6, b"\x01\x00"),
        (6, b"\x20\x00"),
        (30, b"\x8b\xff"),
        (0, b"XX"),
        (26, b"\xff\xff"),
    ],
    ids=["UTF-8", "password", "patched", "name", "signature", "length"],
)
def test_a_pt2_archive_with_a_damaged_entry_is_one_line(
    files: dict[str, Path], tmp_path: Path, place: int, value: bytes
) -> None:
    content = bytearray(files["pt2"].read_bytes())
    content[place : place + len(value)] = value  # in the header of the first entry
    if place == 6:
        content[30:32] = b"\x8b\xff"
    (tmp_path / "m.pt2").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"m\.pt2 is damaged or not a \.pt2 archive"):
        open_pt2(tmp_path / "m.pt2", "cpu")


def test_a_packed_pt2_archive_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    """A few kilobytes of it could unpack to any size."""
    with (
        zipfile.ZipFile(files["pt2"]) as archive,
        zipfile.ZipFile(tmp_path / "m.pt2", "w", zipfile.ZIP_DEFLATED) as out,
    ):
        for name in archive.namelist():
            out.writestr(name, archive.read(name))
    with pytest.raises(CheckpointError, match=r"m\.pt2 unpacks to more than it is"):
        open_pt2(tmp_path / "m.pt2", "cpu")


def test_a_pt2_archive_that_needs_a_huge_memory_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    """A convolution with a wide margin: the picture of 24 px becomes one of a million."""

    def wide(records: dict[str, bytes]) -> None:
        graph = json.loads(records["models/model.json"])
        nodes = graph["graph_module"]["graph"]["nodes"]
        convolution = next(node for node in nodes if node["target"] == "torch.ops.aten.conv2d.default")
        padding = next(each for each in convolution["inputs"] if each["name"] == "padding")
        padding["arg"]["as_ints"] = [10**6, 10**6]
        records["models/model.json"] = json.dumps(graph).encode()

    with pytest.raises(CheckpointError, match=r"one of its values has .* numbers for one image"):
        open_pt2(repacked(files["pt2"], tmp_path / "wide.pt2", wide), "cpu")


def test_a_pt2_archive_that_does_not_load_is_an_error_without_a_traceback(
    files: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def without_a_node(records: dict[str, bytes]) -> None:
        graph = json.loads(records["models/model.json"])
        graph["graph_module"]["graph"]["nodes"].pop(3)
        records["models/model.json"] = json.dumps(graph).encode()

    def of_half_the_size(records: dict[str, bytes]) -> None:
        half = len(records["data/weights/weight_0"]) // 2
        records["data/weights/weight_0"] = records["data/weights/weight_0"][:half]

    for change in (without_a_node, of_half_the_size):
        with pytest.raises(CheckpointError, match=r"does not load in torch .*; export the model again"):
            open_pt2(repacked(files["pt2"], tmp_path / "less.pt2", change), "cpu")
    assert capfd.readouterr().err == ""


def test_a_pt2_archive_of_another_graph_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(files["pt2"]) as archive:
        root = archive.namelist()[0].partition("/")[0]
        header = json.loads(archive.read(f"{root}/extra/occfer.json"))

    def fewer(records: dict[str, bytes]) -> None:
        records["extra/occfer.json"] = json.dumps(header | {"classes": list(WORDS[:3])}).encode()

    found = open_pt2(repacked(files["pt2"], tmp_path / "fewer.pt2", fewer), "cpu")
    with pytest.raises(CheckpointError, match=r"returns the shape \(2, 7\), but its metadata promises \(2, 3\)"):
        found.logits(pictures(2))
    for name in ("extra/occfer.json", "models/model.json"):
        with pytest.raises(CheckpointError, match=f"has no {name}"):
            open_pt2(repacked(files["pt2"], tmp_path / "less.pt2", lambda records, name=name: records.pop(name)), "cpu")  # type: ignore[misc]  # mypy has no type for a lambda with a default


@pytest.mark.parametrize("text", [None, "", "[]", "{", "[" * 100_000, '"x"' + " " * 1_000_000])
def test_a_missing_or_damaged_header_is_an_error(text: str | None) -> None:
    with pytest.raises(CheckpointError, match="occfer export"):
        ExportedInfo.from_json(text, Path("m.onnx"))
