"""The loopback Hub against the real, unmodified clients: what they send it understands, what it answers they accept.

Most tests use the client of this process; those about datasets, offline mode and killed clients start a fresh one.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub import objects
from tests.support.hub_server import LoopbackHub

pytest_plugins = ["tests.support.hub_fixture"]

CARD = "---\nlicense: mit\nlibrary_name: symdata\ntags:\n- d4\ndatasets:\n- user/squares\n---\n# A model\n"
WEIGHTS = bytes(range(256)) * 400
FULL_SHA = 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder with a card, a small file in a subfolder and a large binary one."""
    made = tmp_path / "model"
    (made / "sub").mkdir(parents=True)
    (made / "README.md").write_text(CARD)
    (made / "config.json").write_text('{"group": "d4"}')
    (made / "sub" / "notes.txt").write_text("hello\n")
    (made / "weights.bin").write_bytes(WEIGHTS)
    return made


@pytest.fixture
def published(hub: LoopbackHub, folder: Path) -> str:
    """The folder published as user/model and tagged v1; the full sha of the commit."""
    hub.api().create_repo("user/model")
    oid = hub.api().upload_folder(repo_id="user/model", folder_path=folder).oid
    hub.api().create_tag("user/model", tag="v1")
    hub.requests.clear()
    return oid


def paths(hub: LoopbackHub) -> list[str]:
    """The requests since the log was cleared, without the one about agents that a client makes once per process."""
    return [str(call) for call in hub.requests if "agent-harnesses" not in call.path]


def test_hashes_are_those_of_git() -> None:
    contents = {"a/b/one.txt": b"one\n", "a.txt": b"two\n", "a-z": b"three\n", "z/empty": b""}
    trees = objects.tree_ids({path: objects.blob_id(data) for path, data in contents.items()})
    # Written by git 2.39: hash-object, write-tree, commit-tree. Git sorts a-z, a.txt, a/.
    assert objects.blob_id(b"one\n") == "5626abf0f72e58d7a153368ba57db4c673c0e171"
    assert trees["a"] == "ccfccbc37fae7bbc70bc4401f114e4a7e08d513e"
    assert trees[""] == "8171dad2949da5e197f38b99c2ee511c032d567b"
    commit = objects.commit_id(trees[""], None, "user", 1700000000, "first\n")
    assert commit == "a4784376021b332c52a7b6eaa715bf1aad69d6e8"


def test_a_published_folder_is_described_as_the_hub_describes_it(hub: LoopbackHub, published: str) -> None:
    info = hub.api().model_info("user/model", files_metadata=True)
    files = {sibling.rfilename: sibling for sibling in info.siblings or []}
    assert info.sha == published and len(published) == FULL_SHA
    assert {"d4", "symdata", "license:mit", "dataset:user/squares"} <= set(info.tags or [])
    assert info.card_data is not None and info.card_data.license == "mit" and info.library_name == "symdata"
    assert set(files) == {".gitattributes", "README.md", "config.json", "sub/notes.txt", "weights.bin"}
    large = files["weights.bin"].lfs
    assert large is not None and large.sha256 == hashlib.sha256(WEIGHTS).hexdigest() and large.size == len(WEIGHTS)
    assert files["config.json"].lfs is None and files["config.json"].blob_id == objects.blob_id(b'{"group": "d4"}')


def test_upload_sends_each_large_file_once_and_never_a_token_to_the_other_host(hub: LoopbackHub, folder: Path) -> None:
    hub.api().create_repo("user/model")
    first = hub.api().upload_folder(repo_id="user/model", folder_path=folder)
    hub.api().hf_hub_download("user/model", "weights.bin")
    other_host = [call for call in hub.requests if call.path.startswith("/cdn/")]
    assert [call.method for call in other_host] == ["PUT", "GET"]
    assert all(
        "authorization" not in call.headers and call.headers["host"].startswith("localhost") for call in other_host
    )

    hub.requests.clear()
    again = hub.api().upload_folder(repo_id="user/model", folder_path=folder)
    assert again.oid == first.oid
    assert not any(call.method == "PUT" or "/commit/" in call.path for call in hub.requests)


def test_download_pinned_to_a_sha_asks_nothing_the_second_time(hub: LoopbackHub, published: str) -> None:
    path = Path(hub.api().hf_hub_download("user/model", "weights.bin", revision=published))
    assert path.read_bytes() == WEIGHTS
    assert [call.split()[0] for call in paths(hub)] == ["HEAD", "GET"]
    hub.requests.clear()
    assert hub.api().hf_hub_download("user/model", "weights.bin", revision=published) == str(path)
    assert paths(hub) == []
    hub.api().hf_hub_download("user/model", "weights.bin")
    assert paths(hub) == ["HEAD /user/model/resolve/main/weights.bin"]


