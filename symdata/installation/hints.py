"""Lines to paste into a shell that install what is missing, for the running interpreter."""

import shlex
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

CLONE = Path(__file__).parents[2]
"""The folder of pyproject.toml, if symdata runs from a clone; no package index has symdata."""


def install_line(extra: str) -> str:
    """The line that installs an extra of symdata, wherever it is run.

    From a clone it installs the clone itself with the extra; elsewhere it installs the packages that the extra needs.

    Args:
        extra: as pyproject.toml names it, such as `train`.

    Example:
        >>> "-m pip install" in install_line("train")
        True
    """
    clone = (CLONE / "pyproject.toml").is_file()
    needs = [] if clone else _needs(extra, declared("symdata"))
    place = CLONE if clone else "."
    return pip("install " + (" ".join(needs) if needs else "-e " + shlex.quote(f"{place}[{extra}]")))


def pip(arguments: str) -> str:
    """A pip line for the running interpreter, whichever environment the shell has activated."""
    return f"{shlex.quote(sys.executable)} -m pip {arguments}"


def declared(name: str) -> dict[str, list[Requirement]]:
    """Extra -> requirements that the installed distribution `name` declares; the base is the extra "".

    Empty if it is not installed, as in a checkout that is only on the path.
    """
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return {}
    result: dict[str, list[Requirement]] = {}
    for requirement in map(Requirement, lines):
        extra = str(requirement.marker).partition("extra == ")[2].strip("\"'") if requirement.marker else ""
        result.setdefault(extra, []).append(requirement)
    return result


def _needs(extra: str, requirements: dict[str, list[Requirement]]) -> list[str]:
    """What pip installs for an extra; one that names other extras of symdata is resolved."""
    found: list[str] = []
    for requirement in requirements.get(extra, []):
        if requirement.name == "symdata":
            found += [need for other in sorted(requirement.extras) for need in _needs(other, requirements)]
        else:
            found.append(f'"{requirement.name}{requirement.specifier}"')
    return found
