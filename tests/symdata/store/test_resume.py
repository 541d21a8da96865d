"""Builds that were stopped, by an exception, by SIGKILL, by Ctrl-C: they go on, and end with the same bytes."""

import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

from symdata.errors import StoreError
from symdata.store.build_folder import partial_folder
from symdata.store.lock import locked
from tests.conftest import ROOT
from tests.support import kills
from tests.support.folders import StopBuild, build, contents, stop_after
from tests.support.images import encoded, noise, write_folder
from tests.support.processes import start
from tests.symdata.store.test_bytes import LAYOUTS

SHARDS = {"num_shards": 4}


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """A function that gives the whole dataset of a layout, which is made once."""
    return cache(lambda name: build(tmp_path_factory.mktemp("layout") / name, run=SHARDS, **LAYOUTS[name]))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    """The files of FIELDS, made without a stop."""
    return contents(build(tmp_path_factory.mktemp("whole") / "d", run=SHARDS, **FIELDS).folder)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def stopped(folder: Path, rows: int = 1, **fields) -> Path:
    """The partial folder of a build that was stopped when `rows` rows were done."""
    with pytest.raises(StopBuild):
        build(folder, run={**SHARDS, "progress": stop_after(rows)}, **fields)
    assert not folder.exists()
    return partial_folder(folder)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_stopped_build_goes_on_and_ends_with_the_same_bytes(name, tmp_path, layout):
    whole = layout(name)
    total = sum(entry["num_examples"] for entry in whole.manifest["splits"].values())
    folder = tmp_path / "d"
    stopped(folder, total // 2, **LAYOUTS[name])
    rows = []
    build(folder, run={**SHARDS, "resume": True, "progress": rows.append}, **LAYOUTS[name])
    assert contents(folder) == contents(whole.folder)
    assert 0 < rows[0] < total and sum(rows) == total, "what was there counts as done at once, and is not made again"
    assert names(tmp_path) == ["d"]


FIELDS = {"symmetry": "d4-partial", "count": 400, "size": 12}


@pytest.mark.parametrize("where", ["write_json", "describe", "preview", "render_card", "put_in_place"])
def test_wherever_it_stopped(where, tmp_path, monkeypatch, whole):
    folder = tmp_path / "d"

    def stop(*arguments):
        raise StopBuild

    with monkeypatch.context() as patch:
        patch.setattr(f"symdata.store.dataset_folder.{where}", stop)
        with pytest.raises(StopBuild):
            build(folder, run=SHARDS, **FIELDS)
    assert not folder.exists()
    build(folder, run={**SHARDS, "resume": True}, **FIELDS)
    assert contents(folder) == whole
    assert names(tmp_path) == ["d"]


def test_stopped_between_the_manifest_and_the_end(tmp_path, monkeypatch, whole):
    """The last step of a build removes its spec; then the manifest says what stands there."""
    with monkeypatch.context() as patch:
        patch.setattr("symdata.store.build_folder.os.replace", _stop_at(tmp_path / "d"))
        with pytest.raises(StopBuild):
            build(tmp_path / "d", run=SHARDS, **FIELDS)
    assert "spec.json" not in names(tmp_path / "d.partial") and "symdata.json" in names(tmp_path / "d.partial")
    with pytest.raises(StoreError, match=r"holds a build of something else"):
        build(tmp_path / "d", run={**SHARDS, "resume": True}, **{**FIELDS, "seed": 1})
    build(tmp_path / "d", run={**SHARDS, "resume": True}, **FIELDS)
    assert contents(tmp_path / "d") == whole


def _stop_at(target: Path):
    replace = os.replace

    def stopping(a, b):
        if Path(b) == target:
            raise StopBuild
        replace(a, b)

    return stopping


def test_a_shard_that_lost_its_end_is_made_again(tmp_path, whole):
    partial = stopped(tmp_path / "d", 450, **FIELDS)
    shard = partial / "train-00000-of-00004.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    (partial / "train-00001-of-00004.parquet").write_bytes(b"")
    build(tmp_path / "d", run={**SHARDS, "resume": True}, **FIELDS)
    assert contents(tmp_path / "d") == whole


def test_resuming_where_nothing_is_left_begins(tmp_path, whole):
    assert contents(build(tmp_path / "d", run={**SHARDS, "resume": True}, **FIELDS).folder) == whole


def test_resuming_what_is_whole_leaves_it_alone(tmp_path):
    first = build(tmp_path / "d", run=SHARDS, **FIELDS)
    before = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    again = build(tmp_path / "d", run={**SHARDS, "resume": True}, **FIELDS)
    assert again.manifest == first.manifest
    assert before == {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    with pytest.raises(StoreError, match=r"exists; replace it with --overwrite"):
        build(tmp_path / "d", run={**SHARDS, "resume": True}, **{**FIELDS, "seed": 1})


@pytest.mark.parametrize(
    ("change", "run"),
    [
        ({"seed": 1}, SHARDS),
        ({"symmetry": "d4"}, SHARDS),
        ({"size": 13}, SHARDS),
        ({"source": "glyphs:OX"}, SHARDS),
        ({}, {"num_shards": 3}),
    ],
)
def test_resuming_with_other_options_is_refused(change, run, tmp_path):
    partial = stopped(tmp_path / "d", 200, **FIELDS)
    before = contents(partial)
    with pytest.raises(StoreError, match=r"d\.partial' holds a build of something else, .*; use its options, or --ov"):
        build(tmp_path / "d", run={**run, "resume": True}, **{**FIELDS, **change})
    assert contents(partial) == before
    made = build(tmp_path / "d", run={**run, "resume": True, "overwrite": True}, **{**FIELDS, **change})
    assert contents(made.folder) == contents(build(tmp_path / "whole", run=run, **{**FIELDS, **change}).folder)


def test_options_that_change_no_byte_may_change(tmp_path, whole):
    stopped(tmp_path / "d", 200, **FIELDS)
    made = build(tmp_path / "d", run={**SHARDS, "resume": True, "batch_size": 7}, **FIELDS)
    assert contents(made.folder) == whole


def test_a_source_that_changed_is_another_build(tmp_path):
    source = write_folder(tmp_path / "s", per_class=20)
    fields = {"source": str(source), "symmetry": "d4"}
    stopped(tmp_path / "d", 20, **fields)
    (source / "cat" / "0.png").write_bytes(encoded(noise(8, 8, 3, seed=99)))
    with pytest.raises(StoreError, match=r"holds a build of something else"):
        build(tmp_path / "d", run={**SHARDS, "resume": True}, **fields)


def test_other_versions_of_the_libraries_are_another_build(tmp_path, monkeypatch):
    stopped(tmp_path / "d", 200, **FIELDS)
    monkeypatch.setattr("symdata.store.manifest.versions", lambda: {"torch": "0"})
    with pytest.raises(StoreError, match=r"or by other versions of the libraries; use its options, or --overwrite"):
        build(tmp_path / "d", run={**SHARDS, "resume": True}, **FIELDS)


def test_a_stopped_build_is_not_begun_again_unasked(tmp_path):
    partial = stopped(tmp_path / "d", 200, **FIELDS)
    with pytest.raises(StoreError, match=r"holds a build that was stopped; go on with --resume or begin again with"):
        build(tmp_path / "d", run=SHARDS, **FIELDS)
    build(tmp_path / "d", run={**SHARDS, "overwrite": True}, **FIELDS)
    assert not partial.exists()


@pytest.mark.parametrize("run", [{}, {"resume": True}, {"overwrite": True}])
def test_a_folder_in_the_place_of_a_partial_one_is_left_alone(run, tmp_path):
    (tmp_path / "d.partial").mkdir()
    (tmp_path / "d.partial" / "thesis.tex").write_text("do not lose")
    with pytest.raises(
        StoreError, match=r"d\.partial' is in the way, and symdata did not make it; choose another --out"
    ):
        build(tmp_path / "d", run=run, **FIELDS)
    assert contents(tmp_path) == {"d.partial/thesis.tex": b"do not lose"}


@pytest.mark.parametrize("run", [{}, {"resume": True}, {"overwrite": True}])
def test_two_builds_do_not_meet_in_one_folder(run, tmp_path):
    partial = stopped(tmp_path / "d", 200, **FIELDS)
    with locked(partial), pytest.raises(StoreError, match=r"another process is building in .*d\.partial'; wait for it"):
        build(tmp_path / "d", run={**SHARDS, **run}, **FIELDS)
    build(tmp_path / "d", run={**SHARDS, "resume": True}, **FIELDS)


# Real kills


@pytest.mark.parametrize("name", ["resampled", pytest.param("lattice", marks=pytest.mark.slow)])
def test_a_killed_process_leaves_what_the_next_one_finishes(name, tmp_path, layout):
    process = start(kills.build, LAYOUTS[name], tmp_path / "d", 450, log=tmp_path / "log")
    process.join(timeout=120)
    assert process.exitcode == -signal.SIGKILL, (tmp_path / "log").read_text()
    (tmp_path / "log").unlink()
    left = names(tmp_path / "d.partial")
    assert "train-00000-of-00004.parquet" in left and any(name.endswith(".unfinished") for name in left)
    assert names(tmp_path) == ["d.partial"]
    build(tmp_path / "d", run={**SHARDS, "resume": True}, **LAYOUTS[name])
    assert contents(tmp_path / "d") == contents(layout(name).folder)


def children(pid: int) -> list[int]:
    """Processes that a process has started, and that still run."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


LARGE, LARGE_RUN = {"symmetry": "c8", "count": 9000}, {"num_shards": 12}


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> dict[str, bytes]:
    """The files of a build that takes long enough to be met on its way."""
    return contents(build(tmp_path_factory.mktemp("large") / "d", run=LARGE_RUN, **LARGE).folder)


def _heed_interrupts() -> None:
    """In a child: tests that a shell has started in the background inherit that interrupts are ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("how", "sign"),
    [
        (signal.SIGKILL, "train-*.parquet"),
        (signal.SIGINT, "*.unfinished"),
        pytest.param(signal.SIGINT, "train-*.parquet", marks=pytest.mark.exhaustive),
    ],
)
def test_a_command_with_workers_that_is_killed(how, sign, tmp_path, large):
    options = ["--symmetry", "c8", "--count", "9000", "--num-shards", "12", "--workers", "2"]
    command = [sys.executable, "-m", "symdata", "make", *options, "--out", str(tmp_path / "d")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, env=environment, start_new_session=True, stderr=subprocess.PIPE, text=True, preexec_fn=_heed_interrupts
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "d.partial").glob(sign)):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    workers = children(process.pid)
    os.killpg(process.pid, how) if how == signal.SIGINT else process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "Traceback" not in errors
        assert "the same command with --resume goes on from here" in errors
    deadline = time.monotonic() + 30
    while any(map(running, workers)):
        assert time.monotonic() < deadline, "a worker outlives its parent"
        time.sleep(0.05)
    assert not (tmp_path / "d").exists()
    build(tmp_path / "d", run={**LARGE_RUN, "resume": True}, **LARGE)
    assert contents(tmp_path / "d") == large
