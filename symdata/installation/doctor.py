"""What is installed, what is at odds, and the line that mends it: `diagnose` returns findings and prints nothing.

Version ranges are read from the installed metadata of symdata, whose home is pyproject.toml. What those metadata
cannot know, because the packages themselves do not declare it, stands in `clashes`.
"""

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from symdata._version import __version__
from symdata.installation.hints import declared, pip

BASE = {
    "torch": "torch",
    "kornia": "kornia",
    "datasets": "datasets",
    "huggingface-hub": "huggingface_hub",
    "safetensors": "safetensors.torch",
    "numpy": "numpy",
    "pyarrow": "pyarrow.parquet",
    "pandas": "pandas",  # not ours: datasets imports it
    "pillow": "PIL.Image",
    "matplotlib": "matplotlib",
    "isal": "isal.isal_zlib",
    "zlib-ng": "zlib_ng.zlib_ng",
    "click": "click",
    "jinja2": "jinja2",
    "pyyaml": "yaml",
    "tqdm": "tqdm",
    "packaging": "packaging",
}
"""Distribution -> the module that proves it works. Without one of these symdata does not run."""

ESCNN_NEEDS = ("scipy", "joblib", "pymanopt", "autograd")
"""What escnn calls for groups acting on the plane, some of it only when a basis is first solved for."""

EXTRAS = {
    "accelerate": ("train", "the training loop of `symdata train`"),
    "tensorboard": ("trackers", "curves of a training in TensorBoard"),
    "trackio": ("trackers", "curves of a training in trackio"),
    "transformers": ("transformers", "models given as hf:folder or hf:user/model"),
    "timm": ("timm", "models given as timm:name"),
}
"""Distribution -> the extra that asks for it, and what it is for; escnn has a recipe of its own."""

_SAME = ("escnn", *ESCNN_NEEDS, *EXTRAS, "py3nj", "torchvision")
OPTIONAL = {name: name for name in _SAME} | {"lie-learn": "lie_learn"}
"""The same as BASE for what only the extras need, or what may stand in the way."""

_WITHOUT = {
    "scipy": "only for escnn and the tests",
    **dict.fromkeys(("lie-learn", "py3nj"), "only for SO(3); the plane does without"),
    "torchvision": "not needed",
}

SETTINGS = ("HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_HOME")
"""Environment variables that decide where `hub:` sources come from."""

PROBE_SECONDS = 300
"""An import that takes longer counts as broken; a cold disk needs tens of seconds for torch."""

Status = Literal["ok", "absent", "missing", "broken", "clash"]


@dataclass(frozen=True)
class Finding:
    """One fact about this installation."""

    name: str
    """Of the package, or what the finding is about."""
    status: Status
    """absent: not installed and not missed. missing, broken, clash: a problem."""
    needed: bool
    """True if symdata does not work without it."""
    version: str | None = None
    detail: str = ""
    """What was found, in words."""
    mend: str | None = None
    """The line to paste into a shell."""

    @property
    def problem(self) -> bool:
        """True if something should be done, whether or not it is needed."""
        return self.status in ("missing", "broken", "clash")


def diagnose() -> list[Finding]:
    """Examine the running interpreter; takes as long as importing everything once."""
    versions = installed([*BASE, *OPTIONAL])
    requirements = declared("symdata")
    answers = run_probe([module for name, module in {**BASE, **OPTIONAL}.items() if name in versions])
    packages = [
        _package(name, versions.get(name), requirements, answers.get(module, {}))
        for name, module in {**BASE, **OPTIONAL}.items()
    ]
    at_odds = clashes(versions)
    if any(clash.needed for clash in at_odds):  # what does not import is their consequence: they carry the mend
        packages = [replace(finding, mend=None) if finding.status == "broken" else finding for finding in packages]
    fonts = answers.get("matplotlib", {}).get("fonts")
    found = [_python(), *_itself(requirements), *at_odds, *_bare_escnn(versions, requirements)]
    return [*found, *packages, *_fonts(fonts), *_settings(os.environ)]


