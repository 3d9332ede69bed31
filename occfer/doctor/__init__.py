"""Whether occfer works on this machine: what is installed, and short checks of a GPU against the CPU.

A check uses the product as a user does and judges it by a tolerance that it states; it repairs nothing.
"""
