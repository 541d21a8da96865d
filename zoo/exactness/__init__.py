"""Whether a network is exactly equivariant at an input size, by arithmetic alone."""
