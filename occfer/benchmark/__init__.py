"""The benchmark: a frozen suite's columns put to a contestant, and the result that a leaderboard takes.

How suites are made and frozen is in `occsynth.suites`; other people's models become contestants in `occfer.outside`.
"""
