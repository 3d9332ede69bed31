"""occfer/cli"""
