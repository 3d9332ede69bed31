"""A static page that compares the results of benchmarks, suite by suite.

It reads nothing but files of `occfer.benchmark.result`, which may come from anyone; it does not make them.
"""
