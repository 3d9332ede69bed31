"""occfer/runs"""
