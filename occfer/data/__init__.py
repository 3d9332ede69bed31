"""occfer/data"""
