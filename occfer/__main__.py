"""The program `occfer`, also as `python -m occfer`, which torchrun starts in every process."""

from occsynth.start import start


def main() -> None:
    """Runs the console script `occfer`."""
    start("occfer")


if __name__ == "__main__":
    main()
