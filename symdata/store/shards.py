"""Write samples to parquet files that `datasets` opens: blocks, row groups, shards, in one process or several.

A block is a row group. Its size depends on the image shape alone, and blocks are made independently and written in
order, so files do not depend on the number of workers. A shard is a contiguous run of the rows of a split.
"""

import math
import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from symdata.errors import StoreError, first_line
from symdata.recipes.annotated import annotation_schema
from symdata.recipes.plan import DatasetPlan, SampleBatch
from symdata.store.annotation_columns import annotation_arrays, annotation_features, image_array
from symdata.store.files import UNFINISHED
from symdata.store.interrupts import interrupts_delayed

BLOCK_BYTES = 8 << 20
"""Pixels of one row group."""
SHARD_BYTES = 512 << 20
"""Pixels of one shard, if the number of shards is not given."""


class WorkerDiedError(StoreError):
    """A worker process ended early. The finished shards are kept, for `resume`."""


@dataclass(frozen=True)
class Shard:
    """A contiguous run of samples of one split, and its file."""

    split: str
    number: int
    of: int
    """How many shards the split has."""
    start: int
    stop: int

    @property
    def file(self) -> str:
        return f"{self.split}-{self.number:05d}-of-{self.of:05d}.parquet"

    def __len__(self) -> int:
        return self.stop - self.start


