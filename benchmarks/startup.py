"""What `import symdata` and `symdata --help` cost, in fresh processes, beside the packages that they must not load."""

from benchmarks.harness import Bench  # isort: skip

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
PYTHON = (sys.executable, "-c")
HELP = (sys.executable, "-m", "symdata", "--help")
COMMANDS = {
    "python": (*PYTHON, "pass"),
    "import symdata": (*PYTHON, "import symdata"),
    "symdata --help": HELP,
    "import numpy": (*PYTHON, "import numpy"),
    "import torch": (*PYTHON, "import torch"),
    "import kornia": (*PYTHON, "import kornia"),
    "import datasets": (*PYTHON, "import datasets"),
    "symdata.act (torch and kornia)": (*PYTHON, "import symdata; symdata.act"),
}


def milliseconds(command: tuple[str, ...]) -> float:
    """Wall time of one fresh process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return 1000.0 * (time.perf_counter() - start)


def main() -> None:
    """Every command once per round, in rotating order; medians."""
    bench = Bench("Starting up: fresh processes")
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    names = list(COMMANDS)
    for name in names:  # once for the compiled files and the page cache
        milliseconds(COMMANDS[name])
    for turn in range(bench.rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            times[name].append(milliseconds(COMMANDS[name]))
    beyond = median(a - b for a, b in zip(times["import symdata"], times["python"], strict=True))
    bench.fact("startup", "import symdata, beyond bare python", beyond, "ms", 150.0)
    bench.fact("startup", "symdata --help", median(times["symdata --help"]), "ms", 300.0)
    for name in names:
        bench.fact("startup", name, median(times[name]), "ms")
    bench.fact(
        "startup",
        "symdata.act beyond torch and kornia",
        median(times[names[-1]]) - median(times["import kornia"]),
        "ms",
    )
    bench.finish()


if __name__ == "__main__":
    main()
