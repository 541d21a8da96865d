"""Probability measures on O(2): the protocol, the forms that have a text, mixtures, and laws of one's own."""

from symdata.measures.angles import Gaussian, VonMises
from symdata.measures.base import UNIFORMS, Atoms, Measure, degree, is_discrete, is_lattice, number, overlap
from symdata.measures.density import Density
from symdata.measures.mixture import Mixture, Point
from symdata.measures.registry import Law, find_law, register_law
from symdata.measures.uniform import Arc, Partial

__all__ = [
    "UNIFORMS",
    "Arc",
    "Atoms",
    "Density",
    "Gaussian",
    "Law",
    "Measure",
    "Mixture",
    "Partial",
    "Point",
    "VonMises",
    "degree",
    "find_law",
    "is_discrete",
    "is_lattice",
    "number",
    "overlap",
    "register_law",
]
