"""Publishing to the loopback Hub with the real client, and using what was published."""

import shutil
import time
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
import yaml

from symdata.errors import HubError, StoreError
from symdata.hub import publish
from symdata.store import load, verify
from tests.support.commands import run
from tests.support.folders import build, contents, rows
from tests.support.hub_server import LoopbackHub

pytest_plugins = ["tests.support.hub_fixture"]
datasets.disable_progress_bars()  # and imported early: the fixture `hub` points it at the loopback Hub only then

REPO = "user/glyphs-d4"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    return build(root / "d", symmetry="d4-partial", count=120, size=12, run={"num_shards": 2}).folder


@pytest.fixture
def folder(whole, tmp_path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(whole, tmp_path / "d"))


def on_hub(hub: LoopbackHub, revision: str = "main") -> dict[str, bytes]:
    """The files of the repository, without the Hub's own."""
    names = hub.repo(REPO, "dataset").resolve(revision).files
    return {name: hub.read(REPO, name, revision, "dataset") for name in sorted(names) if name != ".gitattributes"}


def commits(hub: LoopbackHub) -> int:
    return len(hub.api().list_repo_commits(REPO, repo_type="dataset"))


def test_what_is_published_is_the_folder(hub, whole):
    published = publish(whole, REPO, tag="v1")
    assert published.repo_id == REPO and published.tag == "v1"
    assert published.url == f"{hub.url}/datasets/{REPO}"
    assert published.commit == hub.repo(REPO, "dataset").resolve("main").oid
    assert on_hub(hub) == contents(whole)
    assert on_hub(hub, "v1") == contents(whole)
    info = hub.api().dataset_info(REPO)
    assert not info.private
    assert {"symdata", "equivariance", "d4", "task_categories:image-classification"} <= set(info.tags)
    assert info.card_data["pretty_name"] == "glyphs-d4-partial_at_0p5"


def test_what_was_published_prints_itself(hub, whole):
    planned = publish(whole, REPO, dry_run=True)
    assert planned.commit is None and planned.files.keys() == contents(whole).keys()
    assert not hub.requests
    assert str(planned).splitlines()[-1] == f"dataset {hub.url}/datasets/{REPO}: nothing was sent"
    assert "<td>symdata.json</td>" in planned._repr_html_()
    sent = publish(whole, REPO, tag="v1")
    assert str(sent) == f"{sent.url} at {sent.commit} tagged v1"


def test_datasets_loads_what_was_published(hub, whole):
    publish(whole, REPO)
    loaded = datasets.load_dataset(REPO)
    for split, part in loaded.items():
        images = np.stack([np.asarray(image) for image in part["image"]])[:, None]
        assert np.array_equal(images, load(whole, split).images())
        assert list(part["index"]) == load(whole, split).index.tolist()


def test_publishing_again_sends_nothing(hub, whole):
    first = publish(whole, REPO, tag="v1")
    hub.requests.clear()
    before = commits(hub)
    again = publish(whole, REPO, tag="v1")
    assert again == first
    assert commits(hub) == before
    assert not [call for call in hub.requests if call.method == "PUT"]


def test_a_new_version_replaces_the_shards_of_the_old(hub, whole, tmp_path):
    first = publish(whole, REPO, tag="v1")
    other = build(tmp_path / "other", symmetry="c4", count=60, size=12).folder
    second = publish(other, REPO, tag="v2")
    assert second.commit != first.commit
    assert on_hub(hub) == contents(other)
    assert on_hub(hub, "v1") == contents(whole)
    assert len(datasets.load_dataset(REPO)["train"]) == 60


def test_a_tag_that_stands_for_another_commit_is_left_to_it(hub, whole, tmp_path):
    first = publish(whole, REPO, tag="v1")
    other = build(tmp_path / "other", symmetry="c4", count=60, size=12).folder
    with pytest.raises(
        HubError, match=rf"tag 'v1' of '{REPO}' stands for {first.commit}, which has other files; nothing was sent"
    ):
        publish(other, REPO, tag="v1")
    assert on_hub(hub, "v1") == contents(whole)
    assert publish(other, REPO, tag="v2").tag == "v2"


def test_private(hub, whole):
    publish(whole, REPO, private=True)
    assert hub.api().dataset_info(REPO).private


def test_files_of_others_in_the_folder_stay_at_home(hub, folder):
    (folder / "notes.txt").write_text("mine")
    (folder / ".secret").write_text("mine")
    publish(folder, REPO)
    assert set(on_hub(hub)) == set(contents(folder)) - {"notes.txt", ".secret"}


# Refusals


@pytest.mark.parametrize("name", ["squares", "", "user/", "/squares", "a/b/c", "user/my squares", "user/ü"])
def test_a_name_that_is_none(hub, whole, name):
    with pytest.raises(HubError, match=r"is not the name of a repository; write user/name"):
        publish(whole, name)
    assert not hub.requests


@pytest.mark.parametrize("name", ["user/-squares", "user/a..b", "user/x.git"])
def test_a_name_that_the_hub_would_not_have(hub, whole, name):
    with pytest.raises(HubError, match=r"is not the name of a repository: "):
        publish(whole, name)


def test_a_folder_that_was_tampered_with_is_not_uploaded(hub, folder):
    shard = folder / "train-00000-of-00002.parquet"
    data = bytearray(shard.read_bytes())
    data[500] ^= 1
    shard.write_bytes(data)
    with pytest.raises(StoreError, match=r"is damaged and was not uploaded: train-00000-of-00002.parquet: sha256 is"):
        publish(folder, REPO)
    assert not hub.requests


