"""Other people's models as contestants of a benchmark: an ONNX file, a Python function, or a table of answers.

What a user says of such a model stands in a TOML file, read by `description.py`; models of occfer need none of this.
"""
