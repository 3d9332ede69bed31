"""occfer/jobs"""
