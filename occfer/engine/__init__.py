"""One run in one or several processes: devices, the data of the run, the two stages, and the loop over their rounds.

What a method computes in a step belongs to `occfer.methods`; which manifests and settings a run has is decided above.
"""
