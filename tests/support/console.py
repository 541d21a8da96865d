"""Running `symdata` as a user does, in a process of its own."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def symdata_script(folder: Path) -> Path:
    """The folder that holds a `symdata` to put on PATH: the installed one, or a shim written into `folder`.

    The shim serves a checkout that is on the path without being installed.
    """
    installed = Path(sys.executable).with_name("symdata")
    if installed.exists():
        return installed.parent
    folder.mkdir(parents=True, exist_ok=True)
    shim = folder / "symdata"
    command = f"PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m symdata"
    shim.write_text(f'#!/bin/sh\n{command} "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    return folder


def shell(line: str, cwd: Path, scripts: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Runs `line` in bash in folder `cwd`, with `scripts` first on PATH; stdout and stderr are captured."""
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
