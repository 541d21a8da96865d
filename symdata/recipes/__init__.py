"""The recipes of the literature, and the plan of a dataset: from a source, a symmetry and a seed to samples."""
