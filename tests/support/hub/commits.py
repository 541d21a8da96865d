"""Writing: which files go up how (preupload), and the commit that makes them visible, all at once or not at all."""

import base64
import fnmatch
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import access, cards, views
from .access import param, store
from .errors import HubError, entry_not_found, revision_not_found
from .store import Account, File, Repo, Store

REGULAR_LIMIT = 10 * 2**20
_FORBIDDEN = {"", ".", "..", ".git", ".huggingface"}


async def preupload(request: Request) -> Response:
    """Say for each file: large or regular, and what the repository holds under that name now."""
    repo, _ = access.writable(request)
    commit, body = repo.resolve(param(request, "rev")), await request.json()
    patterns = _large_patterns(store(request), commit.files.get(".gitattributes"))

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        known = commit.files.get(asked["path"])
        mode = "lfs" if _is_large(asked, patterns) else "regular"
        return {"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, "oid": known.etag if known else None}

    return views.reply({"files": [answer(asked) for asked in body["files"]]})


async def commit(request: Request) -> Response:
    """Apply the operations of an ndjson body to a branch. Refused as a whole if any one of them is."""
    if request.query_params.get("create_pr"):
        raise HubError(501, "The loopback Hub has no pull requests")
    repo, account = access.writable(request)
    lines = [json.loads(line) for line in (await request.body()).splitlines() if line.strip()]
    branch = param(request, "rev").removeprefix("refs/heads/")
    made = _apply(store(request), repo, account, branch, lines)
    url = f"{store(request).endpoint}/{repo.web_path}/commit/{made}"
    return views.reply({"success": True, "commitOid": made, "commitUrl": url, "hookOutput": ""})


def _apply(hub: Store, repo: Repo, account: Account, branch: str, lines: list[dict[str, Any]]) -> str:
    if branch not in repo.branches:
        raise revision_not_found(branch)
    if not lines or lines[0].get("key") != "header" or not lines[0]["value"].get("summary"):
        raise HubError(400, "The first line of a commit must be a header with a summary")
    header, head = lines[0]["value"], repo.branches[branch]
    if header.get("parentCommit", head) != head:
        raise HubError(412, "A commit has happened since. Please refresh and try again.")
    files = dict(repo.commits[head].files)
    for line in lines[1:]:
        _OPERATIONS.get(line["key"], _unknown)(hub, repo, files, line["value"])
    _check_names(files)
    readme = files.get("README.md")
    if readme and (errors := cards.problems(hub.content(readme).decode(errors="replace"))[0]):
        raise HubError(400, f"Your push was rejected because of invalid metadata in README.md: {errors[0]}")
    return repo.commit(branch, files, account.name, header["summary"], header.get("description", "")).oid


def _add(hub: Store, repo: Repo, files: dict[str, File], value: dict[str, Any]) -> None:
    if value.get("encoding", "utf-8") == "base64":
        data = base64.b64decode(value["content"], validate=True)
    else:
        data = value["content"].encode()
    if len(data) > REGULAR_LIMIT:
        raise HubError(400, f"Your push was rejected because {value['path']} is larger than 10 MiB: use git-lfs")
    files[_checked(value["path"])] = File.regular(data)


def _add_large(hub: Store, repo: Repo, files: dict[str, File], value: dict[str, Any]) -> None:
    oid = value["oid"]
    if oid not in repo.large:
        raise HubError(
            400, f"Your push was rejected because an LFS pointer pointed to a file that does not exist: {oid}"
        )
    if value.get("size", len(hub.blobs[oid])) != len(hub.blobs[oid]):
        raise HubError(400, f"LFS object {oid} has {len(hub.blobs[oid])} bytes, not {value['size']}")
    files[_checked(value["path"])] = File.large(oid, len(hub.blobs[oid]))


def _remove(hub: Store, repo: Repo, files: dict[str, File], value: dict[str, Any]) -> None:
    if files.pop(value["path"], None) is None:
        raise entry_not_found(f"A file with this name doesn't exist: {value['path']};", repo.branches["main"])


def _remove_folder(hub: Store, repo: Repo, files: dict[str, File], value: dict[str, Any]) -> None:
    inside = [path for path in files if path.startswith(value["path"].rstrip("/") + "/")]
    if not inside:
        raise entry_not_found(f"A folder with this name doesn't exist: {value['path']};", repo.branches["main"])
    for path in inside:
        del files[path]


def _unknown(hub: Store, repo: Repo, files: dict[str, File], value: dict[str, Any]) -> None:
    raise HubError(400, "A commit line must be a header, file, lfsFile, deletedFile or deletedFolder")


_OPERATIONS = {"file": _add, "lfsFile": _add_large, "deletedFile": _remove, "deletedFolder": _remove_folder}


def _checked(path: str) -> str:
    if _FORBIDDEN & set(path.split("/")) or "\\" in path or "\0" in path:
        raise HubError(400, f"Invalid path in commit: {path!r}")
    return path


def _check_names(files: dict[str, File]) -> None:
    for path in files:
        parts = path.split("/")
        if any("/".join(parts[:depth]) in files for depth in range(1, len(parts))):
            raise HubError(400, f"{path} lies inside a path that is a file")


def _large_patterns(hub: Store, attributes: File | None) -> list[str]:
    text = hub.content(attributes).decode() if attributes else ""
    return [line.split()[0] for line in text.splitlines() if "filter=lfs" in line]


def _is_large(asked: dict[str, Any], patterns: list[str]) -> bool:
    """Large by name (.gitattributes), by size, or binary by its first bytes. Empty files are never large."""
    path, name = asked["path"], asked["path"].rpartition("/")[2]
    named = any(fnmatch.fnmatch(path if "/" in pattern else name, pattern) for pattern in patterns)
    binary = b"\0" in base64.b64decode(asked.get("sample", ""))
    return asked["size"] > 0 and (named or binary or asked["size"] > REGULAR_LIMIT)


def _routes(kind: str) -> list[Route]:
    base = f"/api/{kind}/{{owner}}/{{name}}"
    table = [(base + "/preupload/{rev}", preupload), (base + "/commit/{rev}", commit)]
    return [Route(path, access.of_kind(kind, handler), methods=["POST"]) for path, handler in table]


routes = [route for kind in access.KINDS for route in _routes(kind)]
