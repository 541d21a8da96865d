"""Do the tests notice a mistake? Single edits of core modules, each against the module's own tests.

    python -m benchmarks.mutants --out mutants.jsonl
    python -m benchmarks.mutants --again mutants.jsonl --budget 30 --out second.jsonl    # only those that survived
    python -m benchmarks.mutants symdata/measures.py --count 40 --out one.jsonl

Everything happens in a copy of the checkout, in forks of one process that has torch imported. An edit is killed by a
test that fails, by an error or by running out of time; `mutant_tests.py` says which tests are run.

With `--again` every edit stands in the file and has a session of its own, so that values made at import are seen too,
and every file of tests in the folder that mirrors the module's is run.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.edits import Edit, applied, chosen, edits
from benchmarks.mutant_session import PASSED, Session, Times, forked
from benchmarks.mutant_tests import TESTS

ROOT = Path(__file__).parents[1]
PRELOAD = """pytest hypothesis numpy scipy.stats torch torch._dynamo torch.utils.data kornia PIL.Image pyarrow.parquet
    matplotlib.figure matplotlib.backends.backend_agg safetensors.torch datasets huggingface_hub accelerate click yaml
    jinja2 multiprocessing.pool isal zlib_ng""".split()
"""Imported once, in the process that forks; what is not installed is left out."""
PYTEST = (
    *"-x -q -p no:cacheprovider -p no:xdist -W ignore::pytest.PytestAssertRewriteWarning -m".split(),
    "not slow and not exhaustive and not checkout",
)
"""What preloading brings is no error: plugins that were imported before pytest could rewrite their asserts."""
LIMIT_S = 600.0
"""Wall-clock limit of a mutant that has a session of its own, which collects too."""

Work = list[tuple[str, Edit]]


class Laboratory:
    """A copy of the checkout in which files are edited and tests run; every mutant becomes a line of `out`."""

    def __init__(self, folder: Path, budget: float, out: Path) -> None:
        self.folder, self.budget, self.out = folder, budget, out
        listing = ["git", "ls-files", "-co", "--exclude-standard"]
        listed = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True)
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self.log, self.by = folder / "mutant.log", folder / "by.txt"

    def try_all(self, tests: list[str], work: Work, alone: bool = False) -> None:
        """Runs `tests` for every mutant: in one session where that can be, else or if `alone` in one of its own."""
        waiting = self.folder / "elsewhere.txt"
        waiting.write_text("")

        def report(module: str, edit: Edit, ended: str, seconds: float) -> None:
            if ended == "elsewhere":
                with waiting.open("a") as file:
                    file.write(f"{module} {edit.number}\n")
            else:
                self._record(module, edit, ended, seconds)

        inside = [(m, e) for m, e in work if e.function and not alone]
        if forked(lambda: self._session(tests, None, inside, report), 7200.0) != PASSED:
            raise SystemExit(f"the tests of {work[0][0]} fail before any edit:\n{self.log.read_text()[-3000:]}")
        known = json.loads((self.folder / "times.json").read_text())
        print(f"{sum(known.values()):.1f} s of {len(known)} tests: {' '.join(tests)}", flush=True)
        elsewhere = {tuple(line.split()) for line in waiting.read_text().splitlines()}
        for module, edit in work:
            if alone or not edit.function or (module, str(edit.number)) in elsewhere:
                self._alone(tests, known, module, edit)

    def _alone(self, tests: list[str], known: Times, module: str, edit: Edit) -> None:
        file, begun = self.folder / module, time.monotonic()
        right = file.read_text(encoding="utf-8")
        try:
            file.write_text(applied(right, edit), encoding="utf-8")
            for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
                compiled.unlink()  # it is found valid if the edit is of the same second and length
            code = forked(lambda: self._session(tests, known, [], lambda *_: None), LIMIT_S)
        finally:
            file.write_text(right, encoding="utf-8")
        ended = {PASSED: "passed", None: "timeout"}.get(code, "killed")
        self._record(module, edit, ended, time.monotonic() - begun)

    def _session(self, tests: list[str], known: Times | None, work: Work, report: Any) -> int:
        file = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(file, number)
        os.chdir(self.folder)
        os.environ["PYTHONPATH"] = str(self.folder)
        sys.dont_write_bytecode = known is not None  # a mutant's bytecode would outlive it
        sys.path[:] = [str(self.folder), *(entry for entry in sys.path if Path(entry or ".").resolve() != ROOT)]
        for name in [name for name in sys.modules if name.split(".")[0] in ("benchmarks", "tests")]:
            del sys.modules[name]
        sys.argv = ["pytest"]
        plugin = Session(self.folder, self.budget, known, work, report)
        return int(import_module("pytest").main([*PYTEST, *tests], [plugin]))

    def _record(self, module: str, edit: Edit, ended: str, seconds: float) -> None:
        result = "survived" if ended == "passed" else ended
        by = self.by.read_text() if result == "killed" and self.by.exists() else ""
        self.by.unlink(missing_ok=True)
        told = {"module": module, "line": edit.line, "kind": edit.kind, "before": edit.before, "after": edit.after}
        with self.out.open("a", encoding="utf-8") as out:
            print(json.dumps({**told, "result": result, "by": by, "seconds": round(seconds, 1)}), file=out, flush=True)


def picked(modules: list[str], count: int, seed: int) -> Work:
    """`count` edits, of every module in proportion to how many it has, but two at least."""
    codes = {module: (ROOT / module).read_text(encoding="utf-8") for module in modules}
    sizes = {module: len(edits(code)) for module, code in codes.items()}
    shares = {m: max(2, round(count * size / sum(sizes.values()))) for m, size in sizes.items()}
    return [(m, edit) for m, code in codes.items() for edit in chosen(code, shares[m], f"{seed}:{m}")]


def survivors(record: Path) -> Work:
    """The edits that an earlier run let live, looked up again in today's files."""
    lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    names = ("line", "kind", "before", "after")
    wanted = {(x["module"], *(x[name] for name in names)) for x in lines if x["result"] == "survived"}
    found = []
    for module in sorted({key[0] for key in wanted}):
        for edit in edits((ROOT / module).read_text(encoding="utf-8")):
            if (module, *(getattr(edit, name) for name in names)) in wanted:
                found.append((module, edit))
    return found


