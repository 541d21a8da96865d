"""What can go wrong between here and the Hub: each is one sentence with its mend, for models and datasets alike."""

from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from symdata import publish
from symdata.errors import SymdataError
from symdata.hub import pull as pull_dataset
from tests.support import checkpoints
from tests.support.checkpoints import same
from tests.support.commands import run
from tests.support.folders import build
from tests.support.hub_server import LoopbackHub
from zoo import info, load, pull, push

pytest_plugins = ["tests.support.hub_fixture"]
datasets.disable_progress_bars()  # and imported early: the fixture `hub` points it at the loopback Hub only then
MODEL, DATA = "user/model", "user/data"

whole, here = checkpoints.whole, checkpoints.here


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("data") / "d", symmetry="d4", count=24, size=12).folder


@pytest.fixture(scope="module")
def published(whole, data):
    """What a Hub remembers to which a model and a dataset were published."""
    with LoopbackHub() as hub, pytest.MonkeyPatch.context() as patch:
        hub.use_here(patch)
        push(whole, MODEL, tag="v1")
        publish(data, DATA, tag="v1")
        return hub.memory()


@pytest.fixture
def both(hub: LoopbackHub, published, monkeypatch) -> LoopbackHub:
    """A Hub with a model and a dataset at v1; the client does not sleep between its retries."""
    hub.recall(published)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    return hub


READERS: dict[str, tuple[str, str, Callable]] = {
    "load": ("model", MODEL, lambda ref, out: load(ref)),
    "info": ("model", MODEL, lambda ref, out: info(ref)),
    "pull a model": ("model", MODEL, pull),
    "pull a dataset": ("dataset", DATA, pull_dataset),
}
readers = pytest.mark.parametrize(("kind", "repo", "read"), READERS.values(), ids=READERS)


def said(call: Callable, *arguments: object) -> str:
    """The one sentence with which a call is refused."""
    with pytest.raises(SymdataError) as caught:
        call(*arguments)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 500 and "Traceback" not in text
    return text


@readers
def test_nothing_is_refused_without_a_reason(both, here, kind, repo, read):
    read(f"{repo}@v1", here / "out")


@readers
def test_no_such_repository(both, here, kind, repo, read):
    text = said(read, "user/nothing", here / "out")
    assert "'user/nothing' on the Hub that you may read; check the name, or log in with `hf auth login`" in text


@readers
def test_private_to_somebody_else(both, here, monkeypatch, kind, repo, read):
    both.api().update_repo_settings(repo, private=True, repo_type=kind)
    both.use_here(monkeypatch, token=both.stranger_token)
    assert "that you may read; check the name, or log in" in said(read, repo, here / "out")


@readers
def test_gated(both, here, monkeypatch, kind, repo, read):
    both.api().update_repo_settings(repo, gated="manual", repo_type=kind)
    both.use_here(monkeypatch, token=both.stranger_token)
    assert "is gated: accept its terms on its page, then log in with `hf auth login`" in said(read, repo, here / "out")


@readers
def test_no_such_revision(both, here, kind, repo, read):
    text = said(read, f"{repo}@v9", here / "out")
    assert f"'{repo}' has no revision 'v9'; leave it out for the newest" in text


@readers
def test_a_name_that_the_hub_would_not_have(both, here, kind, repo, read):
    assert "is not the name of a repository" in said(read, "user/a..b", here / "out")


@readers
def test_a_token_that_is_none(both, here, monkeypatch, kind, repo, read):
    both.use_here(monkeypatch, token="hf_nosuch")
    assert "`hf auth login`" in said(read, repo, here / "out")


@readers
def test_down_and_not_in_the_cache(both, here, kind, repo, read):
    both.inject(path="/", drop="before", times=None)
    assert "is not in the cache and the Hub cannot be reached (" in said(read, repo, here / "out")


@readers
def test_failing_and_not_in_the_cache(both, here, kind, repo, read):
    both.inject(path="/", status=503, times=None)
    text = said(read, repo, here / "out")
    assert "(HTTP 503); try again later" in text or "the Hub cannot be reached" in text


@readers
@pytest.mark.parametrize("trouble", [{"status": 503}, {"drop": "before"}])
def test_down_but_in_the_cache(both, here, kind, repo, read, trouble):
    read(repo, here / "first")
    both.inject(path="/", times=None, **trouble)
    read(repo, here / "second")


@readers
def test_offline(both, here, monkeypatch, kind, repo, read):
    read(f"{repo}@v1", here / "first")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    both.requests.clear()
    read(f"{repo}@v1", here / "second")
    assert "is not in the cache and HF_HUB_OFFLINE is set; unset it once" in said(read, "user/other", here / "third")
    assert not both.requests


@readers
def test_pinned_to_a_commit_it_asks_nobody(both, here, kind, repo, read):
    commit = both.repo(repo, kind).resolve("v1").oid
    read(f"{repo}@{commit}", here / "first")
    both.requests.clear()
    read(f"{repo}@{commit}", here / "second")
    assert not both.requests


