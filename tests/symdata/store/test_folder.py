"""Folders in the way, disks that refuse, builds that fail: nothing half-written, and nothing of others lost."""

import dataclasses
import errno
import os
import resource
from pathlib import Path

import pytest
import torch

from symdata.errors import SourceError, StoreError
from symdata.recipes.plan import resolve
from symdata.recipes.spec import Spec
from symdata.store import load, make
from symdata.store.build_folder import partial_folder
from symdata.store.shards import WorkerDiedError
from tests.support import commands, kills
from tests.support.folders import StopBuild, build, contents, stop_after
from tests.support.images import write_folder

FIELDS = {"symmetry": "d4-partial", "count": 60, "size": 10}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# In the way


def test_a_dataset_is_replaced_only_when_told(tmp_path):
    first = contents(build(tmp_path / "d", **FIELDS).folder)
    with pytest.raises(StoreError, match=r"d' exists; replace it with --overwrite or choose another --out"):
        build(tmp_path / "d", **FIELDS, seed=1)
    assert contents(tmp_path / "d") == first
    build(tmp_path / "d", run={"overwrite": True}, **FIELDS, seed=1)
    assert contents(tmp_path / "d") == contents(build(tmp_path / "e", **FIELDS, seed=1).folder)
    assert names(tmp_path) == ["d", "e"]


@pytest.mark.parametrize("run", [{}, {"overwrite": True}, {"resume": True}])
def test_a_folder_of_others_is_left_alone(run, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "thesis.tex").write_text("do not lose")
    with pytest.raises(StoreError, match=r"d' exists and is not a symdata dataset; it is left alone: choose another"):
        build(tmp_path / "d", run=run, **FIELDS)
    assert contents(tmp_path) == {"d/thesis.tex": b"do not lose"}


@pytest.mark.parametrize("run", [{}, {"overwrite": True}, {"resume": True}])
def test_a_file_is_left_alone(run, tmp_path):
    (tmp_path / "d").write_text("do not lose")
    with pytest.raises(StoreError, match=r"d' is a file, and a dataset is a folder; choose another --out"):
        build(tmp_path / "d", run=run, **FIELDS)
    assert contents(tmp_path) == {"d": b"do not lose"}


def test_folders_beside_it_are_left_alone(tmp_path):
    build(tmp_path / "d", **FIELDS)
    for name in ("d.old", "d.bak", ".d"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "backup").write_text("do not lose")
    build(tmp_path / "d", run={"overwrite": True}, **FIELDS, seed=1)
    assert names(tmp_path) == [".d", "d", "d.bak", "d.old"]
    assert (tmp_path / "d.old" / "backup").read_text() == "do not lose"


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "d").mkdir()
    build(tmp_path / "d", **FIELDS)
    assert load(tmp_path / "d").shape == (1, 10, 10)


def test_parents_are_made(tmp_path):
    build(tmp_path / "a" / "b" / "d", **FIELDS)
    assert load(tmp_path / "a" / "b" / "d").shape == (1, 10, 10)


def test_a_link_to_a_folder_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "d").symlink_to(tmp_path / "disk" / "d")
    for seed in (0, 1):
        build(tmp_path / "d", run={"overwrite": True}, **FIELDS, seed=seed)
        assert (tmp_path / "d").is_symlink() and names(tmp_path / "disk") == ["d"]
    assert contents(tmp_path / "disk" / "d") == contents(build(tmp_path / "e", **FIELDS, seed=1).folder)


@pytest.mark.parametrize("out", [".", "..", "../here", "/"])
def test_the_current_folder_is_not_replaced(out, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(StoreError, match=r"is (the current folder or above it|a mount point) and cannot be replaced"):
        build(Path(out), **FIELDS)
    assert names(tmp_path) == ["here"] and names(tmp_path / "here") == []


def test_a_mount_point_is_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "volume").mkdir()
    monkeypatch.setattr("os.path.ismount", lambda path: Path(path).name == "volume")
    with pytest.raises(StoreError, match=r"volume' is a mount point and cannot be replaced; name a folder inside it"):
        build(tmp_path / "volume", **FIELDS)
    build(tmp_path / "volume" / "d", **FIELDS)


def test_names_with_dots_do_not_meet():
    assert len({partial_folder(Path(name)) for name in ("a", "a.v1", "a.v2", "a.partial")}) == 4


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write '.*file/d': Not a directory; choose another --out"):
        build(tmp_path / "file" / "d", **FIELDS)
    locked = Path("/proc/symdata")
    if os.getuid() != 0 or not Path("/proc").is_dir():
        locked = tmp_path / "locked" / "d"
        locked.parent.mkdir(mode=0o555)
    with pytest.raises(StoreError, match=r"cannot write '.*': .*; choose another --out"):
        build(locked, **FIELDS)
    assert names(tmp_path)[0] == "file"


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        ({"num_shards": 0}, "num_shards is 0, expected a whole number from 1 to 99999"),
        ({"num_shards": 100_000}, "num_shards is 100000, expected a whole number"),
        ({"batch_size": 0}, "batch_size is 0, expected a whole number from 1 to"),
        ({"batch_size": -5}, "batch_size is -5, expected a whole number from 1 to"),
    ],
)
def test_options_of_the_run_are_checked(run, sentence, tmp_path):
    with pytest.raises(StoreError, match=sentence):
        build(tmp_path / "d", run=run, **FIELDS)
    assert names(tmp_path) == []


# Failures on the way