def test_snapshot_by_tag_is_complete_and_verifiable(hub: LoopbackHub, published: str, folder: Path) -> None:
    got = Path(hub.api().snapshot_download("user/model", revision="v1"))
    assert got.name == published
    for path in ("README.md", "sub/notes.txt", "weights.bin"):
        assert (got / path).read_bytes() == (folder / path).read_bytes()
    assert hub.api().verify_repo_checksums("user/model", revision="v1").mismatches == []


def test_tree_history_and_references(hub: LoopbackHub, published: str) -> None:
    api = hub.api()
    hub.store.page_size = 2
    names = [entry.path for entry in api.list_repo_tree("user/model", recursive=True)]
    assert names == [".gitattributes", "README.md", "config.json", "sub", "sub/notes.txt", "weights.bin"]
    assert sum("/tree/" in call.path for call in hub.requests) == 3
    assert [entry.path for entry in api.list_repo_tree("user/model", "sub", expand=True)] == ["sub/notes.txt"]
    assert [entry.path for entry in api.get_paths_info("user/model", ["sub", "config.json", "none"])] == [
        "sub",
        "config.json",
    ]
    titles = [commit.title for commit in api.list_repo_commits("user/model", revision="v1")]
    assert titles == ["Upload folder using huggingface_hub", "initial commit"]

    api.create_branch("user/model", branch="feature/one", revision=published)
    refs = api.list_repo_refs("user/model")
    assert {ref.name: ref.target_commit for ref in refs.branches} == {"main": published, "feature/one": published}
    assert [(ref.ref, ref.target_commit) for ref in refs.tags] == [("refs/tags/v1", published)]
    api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="user/model", revision="feature/one")
    assert api.file_exists("user/model", "x.txt", revision="feature/one") and not api.file_exists("user/model", "x.txt")
    api.delete_branch("user/model", branch="feature/one")
    api.delete_tag("user/model", tag="v1")
    assert not api.list_repo_refs("user/model").tags


def test_files_folders_and_repositories_can_be_deleted(hub: LoopbackHub, published: str) -> None:
    from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

    api = hub.api()
    api.delete_folder("sub", "user/model")
    assert not api.file_exists("user/model", "sub/notes.txt")
    assert api.file_exists("user/model", "sub/notes.txt", revision=published)
    with pytest.raises(EntryNotFoundError, match="A file with this name doesn't exist"):
        api.delete_file("sub/notes.txt", "user/model")
    api.delete_repo("user/model")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("user/model")


def test_listings_filter_by_author_tag_and_text(hub: LoopbackHub, published: str) -> None:
    api = hub.api()
    api.create_repo("user/hidden", private=True)
    api.create_repo("lab/other")
    api.create_repo("user/squares", repo_type="dataset")
    hub.store.page_size = 1

    def found(**asked: Any) -> list[str]:
        return [model.id for model in hub.api(False).list_models(**asked)]

    assert found() == ["lab/other", "user/model"]
    assert (
        found(author="user")
        == found(filter="d4")
        == found(search="mod")
        == found(trained_dataset="user/squares")
        == ["user/model"]
    )
    assert [model.id for model in api.list_models(author="user")] == ["user/hidden", "user/model"]
    assert [data.id for data in api.list_datasets()] == ["user/squares"]


def test_private_repositories_do_not_exist_for_others(hub: LoopbackHub, published: str) -> None:
    from huggingface_hub.errors import RepositoryNotFoundError

    hub.api().update_repo_settings("user/model", private=True)
    for token, status in ((False, 401), (hub.stranger_token, 404)):
        with pytest.raises(RepositoryNotFoundError) as caught:
            hub.api(token).hf_hub_download("user/model", "config.json")
        assert caught.value.response.status_code == status
    assert Path(hub.api(hub.read_token).hf_hub_download("user/model", "config.json")).is_file()


def test_gated_files_are_for_the_accepted(hub: LoopbackHub, published: str) -> None:
    from huggingface_hub.errors import GatedRepoError

    hub.api().update_repo_settings("user/model", gated="auto")
    stranger = hub.api(hub.stranger_token)
    assert stranger.model_info("user/model").gated == "auto"
    for token, status in ((False, 401), (hub.stranger_token, 403)):
        with pytest.raises(GatedRepoError) as caught:
            hub.api(token).hf_hub_download("user/model", "config.json")
        assert caught.value.response.status_code == status
    hub.repo("user/model").granted.add("stranger")
    assert Path(stranger.hf_hub_download("user/model", "config.json")).is_file()


