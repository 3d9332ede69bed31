"""Manifests that travel: verify a build, publish its manifest, and replay the build from it on another machine.

What makes a build in the first place is in `occsynth.build`; what a manifest is, in `occsynth.manifest`.
"""
