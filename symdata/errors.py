"""Every error symdata raises on purpose: one base class, so that an edge (the CLI, a notebook) can catch them all.

A message quotes what came, says what was expected, and offers the mend.
"""


class SymdataError(Exception):
    """Base of all errors that symdata raises for bad input."""


class SymmetryError(SymdataError, ValueError):
    """A group, element or symmetry that does not exist or cannot be used here."""


class ShapeError(SymdataError, ValueError):
    """A tensor whose shape, dtype or size does not fit the operation."""


class SourceError(SymdataError):
    """A source of images that is missing, empty, corrupt or unlabelled."""


class RecipeError(SymdataError, ValueError):
    """A recipe or build option that does not exist or contradicts another."""


class StoreError(SymdataError):
    """A dataset folder that is missing, incomplete, tampered with, or in the way."""


class HubError(SymdataError):
    """The Hub, the network or the name of a repository stood in the way of publishing or fetching."""


class NotOnHubError(HubError):
    """There is no such repository, or it may not be read."""
