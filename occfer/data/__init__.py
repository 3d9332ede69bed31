"""From manifests to batches: reading them, dividing their samples, decoding images once, and drawing augmented pairs.

Of occsynth only `manifests` knows anything; what the samples are used for is decided in the rooms above.
"""
