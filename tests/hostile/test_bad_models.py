"""More than 400 bad inputs: none is loaded, none ends in a traceback, and nothing is written but what was asked for."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import pytest

from symdata.errors import SymdataError
from symdata.hub import publish
from symdata.hub import pull as pull_dataset
from tests.support import bad_models, checkpoints
from tests.support.bad_models import forged
from tests.support.checkpoints import same
from tests.support.commands import run
from tests.support.folders import build, contents
from tests.support.hub_server import LoopbackHub
from tests.support.writes import writes
from zoo import info, list_models, load, pull, push
from zoo.files import CONFIG

pytest_plugins = ["tests.support.hub_fixture"]
datasets.disable_progress_bars()  # and imported early: `use_here` points it at the loopback Hub only then

whole = checkpoints.whole


def said(call: Callable[..., object], *arguments: object) -> str:
    """The one sentence with which something is refused."""
    with pytest.raises(SymdataError) as caught:
        call(*arguments)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 1000
    return text


def refused(*arguments: object) -> None:
    """A command says one sentence, or how it is used, and nothing else happens."""
    result = run(*arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    lines = result.stderr.splitlines()
    assert result.stdout == "" and lines and len(lines[-1]) < 1000
    assert (result.exit_code, len(lines)) == (1, 1) or (result.exit_code == 2 and lines[-1].startswith("Error: "))


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, some levels deep, among files of others."""
    for place in (tmp_path, tmp_path / "a", tmp_path / "a" / "b"):
        place.mkdir(exist_ok=True)
        (place / "x").write_text("of somebody else")
        (place / "secret.safetensors").write_text("of somebody else")
    (tmp_path / "a" / "b" / "work").mkdir()
    monkeypatch.chdir(tmp_path / "a" / "b" / "work")
    return tmp_path


def test_there_are_more_than_400():
    assert len(FOLDERS) == len(MADE), "two of one name"
    assert len(FOLDERS) + len(REFERENCES) + len(MANIFESTS) + len(TEXTS) + len(NAMES) > 400


# Folders


MADE = (
    *bad_models.wrong_kinds(),
    *bad_models.unsealed(),
    *bad_models.removed(),
    *bad_models.harmful_configs(),
    *bad_models.harmful_files(),
    *bad_models.lying_headers(),
    *bad_models.cut_and_flipped(),
    *bad_models.other_numbers(),
)
FOLDERS = dict(MADE)
"""Name -> what is done to a good folder."""


def test_the_good_folder_is_loaded(whole, deep):
    """The negative control: what is refused below is refused for its damage."""
    folder = Path(shutil.copytree(whole, "m"))
    assert same(load(folder)) and info(folder)["classes"] == ["a", "b", "c", "d"]
    (folder / CONFIG).write_bytes(forged(json.loads((folder / CONFIG).read_bytes())))
    assert same(load(folder))
    assert run("audit", folder).exit_code == 0
    assert push(folder, "user/x", dry_run=True).commit is None


@pytest.mark.parametrize("name", FOLDERS)
def test_a_bad_folder(whole, deep, name):
    folder = Path(shutil.copytree(whole, "m"))
    FOLDERS[name](folder)
    before = contents(deep)
    with writes() as written:
        assert "m" in said(load, folder)
        said(push, folder, "user/x")
        refused("audit", folder)
    assert not written
    assert contents(deep) == before


def test_a_write_elsewhere_would_be_seen(deep):
    """The negative control of the above."""
    with writes() as written:
        (deep / "y").write_text("x")
    assert written == {deep / "y"}


# References

