"""Builds: from a raw database to pairs, masks and manifests, with the same bytes for any number of workers.

How a face is found, aligned and occluded is in `occsynth.faces` and `occsynth.modes`; what is done with a finished
build, in `occsynth.sharing` and `occsynth.pictures`.
"""