def test_a_folder_that_is_no_dataset(hub, tmp_path):
    with pytest.raises(StoreError, match=r"is not a symdata dataset"):
        publish(tmp_path, REPO)
    assert not hub.requests


def test_without_a_token(hub, whole, monkeypatch):
    hub.use_here(monkeypatch, token=None)
    with pytest.raises(HubError, match=rf"the Hub refused '{REPO}' \(HTTP 401\): log in with `hf auth login`"):
        publish(whole, REPO)


@pytest.mark.parametrize("token", ["read_token", "stranger_token"])
def test_with_a_token_that_may_not_write(hub, whole, token):
    with pytest.raises(HubError, match=r"\(HTTP 403\): use a token that may write there, or your own namespace"):
        publish(whole, REPO, token=getattr(hub, token))


def test_a_token_that_does_not_exist(hub, whole):
    with pytest.raises(HubError, match=r"\(HTTP 401\): log in with `hf auth login`"):
        publish(whole, REPO, token="hf_nosuch")


def test_a_card_that_the_hub_refuses(hub, folder):
    text = (folder / "README.md").read_text()
    (folder / "README.md").write_text(text.replace("license: other", "license: [1, 2]"))
    with pytest.raises(HubError, match=rf"the Hub refused the README.md of '{REPO}': "):
        publish(folder, REPO)


# A network that fails


def test_no_network(hub, whole):
    hub.inject(path="/", drop="before", times=None)
    with pytest.raises(HubError, match=r"the Hub at http://127.* cannot be reached \(.*\); try again later"):
        publish(whole, REPO)


def test_a_server_that_is_down(hub, whole):
    hub.inject(path="/api/repos/create", status=503, times=None)
    start = time.monotonic()
    with pytest.raises(HubError, match=r"the Hub failed on 'user/glyphs-d4' \(HTTP 503\); publish again later"):
        publish(whole, REPO)
    assert time.monotonic() - start < 60


def test_an_upload_that_failed_is_finished_by_the_next(hub, whole):
    fault = hub.inject(path="/commit/", status=503, times=None)
    with pytest.raises(HubError, match=r"\(HTTP 503\); publish again later: what was sent is not sent twice"):
        publish(whole, REPO)
    assert fault.hits
    assert on_hub(hub) == {}
    hub.heal()
    hub.requests.clear()
    publish(whole, REPO)
    assert on_hub(hub) == contents(whole)
    assert not [call for call in hub.requests if call.method == "PUT"], "the shards were there"


def test_an_upload_that_was_cut(hub, whole, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # between its retries
    hub.inject(method="PUT", drop="before", times=None)
    with pytest.raises(HubError, match=r"the upload to 'user/glyphs-d4' broke off \(.*\); publish again: what was"):
        publish(whole, REPO)
    hub.heal()
    publish(whole, REPO)
    assert on_hub(hub) == contents(whole)


def test_a_single_503_is_no_matter(hub, whole):
    fault = hub.inject(path="/lfs/|/preupload/|/commit/", status=503, times=1)
    try:
        publish(whole, REPO)
    except HubError:  # the client retries some requests and not others; either way the second time succeeds
        publish(whole, REPO)
    assert fault.hits == 1
    assert on_hub(hub) == contents(whole)


# Round trips


def test_a_dataset_from_the_hub_is_the_one_from_the_folder(hub, whole, tmp_path):
    commit = publish(whole, REPO).commit
    here = build(tmp_path / "here", source=str(whole), symmetry="c8", count=50)
    there = build(tmp_path / "there", source=f"hub:{REPO}", symmetry="c8", count=50)
    assert rows(here.folder) == rows(there.folder)
    assert there.manifest["source"]["revision"] == commit
    assert there.manifest["source"]["pinned"] == f"hub:{REPO}@{commit}"
    assert f"symdata make hub:{REPO}@{commit} --symmetry c8 --count 50" in (there.folder / "README.md").read_text()
    assert verify(there.folder, samples=5).passed


def test_verifying_goes_back_to_the_revision_that_was_used(hub, whole, tmp_path):
    publish(whole, REPO)
    there = build(tmp_path / "there", source=f"hub:{REPO},splits=train", symmetry="d4")
    publish(build(tmp_path / "new", symmetry="c4", count=60, size=12).folder, REPO)
    assert verify(there.folder, samples=5).passed
    assert not verify(there.folder, samples=5, source=f"hub:{REPO},splits=train").passed
    images = load(there.folder).images()
    assert torch.equal(images.sum((1, 2, 3)), load(whole).images().sum((1, 2, 3)))


def test_another_process_makes_what_a_command_published(hub, whole, tmp_path, monkeypatch):
    """The commands themselves, one with the client as it comes."""
    done = run("publish", whole, REPO, "--tag", "v1", "--json")
    fields = yaml.safe_load(done.stdout)
    assert fields["repo_id"] == REPO and fields["tag"] == "v1"
    done = hub.cli("make", f"hub:{REPO}@v1", "--symmetry", "d4", "--out", str(tmp_path / "d"))
    assert done.stderr == ""
    here = build(tmp_path / "here", source=str(whole), symmetry="d4")
    assert rows(tmp_path / "d") == rows(here.folder)
    hub.use_here(monkeypatch, token=None)
    refused = run("publish", whole, REPO)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == f"symdata: the Hub refused '{REPO}' (HTTP 401): log in with `hf auth login`\n"
