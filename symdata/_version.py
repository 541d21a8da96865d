"""The version of symdata: its only home. The build backend reads it from here, so does `symdata --version`."""

__version__ = "0.1.0"
