"""Tables of results: the cells made from predictions, the paper's printed figures beside them, and the table as JSON,
CSV, Markdown and LaTeX. Nothing here trains, tests or looks for files of runs: whoever makes a table hands over the
predictions.
"""
