"""Who is asking and what they may do. The statuses are the Hub's: it hides what the caller may not know about."""

from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from .errors import HubError
from .store import Account, Repo, Store

KINDS = ("models", "datasets")
Handler = Callable[[Request], Awaitable[Response]]


def store(request: Request) -> Store:
    """The store behind this application."""
    found = request.app.state.store
    return found if isinstance(found, Store) else Store()


def of_kind(kind: str, handler: Handler) -> Handler:
    """The handler for one kind of repository: it finds the kind among the path parameters."""

    async def bound(request: Request) -> Response:
        request.path_params["kind"] = kind
        return await handler(request)

    return bound


def param(request: Request, name: str) -> str:
    """A path parameter, unquoted here because a revision may hold a slash that must not split the path."""
    return unquote(str(request.path_params.get(name, "")))


def caller(request: Request) -> Account | None:
    """The account behind the bearer token, None without one. Raises 401 for a token nobody has."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if not token:
        return None
    account = store(request).accounts.get(token)
    if account is None:
        raise HubError(401, "Invalid credentials in Authorization header")
    return account


def required(request: Request) -> Account:
    """The account, which must be there. Raises 401."""
    account = caller(request)
    if account is None:
        raise HubError(401, "Invalid username or password.")
    return account


def readable(request: Request) -> Repo:
    """The addressed repository, if it exists and the caller may know that: else 401 (anonymous) or 404."""
    account = caller(request)
    repo_id = f"{param(request, 'owner')}/{param(request, 'name').removesuffix('.git')}"
    repo = store(request).repos.get((request.path_params.get("kind", "models"), repo_id))
    if repo is None or (repo.private and not (account and (account.owns(repo.owner) or account.name in repo.granted))):
        # On https the client reads any 401 of a repository address as "not found"; over http it needs the code to.
        message = "Repository not found" if account else "Invalid username or password."
        raise HubError(404 if account else 401, message, "RepoNotFound")
    return repo


def downloadable(request: Request) -> Repo:
    """The repository, if the caller may have its files: a gated one shows its files to the accepted only."""
    repo, account = readable(request), caller(request)
    if not repo.gated or (account and (account.owns(repo.owner) or account.name in repo.granted)):
        return repo
    message = f"Access to {repo.kind[:-1]} {repo.id} is restricted."
    how = (
        "and you are not in the authorized list."
        if account
        else "You must have access to it and be authenticated to access it."
    )
    raise HubError(403 if account else 401, f"{message} {how}", "GatedRepo")


def writable(request: Request) -> tuple[Repo, Account]:
    """The repository and the caller, who may write to it. Raises 401 or 403."""
    repo = readable(request)
    account = caller(request)
    if account is None:
        raise HubError(401, "Invalid username or password.", "RepoNotFound")
    may_write(account, repo.owner, f"You don't have write access to {repo.kind[:-1]} {repo.id}")
    return repo, account


def may_write(account: Account, namespace: str, otherwise: str) -> None:
    """Refuse (403) an account whose token only reads or that does not own the namespace."""
    if account.role != "write":
        raise HubError(403, f"{otherwise}: your token has the role {account.role}, it needs the role write")
    if not account.owns(namespace):
        raise HubError(403, otherwise)
