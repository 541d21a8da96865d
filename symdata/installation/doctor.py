"""Examine the installation: which packages are missing, broken or in conflict, and the line that repairs each.

Version ranges are read from the installed metadata of symdata, which come from pyproject.toml. Conflicts that the
packages do not declare themselves are listed in `packages.NUMPY_FLOORS` and in `clashes`.
"""

import os
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any, Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from symdata._version import __version__
from symdata.display import Result
from symdata.installation.hints import declared, needs, pip
from symdata.installation.packages import BASE, ESCNN_NEEDS, EXTRAS, NUMPY_FLOORS, OPTIONAL, PURPOSE
from symdata.installation.probe import run_probe

SETTINGS = ("HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_HOME")
"""Environment variables that decide where `hub:` sources come from."""

Requirements = Mapping[str, list[Requirement]]
"""Extra -> what symdata declares that it needs, as `hints.declared` gives it."""


@dataclass(frozen=True)
class Finding:
    """One fact about this installation."""

    name: str
    """Of the package, or the subject of the finding."""
    status: Literal["ok", "absent", "missing", "broken", "clash"]
    """absent: not installed, and symdata works without it. missing, broken, clash: a problem."""
    needed: bool
    """True if symdata does not work without it."""
    version: str | None = None
    detail: str = ""
    """What was found, in words."""
    mend: str | None = None
    """The line to paste into a shell."""

    @property
    def problem(self) -> bool:
        """True if something should be done, whether or not symdata needs the package."""
        return self.status in ("missing", "broken", "clash")


@dataclass(frozen=True)
class Diagnosis(Result):
    """The findings on an installation.

    Example:
        >>> print(Diagnosis((Finding("numpy", "ok", True, "2.4.6"),)))
        ok       numpy            2.4.6
        <BLANKLINE>
        Everything that symdata needs works.
    """

    json_fields = ("healthy", "findings")
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """True if nothing that symdata needs has a problem."""
        return not any(finding.problem and finding.needed for finding in self.findings)

    def parts(self) -> list[str]:
        rows = [f"{f.status:8} {f.name:16} {f.version or '-':14} {f.detail}".rstrip() for f in self.findings]
        mends = [
            f"{f.name} ({f.status if f.needed else f'{f.status}, optional'}):\n  {f.mend}"
            for f in self.findings
            if f.mend
        ]
        ill, well = "symdata does not work until the lines above are run.", "Everything that symdata needs works."
        return ["\n".join(rows), *mends, well if self.healthy else ill]


def diagnose() -> Diagnosis:
    """Examine the running interpreter; takes as long as importing everything once."""
    modules = BASE | OPTIONAL
    versions, requirements = installed(modules), declared("symdata")
    answers = run_probe([module for name, module in modules.items() if name in versions])
    packages = [
        _package(name, versions.get(name), requirements, answers.get(module, {})) for name, module in modules.items()
    ]
    conflicts = clashes(versions)
    if any(clash.needed for clash in conflicts):  # they break the imports, so the same line repairs those
        packages = [replace(finding, mend=None) if finding.status == "broken" else finding for finding in packages]
    found = [_python()]
    if not requirements:
        detail = "not installed, only on the path: no version ranges to check against"
        found.append(Finding("symdata", "absent", False, __version__, detail, pip("install -e .")))
    found += conflicts
    lacking = [name for name in ESCNN_NEEDS if name not in versions]
    if "escnn" in versions and lacking:  # it imports without them and fails later, so that the probe does not notice
        detail = f"escnn needs {', '.join(lacking)}"
        found.append(Finding("escnn's needs", "missing", False, None, detail, steerable_recipe(requirements)))
    found += packages
    if (fonts := answers.get("matplotlib", {}).get("fonts")) is not None:
        found.append(_fonts(fonts))
    found += [Finding(name, "ok", False, detail=os.environ.get(name, "not set")) for name in SETTINGS]
    return Diagnosis(tuple(found))


