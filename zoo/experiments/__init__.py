"""The experiments of the literature, run again: what a paper measured, as data, and the parts that measure it anew.

`symdata reproduce using-and-abusing` runs them and prints their tables beside the published numbers.
"""
