"""Models on the loopback Hub with the real client: pushed, loaded, pulled; whole, or not at all."""

import json
import shutil

import pytest
from huggingface_hub import ModelCard, hf_hub_download
from safetensors.torch import load_file

from symdata.errors import HubError
from tests.support import checkpoints
from tests.support.checkpoints import network, same, save
from tests.support.commands import refused as refused_command
from tests.support.commands import said
from tests.support.folders import build
from tests.support.hub_server import LoopbackHub
from zoo import Preprocessing, create, info, load, pull, push
from zoo.errors import ModelError

pytest_plugins = ["tests.support.hub_fixture"]
REPO = "user/p4cnn_20.squares-none"

whole, folder, here = checkpoints.whole, checkpoints.folder, checkpoints.here


def on_hub(hub: LoopbackHub, revision: str = "main", repo: str = REPO) -> dict[str, bytes]:
    """The files of the repository, without the Hub's own."""
    names = hub.repo(repo).resolve(revision).files
    return {name: hub.read(repo, name, revision) for name in sorted(names) if name != ".gitattributes"}


def commits(hub: LoopbackHub, repo: str = REPO) -> int:
    return len(hub.api().list_repo_commits(repo))


def test_what_is_published_is_the_folder(hub, folder):
    (folder / "notes.txt").write_text("mine")
    published = push(folder, REPO, tag="v1")
    assert (published.kind, published.url, published.tag) == ("model", f"{hub.url}/{REPO}", "v1")
    assert published.commit == hub.repo(REPO).resolve("v1").oid
    there = on_hub(hub)
    assert set(there) == {"README.md", "config.json", "golden.safetensors", "model.safetensors"}
    assert all(there[name] == (folder / name).read_bytes() for name in there if name != "README.md")
    assert published.files == {name: len(data) for name, data in there.items()}
    assert f'zoo.load("{REPO}")'.encode() in there["README.md"] and b"PATH" not in there["README.md"]
    assert same(load(f"{REPO}@v1"))


def test_the_hub_understands_it(hub, whole):
    push(whole, REPO)
    told = hub.api().model_info(REPO)
    assert told.library_name == "symdata" and told.pipeline_tag == "image-classification"
    assert {"symdata", "equivariance", "c4", "license:mit"} <= set(told.tags)
    assert told.safetensors.total == sum(t.numel() for t in network().state_dict().values())
    assert ModelCard.load(REPO).data.library_name == "symdata"


def test_the_license_is_the_owners(hub, whole):
    push(whole, REPO, license="gpl-3.0")
    assert "license:gpl-3.0" in hub.api().model_info(REPO).tags


def test_it_loads_with_plain_torch(hub, whole):
    push(whole, REPO)
    weights = load_file(hf_hub_download(REPO, "model.safetensors"))
    model = create("p4cnn_20", in_chans=1, width=3, num_classes=4).eval()
    model.load_state_dict(weights, strict=True)
    assert same(model)


def test_publishing_again_is_no_commit(hub, whole):
    first = push(whole, REPO, tag="v1")
    before = commits(hub)
    hub.requests.clear()
    assert push(whole, REPO, tag="v1") == first
    assert commits(hub) == before
    assert not [call for call in hub.requests if call.method == "PUT" or "/commit/" in call.path]


def test_another_tag_for_the_same_state(hub, whole):
    assert push(whole, REPO, tag="v1").commit == push(whole, REPO, tag="v2").commit
    assert {ref.name for ref in hub.api().list_repo_refs(REPO).tags} == {"v1", "v2"}


def test_what_an_earlier_version_had_goes(hub, folder):
    (folder / "recipe.yaml").write_text("a: 1\n")
    push(folder, REPO, tag="v1")
    (folder / "recipe.yaml").unlink()
    hub.api().upload_file(path_or_fileobj=b"mine", path_in_repo="LICENSE", repo_id=REPO)
    push(folder, REPO)
    assert "recipe.yaml" in on_hub(hub, "v1") and "recipe.yaml" not in on_hub(hub)
    assert on_hub(hub)["LICENSE"] == b"mine", "what is not of the model is left alone"


def test_a_module(hub, whole):
    model = load(whole)
    push(model, "user/again")
    assert same(load("user/again"))
    assert info("user/again")["dataset"] == info(whole)["dataset"]


def test_a_fresh_module_with_its_parts(hub):
    model = network()
    with pytest.raises(ModelError, match=r"CNN does not know its name; give name, preprocessing, classes to zoo.push"):
        push(model, REPO)
    push(model, REPO, name="p4cnn_20.mine", preprocessing=Preprocessing(20, (0.5,), (0.5,)), classes=list("abcd"))
    assert same(load(REPO)) and info(REPO)["name"] == "p4cnn_20.mine"


def test_parts_of_a_folder_are_its_own(hub, whole):
    with pytest.raises(ModelError, match="name is given for a folder, which has its own"):
        push(whole, REPO, name="other")
    assert not hub.requests


def test_a_dry_run_asks_nobody(hub, whole):
    published = push(whole, REPO, tag="v1", dry_run=True)
    assert published.commit is None and set(published.files) >= {"config.json", "model.safetensors"}
    assert not hub.requests
    with pytest.raises(HubError, match="'user/x@v1' names a revision; give user/x and --tag v1"):
        push(whole, "user/x@v1", dry_run=True)


def test_the_repository_of_somebody_else_is_left_alone(hub, whole):
    hub.api().create_repo(REPO)
    hub.api().upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id=REPO)
    with pytest.raises(HubError, match=rf"'{REPO}' holds another model, with a config.json of its own; choose another"):
        push(whole, REPO)
    assert on_hub(hub) == {"config.json": b"{}"}


