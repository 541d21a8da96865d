"""The errors of the model side; they are caught together with all others as `SymdataError`."""

from symdata.errors import SymdataError


class ModelError(SymdataError):
    """A model that cannot be built, run or traced as asked.

    Example:
        >>> from zoo import create
        >>> create("p4ccn_28")
        Traceback (most recent call last):
        ...
        zoo.errors.ModelError: 'p4ccn_28' is no network of the zoo; did you mean p4cnn_28 or ...
    """


class CodeNeededError(ModelError):
    """A model whose network is made by code that nobody has named.

    Example:
        >>> from zoo.models.own import OwnArchitecture
        >>> print(OwnArchitecture("Net", "mynet:build").needs_code("mine"))
        'mine' is a network of somebody's own: its class Net was made by mynet:build, and the folder has no code; ...
    """


def describe_error(error: BaseException) -> str:
    """An exception in one line: the text of one of ours, the type and the text of any other.

    Example:
        >>> describe_error(KeyError("size")), describe_error(ModelError("no size"))
        ("KeyError: 'size'", 'no size')
    """
    text = " ".join(str(error).split())[:300].rstrip(".")
    if isinstance(error, SymdataError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
