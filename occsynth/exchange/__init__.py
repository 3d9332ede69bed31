"""Builds in the formats that other programs load: image folders, Parquet, WebDataset, and descriptions in Croissant.

A build itself is never changed here, and what is read back into occsynth is its manifest alone.
"""
