"""`occfer report`: one self-contained page of the results in some folders, with their tables, figures and provenance.
It only reads what other commands have written and trains nothing; everything that comes from a file is shown as text.
"""
