"""occfer/metrics"""
