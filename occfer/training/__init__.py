"""From a configuration to finished runs: training one method, every fold of it, and measuring how fast that goes.

The loop, the stages and the processes belong to `occfer.engine`; what a protocol trains is decided in the rooms above.
"""
