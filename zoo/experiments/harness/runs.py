"""Runs and their records: what is finished is never done again, and a record is whole or not there.

Every run of an experiment (one network and seed, one architecture's sizes) is a `Job`; its result is one JSON file,
`OUT/runs/<part>/<key>.json`. A record counts only for the request it was made for.
"""

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zoo.experiments.harness.setting import Setting

FORMAT = 1

Run = Callable[["Job", Setting], dict[str, Any]]
"""Does a job and returns its result as plain data; a function of a module, so that other processes find it."""


@dataclass(frozen=True)
class Job:
    """One run."""

    part: str
    key: str
    """Of this part; fits a file name."""
    request: dict[str, Any]
    """All that decides the result, as plain data."""
    run: Run

    def place(self, out: Path) -> Path:
        """The file of its record; what else the run leaves stands beside it, under the same name without `.json`."""
        return out / "runs" / self.part / f"{self.key}.json"


@dataclass(frozen=True)
class RunRecord:
    """A job that is done."""

    part: str
    key: str
    request: dict[str, Any]
    result: dict[str, Any]
    seconds: float
    """Of wall-clock time, in one process."""
    cpu_seconds: float
    """Of all threads of that process; an accelerator's work is not in it."""
    finished: str
    """UTC, ISO 8601."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"format": FORMAT, **self.__dict__}


def find(job: Job, out: Path) -> RunRecord | None:
    """The record of a job, if it was made for the same request."""
    try:
        fields = json.loads(job.place(out).read_text(encoding="utf-8"))
        record = RunRecord(**{name: fields[name] for name in RunRecord.__dataclass_fields__})
        same = fields["format"] == FORMAT and record.request == json.loads(json.dumps(job.request))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if same else None


def do(job: Job, setting: Setting) -> RunRecord:
    """Run a job and write its record, in one step at the end."""
    started, busy = time.perf_counter(), time.process_time()
    result = json.loads(json.dumps(job.run(job, setting)))  # what a record holds is what is read back
    seconds, cpu = round(time.perf_counter() - started, 2), round(time.process_time() - busy, 2)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    record = RunRecord(job.part, job.key, json.loads(json.dumps(job.request)), result, seconds, cpu, now)
    write_json(job.place(setting.out), record.to_dict())
    return record


def run_all(jobs: Sequence[Job], setting: Setting, say: Callable[[str], None]) -> list[RunRecord]:
    """The records of all jobs, in their order; those that are missing are made, in `setting.workers` processes."""
    records = {k: record for k, job in enumerate(jobs) if (record := find(job, setting.out)) is not None}
    missing = [k for k in range(len(jobs)) if k not in records]
    for number, (k, record) in enumerate(_made(jobs, missing, setting), 1):
        records[k] = record
        took = f"{record.seconds:.1f} s, {record.cpu_seconds:.1f} CPU-s"
        say(f"{record.part} {record.key}: {took} ({number} of {len(missing)})")
    return [records[k] for k in range(len(jobs))]


def _made(jobs: Sequence[Job], missing: Sequence[int], setting: Setting) -> Iterator[tuple[int, RunRecord]]:
    if setting.workers == 1 or len(missing) < 2:
        yield from ((k, do(jobs[k], setting)) for k in missing)
        return
    # A forked child would inherit torch's threads in any state; each process of its own takes its share of the cores.
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // setting.workers)
    with ProcessPoolExecutor(setting.workers, context, _start, (threads,)) as pool:
        futures = {pool.submit(do, jobs[k], setting): k for k in missing}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)
