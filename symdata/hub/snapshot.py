"""Fetch chosen files of a repository into the cache of huggingface_hub, and copy them out of it."""

import os
import shutil
from collections.abc import Iterable
from glob import escape
from pathlib import Path
from typing import Any

from symdata.errors import HubError
from symdata.hub.address import Address, quoted
from symdata.hub.refusals import fetching, quiet


def snapshot(address: Address, only: Iterable[str]) -> Path:
    """Fetch files of a repository at a revision, and return the folder of the cache that holds them.

    A branch or tag costs one request, which asks whether it has moved; a full commit hash in the cache costs none. If
    the Hub cannot be reached or fails, the files come from the cache.

    Args:
        address: of a model, unless it says that it is a dataset.
        only: exact names of files; no others are fetched, whatever the repository holds.

    Raises:
        HubError: if there is no such repository or revision, it may not be read, or the Hub cannot be reached.

    Example:
        >>> snapshot(Address("me//digits"), ["README.md"])
        Traceback (most recent call last):
        ...
        symdata.errors.HubError: 'me//digits' is not the name of a repository: ...; write user/name
    """
    from huggingface_hub import errors, snapshot_download
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    wanted: dict[str, Any] = {
        "repo_type": address.kind or "model",
        "revision": address.revision,
        "allow_patterns": [escape(name) for name in only],
    }
    final = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.LocalEntryNotFoundError)
    with fetching(address), quiet("_snapshot_download"):
        try:
            return Path(snapshot_download(address.repo_id, **wanted))
        except (*final, errors.HFValidationError):
            raise
        except (errors.HfHubHTTPError, httpx.HTTPError, OSError, ValueError) as error:
            try:  # the client itself looks in the cache only if the connection is refused
                return Path(snapshot_download(address.repo_id, **wanted, local_files_only=True))
            except (OSError, ValueError):
                raise error from None


def place(folder: Path, names: Iterable[str], out: Path) -> Path:
    """Copy files into a new folder, which is created completely or not at all.

    Args:
        folder: where the files are, usually in the cache.
        names: of the files; those that do not exist are left out.
        out: the new folder.

    Raises:
        HubError: if something is at `out` already, or it cannot be written.

    Example:
        >>> from pathlib import Path
        >>> Path("cache").mkdir()
        >>> size = Path("cache/config.json").write_text("{}")
        >>> copy = place(Path("cache"), ["config.json", "README.md"], Path("copy"))
        >>> [path.name for path in copy.iterdir()]
        ['config.json']
    """
    target = Path(os.path.abspath(out))  # `.` has no name of its own
    if not target.name:
        raise HubError(f"{str(out)!r} is the root of the file system; choose another --out")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        if target.exists() and not (target.is_dir() and not any(target.iterdir())):
            raise HubError(f"{str(out)!r} is there already and is left as it is; choose another --out")
        for name in names:
            if (folder / name).is_file():
                copy = partial / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, copy)  # the cache holds links into a store of its own
        os.replace(partial, target)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        reason = getattr(error, "strerror", None) or str(error)
        mend = "free some space or choose another --out"
        raise HubError(f"cannot write {quoted(str(out))}: {reason}; {mend}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out
