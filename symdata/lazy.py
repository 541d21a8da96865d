"""Public names that are imported when they are first used, so that `import symdata` takes milliseconds."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make `__getattr__` and `__dir__` of a package such that its names are imported when they are first used.

    Args:
        package: the `__name__` of the package.
        homes: public name -> the module of the package that defines it; no module may have the name of a public name.

    Example:
        >>> get, names = lazy_names("symdata", {"Group": "groups"})
        >>> names(), str(get("Group")(4))
        (['Group'], 'c4')
    """

    def get(name: str) -> Any:
        if name not in homes:
            has = ", ".join(sorted(homes))
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {has}")
        value = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted(homes)
