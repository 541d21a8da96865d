"""Random networks by the thousand: is what an audit proves of them what is measured?

Each network of `tests.support.random_networks` is audited, and its output measured under all elements of d4 in float64,
with filters that are made symmetric: an audit of grids asks about those.

    python -m benchmarks.audit --count 20000 --out audit.jsonl

With `--out` every network becomes a line of the file, and networks that the file has are not tried again.
"""

import argparse
import json
import warnings
from collections import Counter
from pathlib import Path
from time import process_time

import torch

from symdata.display import Table
from tests.support.random_networks import RandomNetwork, measured_error
from zoo.exactness.tracer import Tracer

LOW, HIGH = 1e-6, 1e-3
"""Errors below and above these are counted as exact and as broken."""
SAID, SEEN = ("proven", "broken", "unknown"), ("exact", "broken", "in between")


def runs(net: RandomNetwork) -> bool:
    """Whether a network runs at all: its steps were drawn on copies, and some refuse the memory layout of the last."""
    try:
        with torch.no_grad():
            net(torch.zeros(1, 3, *net.size, dtype=torch.float64))
    except RuntimeError:
        return False
    return True


def judged(seed: int) -> Counter[str]:
    """For every element what the audit says and what is measured, as `proven exact`; nothing if it does not run."""
    net, found = RandomNetwork(seed), Counter[str]()
    if not runs(net):
        return found
    for element, loss in Tracer(net, 3).trace(net.size).losses.items():
        error = measured_error(net, net.size, element)
        said = "proven" if loss is None else "broken" if loss.broken else "unknown"
        seen = "exact" if error < LOW else "broken" if error > HIGH else "in between"
        found[f"{said} {seen}"] += 1
        if said == "proven" and seen != "exact":
            print(f"network {seed}, {element}: proven, and measured {error:.2e}", flush=True)
    return found


def recorded(out: Path | None) -> dict[int, Counter[str]]:
    """The networks of a file, by seed; a last line that was cut off is left out."""
    if out is None or not out.is_file():
        return {}
    lines = out.read_text(encoding="utf-8").splitlines(keepends=True)
    rows = [json.loads(line) for line in lines if line.endswith("\n")]
    return {row["seed"]: Counter(row["found"]) for row in rows}


def main() -> None:
    """Print a table of the verdicts of the audit against the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="how many networks")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--out", type=Path, help="a file that keeps a line for every network")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    began, seeds, known = process_time(), range(options.start, options.start + options.count), recorded(options.out)
    if options.out is not None and options.out.is_file():
        whole = "".join(json.dumps({"seed": seed, "found": found}) + "\n" for seed, found in known.items())
        options.out.write_text(whole, encoding="utf-8")
    try:
        for seed in seeds:
            if seed in known:
                continue
            known[seed] = judged(seed)
            if options.out is not None:
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"seed": seed, "found": known[seed]}) + "\n")
    except KeyboardInterrupt:
        pass  # what is done counts
    done = [seed for seed in seeds if seed in known]
    idle = sum(not known[seed] for seed in done)
    found = sum((known[seed] for seed in done), Counter[str]())
    rows = [(said, *(f"{found[f'{said} {seen}']:,}" for seen in SEEN)) for said in SAID]
    rows.append(("all", *(f"{sum(found[f'{said} {seen}'] for said in SAID):,}" for seen in SEEN)))
    title = f"Elements of d4 of {len(done):,} random networks, by what is measured:"
    cost = f"{(process_time() - began) / 60:.0f} minutes of one core."
    print(Table(("audit", *SEEN), rows, title, [f"{idle} of the networks do not run.", cost]))


if __name__ == "__main__":
    main()
