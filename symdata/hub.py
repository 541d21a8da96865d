"""Publishing a dataset folder as a dataset repository on the Hub."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symdata.errors import StoreError
from symdata.store.manifest import read_manifest
from symdata.store.verification import verify

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_REPO_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


@dataclass(frozen=True)
class Published:
    """Where a dataset went."""

    repo_id: str
    url: str
    commit: str
    tag: str | None

    def to_dict(self) -> dict[str, Any]:
        """The fields, ready for JSON."""
        return asdict(self)


def publish(
    folder: Path | str, repo_id: str, *, private: bool = False, tag: str | None = None, token: str | None = None
) -> Published:
    """Upload a dataset folder with its card; what is there already and unchanged is not sent again.

    Args:
        folder: a dataset that `verify` passes (its shards are hashed first; a tampered one is refused).
        repo_id: `user/name`.
        private: whether a repository that is created now is private.
        tag: a name for the uploaded revision, such as `v1`.
        token: an access token; None: the one of `hf auth login`.

    Raises:
        StoreError: if the folder is damaged, or the Hub refuses.
    """
    from huggingface_hub import HfApi

    manifest = read_manifest(folder)
    if damaged := [check for check in verify(folder, samples=0).checks if not check.passed]:
        raise StoreError(f"{str(folder)!r} is damaged and was not uploaded: {damaged[0].name}: {damaged[0].detail}")
    if not _REPO_ID.fullmatch(repo_id):
        raise StoreError(f"{repo_id!r} is not the name of a repository; write user/name, as in me/{Path(folder).name}")
    api = HfApi(token=token)
    with _refusals(api, repo_id):
        api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=str(folder),
            commit_message=f"{manifest['name']} made by symdata {manifest['versions'].get('symdata', '?')}",
            allow_patterns=["*.parquet", "*.json", "*.png", "README.md"],
            delete_patterns=["*.parquet"],  # shards of an earlier version would be read together with these
        )
        if tag is not None:
            _tag(api, repo_id, tag, commit.oid)
    return Published(repo_id, f"{api.endpoint}/datasets/{repo_id}", commit.oid, tag)


def _tag(api: "HfApi", repo_id: str, tag: str, commit: str) -> None:
    """Name a commit; a name that stands for another one is left to it."""
    named = {ref.name: ref.target_commit for ref in api.list_repo_refs(repo_id, repo_type="dataset").tags}
    if named.get(tag, commit) != commit:
        raise StoreError(
            f"{repo_id!r} was uploaded as {commit}, but its tag {tag!r} stands for {named[tag]}; choose another --tag"
        )
    api.create_tag(repo_id, repo_type="dataset", tag=tag, revision=commit, exist_ok=True)


@contextmanager
def _refusals(api: "HfApi", repo_id: str) -> Iterator[None]:
    """Whatever the Hub or the network refuses becomes a StoreError with its mend."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    try:
        yield
    except HFValidationError as error:
        raise StoreError(f"{repo_id!r} is not the name of a repository: {_first_line(error)}") from None
    except HfHubHTTPError as error:
        raise StoreError(_refusal(repo_id, error)) from None
    except ValueError as error:  # the Hub found the card wanting
        raise StoreError(f"the Hub refused the README.md of {repo_id!r}: {_first_line(error)}") from None
    except RuntimeError as error:  # how the client reports a file that did not go through, after its retries
        reason = _first_line(error.__cause__ or error)
        raise StoreError(
            f"the upload to {repo_id!r} broke off ({reason}); publish again: what was sent is not sent twice"
        ) from None
    except (httpx.HTTPError, OSError) as error:
        reason = _first_line(error)
        raise StoreError(f"the Hub at {api.endpoint} cannot be reached ({reason}); try again later") from None


def _refusal(repo_id: str, error: Any) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    mend = {
        401: "log in with `hf auth login`",
        403: "use a token that may write there, or your own namespace",
        404: "check the name, and that your token may see it",
        409: "another upload came between; publish again",
        412: "another upload came between; publish again",
    }
    if status is not None and status >= 500:
        return f"the Hub failed on {repo_id!r} (HTTP {status}); publish again later: what was sent is not sent twice"
    return f"the Hub refused {repo_id!r} (HTTP {status}): {mend.get(status or 0, _first_line(error))}"


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
