"""The architectures of timm, one of each family: at which sizes they are exact, and is that what is measured?

    python -m benchmarks.atlas --out atlas.jsonl
    python -m benchmarks.atlas --out atlas.jsonl --families resnet,beit         # only these, if the file has them not
    python -m benchmarks.atlas --out atlas.jsonl --families resnet:resnet18    # another model of a family
    python -m benchmarks.atlas --out atlas.jsonl --table                   # the table alone

A family is a module of timm, and its smallest model (by parameters) stands for it, untrained: at the size that timm
gives for it, one pixel more, and the nearest exact sizes within 32 pixels. Each verdict is compared with the error
measured in float64, of the feature maps and of the output on an image of noise. Parameters are moved by noise first, so
that nothing is zero, or alike, by its initialisation alone. Every family runs in a process of its own, with limits of
time and memory.
"""

import argparse
import json
import multiprocessing
import resource
import signal
import time
import traceback
import warnings
from collections import Counter
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.harness import optional
from symdata.display import Table
from zoo.errors import ModelError
from zoo.exactness.audit_text import place
from zoo.exactness.audits import Audit, audit
from zoo.exactness.mends import shown, where
from zoo.measure.feature_error import feature_error

Row = dict[str, Any]
REACH = 32
"""Pixels; the strides of nearly all of them multiply to 32."""
NOISE = 0.02
"""Standard deviation of what is added to every parameter; that of the usual initialisation of a transformer."""


def smallest(timm: Any, family: str) -> str:
    """The model of a family with the fewest parameters; test models do not count."""
    found = []
    for name in timm.list_models(module=family):
        if not name.startswith("test_"):
            with torch.device("meta"):
                model = timm.create_model(name, pretrained=False)
            found.append((sum(p.numel() for p in model.parameters()), name))
    if not found:
        raise ModelError(f"timm lists no model of {family}")
    return min(found)[1]