def test_offline_with_a_part_in_the_cache(both, here, monkeypatch):
    info(MODEL)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert info(MODEL)["name"]
    for read in (load, lambda ref: pull(ref, here / "out")):
        text = said(read, MODEL)
        assert "unset it once to fetch it" in text or "there is no file" in text
    assert not (here / "out").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "golden.safetensors"])
def test_a_repository_without_one_of_its_files(both, name):
    both.api().delete_file(name, MODEL)
    text = said(load, MODEL)
    assert f"{name}'; expected weights as safetensors (from the Hub: '{MODEL}'" in text


@readers
def test_an_endpoint_that_is_no_hub(both, here, kind, repo, read):
    """A web server that answers everything with a page."""
    both.inject(path="/", status=200, times=None)
    text = said(read, repo, here / "out")
    assert "does not answer as the Hub does (" in text and "set HF_ENDPOINT to a Hub, or unset it" in text


@readers
@pytest.mark.parametrize("path", ["/revision/", "/resolve/"])
@pytest.mark.parametrize(
    ("status", "mend"),
    [
        (403, "use a token that may read it: `hf auth login`"),
        (404, "check the name, and that your token may see it"),
        (429, "it limits requests: wait some minutes, then try again"),
        (500, "try again later"),
    ],
)
def test_a_status_without_a_code_of_the_hub(both, here, kind, repo, read, path, status, mend):
    """The client hides it behind an error of its own, that the entry is not in the cache."""
    both.inject(path=path, status=status, times=None)
    what = f"datasets/{repo}" if kind == "dataset" else repo
    assert said(read, repo, here / "out").endswith(f"the Hub refused {what!r} (HTTP {status}); {mend}")


def test_folders_are_spoken_of_where_they_play_a_part(both, here):
    absent = (
        "'user/absent' on the Hub that you may read; check the name, or log in with `hf auth login` if it is private"
    )
    assert said(load, "user/absent") == f"there is no folder 'user/absent' here; there is no repository {absent}"
    assert said(pull, "user/absent", here / "out") == f"there is no repository {absent}"
    assert said(pull_dataset, "user/absent", here / "out") == f"there is no dataset {absent}"
    result = run("pull", "user/absent", "--out", here / "out")
    assert (result.exit_code, result.stderr) == (1, f"symdata: there is no model and no dataset {absent}\n")


# Publishing

SENDERS = {"model": (MODEL, push), "dataset": (DATA, publish)}


@pytest.fixture(params=SENDERS)
def sending(request, both, whole, data):
    """Publishes a changed folder over an earlier state."""
    kind = request.param
    repo, send = SENDERS[kind]
    folder = {"model": whole, "dataset": data}[kind]
    both.api().delete_file("README.md", repo, repo_type=kind)  # so that there is something to commit
    return repo, lambda **how: send(folder, repo, **how)


def test_another_upload_came_between(both, sending):
    repo, send = sending
    both.inject(path="/commit/", status=412)
    assert said(send) == f"the Hub refused '{repo}' (HTTP 412): another upload came between; publish again"
    assert send().commit


def test_a_tag_that_is_there_is_not_created_again(both, data):
    first = publish(data, DATA, tag="v2")
    fault = both.inject(path="/tag/", status=500, times=None)
    assert publish(data, DATA, tag="v2") == first and not fault.hits


def test_a_changed_card_under_an_old_tag_is_refused_before_anything_is_sent(both, sending):
    repo, send = sending
    both.requests.clear()
    text = said(lambda: send(tag="v1"))
    assert f"tag 'v1' of '{repo}' stands for" in text and "nothing was sent: choose another --tag" in text
    sent = [str(call) for call in both.requests if call.method != "GET" and not call.path.endswith("/repos/create")]
    assert not sent
    assert send(tag="v3").commit


def test_rights(both, sending):
    _, send = sending
    for token, mend in ((both.read_token, "use a token that may write there"), ("hf_nosuch", "log in with `hf auth")):
        assert mend in said(lambda token=token: send(token=token))


def test_a_card_that_the_hub_refuses(both, sending):
    repo, send = sending
    both.inject(path="/api/validate-yaml", status=400)
    assert f"'{repo}'" in said(send)


def test_publishing_to_a_hub_that_is_down(both, sending):
    _, send = sending
    fault = both.inject(path="/commit/", status=503, times=None)
    assert "publish again later: what was sent is not sent twice" in said(send)
    assert fault.hits
    both.heal()
    both.inject(path="/", drop="before", times=None)
    assert "cannot be reached (" in said(send)
    both.heal()
    assert send().commit


def test_a_commit_whose_answer_is_lost(both, sending):
    """Done, and not known to be done: publishing again finds it done."""
    _, send = sending
    both.inject(path="/commit/", drop="after")
    try:
        first = send().commit
    except SymdataError:
        first = None
    again = send()
    assert first in (None, again.commit)
    assert same(load(MODEL))
