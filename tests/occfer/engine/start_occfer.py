"""The command line of occfer with the backbone `tiny`, on one thread, for tests that kill it."""

import torch

from occfer.cli.app import main
from tests.occfer.toy_builds import add_tiny_backbone

# Processes that a run starts import this module too, and need the backbone.
torch.set_num_threads(1)
add_tiny_backbone()

if __name__ == "__main__":
    main()
