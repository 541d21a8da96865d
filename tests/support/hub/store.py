"""What the loopback Hub remembers: accounts, repositories, commits and large files, all in memory."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from . import objects
from .errors import HubError, revision_not_found

_LARGE = (
    "7z arrow bin bz2 ckpt ftz gz h5 joblib lfs.* mlmodel model msgpack npy npz onnx ot parquet pb pickle pkl pt pth "
    "rar safetensors tar.* tar tflite tgz wasm xz zip zst"
)
_LARGE_IN_DATASETS = "pcm sam raw aac flac mp3 ogg wav bmp gif png tiff jpg jpeg webp mp4 webm mds lz4"


@dataclass(frozen=True)
class File:
    """One version of a file. `oid` is git's (a large file's: of its pointer); `sha256` is set for large files only."""

    oid: str
    size: int
    sha256: str | None = None
    data: bytes | None = None

    @classmethod
    def regular(cls, data: bytes) -> "File":
        return cls(objects.blob_id(data), len(data), None, data)

    @classmethod
    def large(cls, sha256: str, size: int) -> "File":
        return cls(objects.blob_id(objects.lfs_pointer(sha256, size)), size, sha256)

    @property
    def etag(self) -> str:
        """What the client names the cached blob after: sha256 of a large file, git sha1 of a small one."""
        return self.sha256 or self.oid


@dataclass(frozen=True)
class Commit:
    """A state of the whole repository and how it came about."""

    oid: str
    parent: str | None
    files: Mapping[str, File]
    author: str
    seconds: int
    title: str
    description: str = ""

    @property
    def date(self) -> str:
        return iso(self.seconds)


@dataclass
class Repo:
    """A model or dataset repository; `kind` is "models" or "datasets", as in the API's addresses."""

    kind: str
    id: str
    private: bool = False
    gated: str | bool = False
    granted: set[str] = field(default_factory=set)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    seconds: int = field(default_factory=lambda: int(time.time()))

    @property
    def owner(self) -> str:
        return self.id.partition("/")[0]

    @property
    def web_path(self) -> str:
        """The path of its page: datasets carry a prefix, models do not."""
        return f"datasets/{self.id}" if self.kind == "datasets" else self.id

    def resolve(self, revision: str) -> Commit:
        """The commit behind a branch, tag, full ref or full sha. Raises 404 RevisionNotFound."""
        name = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        oid = self.branches.get(name) or self.tags.get(name) or revision
        if oid not in self.commits:
            raise revision_not_found(revision)
        return self.commits[oid]

    def commit(self, branch: str, files: Mapping[str, File], author: str, title: str, description: str = "") -> Commit:
        """Append a commit to a branch; the branch moves in one step, so a reader sees the old state or the new one."""
        parent, seconds = self.branches.get(branch), int(time.time())
        tree = objects.tree_ids({path: file.oid for path, file in files.items()})[""]
        oid = objects.commit_id(tree, parent, author, seconds, f"{title}\n\n{description}".strip() + "\n")
        self.commits[oid] = Commit(oid, parent, dict(files), author, seconds, title, description)
        self.branches[branch] = oid
        return self.commits[oid]

    def history(self, commit: Commit) -> Iterator[Commit]:
        """The commit and its ancestors, newest first."""
        while True:
            yield commit
            if commit.parent is None:
                return
            commit = self.commits[commit.parent]


@dataclass(frozen=True)
class Account:
    """The bearer of one token: a user, the organizations they may write to, and whether the token may write."""

    name: str
    role: str
    orgs: tuple[str, ...] = ()

    def owns(self, namespace: str) -> bool:
        return namespace == self.name or namespace in self.orgs


@dataclass
class Store:
    """Everything the server knows. `endpoint` is the Hub, `cdn` the other host name that serves large files."""

    endpoint: str = ""
    cdn: str = ""
    page_size: int = 1000
    xet: int | None = None
    """The status with which the content store of Xet refuses everything; None for a Hub without Xet."""
    part: int | None = None
    """Bytes of a part of a multipart upload, which larger files then are; None for single uploads alone."""
    parts: dict[tuple[str, int], bytes] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    def create(self, kind: str, repo_id: str, private: bool, author: str) -> Repo:
        """A new repository whose first commit is the Hub's .gitattributes. Raises 409 if it exists."""
        if (kind, repo_id) in self.repos:
            raise HubError(409, f"You already created this {kind[:-1]} repo: {repo_id}")
        repo = self.repos[kind, repo_id] = Repo(kind, repo_id, private)
        repo.commit("main", {".gitattributes": File.regular(gitattributes(kind))}, author, "initial commit")
        return repo

    def content(self, file: File) -> bytes:
        """The bytes of a file, wherever they are kept."""
        return file.data if file.data is not None else self.blobs[str(file.sha256)]

    def sign(self, action: str, sha256: str) -> str:
        """The signature that lets its bearer upload or download one large file without a token."""
        return hmac.new(self.secret, f"{action} {sha256}".encode(), hashlib.sha256).hexdigest()


def gitattributes(kind: str) -> bytes:
    """The .gitattributes the Hub puts into a new repository: what it names is stored as a large file."""
    endings = f"{_LARGE} {_LARGE_IN_DATASETS}" if kind == "datasets" else _LARGE
    patterns = ["saved_model/**/*", "*tfevents*", *(f"*.{ending}" for ending in endings.split())]
    return "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in patterns).encode()


def iso(seconds: int) -> str:
    """Seconds since 1970 as the API writes dates."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
