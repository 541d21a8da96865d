"""The loopback Hub when things go wrong, and whole workflows of clients in their own processes."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.hub_server import ROOT, LoopbackHub

pytest_plugins = ["tests.support.hub_fixture"]

CONFIG = b'{"group": "d4", "width": 16}'
WEIGHTS = bytes(range(256)) * 400

UPLOAD = """
from huggingface_hub import HfApi
HfApi().upload_file(path_or_fileobj=b"new", path_in_repo="config.json", repo_id="user/model")
"""

PRINT = """
import sys, huggingface_hub
print(open(huggingface_hub.hf_hub_download("user/model", "config.json", revision=sys.argv[1])).read())
"""

DATASETS = """
import io, json, sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, Features, Image, load_dataset
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from PIL import Image as Picture

def png(value):
    file = io.BytesIO()
    Picture.fromarray(np.full((8, 8), value, np.uint8)).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}

folder = Path(sys.argv[1])
(folder / "data").mkdir(parents=True)
features = Features({"image": Image(), "label": ClassLabel(names=["dark", "light"])})
rows = {"image": [png(value) for value in range(6)], "label": [0, 1] * 3}
for split, shards in (("train", 2), ("test", 1)):
    for shard in range(shards):
        table = pa.table({name: column[shard::shards] for name, column in rows.items()}, schema=features.arrow_schema)
        pq.write_table(table, folder / "data" / f"{split}-{shard:05d}-of-{shards:05d}.parquet")
data_files = "".join(f"  - split: {split}\\n    path: data/{split}-*\\n" for split in ("train", "test"))
card = f"---\\nlicense: mit\\nconfigs:\\n- config_name: default\\n  data_files:\\n{data_files}---\\n# Squares\\n"
(folder / "README.md").write_text(card)

api, found = HfApi(), {}
api.create_repo("user/squares", repo_type="dataset", private=True)
first = api.upload_folder(repo_id="user/squares", folder_path=folder, repo_type="dataset").oid
api.delete_file("data/test-00000-of-00001.parquet", "user/squares", repo_type="dataset")
try:  # before anything is cached: datasets would fall back to it
    load_dataset("user/squares", token=False)
except Exception as error:
    found["anonymous"] = type(error).__name__
pinned = load_dataset("user/squares", revision=first)
found["pinned"] = {split: part["label"][:] for split, part in pinned.items()}
found["pixel"] = int(np.asarray(pinned["test"][3]["image"])[0, 0])
found["names"] = pinned["train"].features["label"].names
stream = load_dataset("user/squares", revision=first, split="train", streaming=True)
found["stream"] = [row["label"] for row in stream]
small = Dataset.from_dict({"label": [0, 1, 1]}, features=Features({"label": features["label"]}))
found["pushed"] = small.push_to_hub("user/small", config_name="c4", split="train", num_shards=2).oid
small.select([0]).push_to_hub("user/small", config_name="c4", split="test")
found["small"] = {split: part["label"][:] for split, part in load_dataset("user/small", "c4").items()}
print(json.dumps(found))
"""

MIXIN = """
import sys, torch
from huggingface_hub import PyTorchModelHubMixin

class Net(torch.nn.Module, PyTorchModelHubMixin, library_name="symdata", tags=["d4"], license="mit"):
    def __init__(self, width: int):
        super().__init__()
        self.layer = torch.nn.Linear(width, 2)