def moved_by_noise(model: nn.Module) -> nn.Module:
    """The model in eval mode, with noise added to every parameter."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(NOISE * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def audited(model: nn.Module, channels: int, size: tuple[int, int], reach: int) -> tuple[Audit, Row]:
    """The audit at a size, and what it says and what is measured, as a row."""
    start = time.process_time()
    report = audit(model, size, "d4", channels, reach=reach)
    measured = feature_error(model, size, "d4", images=1, in_chans=channels, output=True)
    report = replace(report, measured=measured)
    first, broken = report.first_loss, report.first_broken
    told = "" if first is None else f"{place(first)} {first.note}"
    if first is not None and first.broken and broken is not None and broken.order <= first.order:
        told = where(broken)
    row = {
        "outcome": report.outcome,
        "settled": report.settled,
        "scope": report.scope,
        "first": told,
        "nearest": [list(near) for near in report.nearest],
        "survivors": [str(e) for e in report.survivors],
        "undecided": [str(e) for e in report.undecided],
        "agrees": report.agrees,
        "errors": {str(e): error for e, error in report.errors.items()},
    }
    return report, row | {"seconds": round(time.process_time() - start, 1)}


def family_rows(timm: Any, family: str, name: str, send: Connection) -> None:
    """Send a row for every size of a family, whose model may be named."""
    name = name or smallest(timm, family)
    torch.manual_seed(0)
    model = moved_by_noise(timm.create_model(name, pretrained=False))
    channels, h, w = model.pretrained_cfg["input_size"]
    about = {"family": family, "model": name, "parameters": sum(p.numel() for p in model.parameters())}
    sizes, tried = [((h, w), "own"), ((h + 1, w + 1), "one more")], set[tuple[int, int]]()
    for size, why in sizes:  # which grows
        if size in tried:
            continue
        tried.add(size)
        row: Row = about | {"size": list(size), "why": why}
        try:
            report, found = audited(model, channels, size, REACH if why == "own" else 0)
            row |= found
            if why == "own":
                sizes += [(near, "nearest") for near in report.nearest]
        except ModelError as error:
            row["refuses" if why == "one more" else "problem"] = str(error)
        except Exception as error:  # noqa: BLE001  a fault of the audit is what is looked for
            row["problem"] = f"{type(error).__name__}: {error}"
            row["traceback"] = traceback.format_exc()
        send.send(row)


def in_a_process(timm: Any, family: str, name: str, seconds: int, memory: float) -> list[Row]:
    """The rows of a family from a process with limits; a problem is a row too."""

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (int(memory * 2**30),) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        torch.set_num_threads(1)
        warnings.filterwarnings("ignore")
        try:
            family_rows(timm, family, name, send)
        except Exception as error:  # noqa: BLE001  it is reported
            send.send({"family": family, "problem": f"{type(error).__name__}: {error}"})
        send.send(None)

    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    process, rows = context.Process(target=work), list[Row]()
    process.start()
    send.close()
    try:
        while (row := receive.recv()) is not None:
            rows.append(row)
        return rows
    except EOFError:
        process.join()
        late = process.exitcode == -signal.SIGXCPU
        why = f"took more than {seconds} s" if late else f"the process ended with {process.exitcode}"
        return [*rows, {"family": family, "problem": why}]
    finally:
        process.kill()
        process.join()


def recorded(out: Path) -> list[Row]:
    """The rows of a file."""
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] if out.is_file() else []


def table(rows: list[Row]) -> Table:
    """The rows in order, the columns in words."""
    header = ("family", "model", "size", "verdict", "breaks first", "nearest exact", "left of d4", "measured")
    lines = []
    for row in sorted(rows, key=lambda row: row["family"]):
        size = shown(row["size"]) if "size" in row else ""
        about = (row["family"], row.get("model", ""), size)
        if "outcome" not in row:
            said = "refuses" if "refuses" in row else "not known"
            lines.append((*about, said, row.get("problem", ""), "", "", ""))
            continue
        looked = row["why"] == "own" and row["outcome"] != "exact"
        near = ", ".join(map(shown, row["nearest"])) or ("none" if looked else "")
        left = "all" if len(row["survivors"]) == 8 else ", ".join(row["survivors"])
        agrees = "agrees" if row["agrees"] else "**disagrees**"
        if row["outcome"] == "unknown":
            agrees = row["settled"] if row["agrees"] else agrees
        lines.append((*about, row["outcome"], row["first"], near, left, agrees))
    counts = Counter(row["outcome"] for row in rows if "outcome" in row)
    said = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    wrong = sum(row.get("agrees") is False for row in rows)
    note = f"{sum(counts.values())} verdicts: {said}; {wrong} of them disagree with the measurement."
    return Table(header, lines, notes=[note])


def main() -> None:
    """Audit a model of every family and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a file with a line for every verdict; continued")
    parser.add_argument("--families", help="modules of timm, separated by commas; by default all")
    parser.add_argument("--seconds", type=int, default=300, help="of processor time: limit for a family")
    parser.add_argument("--memory", type=float, default=6.0, help="limit in GiB")
    parser.add_argument("--table", action="store_true", help="print the table of the file, and run nothing")
    options = parser.parse_args()
    timm = None if options.table else optional("timm")
    if timm is None and not options.table:
        parser.error("timm is not installed: pip install timm")
    known = {row["family"] for row in recorded(options.out)}
    families = [] if timm is None else options.families.split(",") if options.families else timm.list_modules()
    for entry in families:
        family, _, name = entry.partition(":")
        if family in known:
            continue
        rows = in_a_process(timm, family, name, options.seconds, options.memory)
        with options.out.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        print(*(f"{family} {row.get('size')}: {row.get('outcome') or row}" for row in rows), sep="\n", flush=True)
    print(table(recorded(options.out)).markdown)


if __name__ == "__main__":
    main()