REFERENCES = (
    *("../../x", "user/../x", "user/..", "../x", "./..", "..", "/", "//", "/etc/passwd", "/dev/zero", "/proc/self/mem"),
    *("user/x@", "user/x@../../y", "user/x@..", "user/x@.", "user/x@/etc/passwd", "user/x@a/../b", "user/x@a//b"),
    *("user/x@a/", "user/x@-x", "user/x@refs/heads/../../x", "user/x@.hidden", "user/x@v1.lock", "user/x@HEAD~1"),
    *("user/x@@v1", "user/x@v1@v2", "@v1", "user/@v1", "user/x@\u202ev1", f"user/x@{'0' * 40}", f"user/x@{'a' * 5000}"),
    *("a" * 300, "a" * 5000, f"{'a' * 300}/x", f"user/{'a' * 5000}", "a/" * 3000, "us\u0435r/x", "user\uff0fx"),
    *("user/x\n", "user/x\nuser/y", "user/x\r", "\x1b[2Jx", "user/ x", " user/x", "user/x y", "user/\ud800"),
    *("~", "~/x", "~root/x", "-x", "-/-", "user/-x", "--out", "file:///etc/passwd", "https://huggingface.co/user/x"),
    *("hf://user/x", "datasets/../..", "datasets/../x", "datasets/user/..", "user\\x", "C:\\x", "\\\\server\\share"),
    *(
        "user/x?revision=v1",
        "user/x#v1",
        "user/x%2f..%2fy",
        "{user}/x",
        "$(id)",
        "user/x;id",
        "user/a..b",
        "user/x.git",
    ),
    *("p4cnn_28.mnist-none@../x", "p4cnn_28.mnist-none/../../x", ""),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("data") / "d", symmetry="d4", count=20, size=12).folder


@pytest.fixture(scope="module")
def served(whole, data) -> Iterator[LoopbackHub]:
    """A Hub with a good model and a good dataset, both called user/x, for the clients of this process."""
    with LoopbackHub() as hub, pytest.MonkeyPatch.context() as patch:
        hub.use_here(patch)
        push(whole, "user/x", tag="v1")
        publish(data, "user/x", tag="v1")
        yield hub


def test_good_references_are_followed(served, deep):
    assert same(load("user/x@v1")) and info("user/x")["name"]
    assert pull("user/x", "m") == Path("m") and pull_dataset("user/x", "d") == Path("d")
    assert run("pull", "user/x", "--out", "again").exit_code == 0


@pytest.mark.parametrize("ref", REFERENCES, ids=lambda ref: ascii(ref)[:40])
def test_a_hostile_reference(served, deep, whole, data, ref):
    before, asked = contents(deep), served.repo("user/x").commits.copy()
    with writes() as written:
        for read in (load, info):
            said(read, ref)
        for read in (pull, pull_dataset):
            said(read, ref, "out")
        for send, folder in ((push, whole), (publish, data)):
            said(send, folder, ref)
        said(lambda: push(whole, "user/x", dataset=ref))
        refused("pull", "--", ref)
        refused("pull", "--type", "dataset", "--", ref)
        refused("publish", whole, "--", ref)
        refused("publish", data, "--", ref)
        refused("evaluate", "--data", data, "--", ref)
        refused("audit", "--", ref)
    assert all(place.is_relative_to(served.home) for place in written)
    assert contents(deep) == before
    assert served.repo("user/x").commits == asked and len(served.store.repos) == 2


@pytest.mark.parametrize("tag", ["../x", "my tag", "-x", "", "a" * 300, "v1.lock", "v\n1"])
def test_a_tag_that_cannot_be_read_back_is_refused_before_anything_is_sent(served, whole, data, tag):
    served.requests.clear()
    for send, folder in ((push, whole), (publish, data)):
        assert "is no name of a revision" in said(lambda s=send, f=folder: s(f, "user/new", tag=tag))
    assert not served.requests


@pytest.mark.parametrize("out", ["/", "x" * 300, "a\0b", "/dev/null", "/dev/null/x", "/proc/x"])
def test_a_place_that_cannot_be_written(served, deep, out):
    before = contents(deep)
    assert "--out" in said(pull, "user/x", out)
    assert contents(deep) == before


# Listings