def installed(names: Iterable[str]) -> dict[str, str]:
    """Distribution -> version, for those of `names` that are installed."""
    versions = {}
    for name in names:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def clashes(versions: Mapping[str, str]) -> list[Finding]:
    """Pairs of installed versions that do not work together, although pip allows them."""
    if "numpy" not in versions:
        return []
    at, numpy, found = {name: Version(text) for name, text in versions.items()}, versions["numpy"], []
    for name, since, floor, older in NUMPY_FLOORS:
        if name in at and at[name] >= Version(since) and at["numpy"] < Version(floor):
            detail = f"{name} {versions[name]} needs numpy >= {floor}, found numpy {numpy}"
            # lie-learn needs numpy 1, so beside it the other package is replaced by an older one
            mend = pip(f'install "{older}"' if "lie-learn" in versions else 'install "numpy>=2.0.2"')
            found.append(Finding(f"numpy / {name}", "clash", True, detail=detail, mend=mend))
    if "lie-learn" in at and at["numpy"] >= Version("2"):
        detail = f"lie-learn {versions['lie-learn']} is compiled against numpy 1, found numpy {numpy}"
        found.append(Finding("numpy / lie-learn", "clash", False, detail=detail, mend=pip("uninstall -y lie-learn")))
    return found


def _python() -> Finding:
    version, where = platform.python_version(), f"{platform.platform()}, symdata {__version__}"
    try:
        wanted = metadata.metadata("symdata")["Requires-Python"]
    except metadata.PackageNotFoundError:
        wanted = None
    if wanted and not SpecifierSet(wanted).contains(version, prereleases=True):
        detail = f"symdata needs Python {wanted}; {where}"
        return Finding("python", "clash", True, version, detail, "make PYTHON=python3.12 demo")
    return Finding("python", "ok", True, version, where)


def _package(name: str, version: str | None, requirements: Requirements, answer: Mapping[str, Any]) -> Finding:
    """The finding on one distribution: is it installed, does it import, is its version in range?"""
    needed = name in BASE
    wanted = _requirement(name, "", requirements)
    if version is None and needed:
        return Finding(name, "missing", True, mend=pip(f'install "{wanted}"'))
    if version is None:
        return _absent(name, requirements)
    if answer.get("error"):
        return Finding(name, "broken", needed, version, answer["error"], _remedy(name, version, requirements))
    if needed and not wanted.specifier.contains(version, prereleases=True):
        return Finding(name, "clash", True, version, f"symdata needs {wanted}", pip(f'install "{wanted}"'))
    return Finding(name, "ok", needed, version, _cuda(answer) if name == "torch" else "")


def _requirement(name: str, extra: str, requirements: Requirements) -> Requirement:
    return next((r for r in requirements.get(extra, []) if r.name == name), Requirement(name))


def _absent(name: str, requirements: Requirements) -> Finding:
    if name == "escnn":
        detail = "only for steerable networks (c8, c16, so2, o2)"
        return Finding(name, "absent", False, detail=detail, mend=steerable_recipe(requirements))
    if name not in EXTRAS:
        return Finding(name, "absent", False, detail=PURPOSE[name])
    extra, purpose = EXTRAS[name]
    mend = pip(f'install "{name}{_requirement(name, extra, requirements).specifier}"')
    return Finding(name, "absent", False, detail=f"only for {purpose}: the extra {extra}", mend=mend)


def steerable_recipe(requirements: Requirements) -> str:
    """The line that installs escnn next to numpy 2, without a Fortran compiler."""
    planar, escnn = needs("planar", requirements), _requirement("escnn", "steerable", requirements)
    first = [pip("install " + " ".join(planar))] if planar else []
    return " && ".join([*first, pip(f"install --no-deps escnn{escnn.specifier}")])


def _remedy(name: str, version: str, requirements: Requirements) -> str:
    if name == "escnn":
        return steerable_recipe(requirements)
    if name in ("torchvision", "lie-learn", "py3nj"):  # symdata does not need them
        return pip(f"uninstall -y {name}")
    return pip(f'install --force-reinstall --no-deps "{name}=={version}"')


def _cuda(answer: Mapping[str, Any]) -> str:
    devices = answer.get("devices") or []
    if devices:
        return f"CUDA {answer.get('cuda')}: {', '.join(devices)}"
    return "CPU build" if answer.get("cuda") is None else f"CUDA {answer['cuda']}, but no device is visible"


def _fonts(count: int) -> Finding:
    """The fonts inside matplotlib, from which the glyphs are drawn; some distributions remove them."""
    if count:
        return Finding("fonts", "ok", True, detail=f"{count} in matplotlib")
    mend = pip("install --force-reinstall --no-deps matplotlib")
    return Finding("fonts", "missing", True, detail="matplotlib came without its fonts", mend=mend)
