"""Many training runs as jobs: the graph that runs each once, what a worker does, which settings a job's key covers, and
the search for settings. Which jobs a table of the paper needs is decided in `occfer.protocols`.
"""
