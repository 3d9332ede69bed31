"""`python -m occfer.cli`, the name that torchrun commands of version 0.1 used; new ones say `python -m occfer`."""

from occsynth.start import start

if __name__ == "__main__":
    start("occfer")
