"""The files of a folder as one commit of a repository: whoever reads meanwhile finds the old state or the new one."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symdata.errors import HubError
from symdata.hub.address import Address, Kind, is_revision, quoted
from symdata.hub.refusals import quiet, sending

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LIBRARY = "symdata"
"""The tag, from the card, by which a repository is known as one of ours."""
THEIRS = ("README.md", ".gitattributes")
"""Files that a new repository may come with."""


@dataclass(frozen=True)
class Published:
    """Where a folder went."""

    kind: Kind
    repo_id: str
    url: str
    commit: str | None
    """None if nothing was sent, in a dry run."""
    tag: str | None
    files: dict[str, int]
    """Bytes of each file of the commit."""

    def to_dict(self) -> dict[str, Any]:
        """The fields, ready for JSON."""
        return asdict(self)


def upload(
    address: Address,
    files: Mapping[str, Path | bytes],
    *,
    mark: str,
    is_ours: Callable[[str], bool],
    message: str,
    private: bool = False,
    tag: str | None = None,
    token: str | None = None,
    dry_run: bool = False,
) -> Published:
    """Make `files` the state of a repository, which is created if it is not there.

    What is there already and unchanged is not sent again, and if nothing has changed there is no commit. An upload that
    broke off is finished by calling this again.

    Args:
        address: repository and kind, without a revision: it goes to the main branch.
        files: name in the repository -> file here, or content.
        mark: the file by which a repository is known as one of ours, should its card not say so.
        is_ours: whether a file of the repository belongs to what is published; if it is not in `files` it is deleted.
        message: of the commit.
        private: whether a repository that is created now is private.
        tag: a name for the commit, such as `v1`.
        token: an access token; None: the one of `hf auth login`.
        dry_run: say what would be sent, and ask the Hub nothing.

    Raises:
        HubError: if the Hub refuses, or the repository holds something else.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    kind, repo_id = address.kind or "model", address.repo_id
    if address.revision is not None:
        raise HubError(f"{str(address)!r} names a revision; give {repo_id} and --tag {address.revision}")
    if tag is not None and not is_revision(tag):  # before anything is sent
        raise HubError(f"tag {quoted(tag)} is no name of a revision; write letters, digits and . _ + - as in v1.0")
    sizes = {name: len(file) if isinstance(file, bytes) else file.stat().st_size for name, file in files.items()}
    api = HfApi(token=token)
    url = f"{api.endpoint}/{'datasets/' if kind == 'dataset' else ''}{repo_id}"
    if dry_run:
        return Published(kind, repo_id, url, None, tag, sizes)
    with sending(repo_id, api.endpoint), quiet("hf_api"):  # it warns where there is nothing to commit
        api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True)
        info: Any = api.repo_info(repo_id, repo_type=kind)
        there = {file.rfilename for file in info.siblings or ()}
        taken = sorted(there.intersection(files).difference(THEIRS))
        if taken and mark not in there and LIBRARY not in (info.tags or ()):
            raise HubError(f"{repo_id!r} holds another {kind}, with a {taken[0]} of its own; choose another name")
        adds = [CommitOperationAdd(name, str(f) if isinstance(f, Path) else f) for name, f in files.items()]
        stale = [CommitOperationDelete(name) for name in sorted(there.difference(files)) if is_ours(name)]
        # One commit of everything, on top of what was looked at: never a mixture, whoever else publishes meanwhile.
        done = api.create_commit(
            repo_id, [*adds, *stale], repo_type=kind, commit_message=message, parent_commit=info.sha
        )
        if tag is not None:
            _tag(api, repo_id, kind, tag, done.oid)
    return Published(kind, repo_id, url, done.oid, tag, sizes)


def _tag(api: "HfApi", repo_id: str, kind: Kind, tag: str, commit: str) -> None:
    """Name a commit; a name that stands for another one is left to it."""
    named = {ref.name: ref.target_commit for ref in api.list_repo_refs(repo_id, repo_type=kind).tags}
    if named.get(tag, commit) != commit:
        raise HubError(
            f"{repo_id!r} was uploaded as {commit}, but its tag {tag!r} stands for {named[tag]}; choose another --tag"
        )
    api.create_tag(repo_id, repo_type=kind, tag=tag, revision=commit, exist_ok=True)