def healthy(findings: Iterable[Finding]) -> bool:
    """True if the base works: no problem in anything that is needed."""
    return not any(finding.problem and finding.needed for finding in findings)


def installed(names: Iterable[str]) -> dict[str, str]:
    """Distribution -> version, for those of `names` that are installed."""
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def clashes(versions: Mapping[str, str]) -> list[Finding]:
    """Pairs of installed versions that do not work together, although pip lets them stand side by side."""
    at = {name: Version(text) for name, text in versions.items()}
    numpy, found = at.get("numpy"), []
    if numpy is None:
        return []
    if numpy < Version("2") and at.get("pyarrow", Version("0")) >= Version("26"):
        found.append(_numpy_clash("pyarrow", "2", "pyarrow>=24,<26", versions))
    if numpy < Version("2.0.2") and at.get("pandas", Version("0")) >= Version("3.1"):
        found.append(_numpy_clash("pandas", "2.0.2", "pandas>=3.0,<3.1", versions))
    if numpy >= Version("2") and "lie-learn" in at:
        detail = f"lie-learn {versions['lie-learn']} is compiled against numpy 1, found numpy {versions['numpy']}"
        found.append(
            Finding("numpy / lie-learn", "clash", needed=False, detail=detail, mend=pip("uninstall -y lie-learn"))
        )
    return found


def run_probe(modules: list[str]) -> dict[str, dict[str, Any]]:
    """Module -> what `symdata.installation.probe` says about importing it; a module that ends the child is named."""
    answers: dict[str, dict[str, Any]] = {}
    while left := [module for module in modules if module not in answers]:
        lines, end = _child(left)
        answers.update((line["module"], line) for line in lines)
        if len(lines) < len(left):
            culprit = left[len(lines)]
            answers[culprit] = {"module": culprit, "error": f"importing it ended the interpreter ({end})"}
    return answers


def _child(modules: list[str]) -> tuple[list[dict[str, Any]], str]:
    """The answers of one child process, and how it ended."""
    # -P keeps modules of the current folder out; this package goes last on the path, where it can shadow nothing.
    home = str(Path(__file__).parents[2])
    code = f"import sys; sys.path.append({home!r}); from symdata.installation.probe import main; main(sys.argv[1:])"
    command = [sys.executable, "-P", "-c", code, *modules]
    try:
        child = subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired as expired:
        return _answers(expired.stdout or b""), f"no answer in {PROBE_SECONDS} s"
    end = signal.Signals(-child.returncode).name if child.returncode < 0 else f"exit code {child.returncode}"
    return _answers(child.stdout), end


def _answers(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.decode().splitlines(keepends=True) if line.endswith("\n")]


def _python() -> Finding:
    version, where = platform.python_version(), f"{platform.platform()}, symdata {__version__}"
    try:
        asked = metadata.metadata("symdata")["Requires-Python"]
    except metadata.PackageNotFoundError:
        asked = None
    if asked and not SpecifierSet(asked).contains(version, prereleases=True):
        detail = f"symdata needs Python {asked}; {where}"
        return Finding("python", "clash", True, version, detail, "make PYTHON=python3.12 demo")
    return Finding("python", "ok", True, version, where)


def _itself(requirements: Mapping[str, list[Requirement]]) -> list[Finding]:
    if requirements:
        return []
    detail = "not installed, only on the path: no version ranges to check against"
    return [Finding("symdata", "absent", False, __version__, detail, pip("install -e ."))]


def _package(
    name: str, version: str | None, requirements: Mapping[str, list[Requirement]], answer: Mapping[str, Any]
) -> Finding:
    """The finding on one distribution: is it there, does it import, is it in range?"""
    needed = name in BASE
    wanted = next((r for r in requirements.get("", []) if r.name == name), Requirement(name))
    if version is None:
        if needed:
            return Finding(name, "missing", True, mend=pip(f'install "{wanted}"'))
        return _absent(name, requirements)
    if answer.get("error"):
        return Finding(name, "broken", needed, version, answer["error"], _remedy(name, version, requirements))
    if needed and not wanted.specifier.contains(version, prereleases=True):
        return Finding(name, "clash", True, version, f"symdata needs {wanted}", pip(f'install "{wanted}"'))
    return Finding(name, "ok", needed, version, _cuda(answer) if name == "torch" else "")


