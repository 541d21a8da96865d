"""Gradient descent of unconstrained networks that start equivariant, and ensembles that become so."""
