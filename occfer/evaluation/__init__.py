"""Trained models tested, compared, profiled and shown: on which samples, with which results, in which folder.

How a number is computed belongs to `occfer.metrics`, and what a protocol of the paper tests to `occfer.protocols`.
"""
