"""The figures of Pan, Wang and Xia, ACM MM 2019 (doi:10.1145/3343031.3351049), as printed in its Tables 1 to 4.

Accuracies in percent; Table 4 in frames per second at batch 8 on one V100, the baselines in one framework and the
paper's own method in another. `PAPER[table][column][method]`; columns that only our tables have are not here.
"""

from occfer.tables.paper_methods import PAPER_DEEP_METHODS, PAPER_METHODS


def _columns(methods: tuple[str, ...], columns: dict[str, tuple[float, ...]]) -> dict[str, dict[str, float]]:
    return {key: dict(zip(methods, values, strict=True)) for key, values in columns.items()}


PAPER: dict[str, dict[str, dict[str, float]]] = {
    "table1": _columns(PAPER_DEEP_METHODS, {
        "raf-db": (78.05, 80.54, 77.54, 80.41, 80.28, 80.57, 81.19, 80.73, 81.35, 81.97),
        "affectnet": (52.47, 54.84, 54.54, 56.02, 55.11, 56.09, 55.94, 55.77, 56.11, 56.42),
        "raf-db->ck+": (79.49, 79.49, 78.46, 77.67, 78.47, 75.79, 79.09, 80.03, 80.66, 79.21),
        "affectnet->ck+": (86.27, 88.17, 88.21, 88.05, 88.52, 89.62, 88.68, 89.46, 89.62, 89.90),
    }),
    "table2": _columns(PAPER_METHODS, {
        "r8": (92.0, 92.2, 96.58, 96.58, 95.91, 96.23, 96.70, 97.48, 96.54, 95.75, 97.17, 97.80),
        "r16": (82.0, 86.4, 95.70, 95.97, 95.13, 95.44, 95.59, 96.54, 95.91, 95.13, 96.38, 96.86),
        "r24": (62.5, 74.8, 92.86, 94.82, 92.30, 92.61, 92.77, 92.92, 93.08, 92.30, 93.40, 94.03),
        "eyes": (88.0, 87.9, 96.50, 96.57, 95.13, 95.28, 95.44, 95.91, 95.91, 95.60, 96.38, 96.86),
        "mouth": (30.3, 72.7, 93.92, 93.88, 92.30, 92.77, 92.45, 92.92, 92.61, 92.45, 93.08, 93.55),
    }),
    "table3": _columns(PAPER_DEEP_METHODS, {
        "fed-ro": (64.25, 66.50, 64.75, 67.25, 67.75, 68.00, 68.75, 68.25, 69.25, 69.75),
    }),
    "table4": {"frames/s": {"pg-cnn": 1.33, "gacnn": 1.19, "full": 155.3}},
}  # fmt: skip

CITATION = "Pan, Wang, Xia: Occluded Facial Expression Recognition Enhanced through Privileged Information, ACM MM 2019"


def paper_figure(table: str, column: str, method: str) -> float | None:
    """The paper's figure, or None where it has none.

    >>> paper_figure("table2", "r8", "full")
    97.8
    >>> paper_figure("table2", "r8", "resnet-long") is None
    True
    """
    return PAPER.get(table, {}).get(column, {}).get(method)
