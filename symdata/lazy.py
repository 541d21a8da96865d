"""Public names that are imported when they are first used, so that `import symdata` takes milliseconds."""

import re
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

_IMPORT = re.compile(r"^ *from (\S+) import (\w+) as \2$", re.MULTILINE)


def lazy_names(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make `__getattr__`, `__dir__` and `__all__` of a package whose names are imported when they are first used.

    The names stand in its `__init__.py` once, where type checkers find them: below `if TYPE_CHECKING`, one a line, as
    `from symdata.groups import Group as Group`. No module of the package may have the name of a public name, but one
    that can be called as it: that module is the value.

    Args:
        package: the `__name__` of the package.

    Example:
        >>> get, names, public = lazy_names("symdata")
        >>> names() == public, "Group" in public, str(get("Group")(4))
        (True, True, 'c4')
    """
    module = sys.modules[package]
    source: str = module.__loader__.get_source(package)  # type: ignore[union-attr]
    homes = {name: home for home, name in _IMPORT.findall(source)}
    public = sorted(homes)

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(public)}")
        home = import_module(homes[name])
        value = home if homes[name] == f"{package}.{name}" else getattr(home, name)
        setattr(module, name, value)
        return value

    return get, lambda: public, public


def make_callable(name: str, function: Callable[..., Any]) -> None:
    """Let a module be called as the function of its name: `zoo.report(models, data)` is `zoo.report.report(...)`.

    Args:
        name: the `__name__` of the module.
        function: what a call runs.

    Example:
        >>> import sys, types
        >>> sys.modules["doubled"] = types.ModuleType("doubled")
        >>> make_callable("doubled", lambda x: 2 * x)
        >>> import doubled
        >>> doubled(4)
        8
    """

    import inspect

    class CallableModule(ModuleType):
        """A module that may be called as a function."""

        __call__ = staticmethod(function)

    sys.modules[name].__class__ = CallableModule
    vars(sys.modules[name])["__signature__"] = inspect.signature(function)