def full(path: str | None = None):
    """A function that fails as a full disk does."""

    def write(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    return write


@pytest.mark.parametrize(
    "where",
    [
        "shards.pq.ParquetWriter.write_table",
        "dataset_folder.describe",
        "dataset_folder.preview",
        "build_folder.write_json",
        "dataset_folder.write_json",
        "dataset_folder._finish",
    ],
)
def test_a_full_disk_leaves_nothing(where, tmp_path, monkeypatch):
    build(tmp_path / "old", **FIELDS)
    before = contents(tmp_path / "old")
    monkeypatch.setattr(f"symdata.store.{where}", full())
    for folder, run in ((tmp_path / "d", {}), (tmp_path / "old", {"overwrite": True})):
        with pytest.raises(StoreError, match=r"cannot write '.*': No space left on device; (nothing|choose)"):
            build(folder, run=run, **FIELDS)
    assert names(tmp_path) == ["old"], "and what was to be replaced is still there"
    assert contents(tmp_path / "old") == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_that_is_really_full(tmp_path):
    with pytest.raises(StopBuild):
        build(tmp_path / "d", run={"num_shards": 3, "progress": stop_after(1)}, **FIELDS)
    (tmp_path / "d.partial" / "train-00001-of-00003.parquet.unfinished").symlink_to("/dev/full")
    with pytest.raises(
        StoreError, match=r"cannot write '.*d': .*(No space left|full).*; what an earlier run had done is"
    ):
        build(tmp_path / "d", run={"num_shards": 3, "resume": True}, **FIELDS)
    assert names(tmp_path) == ["d.partial"], "which is kept: a full disk costs no finished shard"
    (tmp_path / "d.partial" / "train-00001-of-00003.parquet.unfinished").unlink()
    build(tmp_path / "d", run={"num_shards": 3, "resume": True}, **FIELDS)
    build(tmp_path / "whole", run={"num_shards": 3}, **FIELDS)
    assert contents(tmp_path / "d") == contents(tmp_path / "whole")


def test_a_file_beyond_the_limit_of_the_process(tmp_path):
    """A real refusal of the kernel in the middle of a shard, through the command line."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200 * 1024, hard))
    try:
        done = commands.run("make", "--symmetry", "d4", "--out", tmp_path / "d")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"symdata: cannot write '{tmp_path / 'd'}': File too large")
    assert done.stderr.count("\n") == 1
    assert names(tmp_path) == []


def test_a_source_that_fails_on_the_way_leaves_nothing(tmp_path, monkeypatch):
    from symdata.sources.encoded import EncodedSource

    source, read, calls = write_folder(tmp_path / "s", per_class=50), EncodedSource.read, []

    def failing(self, split, indices):
        calls.append(split)
        if len(calls) > 3:
            raise SourceError("a bad image")
        return read(self, split, indices)

    monkeypatch.setattr(EncodedSource, "read", failing)
    with pytest.raises(SourceError, match="a bad image"):
        build(tmp_path / "d", source=str(source), symmetry="d4", run={"num_shards": 10})
    assert names(tmp_path) == ["s"]


def test_a_device_without_memory_leaves_what_is_done(tmp_path, monkeypatch):
    with pytest.raises(StopBuild):
        build(tmp_path / "d", run={"num_shards": 3, "progress": stop_after(1)}, **FIELDS)

    def out_of_memory(*arguments, **options):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr("symdata.store.dataset_folder.write_shards", out_of_memory)
        with pytest.raises(StoreError, match=r"device 'cpu' has too little memory; go on with --resume and a smaller"):
            build(tmp_path / "d", run={"num_shards": 3, "resume": True}, **FIELDS)
    build(tmp_path / "d", run={"num_shards": 3, "resume": True}, **FIELDS)


@pytest.mark.slow
def test_a_worker_that_dies_leaves_what_is_done(tmp_path):
    plan = resolve(Spec(**FIELDS))
    dying = kills.DyingPlan(**{field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)})
    with pytest.raises(WorkerDiedError, match=r"^a worker process died, perhaps for lack of memory, or because"):
        make(dying, tmp_path / "d", workers=2)
    assert issubclass(WorkerDiedError, StoreError)
    made = build(tmp_path / "d", run={"resume": True}, **FIELDS)
    assert contents(made.folder) == contents(build(tmp_path / "whole", **FIELDS).folder)


def test_a_rename_that_is_refused_says_where_the_dataset_is(tmp_path, monkeypatch):
    replace = os.replace

    def refusing(a, b):
        if Path(a).suffix == ".partial":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        replace(a, b)

    with monkeypatch.context() as patch:
        patch.setattr("symdata.store.build_folder.os.replace", refusing)
        with pytest.raises(StoreError, match=r"is whole in '.*d\.partial' but cannot be renamed to '.*d': Device or"):
            build(tmp_path / "d", **FIELDS)
    assert load(tmp_path / "d.partial").shape == (1, 10, 10)
    build(tmp_path / "d", run={"resume": True}, **FIELDS)
    assert names(tmp_path) == ["d"]


def test_a_refused_spec_touches_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for fields in ({"symmetry": "c8", "resample": "exact"}, {"source": "nosuch"}, {"recipe": "nosuch"}):
        with pytest.raises(Exception, match=r"exact|nosuch"):
            build(tmp_path / "d", **fields)
    assert names(tmp_path) == []


def test_ctrl_c_leaves_a_build_that_goes_on(tmp_path):
    def interrupt(rows):
        if rows:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "d", run={"num_shards": 3, "progress": interrupt}, **FIELDS)
    assert names(tmp_path) == ["d.partial"]
    make_again = build(tmp_path / "d", run={"num_shards": 3, "resume": True}, **FIELDS)
    assert contents(make_again.folder) == contents(build(tmp_path / "e", run={"num_shards": 3}, **FIELDS).folder)
