"""From pictures and videos to aligned faces, their landmarks, and new occlusions while training: what occsynth does.

No room but this one and `occfer.data.manifests` imports occsynth's library; what a model says of a face is not decided
here.
"""
