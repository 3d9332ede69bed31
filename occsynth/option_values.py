"""The values that closed options take, such as `--fill`: one list each, for the library and the command line.

Loads nothing, so that `--help` can show them at once.
"""

from typing import Literal, get_args

Fill = Literal["template", "black", "mean", "noise"]
"""What hides the face: a template, or a plain patch of one colour or of noise."""

FILLS: tuple[Fill, ...] = get_args(Fill)

Look = Literal["natural", "pasted"]
"""How a template looks on a face: as if photographed with it, or as it is."""

LOOKS: tuple[Look, ...] = get_args(Look)

SquareAt = Literal["picture", "face"]
"""Where squares lie: anywhere in the picture, or with their centre on the face."""

SQUARES_AT: tuple[SquareAt, ...] = get_args(SquareAt)

AlignKind = Literal["similarity", "none"]
"""How an aligned face is cut from its source."""

ALIGNMENTS: tuple[AlignKind, ...] = get_args(AlignKind)

ImageFormat = Literal["png", "jpeg"]
"""File format of clean and occluded images; masks are always PNG."""

IMAGE_FORMATS: tuple[ImageFormat, ...] = get_args(ImageFormat)

Backend = Literal["loky", "dask", "slurm"]
"""Where chunks of work run: processes on this machine, a Dask cluster, or jobs of a SLURM cluster."""

BACKENDS: tuple[Backend, ...] = get_args(Backend)

ExportFormat = Literal["imagefolder", "parquet", "webdataset"]
"""What other programs load a build from."""

ExportTo = Literal[ExportFormat, "croissant"]
"""What `occsynth export --to` takes: a format, or a description of the build."""

EXPORTS: tuple[ExportTo, ...] = get_args(ExportTo)

TemplateSplit = Literal["all", "train", "test"]
"""Which templates of a pack are drawn: all, those for training, or those held out for testing."""

TEMPLATE_SPLITS: tuple[TemplateSplit, ...] = get_args(TemplateSplit)

CATEGORIES = ("food", "hand", "drink")
"""Template categories to draw from by default."""

WEAR = "wear"
"""The category of templates that are worn, and so lie where they belong on a face, see `occsynth.templates.wear`."""

ImportKind = Literal["auto", "rgba", "masks", "coco"]
"""How cut-outs to import are stored: RGBA images, images with masks, or COCO instances; `auto` looks at them."""

IMPORT_KINDS: tuple[ImportKind, ...] = get_args(ImportKind)

Side = Literal["top", "right", "bottom", "left"]

Edge = Literal["", Side]
"""The side of a template at which its object continues outside the picture, as an arm does; empty for none."""

EDGES: tuple[Edge, ...] = get_args(Edge)

EdgeOption = Literal["auto", "none", Side]
"""What `--base-edge` takes."""
