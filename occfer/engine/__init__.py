"""occfer/engine"""
