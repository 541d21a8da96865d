"""Git and Git LFS object identities, computed as git computes them."""

import hashlib
from collections.abc import Mapping


def _object_id(kind: str, body: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(body)}\0".encode() + body).hexdigest()


def blob_id(data: bytes) -> str:
    """The sha1 (40 hex digits) git gives to a file with this content."""
    return _object_id("blob", data)


def lfs_pointer(sha256: str, size: int) -> bytes:
    """The small text file that git stores in place of a large one."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def tree_ids(blobs: Mapping[str, str]) -> dict[str, str]:
    """The tree sha1 of every folder of `{path: blob sha1}`; the root is the empty path."""
    children: dict[str, dict[str, str]] = {"": {}}
    for path, oid in blobs.items():
        children.setdefault(_parent(path), {})[path] = oid
        folder = _parent(path)
        while folder:
            children.setdefault(_parent(folder), {})
            folder = _parent(folder)
    trees: dict[str, str] = {}
    # Deepest folders first: a tree's identity is made of its children's. The root has depth -1 to come last.
    for folder in sorted(children, key=lambda path: path.count("/") if path else -1, reverse=True):
        trees[folder] = _tree_id(folder, children[folder], trees)
    return trees


def commit_id(tree: str, parent: str | None, author: str, seconds: int, message: str) -> str:
    """The sha1 of a commit by `author` at `seconds` since 1970, UTC."""
    who = f"{author} <{author}@users.noreply.huggingface.co> {seconds} +0000"
    lines = [
        f"tree {tree}",
        *([f"parent {parent}"] if parent else []),
        f"author {who}",
        f"committer {who}",
        "",
        message,
    ]
    return _object_id("commit", "\n".join(lines).encode())


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _tree_id(folder: str, files: Mapping[str, str], trees: Mapping[str, str]) -> str:
    entries = [(path.rpartition("/")[2], b"100644", oid) for path, oid in files.items()]
    entries += [
        (path.rpartition("/")[2], b"40000", oid) for path, oid in trees.items() if path and _parent(path) == folder
    ]
    # Git sorts a folder as if its name ended in a slash.
    entries.sort(key=lambda entry: entry[0].encode() + (b"/" if entry[1] == b"40000" else b""))
    return _object_id(
        "tree", b"".join(mode + b" " + name.encode() + b"\0" + bytes.fromhex(oid) for name, mode, oid in entries)
    )
