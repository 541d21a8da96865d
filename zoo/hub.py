"""Models on the Hub: fetching a snapshot of a repository. The only file of the zoo that reaches for the network."""

from collections.abc import Iterable
from pathlib import Path

from zoo.errors import ModelError

KINDS = ("*.json", "*.safetensors", "*.md")
"""Files that are fetched; a repository may hold others, and none of them is of use or trusted."""


def snapshot(repo_id: str, revision: str | None = None, only: Iterable[str] | None = None) -> Path:
    """The folder, in the cache of huggingface_hub, that holds a model repository at a revision.

    Args:
        repo_id: `user/repo`.
        revision: branch, tag or commit; the main branch by default. A full commit hash that is in the cache already
            asks the network nothing.
        only: names of files; by default all of KINDS.

    Raises:
        ModelError: if there is no such repository or revision, it may not be read, or the Hub cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    what, files = f"{repo_id}@{revision}" if revision else repo_id, list(only or KINDS)
    try:
        return Path(snapshot_download(repo_id, revision=revision, allow_patterns=files))
    except GatedRepoError:
        message = f"{what!r} is gated: accept its terms on its page, then log in with `hf auth login`"
    except RepositoryNotFoundError:
        message = (
            f"there is no folder {what!r} here and no repository {repo_id!r} on the Hub that you may read; check the "
            "name, or log in with `hf auth login` if it is private"
        )
    except RevisionNotFoundError:
        message = f"repository {repo_id!r} has no revision {revision!r}; leave it out for the newest"
    except HFValidationError as error:
        message = f"{repo_id!r} is not the name of a repository: {_first_line(error)}; write user/repo"
    except LocalEntryNotFoundError as error:
        message = _unreachable(what, error)
    except (HfHubHTTPError, httpx.HTTPError, OSError, ValueError) as error:
        if (cached := _cached(repo_id, revision, files)) is not None:
            return cached
        message = _failed(what, error)
    raise ModelError(message) from None


def _cached(repo_id: str, revision: str | None, files: list[str]) -> Path | None:
    """What an earlier call has fetched: the client looks there by itself only if the connection is refused."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo_id, revision=revision, allow_patterns=files, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError):
        return None


def _failed(what: str, error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is None:
        return _unreachable(what, error)
    mend = "log in again with `hf auth login`" if status in (401, 403) else "try again later"
    return f"the Hub refused {what!r} (HTTP {status}); {mend}"


def _unreachable(what: str, error: BaseException) -> str:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return f"{what!r} is not in the cache and HF_HUB_OFFLINE is set; unset it once to fetch the model"
    reason = _first_line(error.__cause__ or error)
    return f"{what!r} is not in the cache and the Hub cannot be reached ({reason}); try again with a network"


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
