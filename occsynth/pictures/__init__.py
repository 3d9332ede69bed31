"""occsynth/pictures"""
