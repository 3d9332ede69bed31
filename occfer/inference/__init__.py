"""Using a trained model: on pictures, on samples, on videos with drawn answers, and exported for other programs.

Finding faces belongs to `occfer.faces`, and nothing here trains; exported ONNX files are used without torch.
"""
