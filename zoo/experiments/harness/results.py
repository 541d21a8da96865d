"""The record of a reproduction: Markdown to read, JSON to compute with, PNG to look at.

README.md  results.json  runs.jsonl (every run with all it measured, one a line)  <part>.png
"""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import symdata
from zoo.experiments.harness import plots
from zoo.experiments.harness.catalog import CATALOG
from zoo.experiments.harness.experiment import find_experiment
from zoo.experiments.harness.runs import write_json
from zoo.experiments.harness.section import Section
from zoo.experiments.harness.setting import Setting

NOTES = "notes.md"
"""In the folder of the record: what is written there by hand is put below the tables whenever it is made anew."""


def header(setting: Setting) -> dict[str, str]:
    """What has to be known to judge a number: code, machine, command, date."""
    threads = max(1, (os.cpu_count() or 1) // setting.workers) if setting.workers > 1 else torch.get_num_threads()
    return {
        "paper": find_experiment(setting.experiment).paper,
        "command": setting.command,
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{cpu()}, {os.cpu_count()} cores; {setting.workers} process(es) of {threads} thread(s)",
        "device": _device(setting.device),
        "software": f"symdata {symdata.__version__}, torch {torch.__version__}, Python {platform.python_version()}",
        **({"budget": _budget(setting)} if CATALOG[setting.experiment].budgets else {}),
    }


def _budget(setting: Setting) -> str:
    budget, train = setting.budget, setting.budget.train
    images = f"{train.get('limit', 8000):,} training images, {train['epochs']} epochs, batch {train['batch_size']}"
    turned = f"{setting.lattice:,} test images under quarter turns, {budget.curve:,} under 36 angles"
    return f"{budget.name}: {images}; {turned}"


def commit() -> str:
    """The commit of this checkout, marked if files differ from it; the version where there is no checkout."""
    root = Path(__file__).parents[3]
    try:
        top, name, changed = (_git(root, *words) for words in _QUESTIONS)
    except (OSError, subprocess.SubprocessError):
        return f"version {symdata.__version__}"
    if Path(top).resolve() != root.resolve():  # a wheel inside somebody else's checkout
        return f"version {symdata.__version__}"
    return f"{name[:12]} with changes" if changed else name[:12]


_QUESTIONS = (
    ("rev-parse", "--show-toplevel"),
    ("rev-parse", "HEAD"),
    ("status", "--porcelain", "--untracked-files=no"),
)


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def cpu() -> str:
    """The processor by name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _device(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def to_dict(sections: Sequence[Section], setting: Setting) -> dict[str, Any]:
    """Everything as plain data for JSON."""
    facts = header(setting)
    return {"experiment": setting.experiment, **facts, "parts": {s.part: s.to_dict() for s in sections}}


def section_text(section: Section) -> str:
    """A part for a terminal."""
    tables = [*section.tables, *([section.bands] if section.bands else [])]
    return "\n\n".join([section.title, *map(str, tables), f"Cost: {section.cost}."])


def section_markdown(section: Section) -> str:
    """A part for a document."""
    tables = [*section.tables, *([section.bands] if section.bands else [])]
    drawings = [f"![{drawing.title}]({drawing.name}.png)" for drawing in section.drawings]
    body = [f"## {section.title}", *(table.markdown for table in tables), *drawings, f"Cost: {section.cost}."]
    return "\n\n".join(body)


def write(sections: Sequence[Section], setting: Setting) -> list[Path]:
    """The files of the record, into `setting.record` or `setting.out`."""
    out, facts = setting.record or setting.out, header(setting)
    out.mkdir(parents=True, exist_ok=True)
    files = [out / "README.md", out / "results.json", out / "runs.jsonl"]
    facts_text = "\n".join(f"- {name}: {f'`{value}`' if name == 'command' else value}" for name, value in facts.items())
    body = [
        f"# {find_experiment(setting.experiment).title}",
        facts_text,
        *(section_markdown(section) for section in sections),
    ]
    notes = out / NOTES
    body += [notes.read_text(encoding="utf-8").strip()] if notes.exists() else []
    files[0].write_text("\n\n".join(body) + "\n", encoding="utf-8")
    write_json(files[1], to_dict(sections, setting))
    lines = [json.dumps(record.to_dict()) for section in sections for record in section.records]
    files[2].write_text("\n".join(lines) + "\n", encoding="utf-8")
    return files + [plots.write(drawing, out) for section in sections for drawing in section.drawings]
