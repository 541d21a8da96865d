"""The errors of the model side; they are caught together with all others as `SymdataError`."""

from symdata.errors import SymdataError


class ModelError(SymdataError):
    """A model that cannot be built, run or traced as asked."""
