"""occsynth/build"""
