"""Processes that begin at once: forked from one that has imported torch and ours, and has run nothing else.

A process that starts from nothing spends two seconds and more on these imports. Where a test is about the command as a
user starts it, it starts from nothing all the same.
"""

import multiprocessing
import multiprocessing.forkserver
import os
import traceback
from collections.abc import Callable
from functools import cache
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from tests.support.console import ROOT

PRELOAD = ["torch._dynamo", "torch.distributed", "accelerate", "datasets", "symdata.store", "tests.support.kills"]
"""What is imported once, before the first process begins."""

PRELUDE = """
import torch
import torch.distributed as dist

dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world)
dist.barrier()  # one that closes its connections before all of them stand would break those of the others
"""
"""What every program of `run_processes` begins with: `torch.distributed` ready, beside `rank`, `world`, `folder`."""


@cache
def prepared() -> BaseContext:
    """A context of multiprocessing whose processes have `PRELOAD` imported."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), before]))  # wherever a test stands
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
    return context


@pytest.fixture
def quick_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that would begin from nothing are prepared ones; what they are given travels in the same way."""
    context = prepared()
    monkeypatch.setattr(multiprocessing, "get_context", lambda method=None: context)


def start(target: Callable[..., None], *arguments: Any, log: Path) -> BaseProcess:
    """A process that runs a function of a module, and writes what it prints to `log`."""
    process = prepared().Process(target=_printing_to, args=(log, target, *arguments))  # type: ignore[attr-defined]
    process.start()
    found: BaseProcess = process
    return found


def _printing_to(log: Path, target: Callable[..., None], *arguments: Any) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    try:
        target(*arguments)
    except BaseException:
        os.write(file, traceback.format_exc().encode())
        raise


def run_processes(program: str, folder: Path, world: int = 2, timeout: float = 120) -> list[str]:
    """Run `program` after `PRELUDE` on `world` processes at once; what each of them printed.

    Fails with all outputs if a process fails or does not end in time.
    """
    logs = [folder / f"process-{rank}.log" for rank in range(world)]
    code = PRELUDE + program + "\nif dist.is_initialized():\n    dist.destroy_process_group()\n"
    started = [start(_program, code, rank, world, str(folder), log=logs[rank]) for rank in range(world)]
    try:
        for process in started:
            process.join(timeout)
    finally:
        for process in started:
            process.kill()
            process.join()
    outputs = [log.read_text(encoding="utf-8") for log in logs]
    assert not any(process.exitcode for process in started), "\n".join(outputs)
    return outputs


def _program(code: str, rank: int, world: int, folder: str) -> None:
    os.environ.update(OMP_NUM_THREADS="1", GLOO_SOCKET_IFNAME="lo")
    exec(code, {"__name__": "__main__", "rank": rank, "world": world, "folder": folder})
