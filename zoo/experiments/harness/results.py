"""The record of a reproduction: Markdown to read, JSON to compute with, PNG to look at.

README.md  results.json  runs.jsonl (every run with all it measured, one a line)  <part>.png
"""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import symdata
from symdata.pictures.contact_sheet import save
from symdata.pictures.figure import as_picture
from symdata.store.files import write_file, write_json
from zoo.experiments.harness.catalog import CATALOG
from zoo.experiments.harness.experiment import find_experiment
from zoo.experiments.harness.provenance import processor, provenance, software
from zoo.experiments.harness.section import Section
from zoo.experiments.harness.setting import Setting

NOTES = "notes.md"
"""In the folder of the record: written by hand, and repeated below the tables whenever the record is written."""
PALETTE = 128
"""Colours of a picture's file: lines on white need no more, and it is half as large."""


def header(setting: Setting) -> dict[str, str]:
    """What a reader needs to judge a number: code, machine, command, date."""
    threads = max(1, (os.cpu_count() or 1) // setting.workers) if setting.workers > 1 else torch.get_num_threads()
    device = setting.device
    facts = {
        "paper": find_experiment(setting.experiment).paper,
        "command": setting.command,
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{processor()}, {os.cpu_count()} cores; {setting.workers} process(es) of {threads} thread(s)",
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "software": software(),
    }
    return facts | ({"budget": _budget(setting)} if CATALOG[setting.experiment].budgets else {})


def _budget(setting: Setting) -> str:
    budget, train = setting.budget, setting.budget.train
    images = f"{train.get('limit', 8000):,} training images, {train['epochs']} epochs, batch {train['batch_size']}"
    turned = f"{setting.lattice:,} test images under quarter turns, {budget.curve:,} under 36 angles"
    return f"{budget.name}: {images}; {turned}"


def commit() -> str:
    """The commit of this checkout, marked if files differ from it; the version where there is no checkout."""
    origin = provenance()
    if origin.commit is None:
        return f"version {symdata.__version__}"
    return f"{origin.commit} with changes" if origin.dirty else origin.commit


def to_dict(sections: Sequence[Section], setting: Setting) -> dict[str, Any]:
    """Everything as plain data for JSON."""
    facts = header(setting)
    return {"experiment": setting.experiment, **facts, "parts": {s.part: s.to_dict() for s in sections}}


def write(sections: Sequence[Section], setting: Setting) -> list[Path]:
    """The files of the record, into `setting.record` or `setting.out`."""
    out, notes = setting.record or setting.out, (setting.record or setting.out) / NOTES
    out.mkdir(parents=True, exist_ok=True)
    facts = header(setting) | {"command": f"`{setting.command}`"}
    body = [f"# {find_experiment(setting.experiment).title}"]
    body += ["\n".join(f"- {name}: {value}" for name, value in facts.items())]
    body += [section.markdown for section in sections]
    body += [notes.read_text(encoding="utf-8").strip()] if notes.exists() else []
    runs = [json.dumps(record.to_dict()) for section in sections for record in section.records]
    return [
        write_file(out / "README.md", "\n\n".join(body) + "\n"),
        write_json(out / "results.json", to_dict(sections, setting), indent=1),
        write_file(out / "runs.jsonl", "\n".join(runs) + "\n"),
        *(_picture(section, out) for section in sections if section.drawing),
    ]


def _picture(section: Section, out: Path) -> Path:
    small = as_picture(section.plot()).quantize(PALETTE, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    return save(small, out / f"{section.part}.png")
