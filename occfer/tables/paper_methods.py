"""The methods of the paper's tables, in their order, and ours beside them."""

# The paper's own method, with all four losses.
FULL = "full"
PAPER_METHODS = (
    "rgbt", "wls-rf", "pg-cnn", "gacnn", "resnet", "sim", "lir", "sim+lir", "adv", "rec", "adv+rec", FULL,
)  # fmt: skip
# Trained for as long as the guided methods, without guidance.
CONTROL = "resnet-long"
# The clean branch on occluded and on clean images; neither is ever in a paired test.
CLEAN_ON_OCCLUDED, CLEAN = "clean-on-occluded", "clean"
REFERENCES = (CLEAN_ON_OCCLUDED, CLEAN)
# Table 2 has all methods; Tables 1 and 3 leave out the two that are not deep networks.
ALL_METHODS = (*PAPER_METHODS, CONTROL, *REFERENCES)
PAPER_DEEP_METHODS = PAPER_METHODS[2:]
DEEP_METHODS = (*PAPER_DEEP_METHODS, CONTROL, *REFERENCES)
# Patch-gated networks. Their training is so slow that a quick call gives them a few updates, or none.
PATCH_METHODS = frozenset({"pg-cnn", "gacnn"})
