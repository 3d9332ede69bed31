"""The endings of files of weights; nothing here needs torch."""

SAFE = (".safetensors",)
PICKLED = (".pth", ".pt", ".pth.tar", ".ckpt", ".bin", ".t7")


def is_weights_name(name: str) -> bool:
    """Whether a file name has an ending of a file of weights, in capitals or not."""
    return name.lower().endswith((*SAFE, *PICKLED))
