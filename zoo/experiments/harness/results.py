"""The record of a reproduction: Markdown to read, JSON to compute with, PNG to look at.

README.md  results.json  runs.jsonl (every run with all it measured, one a line)  <part>.png
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import symdata
from symdata.pictures.figure import as_picture, png_bytes
from symdata.store.files import json_text, write_together
from zoo.experiments.harness.catalog import CATALOG
from zoo.experiments.harness.experiment import find_experiment
from zoo.experiments.harness.provenance import provenance
from zoo.experiments.harness.runs import ROWS, RunRecord
from zoo.experiments.harness.section import Section, origin
from zoo.experiments.harness.setting import Setting

NOTES = "notes.md"
"""In the folder of the record: written by hand, and repeated below the tables whenever the record is written."""
PALETTE = 128
"""Colours of a picture's file: lines on white need no more, and it is half as large."""


def header(setting: Setting, records: Sequence[RunRecord] = ()) -> dict[str, str]:
    """What a reader needs to judge a number: command and date, and of what code and machines the runs are."""
    device = setting.device
    facts = {
        "paper": find_experiment(setting.experiment).paper,
        "command": setting.command,
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "runs": origin(records),
        "machine": _each(record.machine for record in records),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "software": _each(record.software for record in records),
    }
    return facts | ({"budget": _budget(setting)} if CATALOG[setting.experiment].budgets else {})


def _each(facts: Iterable[str | None]) -> str:
    """Every fact once; rows that are older than the field have none."""
    return "; ".join(dict.fromkeys(fact or "not recorded for older runs" for fact in facts))


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
    facts = header(setting, [record for section in sections for record in section.records])
    return {"experiment": setting.experiment, **facts, "parts": {s.part: s.to_dict() for s in sections}}


def write(sections: Sequence[Section], setting: Setting) -> list[Path]:
    """The files of the record, into `setting.record` or `setting.out`."""
    out, notes = setting.record or setting.out, (setting.record or setting.out) / NOTES
    records = [record for section in sections for record in section.records]
    facts = header(setting, records) | {"command": f"`{setting.command}`"}
    body = [f"# {find_experiment(setting.experiment).title}"]
    body += ["\n".join(f"- {name}: {value}" for name, value in facts.items())]
    body += [section.markdown for section in sections]
    body += [notes.read_text(encoding="utf-8").strip()] if notes.exists() else []
    runs = [json.dumps(record.to_dict()) for record in records]
    files: dict[Path, bytes | str] = {
        out / "README.md": "\n\n".join(body) + "\n",
        out / "results.json": json_text(to_dict(sections, setting), indent=1),
        out / ROWS: "\n".join(runs) + "\n",
    }
    pictures = {out / f"{section.part}.png": _picture(section) for section in sections if section.drawing}
    return write_together(files | pictures)


def _picture(section: Section) -> bytes:
    small = as_picture(section.plot()).quantize(PALETTE, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    return png_bytes(small)
