"""How many words a vocabulary may have, and how long they may be; what is more was not written by occfer."""

MOST_CLASSES = 100
"""Databases of expressions have fewer than 30; with a million, a layer or a figure would never be finished."""
LONGEST_WORD = 100
"""Letters of the name of a class, a method, a database or a mode."""
