"""occsynth/sharing"""
