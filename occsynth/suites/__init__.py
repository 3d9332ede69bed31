"""Suites: frozen sets of test faces, clean and occluded, that everyone is tested on and nobody can mix up.

A suite names what is built and holds published manifests; how models are tested on one belongs to occfer.
"""
