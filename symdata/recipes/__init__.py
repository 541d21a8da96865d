"""From a source, a symmetry and a seed to a dataset: the recipes of the literature, and the plan of any dataset."""
