"""Publishing that dies at any request: readers find the old state or the new one, and publishing again finishes it."""

import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import datasets
import pytest

from symdata.errors import SymdataError
from symdata.hub import Published, publish
from symdata.hub import pull as pull_dataset
from tests.conftest import ROOT
from tests.support.checkpoints import network, save
from tests.support.folders import build, contents
from tests.support.hub_server import LoopbackHub
from zoo import load, pull, push

pytest_plugins = ["tests.support.hub_fixture"]
datasets.disable_progress_bars()  # and imported early: `use_here` points it at the loopback Hub only then

REPO = "user/squares"
MOMENTS = ("before", "after")
"""Of the last request: whether it takes effect. Its answer never comes."""

PUBLISH = """
import sys
from symdata.hub import publish
publish(sys.argv[1], "user/squares", tag="v2")
"""


Files = dict[str, bytes]


@dataclass(frozen=True)
class Versions:
    """An old and a new version of something that is published."""

    kind: str
    old: Path
    new: Path
    send: Callable[..., Published]
    fetch: Callable[[str, Path], Path]

    def there(self, hub: LoopbackHub, revision: str = "main") -> Files:
        """The files of a revision, without the Hub's own."""
        names = set(hub.repo(REPO, self.kind).resolve(revision).files) - {".gitattributes"}
        return {name: hub.read(REPO, name, revision, self.kind) for name in names}

    def fetched(self, out: Path) -> Files:
        """What a reader gets who fetches it now, with every check."""
        found = contents(self.fetch(REPO, out))
        shutil.rmtree(out)
        if self.kind == "model":
            load(REPO)
        return found


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Versions]:
    """Of both kinds: files of the old version that the new one does not have, and others of another content."""
    root = tmp_path_factory.mktemp("versions")
    old, new = save(root / "old"), save(root / "new", network(seed=1))
    (old / "recipe.yaml").write_text("a: 1\n")
    (new / "metrics.jsonl").write_text('{"epoch": 1}\n')
    squares = build(root / "squares", symmetry="d4", count=40, size=12, run={"num_shards": 2}).folder
    others = build(root / "others", symmetry="c4", count=30, size=12).folder
    return {
        "model": Versions("model", old, new, push, pull),
        "dataset": Versions("dataset", squares, others, publish, pull_dataset),
    }


@pytest.fixture(scope="module", params=["model", "dataset"])
def begun(request: pytest.FixtureRequest, versions: dict[str, Versions]) -> Iterator[tuple[LoopbackHub, Versions]]:
    """A Hub with the old version at v1, and what publishes the new one."""
    kind = versions[request.param]
    with LoopbackHub() as hub, pytest.MonkeyPatch.context() as patch:
        hub.use_here(patch)
        patch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # between retries
        kind.send(kind.old, REPO, tag="v1")
        yield hub, kind


def test_at_every_request_in_turn(begun, tmp_path):
    hub, kind = begun
    memory = hub.memory()

    def again() -> None:
        hub.recall(memory)
        hub.heal()

    again()
    old = kind.there(hub)
    kind.send(kind.new, REPO, tag="v2")
    new, asked = kind.there(hub), [call.path for call in hub.requests]
    assert not old.keys() <= new.keys() and not new.keys() <= old.keys() and len(asked) >= 8
    commit = next(number for number, path in enumerate(asked) if "/commit/" in path)
    for number, moment in itertools.product(range(len(asked)), MOMENTS):
        again()
        last = hub.inject(skip=number, drop=moment)  # and nothing that the client asks later is heard
        hub.inject(skip=number, drop="before", times=None)
        with pytest.raises(SymdataError):
            kind.send(kind.new, REPO, tag="v2")
        hub.heal()
        done = number > commit or (number == commit and moment == "after")
        state = new if done else old
        assert last.hits == 1, (asked[number], moment)
        assert kind.there(hub) == kind.fetched(tmp_path / "out") == state, (asked[number], moment)
        assert kind.there(hub, "v1") == old
        assert "v2" not in hub.repo(REPO, kind.kind).tags or (done and kind.there(hub, "v2") == new)
        finished = kind.send(kind.new, REPO, tag="v2")
        assert finished.commit == hub.repo(REPO, kind.kind).resolve("v2").oid
        assert kind.there(hub) == kind.there(hub, "v2") == new and kind.there(hub, "v1") == old


@pytest.mark.parametrize(("path", "moment", "left"), [("/cdn/", "before", "old"), ("/commit/", "after", "new")])
def test_a_process_that_is_killed(hub, versions, tmp_path, path, moment, left):
    kind = versions["dataset"]
    publish(kind.old, REPO, tag="v1")
    command = [sys.executable, "-c", PUBLISH, str(kind.new)]
    child = subprocess.Popen(command, env=hub.env(), cwd=ROOT, stderr=subprocess.DEVNULL)
    fault = hub.inject(path=path, drop=moment, times=None, hook=lambda call: child.kill())
    assert child.wait(timeout=120) == -9 and fault.hits
    hub.heal()
    assert kind.there(hub) == kind.fetched(tmp_path / "out") == contents({"old": kind.old, "new": kind.new}[left])
    assert kind.there(hub, "v1") == contents(kind.old)
    assert len(datasets.load_dataset(REPO)["train"]) == {"old": 40, "new": 30}[left]
    publish(kind.new, REPO, tag="v2")
    assert kind.there(hub) == kind.there(hub, "v2") == kind.fetched(tmp_path / "out") == contents(kind.new)
    assert len(datasets.load_dataset(REPO)["train"]) == 30
