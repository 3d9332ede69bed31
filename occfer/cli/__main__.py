"""`python -m occfer.cli`, the name that torchrun commands of version 0.1 used; new ones say `python -m occfer`."""

from occfer.cli.app import main

main()