def test_a_damaged_folder_is_not_published(hub, folder):
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match="was changed or damaged"):
        push(folder, REPO)
    assert not hub.requests


# The dataset that it was trained on


@pytest.fixture
def trained_on(hub, tmp_path):
    """A model that says it was trained on a dataset, and that dataset."""
    from hashlib import sha256

    data = build(tmp_path / "squares", symmetry="d4", count=20, size=12).folder
    digest = sha256((data / "symdata.json").read_bytes()).hexdigest()
    model = save(tmp_path / "model", dataset={"name": "squares", "manifest_sha256": digest})
    return model, data


def test_a_model_points_to_its_dataset(hub, trained_on):
    from symdata import publish

    model, data = trained_on
    commit = publish(data, "user/squares", tag="v1").commit
    push(model, REPO, dataset="user/squares@v1")
    assert hub.api().model_info(REPO).card_data["datasets"] == ["user/squares"]
    assert "dataset:user/squares" in hub.api().model_info(REPO).tags
    publish(build(data.parent / "other", symmetry="c4", count=20, size=12).folder, "user/squares")
    with pytest.raises(HubError, match=r"'user/squares' is not the dataset that the model was trained on: its symdata"):
        push(model, REPO, dataset="user/squares")
    push(model, REPO, dataset=f"user/squares@{commit}")
    with pytest.raises(HubError, match="no dataset 'user/nothing' on the Hub"):
        push(model, REPO, dataset="user/nothing")


# Pulling


def test_pulling_gives_the_folder(hub, whole, here):
    push(whole, REPO, tag="v1")
    out = pull(f"{REPO}@v1", here / "m")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == on_hub(hub)
    assert same(load(out)) and not any(path.is_symlink() for path in out.iterdir())
    with pytest.raises(HubError, match=r"is there already and is left as it is; choose another --out"):
        pull(REPO, out)
    push(out, "user/second")
    assert same(load("user/second"))


def test_only_files_of_a_model_are_pulled(hub, whole, here):
    push(whole, REPO)
    for name in ("evil.py", "pytorch_model.bin", "sub/config.json"):
        hub.api().upload_file(path_or_fileobj=b"x", path_in_repo=name, repo_id=REPO)
    out = pull(REPO, here / "m")
    assert {path.name for path in out.iterdir()} == {
        "README.md",
        "config.json",
        "golden.safetensors",
        "model.safetensors",
    }


def test_a_damaged_model_is_not_pulled(hub, whole, here):
    push(whole, REPO)
    data = bytearray((whole / "golden.safetensors").read_bytes())
    data[-1] ^= 1
    hub.tamper(REPO, "golden.safetensors", bytes(data))
    with pytest.raises(ModelError, match=rf"golden.safetensors.* sha256 is .* hf cache rm model/{REPO} -y"):
        pull(REPO, here / "m")
    assert not list(here.iterdir())


# The default namespace


def test_a_name_in_the_default_namespace(hub, whole, here, monkeypatch):
    push(whole, REPO, tag="v1")
    name = REPO.split("/")[1]
    with pytest.raises(ModelError, match=rf"is not bundled; .* give its owner: user/{name}, or SYMDATA_HUB_NAMESPACE"):
        load(name)
    monkeypatch.setenv("SYMDATA_HUB_NAMESPACE", "user")
    assert same(load(name)) and same(load(f"{name}@v1"))
    with pytest.raises(ModelError, match="'p4cnn_20' has no weights"):
        load("p4cnn_20")
    shutil.copytree(whole, here / name)
    hub.requests.clear()
    assert same(load(name))
    assert not hub.requests, "a folder goes before the Hub"


# The commands


def test_the_commands(hub, whole, here):
    assert json.loads(said("publish", whole, REPO, "--tag", "v1", "--json"))["kind"] == "model"
    hub.requests.clear()
    sent = said("publish", whole, REPO, "--dry-run")
    assert "model.safetensors" in sent and sent.endswith(f"model {hub.url}/{REPO}: nothing was sent\n")
    assert not hub.requests
    done = hub.cli("pull", f"{REPO}@v1", "--out", str(here / "m"))  # as a user starts it
    assert done.stdout == f"model {here / 'm'}\n" and done.stderr == ""
    assert same(load(here / "m"))


def test_pulling_tells_a_dataset_from_a_model(hub, here):
    data = build(here / "squares", symmetry="d4", count=20, size=12).folder
    said("publish", data, "user/squares")
    assert said("pull", "user/squares", "--out", here / "d") == f"dataset {here / 'd'}\n"
    assert (here / "d" / "symdata.json").read_bytes() == (data / "symdata.json").read_bytes()
    text = refused_command("pull", "user/nothing")
    assert "no dataset 'user/nothing' on the Hub that you may read" in text
    hub.api().create_repo("user/other", repo_type="dataset")
    text = refused_command("pull", "datasets/user/other")
    assert "was not made by symdata, for it has no symdata.json; build one from it: symdata make" in text


def test_a_folder_that_is_neither(here):
    said = refused_command("publish", str(here), REPO)
    assert "is neither a dataset (symdata.json) nor a model (config.json)" in said


def test_a_dataset_that_was_swapped_is_not_pulled(hub, here):
    data = build(here / "squares", symmetry="d4", count=20, size=12).folder
    said("publish", data, "user/squares")
    shard = next(data.glob("*.parquet"))
    raw = bytearray(shard.read_bytes())
    raw[200] ^= 1
    hub.tamper("user/squares", shard.name, bytes(raw), "dataset")
    text = refused_command("pull", "datasets/user/squares", "--out", here / "d")
    assert "is damaged: " in text and "hf cache rm dataset/user/squares -y" in text
    assert not (here / "d").exists()
