"""Bytes: downloads with ETag and ranges; large files, which another host name takes and serves against a signature."""

import hashlib
import re
import time
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import access, views
from .access import param, store
from .errors import HubError, entry_not_found
from .store import Repo, Store

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


async def resolve(request: Request) -> Response:
    """A file at a revision: small ones directly, large ones as a redirect that names hash and size."""
    repo = access.downloadable(request)
    commit, path = repo.resolve(param(request, "rev")), param(request, "path")
    if path not in commit.files:
        raise entry_not_found(path, commit.oid)
    file, hub = commit.files[path], store(request)
    headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
    headers["Content-Disposition"] = f"inline; filename*=UTF-8''{quote(path)}; filename=\"{quote(path)}\";"
    if file.sha256 is None:
        return _body(request, hub.content(file), headers)
    headers |= {
        "X-Linked-Etag": f'"{file.sha256}"',
        "X-Linked-Size": str(file.size),
        "Location": _signed(hub, "get", file.sha256),
    }
    if hub.xet is not None:
        headers |= {
            "X-Xet-Hash": file.sha256,
            "X-Xet-Refresh-Route": f"{hub.endpoint}/api/{repo.kind}/{repo.id}/xet-read-token/main",
        }
    return Response(f"Found. Redirecting to {headers['Location']}", 302, headers, "text/plain; charset=utf-8")


async def xet_token(request: Request) -> Response:
    """Where the content store is and the token for it, as headers and, for hf_xet itself, as JSON."""
    access.downloadable(request)
    hub, expires = store(request), int(time.time()) + 3600
    body = {"casUrl": f"{hub.endpoint}/cas", "exp": expires, "accessToken": "xet_loopback"}
    names = ("X-Xet-Cas-Url", "X-Xet-Token-Expiration", "X-Xet-Access-Token")
    response = views.reply(body)
    response.headers.update(dict(zip(names, map(str, body.values()), strict=True)))
    return response


async def cas(request: Request) -> Response:
    """The content store, which serves nothing: it answers with the status that the Hub was told."""
    raise HubError(store(request).xet or 404, "The content store of the loopback Hub refuses")


async def batch(request: Request) -> Response:
    """The LFS batch API: where to put each object, or nothing to do for those already here."""
    repo, _ = access.writable(request)
    body, hub = await request.json(), store(request)
    if body.get("operation") != "upload" or body.get("hash_algo", "sha256") != "sha256":
        raise HubError(400, "The loopback Hub supports the operation upload with the hash algorithm sha256")
    parted = hub.part is not None and "multipart" in body.get("transfers", ())
    objects = [_upload(hub, repo, row["oid"], row["size"], parted) for row in body["objects"]]
    return views.reply({"transfer": "multipart" if parted else "basic", "objects": objects, "hash_algo": "sha256"})


async def verify(request: Request) -> Response:
    """Confirm an upload: the object is here and has the size it should have."""
    repo, _ = access.writable(request)
    body, hub = await request.json(), store(request)
    if body["oid"] not in hub.blobs or len(hub.blobs[body["oid"]]) != body["size"]:
        raise HubError(404, f"LFS object {body['oid']} of {body['size']} bytes was not uploaded")
    repo.large.add(body["oid"])
    return views.reply({})


async def put(request: Request) -> Response:
    """Take one large file on the other host. Bytes that do not hash to their name are refused, as S3 does."""
    oid, data = _admitted(request, "put"), await request.body()
    if hashlib.sha256(data).hexdigest() != oid:
        raise HubError(400, "BadDigest: the SHA256 you specified did not match what was received")
    store(request).blobs[oid] = data
    return Response(status_code=200, headers={"ETag": f'"{hashlib.md5(data).hexdigest()}"'})


async def put_part(request: Request) -> Response:
    """Take one part of a large file on the other host; the name of its bytes is its ETag."""
    oid, data = _admitted(request, "put"), await request.body()
    number = int(request.path_params["part"])
    store(request).parts[oid, number] = data
    return Response(status_code=200, headers={"ETag": f'"{hashlib.md5(data).hexdigest()}"'})


