"""Arrays of pixels: reading sources, decoding, encoding, hashing and warping, with the same result on every machine.

Code that knows what a face, a template or a mode is does not belong here.
"""
