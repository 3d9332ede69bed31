"""occfer/inference"""
