"""occfer/tables"""
