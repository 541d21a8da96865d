"""Subsampling that breaks no symmetry (Xu, Kim, Rainforth & Teh 2021)."""
