"""The command line of occfer, a module for each command: it parses, calls the library, and prints.

It computes nothing itself, and loads torch, OpenCV and the like only inside the command that needs them.
"""
