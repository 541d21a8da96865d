"""Random networks by the thousand: is what an audit proves of them what is measured?

Each network of `tests.support.random_networks` is audited, and its output measured under all elements of d4 in float64,
with filters that are made symmetric: an audit of grids asks about those.

    python -m benchmarks.audit --count 20000
"""

import argparse
import warnings
from collections import Counter
from time import process_time

from symdata.display import Table
from tests.support.random_networks import RandomNetwork, measured_error
from zoo.exactness.tracer import Tracer

LOW, HIGH = 1e-6, 1e-3
"""Errors below and above these are counted as exact and as broken."""


def judged(seed: int) -> Counter[tuple[str, str]]:
    """For every element what the audit says and what is measured."""
    net, found = RandomNetwork(seed), Counter[tuple[str, str]]()
    for element, loss in Tracer(net, 3).trace(net.size).losses.items():
        error = measured_error(net, net.size, element)
        said = "proven" if loss is None else "broken" if loss.broken else "unknown"
        seen = "exact" if error < LOW else "broken" if error > HIGH else "in between"
        found[said, seen] += 1
        if said == "proven" and seen != "exact":
            print(f"network {seed}, {element}: proven, and measured {error:.2e}", flush=True)
    return found


def main() -> None:
    """Print a table of the verdicts of the audit against the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="how many networks")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    began, found, seed = process_time(), Counter[tuple[str, str]](), options.start
    try:
        for seed in range(options.start, options.start + options.count):
            found += judged(seed)
            if seed % 1000 == 999:
                print(f"{seed + 1 - options.start} networks", flush=True)
    except KeyboardInterrupt:
        seed -= 1  # what is done counts
    seen = ("exact", "broken", "in between")
    rows = [(said, *(f"{found[said, word]:,}" for word in seen)) for said in ("proven", "broken", "unknown")]
    title = f"Elements of d4 of the random networks {options.start} to {seed}, by what is measured:"
    cost = f"{(process_time() - began) / 60:.0f} minutes of one core."
    print(Table(("audit", *seen), rows, title, [cost]))


if __name__ == "__main__":
    main()
