"""Runs and their records: a finished run is never repeated, and a record is whole or not there.

Every run of an experiment (one network and seed, one architecture's sizes) is a `Job`; its result is one JSON file,
`OUT/runs/<part>/<key>.json`. A record counts only for the request it was made for.
"""

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, reduce
from operator import getitem
from pathlib import Path
from typing import Any

from symdata.keys import permutation
from symdata.store.files import read_json, write_json
from zoo.experiments.harness.provenance import provenance
from zoo.experiments.harness.setting import Setting

FORMAT = 1
ROWS = "runs.jsonl"
"""In the folder of a record: every run with all it measured, one a line."""

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
        """The file of its record; its other files are beside it, in a folder of the same name without `.json`."""
        return out / "runs" / self.part / f"{self.key}.json"


@dataclass(frozen=True)
class RunRecord:
    """A finished job."""

    part: str
    key: str
    request: dict[str, Any]
    result: dict[str, Any]
    seconds: float
    """Wall-clock time, in one process."""
    cpu_seconds: float
    """Time of all threads of that process; an accelerator's work is not in it."""
    finished: str
    """UTC, ISO 8601."""
    commit: str | None = None
    """Of the code that ran; None outside a checkout, and in rows that are older than this field."""
    dirty: bool | None = None
    """Whether files of the code differed from the commit, before the run or after it; None where there is no commit."""
    software: str | None = None
    machine: str | None = None
    """Processor, cores, system, threads; None, as for `software`, in older rows."""

    @property
    def is_clean(self) -> bool:
        """Whether the commit that it names is all of the code that ran."""
        return self.commit is not None and self.dirty is False

    def to_dict(self) -> dict[str, Any]:
        """The record as plain data for JSON."""
        return {"format": FORMAT, **self.__dict__}


def grouped(records: Iterable[RunRecord]) -> dict[str, list[RunRecord]]:
    """Network, the key of a run without its seed -> its runs, in the order of the records."""
    found: dict[str, list[RunRecord]] = {}
    for record in records:
        found.setdefault(record.key.partition("-seed")[0], []).append(record)
    return found


def values(records: Iterable[RunRecord], *names: str) -> list[Any]:
    """What the results hold under a name, or under one inside of another; a value of None is left out."""
    found = (reduce(getitem, names, record.result) for record in records)
    return [value for value in found if value is not None]


def series_of(groups: Mapping[str, Sequence[RunRecord]], names: Iterable[str]) -> dict[str, list[float]]:
    """The values of every group under every name, as `group name`."""
    names = list(names)
    return {f"{group} {name}": values(records, name) for group, records in groups.items() for name in names}


def cpu_seconds(records: Sequence[RunRecord]) -> float:
    """The mean CPU time of the runs."""
    return sum(record.cpu_seconds for record in records) / len(records)


def find(job: Job, setting: Setting) -> RunRecord | None:
    """The record of a job, if there is one for the same request: in OUT, else among the rows of the record.

    What a record is rendered from was not run with changes: such a run does not count where `--record` is asked for.
    """
    made = _record(read_json(job.place(setting.out)), job)
    if setting.record is None or (made is not None and made.is_clean):
        return made
    kept = published(job, setting)
    return kept if kept is not None and not kept.dirty else None


def published(job: Job, setting: Setting) -> RunRecord | None:
    """The row of a job in the record that is there already, if it is for the same request."""
    return _record(_rows(setting.record).get((job.part, job.key)), job)


def lot(jobs: Sequence[Job], count: int) -> list[Job]:
    """So many of the jobs of a part, drawn by lot with seed 0; those of a smaller count are among those of a larger.

    Example:
        >>> jobs = [Job("part", f"net-seed{k}", {}, lambda job, setting: {}) for k in range(30)]
        >>> [job.key for job in lot(jobs, 3)] == [job.key for job in lot(jobs, 9)[:3]]
        True
    """
    return [jobs[k] for k in permutation(0, "again", jobs[0].part, len(jobs))[:count]] if count else []


def differing(record: RunRecord, other: RunRecord) -> list[str]:
    """Names of what two runs of the same request found differently; times do not count."""
    ours, theirs = _timeless(record.result), _timeless(other.result)
    return [name for name in ours if ours[name] != theirs.get(name)]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(entry) for name, entry in value.items() if not name.endswith("seconds")}
    return value


def _record(fields: Any, job: Job) -> RunRecord | None:
    try:
        same = fields["format"] == FORMAT and fields["request"] == _plain(job.request)
        return RunRecord(**{name: value for name, value in fields.items() if name != "format"}) if same else None
    except (AttributeError, KeyError, TypeError):
        return None


def _rows(folder: Path | None) -> dict[tuple[str, str], dict[str, Any]]:
    """The rows of a folder's record by part and key; none if there is no record that can be read."""
    path = None if folder is None else folder / ROWS
    return {} if path is None or not path.is_file() else _parsed(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _parsed(path: Path, changed: int) -> dict[tuple[str, str], dict[str, Any]]:
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return {(row["part"], row["key"]): row for row in rows}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def do(job: Job, setting: Setting) -> RunRecord:
    """Run a job, then write its record."""
    origin = provenance()
    started, busy = time.perf_counter(), time.process_time()
    result = _plain(job.run(job, setting))
    seconds, cpu = round(time.perf_counter() - started, 2), round(time.process_time() - busy, 2)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if provenance()[:2] != origin[:2]:  # the code was changed while it ran
        origin = origin._replace(dirty=None if origin.commit is None else True)
    record = RunRecord(job.part, job.key, _plain(job.request), result, seconds, cpu, now, *origin)
    place = job.place(setting.out)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_json(place, record.to_dict(), indent=1)
    return record


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """The value as JSON gives it back."""
    plain: dict[str, Any] = json.loads(json.dumps(value))
    return plain


def run_all(jobs: Sequence[Job], setting: Setting, say: Callable[[str], None]) -> list[RunRecord]:
    """The records of all jobs, in their order; those that are missing are made, in `setting.workers` processes."""
    missing = to_run(jobs, setting)
    records = {k: record for k, job in enumerate(jobs) if k not in missing and (record := find(job, setting))}
    for number, (k, record) in enumerate(_made(jobs, missing, setting), 1):
        records[k] = record
        took = f"{record.seconds:.1f} s, {record.cpu_seconds:.1f} CPU-s{_beside(record, jobs[k], setting)}"
        say(f"{record.part} {record.key}: {took} ({number} of {len(missing)})")
    return [records[k] for k in range(len(jobs))]


def to_run(jobs: Sequence[Job], setting: Setting) -> list[int]:
    """Which jobs have no record yet, or were drawn by lot to be run again and have none of a clean checkout."""
    again = {job.key for job in lot(jobs, setting.again)}
    found = [find(job, setting) for job in jobs]
    return [k for k, one in enumerate(found) if one is None or (jobs[k].key in again and not one.is_clean)]


def _beside(record: RunRecord, job: Job, setting: Setting) -> str:
    """How a run compares with the row of the record that it replaces."""
    before = published(job, setting)
    if before is None:
        return ""
    names = differing(record, before)
    return f", differs from the record in {', '.join(names)}" if names else ", same numbers as in the record"


def _made(jobs: Sequence[Job], missing: Sequence[int], setting: Setting) -> Iterator[tuple[int, RunRecord]]:
    if setting.workers == 1 or len(missing) < 2:
        yield from ((k, do(jobs[k], setting)) for k in missing)
        return
    # A forked child would inherit torch's threads in an unknown state; each new process uses its share of the cores.
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
