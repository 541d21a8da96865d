"""The errors of the model side; they are caught together with all others as `SymdataError`."""

from symdata.errors import SymdataError


class ModelError(SymdataError):
    """A model that cannot be built, run or traced as asked."""


def describe_error(error: BaseException) -> str:
    """What somebody else's exception says, in one line: its type and its text; of one of ours the text alone."""
    text = " ".join(str(error).split())[:300].rstrip(".")
    if isinstance(error, SymdataError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