def _bare_escnn(versions: Mapping[str, str], requirements: Mapping[str, list[Requirement]]) -> list[Finding]:
    """escnn imports without its needs and then fails in the middle of its work, so the probe does not see it."""
    lacking = [name for name in ESCNN_NEEDS if name not in versions]
    if "escnn" not in versions or not lacking:
        return []
    detail = f"escnn needs {', '.join(lacking)}"
    return [Finding("escnn's needs", "missing", False, None, detail, steerable_recipe(requirements))]


def _absent(name: str, requirements: Mapping[str, list[Requirement]]) -> Finding:
    if name == "escnn":
        detail = "only for steerable networks (c8, c16, so2, o2)"
        return Finding(name, "absent", False, detail=detail, mend=steerable_recipe(requirements))
    if name in EXTRAS:
        extra, purpose = EXTRAS[name]
        wanted = next((r for r in requirements.get(extra, []) if r.name == name), Requirement(name))
        mend = pip(f'install "{name}{wanted.specifier}"')
        return Finding(name, "absent", False, detail=f"only for {purpose}: the extra {extra}", mend=mend)
    return Finding(name, "absent", False, detail=_WITHOUT.get(name, "only for escnn"))


def steerable_recipe(requirements: Mapping[str, list[Requirement]]) -> str:
    """The line that installs escnn next to numpy 2, without a Fortran compiler."""
    needs = " ".join(f'"{r.name}{r.specifier}"' for r in requirements.get("planar", []))
    escnn = next((f"{r.name}{r.specifier}" for r in requirements.get("steerable", []) if r.name == "escnn"), "escnn")
    both = [pip(f"install {needs}")] if needs else []
    return " && ".join([*both, pip(f"install --no-deps {escnn}")])


def _remedy(name: str, version: str, requirements: Mapping[str, list[Requirement]]) -> str:
    if name == "escnn":
        return steerable_recipe(requirements)
    if name in ("torchvision", "lie-learn", "py3nj"):  # nothing of symdata needs them
        return pip(f"uninstall -y {name}")
    return pip(f'install --force-reinstall --no-deps "{name}=={version}"')


def _numpy_clash(name: str, floor: str, older: str, versions: Mapping[str, str]) -> Finding:
    """Mend on the side that is free: lie-learn holds numpy below 2, so beside it the other package goes down."""
    detail = f"{name} {versions[name]} needs numpy >= {floor}, found numpy {versions['numpy']}"
    mend = pip(f'install "{older}"' if "lie-learn" in versions else 'install "numpy>=2.0.2"')
    return Finding(f"numpy / {name}", "clash", needed=True, detail=detail, mend=mend)


def _cuda(answer: Mapping[str, Any]) -> str:
    devices = answer.get("devices") or []
    if devices:
        return f"CUDA {answer.get('cuda')}: {', '.join(devices)}"
    return "CPU build" if answer.get("cuda") is None else f"CUDA {answer['cuda']}, but no device is visible"


def _fonts(count: int | None) -> list[Finding]:
    """The glyphs are drawn from the fonts inside matplotlib; some distributions strip them."""
    if count is None:
        return []
    if count:
        return [Finding("fonts", "ok", True, detail=f"{count} in matplotlib")]
    mend = pip("install --force-reinstall --no-deps matplotlib")
    return [Finding("fonts", "missing", True, detail="matplotlib came without its fonts", mend=mend)]


def _settings(environment: Mapping[str, str]) -> list[Finding]:
    return [Finding(name, "ok", False, detail=environment.get(name, "not set")) for name in SETTINGS]
