"""Models from the loopback Hub with the real client: revisions, the cache, and everything that may go wrong."""

import shutil

import pytest

from symdata.errors import HubError
from tests.support import checkpoints
from tests.support.checkpoints import network, same, save
from zoo.errors import ModelError
from zoo.references.loading import info, load

pytest_plugins = ["tests.support.hub_fixture"]
REPO = "user/squares-model"


whole, here = checkpoints.whole, checkpoints.here


@pytest.fixture
def published(hub, whole):
    """A repository with the model at tag v1, and another one on main."""
    api = hub.api()
    api.create_repo(REPO)
    api.upload_folder(repo_id=REPO, folder_path=whole)
    api.create_tag(REPO, tag="v1")
    return hub


def test_a_model_from_the_hub(published):
    assert same(load(REPO)) and same(load(f"{REPO}@v1"))
    assert info(REPO)["name"] == "p4cnn_20.squares-none"


def test_a_revision_is_the_one_that_was_asked_for(published, tmp_path):
    published.api().upload_folder(repo_id=REPO, folder_path=save(tmp_path / "other", network(seed=1)))
    assert same(load(f"{REPO}@v1"))
    assert not same(load(REPO))
    commit = published.repo(REPO).resolve("v1").oid
    assert same(load(f"{REPO}@{commit}"))
    published.requests.clear()
    assert same(load(f"{REPO}@{commit}"))
    assert not published.requests, "a commit that is in the cache asks nobody"


def test_only_files_of_a_model_are_fetched(published):
    published.api().upload_file(path_or_fileobj=b"x", path_in_repo="pytorch_model.bin", repo_id=REPO)
    published.api().upload_file(path_or_fileobj=b"x", path_in_repo="model.py", repo_id=REPO)
    published.requests.clear()
    assert same(load(REPO))
    assert not [call for call in published.requests if "model.py" in str(call) or ".bin" in str(call)]


def test_a_folder_comes_before_the_hub(published, here, whole):
    shutil.copytree(whole, here / REPO)
    published.requests.clear()
    assert same(load(REPO))
    assert not published.requests


def test_info_fetches_the_configuration_alone(published):
    published.requests.clear()
    info(REPO)
    assert not [call for call in published.requests if "safetensors" in call.path]


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        ("user/nothing", "no repository 'user/nothing' on the Hub that you may read; check the name, or log in"),
        (f"{REPO}@v9", f"repository '{REPO}' has no revision 'v9'; leave it out for the newest"),
        ("user/-x", "'user/-x' is not the name of a repository"),
    ],
)
def test_what_the_hub_does_not_have(published, ref, sentence):
    with pytest.raises(HubError, match=sentence):
        load(ref)


def test_a_repository_that_is_no_model(hub):
    hub.api().create_repo(REPO)
    hub.api().upload_file(path_or_fileobj=b"---\nlicense: mit\n---\n# Hello", path_in_repo="README.md", repo_id=REPO)
    with pytest.raises(ModelError, match=rf"repository '{REPO}' has no config.json, so it is not a model of symdata"):
        load(REPO)


def test_bytes_that_were_swapped_on_the_way(published, whole):
    data = bytearray((whole / "model.safetensors").read_bytes())
    data[-1] ^= 1
    published.tamper(REPO, "model.safetensors", bytes(data))
    with pytest.raises(ModelError, match=rf"sha256 is \w+, expected \w+; .* hf cache rm model/{REPO} -y"):
        load(REPO)


def test_offline(published, monkeypatch):
    assert same(load(REPO))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    published.requests.clear()
    assert same(load(REPO))
    with pytest.raises(HubError, match="'user/other' is not in the cache and HF_HUB_OFFLINE is set; unset it"):
        load("user/other")
    assert not published.requests


def test_a_hub_that_fails(published, monkeypatch):
    assert same(load(REPO))
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    published.inject(path="/", status=503, times=None)
    assert same(load(REPO)), "from the cache"
    with pytest.raises(HubError, match=r"the Hub refused 'user/other' \(HTTP 503\); try again later|cannot be reached"):
        load("user/other")


@pytest.mark.parametrize("gate", ["private", "gated"])
def test_a_repository_that_may_not_be_read(published, monkeypatch, gate):
    published.api().update_repo_settings(REPO, **({"private": True} if gate == "private" else {"gated": "manual"}))
    published.use_here(monkeypatch, token=published.stranger_token)
    said = {"private": "no repository .* that you may read; .* log in", "gated": "is gated: accept its terms"}[gate]
    with pytest.raises(HubError, match=said):
        load(REPO)


def test_no_network(published, monkeypatch):
    assert same(load(REPO))
    published.inject(path="/", drop="before", times=None)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    assert same(load(REPO)), "from the cache"
    with pytest.raises(HubError, match="'user/other' is not in the cache and the Hub cannot be reached"):
        load("user/other")
