"""What `symdata.installation.doctor` runs in a child process: imports modules one by one and says how each one went.

A child, because a broken binary may end the interpreter instead of raising, and because an import cannot be undone.
It answers with one JSON line per module on stdout.
"""

import json
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from symdata.installation.lie_learn import stand_in


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
"""Module -> what else is worth knowing about it, once it is imported."""


def main(names: list[str]) -> None:
    """Probe each module; stdout carries the answers only, what the modules themselves print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for name in names:
        answers.write(json.dumps(probe(name)) + "\n")
        answers.flush()  # the next import may be the one that ends this process
