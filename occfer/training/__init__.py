"""occfer/training"""
