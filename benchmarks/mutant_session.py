"""A plugin of pytest that collects once and then runs the same tests for one mutant after the other.

Each mutant has a fork of the process, in which the code of one function is replaced: collecting, which costs more than
most tests, is done once. What is not inside a function (constants, defaults, classes) is read at import, so such a
mutant needs a session of its own, in which the file itself is changed.
"""

import gc
import json
import os
import random
import signal
import sys
import time
import traceback
import types
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.edits import Edit, applied

Times = dict[str, float]
"""Node id of a test -> its processor time in seconds; the tests that are run, each file's fastest first."""
PASSED, FAILED, ELSEWHERE, BROKEN = 0, 1, 3, 4
"""How a fork ends: ELSEWHERE if the mutant needs a session of its own, BROKEN by a mistake of ours."""


class Session:
    """Runs tests for many mutants, or for the files as they stand.

    Args:
        folder: of the copy of the checkout; `times.json` and `by.txt` are written there.
        budget: processor time for the tests of each file, in seconds; tests are taken by lot until it is over.
        known: the tests to run, as an earlier session has found them; None: find them.
        work: (module, edit) of every mutant; empty: run the tests once, in this process.
        report: called with each mutant, how it ended ("passed", "killed", "timeout" or "elsewhere") and the seconds.
    """

    def __init__(
        self,
        folder: Path,
        budget: float,
        known: Times | None,
        work: list[tuple[str, Edit]],
        report: Callable[[str, Edit, str, float], None],
    ) -> None:
        self.folder, self.budget, self.known, self.work, self.report = folder, budget, known, work, report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """In place of pytest's loop over the tests."""
        if session.testsfailed:  # while collecting
            return None
        begun = time.monotonic()
        if self.known is None:
            if forked(lambda: self._find(session), 3600.0) != PASSED:
                raise RuntimeError("the tests fail without an edit")
            self.known = json.loads((self.folder / "times.json").read_text())
        limit = 60.0 + 5.0 * (time.monotonic() - begun)
        items = self._items(session)
        if not self.work:
            self._run(session, items)
        for module, edit in self.work:
            begun = time.monotonic()
            code = forked(lambda m=module, e=edit: self._mutant(session, items, m, e), limit)
            if code == BROKEN:
                raise RuntimeError(f"this edit cannot be tried: {edit}")
            ended = {PASSED: "passed", ELSEWHERE: "elsewhere", None: "timeout"}.get(code, "killed")
            self.report(module, edit, ended, time.monotonic() - begun)
        return True

    def _items(self, session: pytest.Session) -> list[pytest.Item]:
        files = list(dict.fromkeys(item.path for item in session.items))
        assert self.known is not None
        known = self.known
        chosen = [item for item in session.items if item.nodeid in known]
        return sorted(chosen, key=lambda item: (files.index(item.path), known[item.nodeid]))

    def _find(self, session: pytest.Session) -> int:
        """Run the tests of each file by lot until its time is over, and write what each has cost."""
        files: dict[Path, list[pytest.Item]] = defaultdict(list)
        for item in session.items:
            files[item.path].append(item)
        times: Times = {}
        for items in files.values():
            random.Random(0).shuffle(items)
            spent = 0.0
            for item, after in zip(items, [*items[1:], None], strict=True):
                begun = time.process_time()
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
                times[item.nodeid] = time.process_time() - begun
                spent += times[item.nodeid]
                if spent > self.budget:
                    break
            session._setupstate.teardown_exact(None)  # the next test is of another file
        (self.folder / "times.json").write_text(json.dumps(times))
        return FAILED if session.testsfailed else PASSED

    def _mutant(self, session: pytest.Session, items: list[pytest.Item], module: str, edit: Edit) -> int:
        if not replace(self.folder / module, module, edit):
            return ELSEWHERE
        return self._run(session, items)

    def _run(self, session: pytest.Session, items: list[pytest.Item]) -> int:
        for item, after in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if session.testsfailed:
                (self.folder / "by.txt").write_text(item.nodeid)
                return FAILED
        return PASSED


def replace(file: Path, module: str, edit: Edit) -> bool:
    """Give the function of an edit its new code, in this process; False if the edit is in none, or it is not found."""
    code: Any = compile(applied(file.read_text(encoding="utf-8"), edit), str(file), "exec")
    for name in edit.function.split("."):
        inner = [c for c in code.co_consts if isinstance(c, types.CodeType) and c.co_name == name]
        if len(inner) != 1:
            return False
        (code,) = inner
    dotted = module.removesuffix(".py").replace("/", ".")
    found = [f for f in _functions() if f.__module__ == dotted and f.__code__.co_qualname == code.co_qualname]
    try:
        for function in found:
            function.__code__ = code
    except ValueError:  # other variables of an outer scope, as without super()
        return False
    return bool(found)


def _functions() -> Iterator[types.FunctionType]:
    return (thing for thing in gc.get_objects() if type(thing) is types.FunctionType)


def forked(work: Callable[[], int], limit: float) -> int | None:
    """The number that `work` returns in a fork of this process; None if it is not done after so many seconds."""
    child = os.fork()
    if child == 0:
        code = BROKEN
        try:
            os.setsid()
            code = work()
        except BaseException:  # noqa: BLE001  (a child must not go on as if it were its parent)
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
