"""`load`: opening a trained model in any format, to use it on pictures."""

from pathlib import Path

from occfer.inference.recogniser import Recogniser
from occfer.models.hub import HUB, checkpoint_file


def local_checkpoint(checkpoint: Path | str) -> Path:
    """The path of a model: as given, or the cached file of `hf://ORG/NAME`, which is downloaded if it is not there yet.

    Raises:
        WeightsError: see `checkpoint_file`.
    """
    path = Path(checkpoint)
    if path.parts[:1] != ("hf:",):
        return path
    return checkpoint_file(HUB + "/".join(path.parts[1:]))


def load(checkpoint: Path | str, *, device: str = "auto", batch_size: int = 64) -> Recogniser:
    """A trained model, ready to be used.

    >>> from occfer.load import load
    >>> model = load("runs/demo", device="cpu")
    >>> model.info.method, len(model.info.classes)
    ('full', 7)

    Args:
        checkpoint: a run folder, a model file, what `occfer export` wrote (.onnx, .pt2), or `hf://ORG/NAME`.
        device: `auto`, `cpu`, `cuda` or `mps`.
        batch_size: images that are predicted together.

    Raises:
        CheckpointError: there is no such model, or the file is damaged or hostile.
        ConfigError: there is no such device.
        UnknownNameError: the model's method is not one that this version knows.
        WeightsError: the file of an `hf://ORG/NAME` can be neither found in the cache nor downloaded.
    """
    path = local_checkpoint(checkpoint)
    if path.suffix == ".onnx" and not path.is_dir():
        from occfer.inference.onnx_file import open_onnx

        return Recogniser(open_onnx(path, device, batch_size), batch_size)
    if path.suffix == ".pt2" and not path.is_dir():
        from occfer.inference.pt2_file import open_pt2

        return Recogniser(open_pt2(path, device, batch_size), batch_size)
    from occfer.engine.engine import one_process
    from occfer.method_table import load_predictor
    from occfer.runs.run_folder import refuse_folds

    refuse_folds(path)
    return Recogniser(load_predictor(path, one_process(device), batch_size), batch_size)
