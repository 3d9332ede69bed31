"""occsynth/templates"""
