"""Upload files as one commit of a repository: a reader sees the old state or the new one, never a mixture."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import file_digest, sha1
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symdata.display import Result, Table
from symdata.errors import HubError
from symdata.hub.address import Address, Kind, is_revision, quoted
from symdata.hub.refusals import quiet, sending

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LIBRARY = "symdata"
"""The tag in the card that marks a repository of symdata."""
THEIRS = ("README.md", ".gitattributes")
"""Files that the Hub may put into a new repository."""


@dataclass(frozen=True)
class Published(Result):
    """Where files were uploaded to.

    Example:
        >>> print(Published("dataset", "me/glyphs", "https://huggingface.co/datasets/me/glyphs", "a1b2c3d", "v1", {}))
        https://huggingface.co/datasets/me/glyphs at a1b2c3d tagged v1
    """

    kind: Kind
    repo_id: str
    url: str
    commit: str | None
    """None after a dry run, in which nothing was sent."""
    tag: str | None
    files: dict[str, int]
    """Bytes of each file of the commit."""

    def parts(self) -> list[str | Table]:
        if self.commit is not None:
            return [f"{self.url} at {self.commit}{f' tagged {self.tag}' if self.tag else ''}"]
        rows = [(name, f"{size:,}".rjust(12)) for name, size in self.files.items()]
        return [Table(("file", "bytes"), rows, notes=(f"{self.kind} {self.url}: nothing was sent",))]


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
    """Make `files` the state of a repository, which is created if it does not exist.

    Files that have not changed are not sent again, and if none has changed there is no commit. After an interrupted
    upload, call this again.

    Args:
        address: repository and kind, without a revision: the commit goes to the main branch.
        files: name in the repository -> local file, or content.
        mark: the file that marks a repository of symdata if its card does not.
        is_ours: whether a file of the repository is deleted if it is not in `files`.
        message: of the commit.
        private: whether a repository that is created now is private.
        tag: a name for the commit, such as `v1`.
        token: an access token; None: the one of `hf auth login`.
        dry_run: say what would be sent, without a request to the Hub.

    Raises:
        HubError: if the Hub refuses, or the repository holds something else.

    Example:
        >>> files = {"notes.txt": b"hello"}
        >>> sent = upload(Address("me/x"), files, mark="notes.txt", is_ours=str.isalpha, message="Notes", dry_run=True)
        >>> sent.files, sent.commit
        ({'notes.txt': 5}, None)
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
    with sending(repo_id, api.endpoint), quiet("hf_api"):  # it warns if there is nothing to commit
        api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True)
        info: Any = api.repo_info(repo_id, repo_type=kind, files_metadata=tag is not None)
        there = {file.rfilename for file in info.siblings or ()}
        taken = sorted(there.intersection(files).difference(THEIRS))
        if taken and mark not in there and LIBRARY not in (info.tags or ()):
            raise HubError(f"{repo_id!r} holds another {kind}, with a {taken[0]} of its own; choose another name")
        adds = [CommitOperationAdd(name, str(f) if isinstance(f, Path) else f) for name, f in files.items()]
        stale = [CommitOperationDelete(name) for name in sorted(there.difference(files)) if is_ours(name)]
        tagged = None if tag is None else _tagged(api, repo_id, kind, tag)
        if tagged is not None and (tagged != info.sha or stale or _changed(files, info.siblings or ())):
            raise HubError(
                f"tag {tag!r} of {repo_id!r} stands for {tagged}, which has other files; nothing was sent: "
                "choose another --tag"
            )
        # One commit with the parent that was read above: no mixture if somebody else publishes at the same time.
        done = api.create_commit(
            repo_id, [*adds, *stale], repo_type=kind, commit_message=message, parent_commit=info.sha
        )
        if tag is not None and tagged is None:
            api.create_tag(repo_id, repo_type=kind, tag=tag, revision=done.oid, exist_ok=True)
    return Published(kind, repo_id, url, done.oid, tag, sizes)


def _tagged(api: "HfApi", repo_id: str, kind: Kind, tag: str) -> str | None:
    """The commit that a tag stands for; None if there is no such tag."""
    refs = api.list_repo_refs(repo_id, repo_type=kind)
    return next((ref.target_commit for ref in refs.tags if ref.name == tag), None)


def _changed(files: Mapping[str, Path | bytes], there: Iterable[Any]) -> bool:
    """Whether the repository lacks one of the files or has another content for it."""
    known = {file.rfilename: file for file in there}
    return any(name not in known or not _is_same(file, known[name]) for name, file in files.items())


def _is_same(file: Path | bytes, there: Any) -> bool:
    if there.lfs is not None:
        with BytesIO(file) if isinstance(file, bytes) else file.open("rb") as stream:
            return bool(file_digest(stream, "sha256").hexdigest() == there.lfs.sha256)
    data = file if isinstance(file, bytes) else file.read_bytes()
    return bool(sha1(b"blob %d\0" % len(data) + data).hexdigest() == there.blob_id)  # git's own hash
