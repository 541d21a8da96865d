"""`hub:` against the loopback Hub with the real clients: pinned commits, gated datasets, and no network."""

import io
import subprocess
import sys
import time
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symdata.errors import SourceError
from symdata.sources import open_source
from tests.support.hub_server import LoopbackHub
from tests.support.images import encoded, noise

pytest_plugins = ["tests.support.hub_fixture"]
datasets.disable_progress_bars()  # imported here, because the fixture `hub` redirects it only if it is imported

CARD = "---\nlicense: cc-by-4.0\n---\n# Squares\n"


def parquet(seed: int, **columns: object) -> bytes:
    blobs = [{"bytes": encoded(image), "path": None} for image in noise(12, 6, 6, seed=seed)]
    out = io.BytesIO()
    pq.write_table(pa.table({"image": blobs, "label": ["a", "b", "c"] * 4} | columns), out)
    return out.getvalue()


def publish(hub: LoopbackHub, files: dict[str, bytes], repo: str = "user/squares") -> str:
    """Commit files to a dataset repository, created if it does not exist; returns the commit."""
    from huggingface_hub import CommitOperationAdd

    api = hub.api()
    api.create_repo(repo, repo_type="dataset", exist_ok=True)
    operations = [CommitOperationAdd(name, content) for name, content in files.items()]
    return api.create_commit(repo, operations, commit_message="squares", repo_type="dataset").oid


@pytest.fixture
def squares(hub: LoopbackHub) -> LoopbackHub:
    files = {"README.md": CARD.encode(), "train.parquet": parquet(1), "test.parquet": parquet(2)}
    publish(hub, files)
    return hub


def test_a_dataset_is_read_and_its_commit_recorded(squares: LoopbackHub) -> None:
    source = open_source("hub:user/squares")
    assert source.splits == {"train": 12, "test": 12}
    assert (source.name, source.license, source.classes) == ("squares", "cc-by-4.0", ("a", "b", "c"))
    assert source.revision == squares.repo("user/squares", "dataset").resolve("main").oid
    assert np.array_equal(source.read("test", np.array([5, 0])).numpy()[:, 0], noise(12, 6, 6, seed=2)[[5, 0]])


def test_revisions_are_pinned_although_the_cache_has_another(squares: LoopbackHub) -> None:
    first = open_source("hub:user/squares")
    second_commit = publish(squares, {"train.parquet": parquet(7)})
    squares.api().create_tag("user/squares", tag="v2", repo_type="dataset")
    for ref, seed in (("hub:user/squares@v2", 7), (f"hub:user/squares@{first.revision}", 1), ("hub:user/squares", 7)):
        source = open_source(ref)
        assert source.revision == (second_commit if seed == 7 else first.revision)
        assert np.array_equal(source.read("train", np.arange(12)).numpy()[:, 0], noise(12, 6, 6, seed=seed))
        assert (source.fingerprint == first.fingerprint) == (seed == 1)


def test_without_network_the_cache_serves_and_fast(squares: LoopbackHub) -> None:
    online = open_source("hub:user/squares")
    squares.inject(path="/", drop="before", times=None)
    start = time.monotonic()
    offline = open_source("hub:user/squares")
    assert time.monotonic() - start < 5
    assert offline.revision == online.revision
    assert offline.license == "cc-by-4.0"
    assert np.array_equal(offline.read("train", np.arange(12)), online.read("train", np.arange(12)))


def test_without_network_another_commit_is_not_passed_off(squares: LoopbackHub) -> None:
    old = open_source("hub:user/squares").revision
    new = publish(squares, {"train.parquet": parquet(7)})
    open_source("hub:user/squares")
    squares.inject(path="/", drop="before", times=None)
    assert open_source("hub:user/squares").revision == new
    with pytest.raises(SourceError, match=rf"the local cache holds commit {new}, not {old}; connect to the network"):
        open_source(f"hub:user/squares@{old}")


def test_without_network_and_cache_the_sentence_comes_at_once(squares: LoopbackHub) -> None:
    squares.inject(path="/", drop="before", times=None)
    start = time.monotonic()
    with pytest.raises(
        SourceError, match=r"no network to http://127.*not in the local cache; connect .* such as 'glyphs'"
    ):
        open_source("hub:user/squares")
    assert time.monotonic() - start < 5


def test_offline_mode_is_respected(tmp_path: Path) -> None:
    code = "from symdata.sources import open_source; open_source('hub:user/squares')"
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert (
        "offline mode is on (HF_HUB_OFFLINE), and it is not in the local cache; unset" in done.stderr.splitlines()[-1]
    )


def test_a_server_that_is_down_counts_as_no_network(squares: LoopbackHub) -> None:
    squares.inject(path="/api/", status=503, times=None)
    with pytest.raises(SourceError, match=r"no network to .*not in the local cache"):
        open_source("hub:user/squares")


def test_what_is_not_there_is_named(squares: LoopbackHub) -> None:
    with pytest.raises(
        SourceError, match=r"dataset 'user/circles' does not exist on the Hub, or it is private; .* log in"
    ):
        open_source("hub:user/circles")
    with pytest.raises(SourceError, match=r"'user/squares' has no revision 'v9'; leave it out for the default branch"):
        open_source("hub:user/squares@v9")
    with pytest.raises(SourceError, match=r"'hub:a/b/c' is not a Hub dataset; write 'hub:user/name'"):
        open_source("hub:a/b/c")


