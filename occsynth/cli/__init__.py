"""occsynth/cli"""