def around(module: str) -> list[str]:
    """The files of tests in the folder that mirrors the module's, which may test it through a public name."""
    return [str(file.relative_to(ROOT)) for file in sorted((ROOT / "tests" / module).parent.glob("test_*.py"))]


def main() -> None:
    """One line of JSON per mutant, and a count at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", default=list(TESTS), help="such as symdata/measures.py; default: all")
    parser.add_argument("--count", type=int, default=300, help="how many edits; default: 300")
    parser.add_argument("--seed", type=int, default=0, help="which edits")
    parser.add_argument("--again", type=Path, help="a record of this program: only its survivors")
    parser.add_argument("--tests", nargs="*", help="pytest's words for the tests to run; default: by mutant_tests.py")
    parser.add_argument("--budget", type=float, default=4.0, help="processor time for each file of tests; default: 4 s")
    parser.add_argument("--out", type=Path, required=True, help="the record, JSON lines")
    options = parser.parse_args()
    work = survivors(options.again) if options.again else picked(options.modules, options.count, options.seed)
    work = [(module, edit) for module, edit in work if module in options.modules]
    sys.path.insert(0, str(ROOT))
    import_module("tests.conftest")  # its settings stand before the libraries are imported
    for name in PRELOAD:
        try:
            import_module(name)
        except ImportError:
            print(f"{name} is not installed")
    again = bool(options.again)
    groups: dict[tuple[str, ...], Work] = {}
    for module, edit in work:
        tests = options.tests or [*TESTS[module], *(around(module) if again else ())]
        groups.setdefault(tuple(dict.fromkeys(tests)), []).append((module, edit))
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        laboratory = Laboratory(Path(folder), options.budget, options.out.resolve())
        for tests, some in groups.items():
            laboratory.try_all(list(tests), some, alone=again)
    results = [json.loads(line)["result"] for line in options.out.read_text(encoding="utf-8").splitlines()]
    killed = sum(result != "survived" for result in results)
    print(f"{killed} of {len(results)} mutants killed ({killed / max(1, len(results)):.1%})")


if __name__ == "__main__":
    main()
