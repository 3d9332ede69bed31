"""occsynth/pixels"""
