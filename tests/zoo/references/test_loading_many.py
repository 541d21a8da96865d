"""Models from the loopback Hub by many processes at once into one cold cache, and over a slow or broken line."""

import json
import os
import shlex
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from symdata.errors import HubError
from tests.support import checkpoints
from tests.support.checkpoints import golden, network, same
from tests.support.hub_server import LoopbackHub
from zoo import load, push
from zoo.errors import ModelError

pytest_plugins = ["tests.support.hub_fixture"]
REPO = "user/squares-model"
PROCESSES = 50

whole = checkpoints.whole

LOAD = f"""
import hashlib, json, os, sys, traceback
import torch, zoo, symdata.hub, huggingface_hub
from huggingface_hub import snapshot_download  # imported once, before the processes are: that takes most of the time
from tests.support.checkpoints import golden

torch.set_num_threads(1)
zoo.load(sys.argv[1])
images = golden()
start, go = os.pipe()
answers = []
for number in range({PROCESSES}):
    answer, told = os.pipe()
    if os.fork() == 0:
        os.close(go)
        os.read(start, 1)  # until all are there
        try:
            with torch.no_grad():
                said = hashlib.sha256(zoo.load("{REPO}")(images).numpy().tobytes()).hexdigest()
        except BaseException:
            said = traceback.format_exc()
        os.write(told, said.encode())
        os._exit(0)
    os.close(told)
    answers.append(answer)
os.close(start)
os.close(go)
print(json.dumps([os.fdopen(answer).read() for answer in answers]))
"""


@pytest.fixture
def published(hub: LoopbackHub, whole: Path, monkeypatch: pytest.MonkeyPatch) -> LoopbackHub:
    """A Hub with the model, whose client does not sleep between its retries."""
    push(whole, REPO)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    hub.requests.clear()
    return hub


def cached(home: Path) -> dict[str, bytes]:
    """What a reader finds in the cache: name -> content, of the one state that is there."""
    (snapshot,) = (home / "hub" / f"models--{REPO.replace('/', '--')}" / "snapshots").iterdir()
    return {path.name: path.read_bytes() for path in snapshot.iterdir()}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fifty processes are forked from one that has imported everything")
def test_fifty_processes_share_one_cold_cache(published, whole, tmp_path):
    home = tmp_path / "home"
    patience = {"HF_HUB_ETAG_TIMEOUT": "120", "HF_HUB_DOWNLOAD_TIMEOUT": "120"}
    said = json.loads(published.run(LOAD, str(whole), home=home, **patience).stdout)
    with torch.no_grad():
        expected = sha256(network()(golden()).numpy().tobytes()).hexdigest()
    assert len(said) == PROCESSES and set(said) == {expected}, next(text for text in said if text != expected)
    names = ("config.json", "golden.safetensors", "model.safetensors")
    assert cached(home) == {name: (whole / name).read_bytes() for name in names}
    blobs = home / "hub" / f"models--{REPO.replace('/', '--')}" / "blobs"
    assert len(list(blobs.iterdir())) == len(names)
    assert not [path for path in home.rglob("*") if "incomplete" in path.name]
    bodies = [call for call in published.requests if call.method == "GET" and "/cdn/" in call.path]
    assert len(bodies) == 2, "each large file is fetched by one of them, and the others wait for it"


# A line that is slow, or breaks

FILES = ("config.json", "model.safetensors", "golden.safetensors")


def body(whole: Path, name: str) -> str:
    """What is in the path of the request that brings the bytes of a file."""
    return "/resolve/.*/config.json" if name == "config.json" else sha256((whole / name).read_bytes()).hexdigest()


def test_a_slow_line(published):
    fault = published.inject(path="/cdn/", method="GET", pace=0.3, delay=0.1, times=None)
    assert same(load(REPO)) and fault.hits == 2


@pytest.mark.parametrize("keep", [0, 1, 1000])
@pytest.mark.parametrize("name", FILES)
def test_a_body_that_ends_early(published, whole, name, keep):
    fault = published.inject(path=body(whole, name), method="GET", short=keep)
    with pytest.raises(HubError, match=rf"'{REPO}' .* \(.*\); try again") as caught:
        load(REPO)
    said = str(caught.value)
    assert fault.hits == 1 and "\n" not in said and len(said) < 1000
    left = cached(published.home)
    assert all((whole / file).read_bytes() == data for file, data in left.items()), "nothing that a second try trusts"
    assert name not in left
    assert same(load(REPO))


@pytest.mark.parametrize("name", FILES)
def test_a_line_that_is_cut_once(published, whole, name):
    fault = published.inject(path=body(whole, name), method="GET", cut=500)
    assert same(load(REPO)) and fault.hits == 1


def test_a_line_that_is_cut_always(published, whole):
    published.inject(path="/cdn/", method="GET", cut=500, times=None)
    with pytest.raises(HubError, match="try again"):
        load(REPO)
    published.heal()
    assert same(load(REPO))


@pytest.mark.parametrize("path", ["/api/models/", "/tree/"])
def test_an_answer_that_ends_early(published, path):
    """What the Hub says of the repository, not its files."""
    published.inject(path=path, method="GET", short=40)
    with pytest.raises(HubError, match=rf"'{REPO}'.*; try again"):
        load(REPO)
    assert same(load(REPO))


def test_a_body_that_is_spoiled(published, whole):
    """As long as it should be, and another: it is never used, and the line that the sentence names takes it away."""
    published.inject(path=body(whole, "model.safetensors"), method="GET", flip=2999)
    for _ in range(2):
        with pytest.raises(
            ModelError, match=rf"sha256 is \w+, expected \w+; .*: hf cache rm model/{REPO} -y\)"
        ) as caught:
            load(REPO)
    words = shlex.split(str(caught.value).rpartition(": ")[2].removesuffix(")"))
    published.run("import sys; sys.argv[0] = 'hf'; from huggingface_hub.cli.hf import main; main()", *words[1:])
    assert same(load(REPO))
