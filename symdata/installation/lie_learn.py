"""A stand-in for lie_learn, so that escnn imports next to numpy 2 and without a compiler.

escnn imports lie_learn for one function of SO(3), `wigner_D_matrix`, which no group acting on the plane ever calls.
The package itself is compiled against numpy 1, and numpy 1 in turn rules out current pyarrow and pandas. With this
stand-in `pip install --no-deps escnn` is enough for c_n, d_n, so2 and o2.
"""

import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NoReturn

from symdata.installation.hints import install_line

_PATH = ("lie_learn", "lie_learn.representations", "lie_learn.representations.SO3")
_MODULE = "lie_learn.representations.SO3.wigner_d"


def stand_in() -> bool:
    """Put the stand-in in place, before the first `import escnn`; True if it is in use.

    Steps aside where the real lie_learn is installed. What the stand-in cannot do it refuses with an ImportError that
    says how to get the real one.
    """
    if "lie_learn" in sys.modules:
        return getattr(sys.modules["lie_learn"], "__file__", None) is None
    if find_spec("lie_learn") is not None:
        return False
    for name in _PATH:
        package = ModuleType(name)
        package.__path__ = []  # an empty path makes it a package with nothing else inside
        sys.modules[name] = package
    leaf = ModuleType(_MODULE)
    leaf.wigner_D_matrix = _wigner_D_matrix  # type: ignore[attr-defined]
    sys.modules[_MODULE] = leaf
    return True


def _wigner_D_matrix(*args: Any, **kwargs: Any) -> NoReturn:  # noqa: N802 (the name that escnn imports)
    raise ImportError(
        "wigner_D_matrix belongs to SO(3) and needs the real lie_learn, which is not installed; groups acting on the "
        f"plane never call it. For SO(3), in an environment of its own: {install_line('steerable')}"
    )
