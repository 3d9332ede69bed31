"""From a raw face database to pairs of clean and occluded faces, with manifests that replay pixel for pixel.

The top level holds what several rooms share and the callable `Occluder`; what only one room needs belongs there.
"""

__version__ = "0.1.0"
