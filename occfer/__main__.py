"""`python -m occfer`, which torchrun starts in every process."""

from occfer.cli.app import main

main()
