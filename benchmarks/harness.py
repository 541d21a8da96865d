"""Fair timing on a shared machine: every case once per round, in rotating order, and ratios within a round.

Import this before torch, numpy and OpenCV: it limits them to one thread.
"""

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse  # noqa: E402
import datetime  # noqa: E402
import gc  # noqa: E402
import json  # noqa: E402
import platform  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import asdict, dataclass, field  # noqa: E402
from importlib import import_module  # noqa: E402
from importlib.metadata import PackageNotFoundError, version  # noqa: E402
from pathlib import Path  # noqa: E402
from statistics import median  # noqa: E402
from types import ModuleType  # noqa: E402
from typing import Any  # noqa: E402

SAMPLE_SECONDS = 0.03
"""A case faster than this is repeated within its sample."""
ROUNDS, QUICK_ROUNDS = 7, 3
PACKAGES = (
    "torch",
    "kornia",
    "numpy",
    "pillow",
    "opencv-python-headless",
    "scipy",
    "datasets",
    "pyarrow",
    "isal",
    "zlib-ng",
)


@dataclass(frozen=True)
class Case:
    """One way to do the job."""

    name: str
    run: Callable[[], Any]
    ours: bool = False
    target: float | None = None
    """Wanted ratio of the reference's wall time per image to this case's."""
    count: int | None = None
    """Images per run, if not as many as the others: slow peers get fewer."""


@dataclass
class Timing:
    """Seconds per image of one case, one entry per round."""

    case: Case
    count: int
    repeats: int = 1
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def sample(self) -> None:
        """One entry: the mean over `repeats` runs."""
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(self.repeats):
            self.case.run()
        self.wall.append((time.perf_counter() - wall) / self.repeats / self.count)
        self.cpu.append((time.process_time() - cpu) / self.repeats / self.count)


@dataclass(frozen=True)
class Row:
    """What is printed of a case; `ratio` is how many times as fast as the reference, median over rounds."""

    table: str
    case: str
    per_second: float
    ratio: float
    low: float
    high: float
    cpu_over_wall: float
    """Below 0.9, something else had the core."""
    target: float | None
    passed: bool | None
    rounds: int


class Bench:
    """One program: its options, its tables, its verdict."""

    def __init__(self, title: str) -> None:
        parser = argparse.ArgumentParser(description=title)
        parser.add_argument(
            "--quick", action="store_true", help="fewer images and rounds: does it run, not how fast is it"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
        parser.add_argument("--rounds", type=int, help=f"[{ROUNDS}; with --quick {QUICK_ROUNDS}]")
        options = parser.parse_args()
        self.quick, self.as_json = options.quick, options.json
        self.rounds: int = options.rounds or (QUICK_ROUNDS if self.quick else ROUNDS)
        self.rows: list[Row] = []
        if not self.as_json:
            print(f"{title}\n" + "\n".join(f"{key:9s} {value}" for key, value in machine().items()))

    def compare(self, table: str, count: int, cases: list[Case]) -> None:
        """Time the cases against the first one, the reference; `count` images per run."""
        timings = [Timing(case, case.count or count) for case in cases]
        for timing in timings:  # warm up, and find how many runs fill a sample
            timing.case.run()
            timing.sample()
            timing.repeats = max(1, round(SAMPLE_SECONDS / timing.wall.pop() / timing.count))
            timing.cpu.clear()
        gc.collect()
        for turn in range(self.rounds):
            shift = turn % len(timings)
            for timing in timings[shift:] + timings[:shift]:
                timing.sample()
        rows = [self._row(table, timings[0], timing) for timing in timings]
        self._print(table, count, rows)
        self.rows += rows

    def _row(self, table: str, reference: Timing, timing: Timing) -> Row:
        ratios = sorted(a / b for a, b in zip(reference.wall, timing.wall, strict=True))
        target, ratio = timing.case.target, median(ratios)
        passed = None if target is None else ratio >= target
        cpu_over_wall = median(c / w for c, w in zip(timing.cpu, timing.wall, strict=True))
        speed = 1.0 / median(timing.wall)
        return Row(
            table, timing.case.name, speed, ratio, ratios[0], ratios[-1], cpu_over_wall, target, passed, self.rounds
        )

    def fact(
        self, table: str, name: str, value: float, unit: str, target: float | None = None, at_least: bool = False
    ) -> None:
        """A number that is not a ratio of times, with or without a target."""
        passed = None if target is None else value >= target if at_least else value <= target
        self.rows.append(Row(table, f"{name} [{unit}]", value, value, value, value, 1.0, target, passed, self.rounds))
        if not self.as_json:
            wanted = "" if target is None else f"   {'>=' if at_least else '<='} {target:g}: {verdict(passed)}"
            print(f"  {name:46s} {value:11.4g} {unit}{wanted}")

    def _print(self, table: str, count: int, rows: list[Row]) -> None:
        if self.as_json:
            return
        print(f"\n{table}: {count} per run, {self.rounds} rounds")
        print(f"  {'':46s} {'per second':>11s} {'ratio':>7s} {'range':>13s} {'cpu/wall':>8s}  target")
        for row in rows:
            target = "" if row.target is None else f">= {row.target:g}x: {verdict(row.passed)}"
            spread, speed = f"{row.low:.2f}..{row.high:.2f}", f"{row.per_second:,.0f}"
            print(f"  {row.case:46s} {speed:>11s} {row.ratio:6.2f}x {spread:>13s} {row.cpu_over_wall:8.2f}  {target}")

    def finish(self) -> None:
        """The JSON document or the verdict; a missed target is a result, not an error."""
        missed = [row for row in self.rows if row.passed is False]
        if self.as_json:
            print(json.dumps({"machine": machine(), "rows": [asdict(row) for row in self.rows]}, indent=1))
        else:
            print(f"\n{sum(row.passed is True for row in self.rows)} targets met, {len(missed)} missed")
            print("".join(f"  missed: {row.table}: {row.case}\n" for row in missed), end="")


def verdict(passed: bool | None) -> str:
    """`pass` or `MISS`."""
    return "pass" if passed else "MISS"


def machine() -> dict[str, str]:
    """Date, processor, load and versions: what a figure means nothing without."""
    versions = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"{name} -")
    load = " ".join(f"{x:.1f}" for x in os.getloadavg())
    return {
        "date": datetime.date.today().isoformat(),
        "processor": f"{_processor()}, {os.cpu_count()} cores, load {load}; one thread",
        "versions": f"python {platform.python_version()}, " + ", ".join(versions),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def optional(name: str) -> ModuleType | None:
    """A peer that need not be installed."""
    try:
        return import_module(name)
    except ImportError:
        return None
