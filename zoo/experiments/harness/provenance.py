"""Where a number comes from: the commit of this checkout and whether files differ from it, software, processor.

No host name, user or path is kept: a record is published.
"""

import os
import platform
import subprocess
from pathlib import Path
from typing import NamedTuple

import torch

import symdata

CODE = ("symdata", "zoo", "cli", "cards", "pyproject.toml")
"""What decides a result. A file elsewhere, such as a record that was just rendered, makes no run unclean; a new file
among these does, because families of networks are found by their files."""


class Provenance(NamedTuple):
    """Code and machine of a run."""

    commit: str | None
    """The first twelve digits; None outside a checkout, where `software` names the version."""
    dirty: bool | None
    """Whether a file of `CODE` differs from the commit; None where there is no commit."""
    software: str
    machine: str
    """Processor, number of cores, operating system, threads of the process."""


def provenance() -> Provenance:
    """The code and the machine of this process.

    Example:
        >>> found = provenance()
        >>> found.software.startswith("symdata ") and (found.commit is None) == (found.dirty is None)
        True
    """
    return Provenance(*checkout(Path(__file__).parents[3]), software(), machine())


def checkout(root: Path) -> tuple[str | None, bool | None]:
    """The commit of a checkout and whether files of `CODE` differ from it; twice None for a folder that is none.

    Example:
        >>> checkout(Path("no-such-folder"))
        (None, None)
    """
    try:
        top = _git(root, "rev-parse", "--show-toplevel")
        name = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=all", "--", *CODE)
    except (OSError, subprocess.SubprocessError):
        return None, None
    if Path(top).resolve() != root.resolve():  # a wheel inside somebody else's checkout
        return None, None
    return name[:12], bool(changed)


def software() -> str:
    """The versions of symdata, torch and Python."""
    return f"symdata {symdata.__version__}, torch {torch.__version__}, Python {platform.python_version()}"


def machine() -> str:
    """Processor, cores, system and threads."""
    threads = torch.get_num_threads()
    return f"{processor()}, {os.cpu_count()} cores, {platform.system()}, {threads} thread(s)"


def processor() -> str:
    """The processor by name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
