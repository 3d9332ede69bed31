"""occfer/evaluation"""
