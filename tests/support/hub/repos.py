"""Routes about repositories as such: accounts, creation and deletion, settings, references, listings, metadata."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import access, cards, objects, views
from .access import param, store
from .errors import HubError, entry_not_found, revision_not_found
from .store import Commit, Repo

_SORTS = {"lastModified", "createdAt", "downloads", "likes"}


async def whoami(request: Request) -> Response:
    account = access.required(request)
    token = {"displayName": "test", "role": account.role, "createdAt": "2025-01-01T00:00:00.000Z"}
    row: dict[str, Any] = {
        "type": "user",
        "id": account.name,
        "name": account.name,
        "fullname": account.name,
        "isPro": False,
    }
    row |= {"email": f"{account.name}@example.org", "emailVerified": True, "periodEnd": None, "canPay": False}
    row |= {"orgs": [{"type": "org", "id": name, "name": name, "roleInOrg": "write"} for name in account.orgs]}
    return views.reply(row | {"auth": {"type": "access_token", "accessToken": token}})


async def validate_yaml(request: Request) -> Response:
    errors, warnings = cards.problems((await request.json())["content"])
    content = {"errors": [{"message": text} for text in errors], "warnings": [{"message": text} for text in warnings]}
    return views.reply(content, 400 if errors else 200)


async def create(request: Request) -> Response:
    account, body = access.required(request), await request.json()
    kind, owner = f"{body.get('type') or 'model'}s", body.get("organization") or account.name
    if kind not in access.KINDS:
        raise HubError(400, f"{kind} are not supported by the loopback Hub, only models and datasets")
    noun = "model" if kind == "models" else "dataset"
    access.may_write(account, owner, f'You don\'t have the rights to create a {noun} under the namespace "{owner}"')
    repo_id = f"{owner}/{body['name']}"
    answer = {"url": f"{store(request).endpoint}/{Repo(kind, repo_id).web_path}", "name": repo_id, "id": repo_id}
    try:
        store(request).create(kind, repo_id, body.get("visibility") == "private", account.name)
    except HubError as error:
        return views.reply({"error": error.message, **answer}, error.status, error.headers())
    return views.reply(answer)


async def delete(request: Request) -> Response:
    account, body = access.required(request), await request.json()
    kind, owner = f"{body.get('type') or 'model'}s", body.get("organization") or account.name
    request.path_params.update(kind=kind, owner=owner, name=body["name"])
    repo, _ = access.writable(request)
    del store(request).repos[repo.kind, repo.id]
    return views.reply({})


async def settings(request: Request) -> Response:
    repo, _ = access.writable(request)
    body = await request.json()
    repo.gated = body.get("gated", repo.gated)
    repo.private = body.get("visibility", "private" if repo.private else "public") == "private"
    return views.reply({"private": repo.private, "gated": repo.gated})


async def auth_check(request: Request) -> Response:
    access.downloadable(request)
    if request.scope["path"].endswith("/write"):
        access.writable(request)
    return views.reply({})


async def listing(request: Request) -> Response:
    asked, hub, account = request.query_params, store(request), access.caller(request)
    repos = [repo for (kind, _), repo in sorted(hub.repos.items()) if kind == request.path_params["kind"]]
    repos = [repo for repo in repos if not repo.private or (account and account.owns(repo.owner))]
    repos = [repo for repo in repos if asked.get("author", repo.owner) == repo.owner]
    repos = [repo for repo in repos if all(text.lower() in repo.id.lower() for text in asked.getlist("search"))]
    infos = [views.describe(hub, repo, repo.resolve("main")) for repo in repos]
    infos = [info for info in infos if set(asked.getlist("filter")) <= set(info["tags"])]
    infos = [info for info in infos if asked.get("pipeline_tag", info.get("pipeline_tag")) == info.get("pipeline_tag")]
    if asked.get("sort") in _SORTS:
        infos.sort(key=lambda info: info[asked["sort"]], reverse=True)
    rows, link = views.page(request, [views.listed(info, request) for info in infos])
    return views.reply(rows, headers=link)


async def info(request: Request) -> Response:
    repo = access.readable(request)
    commit = repo.resolve(param(request, "rev") or "main")
    asked = request.query_params
    row = views.describe(store(request), repo, commit, asked.get("blobs", "").lower() == "true")
    return views.reply(views.select(row, asked.getlist("expand")))


async def refs(request: Request) -> Response:
    repo = access.readable(request)

    def rows(names: Mapping[str, str], folder: str) -> list[dict[str, str]]:
        return [
            {"name": name, "ref": f"refs/{folder}/{name}", "targetCommit": oid} for name, oid in sorted(names.items())
        ]

    content: dict[str, Any] = {
        "branches": rows(repo.branches, "heads"),
        "tags": rows(repo.tags, "tags"),
        "converts": [],
    }
    return views.reply(content | ({"pullRequests": []} if request.query_params.get("include_prs") else {}))


async def history(request: Request) -> Response:
    repo = access.readable(request)
    rows, link = views.page(
        request, [views.commit_row(row) for row in repo.history(repo.resolve(param(request, "rev")))]
    )
    return views.reply(rows, headers=link)


async def tree(request: Request) -> Response:
    repo = access.readable(request)
    commit, base = repo.resolve(param(request, "rev")), param(request, "path").strip("/")
    expand, recursive = (request.query_params.get(key, "").lower() in ("true", "1") for key in ("expand", "recursive"))
    trees = _trees(commit)
    if base not in trees:
        raise entry_not_found(base, commit.oid)
    names = [*commit.files, *(path for path in trees if path)]
    prefix = f"{base}/" if base else ""
    names = [name for name in names if name.startswith(prefix) and (recursive or "/" not in name[len(prefix) :])]
    part, link = views.page(request, sorted(names))
    return views.reply([_row(repo, commit, trees, name, expand) for name in part], headers=link)


async def paths_info(request: Request) -> Response:
    repo = access.readable(request)
    commit, trees = repo.resolve(param(request, "rev")), _trees(repo.resolve(param(request, "rev")))
    text = (await request.body()).decode()
    form = json.loads(text) if "json" in request.headers.get("content-type", "") else parse_qs(text)
    expand = str(form.get("expand", "")).strip("[]'").lower() in ("true", "1")
    names = [path.strip("/") for path in form.get("paths", []) if path.strip("/") in {*commit.files, *trees}]
    return views.reply([_row(repo, commit, trees, name, expand) for name in names])


async def tag(request: Request) -> Response:
    repo, _ = access.writable(request)
    name = param(request, "rev")
    if request.method == "DELETE":
        if repo.tags.pop(name, None) is None:
            raise revision_not_found(name)
        return views.reply({})
    commit, name = repo.resolve(name), (await request.json())["tag"]
    if name in repo.tags:
        raise HubError(409, f"Tag reference exists already: {name}")
    repo.tags[name] = commit.oid
    return views.reply({})


async def branch(request: Request) -> Response:
    repo, _ = access.writable(request)
    name = param(request, "rev")
    if request.method == "DELETE":
        if name == "main":
            raise HubError(403, "Cannot delete the default branch: main")
        if repo.branches.pop(name, None) is None:
            raise revision_not_found(name)
        return views.reply({})
    if name in repo.branches:
        raise HubError(409, f"Reference already exists: refs/heads/{name}")
    repo.branches[name] = repo.resolve((await request.json() or {}).get("startingPoint", "main")).oid
    return views.reply({})


def _trees(commit: Commit) -> dict[str, str]:
    return objects.tree_ids({path: file.oid for path, file in commit.files.items()})


def _row(repo: Repo, commit: Commit, trees: Mapping[str, str], name: str, expand: bool) -> dict[str, Any]:
    if name in commit.files:
        return views.entry(repo, commit, name, expand)
    return views.folder(repo, commit, name, trees[name], expand)


def _routes(kind: str) -> list[Route]:
    base = f"/api/{kind}/{{owner}}/{{name}}"
    table = [
        (f"/api/{kind}", listing, ["GET"]),
        (base, info, ["GET"]),
        (base + "/revision/{rev}", info, ["GET"]),
        (base + "/settings", settings, ["PUT"]),
        (base + "/auth-check", auth_check, ["GET"]),
        (base + "/auth-check/write", auth_check, ["GET"]),
        (base + "/refs", refs, ["GET"]),
        (base + "/commits/{rev}", history, ["GET"]),
        (base + "/tree/{rev}", tree, ["GET"]),
        (base + "/tree/{rev}/{path:path}", tree, ["GET"]),
        (base + "/paths-info/{rev}", paths_info, ["POST"]),
        (base + "/tag/{rev}", tag, ["POST", "DELETE"]),
        (base + "/branch/{rev}", branch, ["POST", "DELETE"]),
    ]
    return [Route(path, access.of_kind(kind, handler), methods=methods) for path, handler, methods in table]


routes = [
    Route("/api/whoami-v2", whoami),
    Route("/api/validate-yaml", validate_yaml, methods=["POST"]),
    Route("/api/repos/create", create, methods=["POST"]),
    Route("/api/repos/delete", delete, methods=["DELETE"]),
    *(route for kind in access.KINDS for route in _routes(kind)),
]