def test_missing_things_have_their_own_exceptions(hub: LoopbackHub, published: str) -> None:
    from huggingface_hub.errors import RemoteEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    api = hub.api()
    with pytest.raises(RevisionNotFoundError):
        api.hf_hub_download("user/model", "config.json", revision="v2")
    with pytest.raises(RevisionNotFoundError):
        api.snapshot_download("user/model", revision="0" * FULL_SHA)
    with pytest.raises(RemoteEntryNotFoundError):
        api.hf_hub_download("user/model", "none.json")
    with pytest.raises(RepositoryNotFoundError):
        api.hf_hub_download("user/none", "config.json")


def test_rights_and_conflicts(hub: LoopbackHub, published: str) -> None:
    from huggingface_hub.errors import HfHubHTTPError

    def refused(status: int, call: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        with pytest.raises(HfHubHTTPError) as caught:
            call(*arguments, **named)
        assert caught.value.response.status_code == status

    api = hub.api()
    file: dict[str, Any] = {"path_or_fileobj": b"1", "path_in_repo": "a.txt", "repo_id": "user/model"}
    refused(401, hub.api("hf_nobody").whoami)
    refused(401, hub.api(False).upload_file, **file)
    refused(403, hub.api(hub.read_token).upload_file, **file)
    refused(403, hub.api(hub.stranger_token).upload_file, **file)
    refused(403, api.create_repo, "stranger/model")
    refused(409, api.create_repo, "user/model")
    refused(409, api.create_tag, "user/model", tag="v1")
    assert api.create_repo("user/model", exist_ok=True).repo_id == "user/model"
    assert api.whoami()["orgs"][0]["name"] == "lab"

    second = api.upload_file(**file, parent_commit=published)
    refused(412, api.upload_file, **file | {"path_or_fileobj": b"2"}, parent_commit=published)
    assert hub.read("user/model", "a.txt") == b"1" and api.model_info("user/model").sha == second.oid


def test_a_commit_with_one_bad_line_changes_nothing(hub: LoopbackHub, published: str) -> None:
    from huggingface_hub import get_session

    url, good = (
        f"{hub.url}/api/models/user/model/commit/main",
        '{"key":"file","value":{"path":"good.txt","content":"x"}}',
    )
    header, missing = '{"key":"header","value":{"summary":"s"}}', "0" * 64
    bad = [
        f'{{"key":"file","value":{{"path":"{path}","content":"x"}}}}'
        for path in ("../up", "/abs", ".git/config", "config.json/x", "")
    ]
    bad += [
        f'{{"key":"lfsFile","value":{{"path":"w.bin","algo":"sha256","oid":"{missing}","size":1}}}}',
        '{"key":"rename","value":{}}',
    ]
    for line in bad:
        body = "\n".join((header, good, line))
        answer = get_session().post(url, content=body, headers={"Authorization": f"Bearer {hub.token}"})
        assert answer.status_code == 400, line
    assert hub.api().model_info("user/model").sha == published


def test_cards_are_checked(hub: LoopbackHub, published: str) -> None:
    with pytest.raises(ValueError, match="Invalid metadata in README"):
        hub.api().upload_file(
            path_or_fileobj=b"---\ntags: {a: 1}\n---\n", path_in_repo="README.md", repo_id="user/model"
        )
    with pytest.warns(UserWarning, match="empty or missing yaml metadata"):
        hub.api().upload_file(path_or_fileobj=b"# no card\n", path_in_repo="README.md", repo_id="user/model")


def test_ranges(hub: LoopbackHub, published: str) -> None:
    from huggingface_hub import HfFileSystem, get_session

    with HfFileSystem(endpoint=hub.url, token=hub.token).open("user/model/weights.bin") as file:
        file.seek(1000)
        assert file.read(5) == WEIGHTS[1000:1005]
    url, size = f"{hub.url}/user/model/resolve/main/sub/notes.txt", len("hello\n")
    for asked, status, body, part in (
        ("bytes=1-2", 206, b"el", f"bytes 1-2/{size}"),
        ("bytes=-2", 206, b"o\n", f"bytes 4-5/{size}"),
        ("bytes=4-99", 206, b"o\n", f"bytes 4-5/{size}"),
        ("bytes=6-", 416, None, f"bytes */{size}"),
    ):
        answer = get_session().get(url, headers={"Range": asked})
        assert (answer.status_code, answer.headers["content-range"]) == (status, part)
        assert body is None or answer.content == body
