"""occsynth/faces"""
