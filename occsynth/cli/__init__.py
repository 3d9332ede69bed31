"""The command line `occsynth`: each command parses its options, calls the library and prints what came of it.

What a command computes belongs to the room that it calls, which it imports only when it runs, so that `--help` answers
at once.
"""
