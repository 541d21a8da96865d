"""The JSON with which the Hub describes repositories, files and commits."""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

import yaml
from starlette.requests import Request
from starlette.responses import Response

from . import cards, objects
from .access import store
from .store import Commit, File, Repo, Store, iso

T = TypeVar("T")
_LISTED = frozenset(
    "_id id author private gated disabled downloads likes tags createdAt lastModified sha modelId library_name "
    "pipeline_tag".split()
)


def reply(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response; dates that YAML made out of card text become text again."""
    return Response(json.dumps(content, default=str), status, headers, "application/json; charset=utf-8")


def page(request: Request, rows: Sequence[T]) -> tuple[list[T], dict[str, str]]:
    """The part of `rows` that the request's cursor asks for, and the Link header to the next part."""
    size = min(int(request.query_params.get("limit", 10**9)), store(request).page_size)
    start = int(request.query_params.get("cursor", 0))
    if start + size >= len(rows):
        return list(rows[start:]), {}
    query = [(key, value) for key, value in request.query_params.multi_items() if key != "cursor"]
    url = f"{store(request).endpoint}{request.scope['path']}?{urlencode([*query, ('cursor', start + size)])}"
    return list(rows[start : start + size]), {"Link": f'<{url}>; rel="next"'}


def describe(hub: Store, repo: Repo, commit: Commit, blobs: bool = False) -> dict[str, Any]:
    """Everything that model_info and dataset_info can ask for."""
    card = cards.metadata(_text(hub, commit, "README.md"))
    info: dict[str, Any] = {"_id": objects.blob_id(repo.id.encode())[:24], "id": repo.id, "author": repo.owner}
    info |= {"sha": commit.oid}
    info |= {"private": repo.private, "gated": repo.gated, "disabled": False, "downloads": 0, "likes": 0}
    info |= {
        "createdAt": iso(repo.seconds),
        "lastModified": commit.date,
        "tags": cards.tags(card, repo.kind),
        "cardData": card,
    }
    info |= {"usedStorage": sum(len(hub.blobs[oid]) for oid in repo.large)}
    info |= {"siblings": [_sibling(path, file, blobs) for path, file in sorted(commit.files.items())]}
    return info | (_model_extras(hub, repo, commit, card) if repo.kind == "models" else {"description": ""})


def select(info: dict[str, Any], expand: Iterable[str]) -> dict[str, Any]:
    """Only the asked-for properties, as `expand=` has it; all of them when nothing is asked for."""
    wanted = {"_id", "id", *expand}
    return {key: value for key, value in info.items() if key in wanted} if len(wanted) > 2 else info


def listed(info: dict[str, Any], request: Request) -> dict[str, Any]:
    """The shorter form in which list_models and list_datasets show a repository."""
    asked = request.query_params
    if expand := asked.getlist("expand"):
        return select(info, expand)
    extra = {"siblings", "cardData"} if asked.get("full") else {"cardData"} if asked.get("cardData") else set()
    return {key: value for key, value in info.items() if key in _LISTED or key in extra}


def entry(repo: Repo, commit: Commit, path: str, expand: bool = False) -> dict[str, Any]:
    """One file as tree and paths-info show it."""
    file = commit.files[path]
    row: dict[str, Any] = {"type": "file", "oid": file.oid, "size": file.size, "path": path}
    if file.sha256:
        row["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": _pointer_size(file)}
    if expand:
        row["lastCommit"] = _last_commit(repo, commit, path)
        row["securityFileStatus"] = {"status": "safe", "avScan": None, "pickleImportScan": None}
    return row


def folder(repo: Repo, commit: Commit, path: str, tree: str, expand: bool = False) -> dict[str, Any]:
    """One folder as tree and paths-info show it."""
    row: dict[str, Any] = {"type": "directory", "oid": tree, "size": 0, "path": path}
    return row | ({"lastCommit": _last_commit(repo, commit, path)} if expand else {})


def commit_row(commit: Commit) -> dict[str, Any]:
    """One commit of a history."""
    row = {"id": commit.oid, "title": commit.title, "message": commit.description, "date": commit.date}
    return row | {
        "authors": [{"user": commit.author}],
        "formatted": {"title": commit.title, "message": commit.description},
    }


def _text(hub: Store, commit: Commit, path: str) -> str:
    return hub.content(commit.files[path]).decode(errors="replace") if path in commit.files else ""


def _pointer_size(file: File) -> int:
    return len(objects.lfs_pointer(str(file.sha256), file.size))


def _sibling(path: str, file: File, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": path}
    lfs = {"lfs": {"sha256": file.sha256, "size": file.size, "pointerSize": _pointer_size(file)}} if file.sha256 else {}
    return {"rfilename": path, "size": file.size, "blobId": file.oid, **lfs}


def _last_commit(repo: Repo, commit: Commit, path: str) -> dict[str, str]:
    def state(at: Commit) -> dict[str, str]:
        return {name: file.oid for name, file in at.files.items() if name == path or name.startswith(path + "/")}

    found = commit
    for older in repo.history(commit):
        if state(older) != state(commit):
            break
        found = older
    return {"id": found.oid, "title": found.title, "date": found.date}


def _model_extras(hub: Store, repo: Repo, commit: Commit, card: dict[str, Any]) -> dict[str, Any]:
    found = {"modelId": repo.id, "library_name": card.get("library_name"), "pipeline_tag": card.get("pipeline_tag")}
    found |= {
        "model-index": card.get("model-index"),
        "config": _config(_text(hub, commit, "config.json")),
        "spaces": [],
    }
    if "model.safetensors" in commit.files:
        found["safetensors"] = _parameters(hub.content(commit.files["model.safetensors"]))
    paths = [path for path in sorted(commit.files) if path.startswith(".eval_results/") and path.endswith(".yaml")]
    found["evalResults"] = [row for path in paths for row in yaml.safe_load(_text(hub, commit, path)) or []]
    return found


def _config(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _parameters(data: bytes) -> dict[str, Any] | None:
    """Parameters per dtype from a safetensors header; None when it is not one, as the Hub leaves such a file alone."""
    try:
        header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    except (struct.error, ValueError):
        return None
    counts: dict[str, int] = {}
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        size = 1
        for side in tensor["shape"]:
            size *= side
        counts[tensor["dtype"]] = counts.get(tensor["dtype"], 0) + size
    return {"parameters": counts, "total": sum(counts.values())}