def test_a_gated_dataset_says_so(squares: LoopbackHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    squares.api().update_repo_settings("user/squares", repo_type="dataset", gated="manual")
    squares.use_here(monkeypatch, tmp_path / "stranger", token=squares.stranger_token)
    with pytest.raises(
        SourceError, match=r"dataset 'user/squares' is gated; ask for access at .*/datasets/user/squares"
    ):
        open_source("hub:user/squares")


def test_missing_columns_are_named(hub: LoopbackHub) -> None:
    publish(hub, {"train.parquet": parquet(1, label=[[1.0]] * 12, text=["x", "y"] * 6)})
    with pytest.raises(SourceError, match=r"column 'label' is of type list.*name another with ,label=COLUMN"):
        open_source("hub:user/squares")
    assert open_source("hub:user/squares,label=text").classes == ("x", "y")
    publish(hub, {"train.csv": b"a,b\n1,2\n"}, repo="user/numbers")
    with pytest.raises(SourceError, match=r"the image column is missing: .* the columns are a \(int64\), b \(int64\)"):
        open_source("hub:user/numbers")


def test_a_repository_without_data_is_named(hub: LoopbackHub) -> None:
    publish(hub, {"README.md": CARD.encode()})
    with pytest.raises(
        SourceError, match=r"'hub:user/squares' cannot be loaded \(\w+: .*\); see .*/datasets/user/squares"
    ):
        open_source("hub:user/squares")


def test_configurations_are_chosen_by_name(hub: LoopbackHub) -> None:
    card = (
        "---\nconfigs:\n"
        + "".join(f"- config_name: {c}\n  data_files: {c}.parquet\n" for c in ("red", "blue"))
        + "---\n"
    )
    publish(hub, {"README.md": card.encode(), "red.parquet": parquet(1), "blue.parquet": parquet(2)})
    with pytest.raises(SourceError, match=r"one of its 2 configurations \(.*\), as in 'hub:user/squares,config="):
        open_source("hub:user/squares")
    source = open_source("hub:user/squares,config=blue")
    assert np.array_equal(source.read("train", np.arange(12)).numpy()[:, 0], noise(12, 6, 6, seed=2))


def test_a_folder_of_the_same_name_is_not_taken_for_the_hub(
    squares: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "user" / "squares").mkdir(parents=True)
    (tmp_path / "user" / "squares" / "train.parquet").write_bytes(parquet(9))
    monkeypatch.chdir(tmp_path)
    source = open_source("hub:user/squares")
    assert np.array_equal(source.read("train", np.arange(12)).numpy()[:, 0], noise(12, 6, 6, seed=1))


def test_the_first_rows_are_streamed(hub: LoopbackHub) -> None:
    """Files after the one that has enough rows are not opened."""
    files = {f"train-0000{i}-of-00005.parquet": parquet(i + 1) for i in range(5)}
    publish(hub, files | {"test.parquet": parquet(9)})
    source = open_source("hub:user/squares,stream=9")
    assert source.splits == {"train": 9, "test": 9}
    read = {call.path.split("/")[-1] for call in hub.requests if call.method == "GET" and "/resolve/" in call.path}
    assert {"train-00000-of-00005.parquet", "test.parquet"} <= read, "and perhaps one that is read ahead:"
    assert not read & {f"train-0000{i}-of-00005.parquet" for i in (2, 3, 4)}
    assert np.array_equal(source.read("train", np.arange(9)).numpy()[:, 0], noise(12, 6, 6, seed=1)[:9])
    whole = open_source("hub:user/squares")
    assert whole.splits["train"] == 60 and whole.fingerprint != source.fingerprint
    assert np.array_equal(source.labels("train"), whole.labels("train")[:9])
    assert open_source("hub:user/squares,stream=5,splits=test").splits == {"test": 5}
    with pytest.raises(SourceError, match="stream=all, expected rows of each split from 1 to 1000000"):
        open_source("hub:user/squares,stream=all")
    hub.inject(path="/", drop="before", times=None)
    with pytest.raises(SourceError, match="no network to http"):
        open_source("hub:user/squares,stream=9")


TWO_NAMES = """---
configs:
- config_name: default
  data_files:
  - {split: train, path: a.parquet}
  - {split: validation, path: b.parquet}
  - {split: val, path: c.parquet}
---
"""


def test_two_names_for_one_split_are_refused_and_can_be_chosen_from(hub: LoopbackHub) -> None:
    files = {"a.parquet": parquet(1), "b.parquet": parquet(2), "c.parquet": parquet(3)}
    publish(hub, {"README.md": TWO_NAMES.encode(), **files})
    for rows in ("", ",stream=12"):
        with pytest.raises(SourceError, match="'validation' and 'val' both name split 'validation'; choose one, as in"):
            open_source(f"hub:user/squares{rows}")
        for name, seed in (("validation", 2), ("val", 3)):
            source = open_source(f"hub:user/squares{rows},splits=train+{name}")
            assert source.splits == {"train": 12, "validation": 12}
            read = source.read("validation", np.arange(12)).numpy()[:, 0]
            assert np.array_equal(read, noise(12, 6, 6, seed=seed))


def test_unlabelled_splits_and_paths_are_refused_on_the_hub_too(hub: LoopbackHub) -> None:
    publish(hub, {"train.parquet": parquet(1, label=[0, 1] * 6), "test.parquet": parquet(2, label=[-1] * 12)})
    with pytest.raises(SourceError, match="12 of 12 images in split 'test' are unlabelled"):
        open_source("hub:user/squares")
    assert open_source("hub:user/squares,splits=train").splits == {"train": 12}
    publish(hub, {"train.parquet": parquet(1, image=["/etc/hostname"] * 12)}, repo="user/paths")
    with pytest.raises(SourceError, match="column 'image' is text, and a path leads nowhere on the Hub"):
        open_source("hub:user/paths")
