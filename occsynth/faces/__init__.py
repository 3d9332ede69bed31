"""What is known about a face in an image: its landmarks, its regions, and how it is aligned.

How a face is occluded belongs to `occsynth.modes`, and the landmark pass of a build to `occsynth.build`.
"""
