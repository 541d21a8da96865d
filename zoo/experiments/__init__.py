"""The experiments of the literature, run again: what a paper measured, as data, and the parts that measure it anew.

`symdata reproduce NAME` runs them and prints their tables, beside the published numbers where there are some.
"""
