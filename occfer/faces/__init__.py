"""occfer/faces"""
