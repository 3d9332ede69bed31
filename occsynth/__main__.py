"""Runs `occsynth` as `python -m occsynth`."""

from occsynth.cli.app import main

main()
