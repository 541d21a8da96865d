"""Convolutions between fields on groups that are finer than the pixel lattice: c8, c16, d8, so2, o2."""
