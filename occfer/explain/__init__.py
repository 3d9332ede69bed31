"""`occfer explain`: where on a face a network looks for its answer, and how much of that lies on what hides the face.
What is made of the shares of many faces, and how they are stored, belongs to `occfer.metrics`.
"""