def plan_shards(plan: DatasetPlan, num_shards: int | None = None) -> list[Shard]:
    """All shards of all splits; a split has at most as many shards as samples."""
    shards = []
    for split, samples in plan.samples.items():
        n = len(samples)
        wanted = math.ceil(n * math.prod(plan.shape) / SHARD_BYTES) if num_shards is None else num_shards
        of = max(1, min(wanted, n))
        shards += [Shard(split, k, of, k * n // of, (k + 1) * n // of) for k in range(of)]
    return shards


def features(plan: DatasetPlan) -> Any:
    """Columns of the dataset, as `datasets.Features`."""
    from datasets import ClassLabel, Features, Image, Value

    columns: dict[str, Any] = {"image": Image(), "label": ClassLabel(names=list(plan.classes))}
    for suffix in _suffixes(plan):
        columns |= {f"element{suffix}": Value("int32"), f"angle{suffix}": Value("float32")}
        columns |= {f"flip{suffix}": Value("bool"), f"index{suffix}": Value("int64")}
    columns |= {"pose": Value("int32")} if len(plan.poses) > 1 else {}
    columns |= {"quadrant": Value("int32")} if plan.recipe.canvas.startswith("quadrant") else {}
    kept = Features.from_arrow_schema(plan.extras.schema)
    for suffix in _suffixes(plan):
        columns |= {new: kept[name] for name, new in plan.extras.names(suffix).items()}
    return Features(columns | annotation_features(annotation_schema(plan.source)))


def table_of(plan: DatasetPlan, split: str, batch: SampleBatch) -> pa.Table:
    """A batch as a table: PNG bytes, label, and for each source image its element, angle, flip and index."""
    schema, image = features(plan).arrow_schema, image_array(batch.images.cpu().numpy())
    columns: dict[str, Any] = {"image": image, "label": batch.labels, "pose": batch.pose, "quadrant": batch.quadrant}
    group = plan.group(split)
    for part, (suffix, elements) in enumerate(zip(_suffixes(plan), batch.elements, strict=True)):
        columns[f"element{suffix}"] = group.indices(elements) if group.is_finite else np.full(len(elements), -1)
        columns |= {f"angle{suffix}": elements.angle, f"flip{suffix}": elements.flip}
        columns[f"index{suffix}"] = batch.index[:, part]
        columns |= plan.extras.columns(plan.samples[split].origin, batch.index[:, part], suffix)
    columns |= annotation_arrays(batch.annotations, schema)
    return pa.Table.from_arrays([pa.array(columns[f.name]).cast(f.type) for f in schema], schema=schema)


def write_shards(
    plan: DatasetPlan,
    shards: list[Shard],
    folder: Path,
    *,
    device: str = "cpu",
    workers: int = 1,
    block_rows: int | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> None:
    """Write every shard that does not exist yet, each under a temporary name until it is complete.

    Raises:
        WorkerDiedError: if a worker process ends early.
        SymdataError: if a source image cannot be read.
        OSError: if a file cannot be written.
    """
    todo = [shard for shard in shards if not _is_whole(folder / shard.file, shard)]
    progress(sum(map(len, shards)) - sum(map(len, todo)))
    jobs = [(shard.split, start, stop) for shard in todo for start, stop in _blocks(plan, shard)]
    with closing(_tables(partial(_make, plan, device, block_rows), jobs, workers)) as tables:
        for shard in todo:
            unfinished = folder / (shard.file + UNFINISHED)
            with _writer(unfinished, features(plan).arrow_schema) as writer:
                for _ in _blocks(plan, shard):
                    table = next(tables)
                    writer.write_table(table, row_group_size=len(table))
                    progress(len(table))
            os.replace(unfinished, folder / shard.file)


def _is_whole(path: Path, shard: Shard) -> bool:
    """Whether the file of a shard is complete: after a power failure its name may exist without its content."""
    try:
        rows: int = pq.read_metadata(path).num_rows
    except (OSError, pa.ArrowException):
        return False
    return rows == len(shard)


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Writer of a shard: PNG bytes are stored as they are, the other columns are compressed with zstd."""
    compression = {name: "zstd" for name in schema.names if name != "image"}
    compression |= {"image.bytes": "none", "image.path": "none"}
    return pq.ParquetWriter(
        path, schema, compression=compression, use_dictionary=False, write_statistics=False, store_schema=True
    )


def _blocks(plan: DatasetPlan, shard: Shard) -> Iterator[tuple[int, int]]:
    rows = max(64, min(4096, BLOCK_BYTES // math.prod(plan.shape)))
    return ((start, min(start + rows, shard.stop)) for start in range(shard.start, shard.stop, rows))


def _suffixes(plan: DatasetPlan) -> tuple[str, ...]:
    return ("", "_right") if plan.recipe.canvas == "pair" else ("",)


_Job = tuple[str, int, int]


def _make(plan: DatasetPlan, device: str, step: int | None, job: _Job) -> pa.Table:
    """Table of one block, computed `step` samples at a time; the step changes no byte."""
    split, start, stop = job
    step = step or stop - start
    parts = [plan.batch(split, np.arange(a, min(a + step, stop)), device) for a in range(start, stop, step)]
    return pa.concat_tables([table_of(plan, split, part) for part in parts]).combine_chunks()


def _tables(make: Callable[[_Job], pa.Table], jobs: list[_Job], workers: int) -> Generator[pa.Table, None, None]:
    """Tables of all blocks, in order."""
    if workers <= 1:
        yield from map(make, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(make,)) as pool:
        pending: deque[Future[pa.Table]] = deque()
        try:
            for job in jobs:
                with interrupts_delayed():  # a submission may start a process
                    pending.append(_submit(pool, job))
                if len(pending) > 2 * workers:  # bounded: memory does not grow with the count
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool:
            raise WorkerDiedError(
                "a worker process died, perhaps for lack of memory, or because a script calls make(workers=...) "
                "outside `if __name__ == '__main__':`; what is done is kept: "
                "go on with --resume and fewer --workers"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, job: _Job) -> "Future[pa.Table]":
    try:
        return pool.submit(_work, job)
    except (pickle.PicklingError, AttributeError, TypeError) as error:  # what pickle raises; a start sends the plan
        raise StoreError(
            f"the source cannot be sent to worker processes ({first_line(error)}); leave --workers out, or define its "
            "class in a module"
        ) from error


_worker: dict[str, Callable[[_Job], pa.Table]] = {}
"""Under "make": the function that makes the table of a job. Each worker process receives it once."""


def _start_worker(make: Callable[[_Job], pa.Table]) -> None:
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on systems where Ctrl-C cannot be delayed
    threading.Thread(target=_die_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _worker["make"] = make


def _work(job: _Job) -> pa.Table:
    return _worker["make"](job)


def _die_with_parent() -> None:
    """End this worker when its parent ends; otherwise it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