net = Net(width=3)
net.push_to_hub("user/net")
loaded = Net.from_pretrained("user/net", strict=True)
assert torch.equal(loaded.layer.weight, net.layer.weight)
"""


@pytest.fixture
def published(hub: LoopbackHub) -> str:
    """user/model with one small and one large file; the full sha of its last commit."""
    hub.api().create_repo("user/model")
    hub.api().upload_file(path_or_fileobj=CONFIG, path_in_repo="config.json", repo_id="user/model")
    oid = hub.api().upload_file(path_or_fileobj=WEIGHTS, path_in_repo="weights.bin", repo_id="user/model").oid
    hub.requests.clear()
    return oid


def download(hub: LoopbackHub) -> bytes:
    """The bytes of the large file that the client ends up with."""
    return Path(hub.api().hf_hub_download("user/model", "weights.bin")).read_bytes()


def test_unavailable_once_is_survived(hub: LoopbackHub, published: str) -> None:
    fault = hub.inject(path="/resolve/", status=503)
    assert download(hub) == WEIGHTS
    assert fault.hits == 1 and [call.status for call in hub.requests] == [503, 302, 200]


def test_unavailable_with_a_warm_cache_is_not_noticed(hub: LoopbackHub, published: str) -> None:
    download(hub)
    hub.inject(status=503, times=None)
    assert download(hub) == WEIGHTS


def test_a_commit_during_an_outage_is_an_error_and_no_commit(hub: LoopbackHub, published: str) -> None:
    from huggingface_hub.errors import HfHubHTTPError

    hub.inject(path="/commit/", status=503)
    with pytest.raises(HfHubHTTPError, match="503"):
        hub.api().upload_file(path_or_fileobj=b"new", path_in_repo="config.json", repo_id="user/model")
    assert hub.read("user/model", "config.json") == CONFIG


def test_truncated_body_is_an_error_and_leaves_no_file(hub: LoopbackHub, published: str) -> None:
    hub.inject(path="/cdn/", method="GET", short=1000)
    with pytest.raises(OSError, match="should be of size 102400 but has size 1000"):
        download(hub)
    assert not list(hub.home.rglob("weights.bin"))
    assert download(hub) == WEIGHTS
    assert len(list(hub.home.rglob("weights.bin"))) == 1


def test_connection_cut_in_a_body_is_resumed_by_range(
    hub: LoopbackHub, published: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The client keeps whole chunks of a broken download, and its chunks are larger than this file.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 500)
    hub.inject(path="/cdn/", method="GET", cut=1000)
    assert download(hub) == WEIGHTS
    ranges = [call.headers.get("range") for call in hub.requests if call.method == "GET" and "/cdn/" in call.path]
    assert ranges == [None, "bytes=1000-"] and hub.requests[-1].status == 206


def test_slow_body_arrives(hub: LoopbackHub, published: str) -> None:
    hub.inject(path="/cdn/", method="GET", pace=0.3, delay=0.1)
    start = time.monotonic()
    assert download(hub) == WEIGHTS
    assert time.monotonic() - start > 0.35


def test_corrupt_bytes_pass_the_client_and_only_the_checksum_tells(hub: LoopbackHub, published: str) -> None:
    hub.inject(path="/cdn/", method="GET", flip=5)
    assert download(hub) != WEIGHTS
    verdict = hub.api().verify_repo_checksums("user/model", revision=published)
    assert [mismatch["path"] for mismatch in verdict.mismatches] == ["weights.bin"]


def test_tampering_keeps_hashes_and_size(hub: LoopbackHub, published: str) -> None:
    for path, data in (("weights.bin", WEIGHTS[::-1]), ("config.json", CONFIG[::-1])):
        hub.tamper("user/model", path, data)
        assert Path(hub.api().hf_hub_download("user/model", path, revision=published)).read_bytes() == data
    verdict = hub.api().verify_repo_checksums("user/model", revision=published)
    assert [mismatch["path"] for mismatch in verdict.mismatches] == ["config.json", "weights.bin"]


def test_answer_lost_after_a_commit(hub: LoopbackHub, published: str) -> None:
    from huggingface_hub.utils import httpx

    fault = hub.inject(path="/commit/", drop="after")
    with pytest.raises(httpx.TransportError):
        hub.api().upload_file(path_or_fileobj=b"new", path_in_repo="config.json", repo_id="user/model")
    assert fault.hits == 1 and hub.read("user/model", "config.json") == b"new"


def test_corrupt_upload_is_refused(hub: LoopbackHub, published: str) -> None:
    from huggingface_hub import get_session

    oid = "0" * 64
    url = f"{hub.store.cdn}/cdn/{oid}"
    assert get_session().put(url, content=b"x").status_code == 403
    signed = get_session().put(url, params={"signature": hub.store.sign("put", oid)}, content=b"x")
    assert signed.status_code == 400 and "BadDigest" in signed.text


def test_client_killed_at_each_request_leaves_the_old_state_or_the_new(hub: LoopbackHub, published: str) -> None:
    states = []
    for path, moment in (("/preupload/", "before"), ("/commit/", "before"), ("/commit/", "after")):
        child = subprocess.Popen([sys.executable, "-c", UPLOAD], env=hub.env(), cwd=ROOT, stderr=subprocess.DEVNULL)
        hub.inject(path=path, drop=moment, hook=lambda call, child=child: child.kill())
        assert child.wait(timeout=60) == -9
        hub.heal()
        states.append(hub.read("user/model", "config.json"))
    assert states == [CONFIG, CONFIG, b"new"]


def test_offline_with_a_warm_cache_asks_nothing(hub: LoopbackHub, published: str, tmp_path: Path) -> None:
    first = hub.run(PRINT, published, home=tmp_path / "home")
    hub.requests.clear()
    again = hub.run(PRINT, published, home=tmp_path / "home", HF_HUB_OFFLINE="1")
    assert first.stdout == again.stdout == CONFIG.decode() + "\n"
    assert hub.requests == []


def test_datasets_upload_load_stream_and_push(shared_hub: LoopbackHub, tmp_path: Path) -> None:
    found = json.loads(shared_hub.run(DATASETS, str(tmp_path / "squares")).stdout.splitlines()[-1])
    assert found["pinned"] == {"train": [0, 0, 0, 1, 1, 1], "test": [0, 1, 0, 1, 0, 1]}
    assert (found["pixel"], found["names"], found["stream"]) == (3, ["dark", "light"], [0, 0, 0, 1, 1, 1])
    assert found["anonymous"] == "DatasetNotFoundError"
    assert found["small"] == {"train": [0, 1, 1], "test": [0]}
    assert found["pushed"] in shared_hub.repo("user/small", "dataset").commits


def test_datasets_in_this_process(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    hub.use_here(monkeypatch)  # again: now datasets is imported, and it has read the environment
    datasets.Dataset.from_dict({"label": [3, 1]}).push_to_hub("user/tiny")
    loaded = datasets.load_dataset("user/tiny", split="train")
    assert loaded["label"][:] == [3, 1]
    assert all(Path(file["filename"]).is_relative_to(hub.home) for file in loaded.cache_files)


def test_command_line_runs_against_the_hub(hub: LoopbackHub) -> None:
    assert "Usage: symdata" in hub.cli("--help").stdout


def test_slow_answers_do_not_hold_up_the_end() -> None:
    from huggingface_hub import get_session
    from huggingface_hub.utils import httpx

    start = time.monotonic()
    with LoopbackHub() as hub:
        hub.inject(delay=30)
        with pytest.raises(httpx.TimeoutException):
            get_session().get(hub.url, timeout=0.2)
    assert time.monotonic() - start < 5


def test_mixin_models_push_and_load(shared_hub: LoopbackHub) -> None:
    shared_hub.run(MIXIN)
    info = shared_hub.api().model_info("user/net")
    assert info.safetensors is not None and info.safetensors.total == 8
    assert {"d4", "pytorch_model_hub_mixin"} <= set(info.tags or []) and info.config == {"width": 3}


def test_a_failure_of_the_server_itself_is_not_swallowed() -> None:
    from huggingface_hub import get_session

    hub = LoopbackHub().__enter__()
    assert get_session().post(f"{hub.url}/api/validate-yaml", content=b"not json").status_code == 500
    with pytest.raises(RuntimeError, match="The loopback Hub failed on a request"):
        hub.__exit__(None, None, None)


def test_a_large_file_in_parts(hub: LoopbackHub) -> None:
    hub.store.part = 40_000
    hub.api().create_repo("user/big")
    hub.api().upload_file(path_or_fileobj=WEIGHTS, path_in_repo="weights.bin", repo_id="user/big")
    sent = [call.size for call in hub.requests if "/parts/" in call.path]
    assert sent == [40_000, 40_000, len(WEIGHTS) - 80_000] and hub.read("user/big", "weights.bin") == WEIGHTS
    assert [call for call in hub.requests if call.path.endswith("/complete") and call.status == 200]


def test_a_part_that_fails_once_is_sent_again_and_one_that_is_spoiled_is_refused(hub: LoopbackHub) -> None:
    hub.store.part = 40_000
    hub.api().create_repo("user/big")
    fault = hub.inject(path="/parts/2", status=503)
    hub.api().upload_file(path_or_fileobj=WEIGHTS, path_in_repo="weights.bin", repo_id="user/big")
    assert fault.hits == 1 and hub.read("user/big", "weights.bin") == WEIGHTS
    hub.store.blobs.clear()
    hub.repo("user/big").large.clear()
    hub.inject(path="/complete", hook=lambda call: hub.store.parts.clear(), times=None)
    with pytest.raises(Exception, match=r"Error while uploading 'other.bin'"):
        hub.api().upload_file(path_or_fileobj=WEIGHTS[::-1], path_in_repo="other.bin", repo_id="user/big")
    assert not hub.store.blobs
