"""Import modules in a child process, one by one, and report how each import went.

A child, because a broken binary may end the interpreter instead of raising, and because an import cannot be undone.
It answers with one JSON line per module on stdout.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from symdata.installation.lie_learn import stand_in

SECONDS = 300
"""An import that takes longer counts as broken; from a cold disk, torch needs tens of seconds."""


def run_probe(modules: list[str]) -> dict[str, dict[str, Any]]:
    """Module -> what `probe` says about it; after a module that ends the child, another child imports the rest."""
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
    try:
        child = subprocess.run([sys.executable, "-P", "-c", code, *modules], capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as expired:
        return _answers(expired.stdout or b""), f"no answer in {SECONDS} s"
    end = signal.Signals(-child.returncode).name if child.returncode < 0 else f"exit code {child.returncode}"
    return _answers(child.stdout), end


def _answers(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.decode().splitlines(keepends=True) if line.endswith("\n")]


def main(names: list[str]) -> None:
    """In the child: probe each module. stdout carries the answers only; what the modules print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for name in names:
        answers.write(json.dumps(probe(name)) + "\n")
        answers.flush()  # the next import may end this process


def probe(name: str) -> dict[str, Any]:
    """Import module `name`; `{"module", "error", ...facts}` with error None if it went well."""
    if name == "escnn":
        stand_in()
    try:
        module = import_module(name)
        facts = FACTS[name](module) if name in FACTS else {}
    except Exception as error:  # noqa: BLE001 (whatever a broken package raises is the answer here)
        text = str(error).strip().splitlines() or [""]
        return {"module": name, "error": f"{type(error).__name__}: {text[0][:120]}"}
    return {"module": name, "error": None, **facts}


def _torch_facts(torch: ModuleType) -> dict[str, Any]:
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"cuda": torch.version.cuda, "devices": devices}


def _matplotlib_facts(matplotlib: ModuleType) -> dict[str, Any]:
    return {"fonts": len(list(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf")))}


FACTS: dict[str, Callable[[ModuleType], dict[str, Any]]] = {"torch": _torch_facts, "matplotlib": _matplotlib_facts}
"""Module -> what else is reported about it."""