NAMES = (
    *("../evil.json", "../../../../evil.json", "/evil.json", "config.json/../../evil.json", "..\\evil.json"),
    *("C:\\evil.json", "evil\0.json", "config.json\n", "./config.json", "a/../config.json", "~/evil.json", "sub/evil"),
    *("evil.parquet", "../evil.parquet", "CONFIG.JSON", "*", "[c]onfig.json", ".git/hooks/evil"),
)


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_names_in_a_listing_lead_nowhere(hub, deep, whole, data, kind):
    """Beside the real files there are others of any name: what is real is fetched, the rest is not asked for."""
    folder, send, fetch = {"model": (whole, push, pull), "dataset": (data, publish, pull_dataset)}[kind]
    send(folder, "user/x")
    hub.plant("user/x", dict.fromkeys(NAMES, b'{"evil": true}'), kind)
    assert set(NAMES) < {file.rfilename for file in hub.api().repo_info("user/x", repo_type=kind).siblings}
    hub.requests.clear()
    out = deep / "a" / "out"
    with writes() as written:
        fetch("user/x", out)
    assert {path.name for path in out.iterdir()} == {path.name for path in folder.iterdir()}
    assert all(place.is_relative_to(hub.home) or place.is_relative_to(deep / "a") for place in written)
    assert not [path for path in (*deep.rglob("*"), *hub.home.rglob("*")) if "evil" in path.name.lower()]
    assert not [call for call in hub.requests if "evil" in call.path.lower()]


def test_a_bad_model_does_not_spoil_the_list(hub, whole):
    """Anyone may write our tag on a card."""
    push(whole, "user/good")
    config = json.loads((whole / CONFIG).read_bytes())
    for key in ("exactness", "preprocessing", "classes", "weights"):
        push(whole, f"user/{key}")
        hub.plant(f"user/{key}", {CONFIG: forged(config | {key: {}})})
    assert list_models(pretrained=True, namespace="user") == ("user/good",)
    for namespace in ("../x", "a/b", "", "user\n", "u" * 500):
        said(lambda name=namespace: list_models(pretrained=True, namespace=name))


def shard(**fields: object) -> Callable[[dict], None]:
    """Change the first shard of the training split."""
    return lambda manifest: manifest["splits"]["train"]["shards"][0].update(fields)


MANIFESTS: dict[str, Callable[[dict], object]] = {
    **{f"a shard in {name!r}": shard(file=name) for name in ("../x.parquet", "/etc/passwd", "a/b.parquet", "..", ".")},
    **{f"a shard in {name!r}": shard(file=name) for name in ("", "..\\x.parquet", "C:x.parquet", "x.parquet\0", "*")},
    **{
        f"a shard in {name!r}": shard(file=name) for name in ("symdata.json", ".x.parquet", "~", 5, None, ["x.parquet"])
    },
    "a huge count": shard(num_examples=10**18),
    "a count beyond 64 bits": shard(num_examples=10**400),
    "a count in words": shard(num_examples="20"),
    "a hash that is none": shard(sha256=5),
    "a shard that says nothing": lambda m: m["splits"]["train"].update(shards=[{"x": 1}]),
    "a shard that is text": lambda m: m["splits"]["train"].update(shards=["x.parquet"]),
    "a million shards": lambda m: m["splits"]["train"].update(shards=[{"file": "x"}] * 300_000),
    "a split that is none": lambda m: m["splits"].update(train=None),
    "no splits": lambda m: m.update(splits={}),
    "splits in a list": lambda m: m.update(splits=[1]),
    "a source that is none": lambda m: m.update(source=1),
}


def test_the_good_manifest_is_followed(served, data, deep):
    """The negative control: written anew, and otherwise the same."""
    text = json.dumps(json.loads((data / "symdata.json").read_bytes()))
    commit = served.plant("user/x", {"symdata.json": text.encode()}, "dataset")
    pull_dataset(f"user/x@{commit}", "d")
    assert (deep / "a" / "b" / "work" / "d" / "symdata.json").read_text() == text


TEXTS = {"empty": b"", "half": b"{", "null": b"null", "nested": b"[" * 100_000, "binary": b"\xff\xfe\0"}


@pytest.mark.parametrize("name", [*MANIFESTS, *TEXTS])
def test_a_hostile_manifest(served, deep, data, name):
    manifest = json.loads((data / "symdata.json").read_bytes())
    MANIFESTS.get(name, len)(manifest)
    text = TEXTS.get(name, json.dumps(manifest).encode())
    planted = {"symdata.json": text, "x.parquet": b"x", "../x.parquet": b"x"}
    commit = served.plant("user/x", planted, "dataset")
    before = contents(deep)
    with writes() as written:
        said(pull_dataset, f"user/x@{commit}", "out")
        refused("pull", f"datasets/user/x@{commit}", "--out", "out")
    assert all(place.is_relative_to(served.home) for place in written)
    assert contents(deep) == before
