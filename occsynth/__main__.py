"""The program `occsynth`, also as `python -m occsynth`."""

from occsynth.start import start


def main() -> None:
    """Runs the console script `occsynth`."""
    start("occsynth")


if __name__ == "__main__":
    main()
