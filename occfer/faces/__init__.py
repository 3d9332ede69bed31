"""From pictures and videos to aligned faces, their landmarks, and new occlusions while training: what occsynth does.

Beside `occfer.data.manifests`, and the options of `occfer.cli`, this is the only place that imports occsynth; what a
model answers about a face does not belong here.
"""
