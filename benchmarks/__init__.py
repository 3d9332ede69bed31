"""Benchmarks of both packages, each against a reference that does the same work in the plainest way.

Run them with `python -m benchmarks`; nothing in occsynth or occfer imports them.
"""