async def complete(request: Request) -> Response:
    """Put the parts of a large file together. Parts or bytes that are not those that were named are refused."""
    oid, hub = _admitted(request, "put"), store(request)
    body = await request.json()
    parts = [hub.parts.get((oid, row["partNumber"]), b"") for row in body["parts"]]
    named = [f'"{hashlib.md5(part).hexdigest()}"' for part in parts] == [row["etag"] for row in body["parts"]]
    data = b"".join(parts)
    if not named or body["oid"] != oid or hashlib.sha256(data).hexdigest() != oid:
        raise HubError(400, "InvalidPart: the parts are not those that were sent")
    hub.blobs[oid] = data
    return views.reply({"success": True})


async def get(request: Request) -> Response:
    """Serve one large file on the other host."""
    oid = _admitted(request, "get")
    if oid not in store(request).blobs:
        raise HubError(404, "NoSuchKey: the specified key does not exist")
    return _body(request, store(request).blobs[oid], {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"})


def _signed(hub: Store, action: str, oid: str, what: str = "") -> str:
    return f"{hub.cdn}/cdn/{oid}{what}?action={action}&signature={hub.sign(action, oid)}"


def _admitted(request: Request, action: str) -> str:
    """The object that the signature is for. A token sent along is an error: it has leaked to another host."""
    oid = request.path_params["oid"]
    if request.headers.get("authorization"):
        raise HubError(
            400, "InvalidArgument: only one auth mechanism allowed, the signature or the Authorization header"
        )
    if not request.headers.get("host", "").startswith("localhost"):
        raise HubError(404, "Large files are served by the other host name")
    if request.query_params.get("signature") != store(request).sign(action, oid):
        raise HubError(403, "SignatureDoesNotMatch")
    return str(oid)


def _upload(hub: Store, repo: Repo, oid: str, size: int, parted: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"oid": oid, "size": size, "authenticated": True}
    if not re.fullmatch("[0-9a-f]{64}", oid):
        return {"oid": oid, "size": size, "error": {"code": 422, "message": "Invalid oid"}}
    if oid in repo.large:
        return row
    check = f"{hub.endpoint}/{repo.web_path}.git/info/lfs/objects/verify"
    upload: dict[str, Any] = {"href": _signed(hub, "put", oid), "header": {}}
    if parted and hub.part is not None and size > hub.part:
        numbers = range(1, -(-size // hub.part) + 1)
        parts = {f"{k:05d}": _signed(hub, "put", oid, f"/parts/{k}") for k in numbers}
        upload = {"href": _signed(hub, "put", oid, "/complete"), "header": {"chunk_size": str(hub.part), **parts}}
    return row | {"actions": {"upload": upload, "verify": {"href": check}}}


def _body(request: Request, data: bytes, headers: dict[str, str]) -> Response:
    """Data or the asked-for part of it: 200, 206, or 416 when the part begins behind the end."""
    match, size, status = _RANGE.fullmatch(request.headers.get("range", "")), len(data), 200
    if match and any(match.groups()):
        first = int(match[1]) if match[1] else max(size - int(match[2]), 0)
        last = min(int(match[2]), size - 1) if match[1] and match[2] else size - 1
        if first > last:
            raise HubError(416, "The requested range is not satisfiable", Content_Range=f"bytes */{size}")
        data, status = data[first : last + 1], 206
        headers = headers | {"Content-Range": f"bytes {first}-{last}/{size}"}
    headers = headers | {"Content-Length": str(len(data)), "Content-Type": "application/octet-stream"}
    return Response(b"" if request.method == "HEAD" else data, status, headers)


def _routes(kind: str, prefix: str) -> list[Route]:
    base = prefix + "/{owner}/{name}"
    table = [
        (base + "/resolve/{rev}/{path:path}", resolve, ["GET", "HEAD"]),
        (f"/api/{kind}" + "/{owner}/{name}/xet-read-token/{rev}", xet_token, ["GET"]),
        (base + "/info/lfs/objects/batch", batch, ["POST"]),
        (base + "/info/lfs/objects/verify", verify, ["POST"]),
    ]
    return [Route(path, access.of_kind(kind, handler), methods=methods) for path, handler, methods in table]


routes = [
    Route("/cas/{path:path}", cas, methods=["GET", "HEAD", "POST"]),
    Route("/cdn/{oid}", put, methods=["PUT"]),
    Route("/cdn/{oid}/parts/{part}", put_part, methods=["PUT"]),
    Route("/cdn/{oid}/complete", complete, methods=["POST"]),
    Route("/cdn/{oid}", get, methods=["GET", "HEAD"]),
    *_routes("datasets", "/datasets"),
    *_routes("models", ""),
]
