"""Template packs: reading one, and making one from cut-outs that somebody already has.

Placing a template on a face belongs to `occsynth.modes`; the shipped templates lie in the repository's `templates/`.
"""
