"""Errors of the Hub and the network, as one sentence that says what to do.

The exceptions of the client overlap (a gated repository is also one that was not found), so their order matters here:
the most specific comes first.
"""

import errno
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from symdata.errors import HubError, NotOnHubError, first_line
from symdata.hub.address import Address

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG)
"""Errors of the disk under the cache."""
_XET = "fetch without Xet: HF_HUB_DISABLE_XET=1"
_XET_ATTEMPTS = {"HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "2"}
"""Settings of hf_xet, unless the user has set them. With more it tries a store that is down for minutes; with these it
gives up after 3 seconds (measured, HTTP 503)."""
_XET_STATUS = re.compile(r"HTTP status (?:client|server) error \((\d{3})")
_READING = {
    401: "log in again with `hf auth login`",
    403: "use a token that may read it: `hf auth login`",
    404: "check the name, and that your token may see it",
    429: "it limits requests: wait some minutes, then try again",
}
_MENDS = {
    401: "log in with `hf auth login`",
    403: "use a token that may write there, or your own namespace",
    404: "check the name, and that your token may see it",
    409: "another upload came between; publish again",
    412: "another upload came between; publish again",
    429: "it limits requests: wait some minutes, then publish again",
}


@contextmanager
def sending(repo_id: str, endpoint: str) -> Iterator[None]:
    """Turn every refusal while publishing into a `HubError` that says what to do."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    _bound_xet()
    try:
        yield
    except HFValidationError as error:
        message = f"{repo_id!r} is not the name of a repository: {first_line(error)}"
    except HfHubHTTPError as error:
        message = _refused(repo_id, error)
    except ValueError as error:  # the Hub refused the card
        message = f"the Hub refused the README.md of {repo_id!r}: {first_line(error)}"
    except RuntimeError as error:  # the client raises it for a file that failed after its retries, Xet for all
        reason = first_line(error.__cause__ or error)
        message = f"the upload to {repo_id!r} broke off ({reason}); publish again: what was sent is not sent twice"
        message += ", or publish without Xet: HF_HUB_DISABLE_XET=1" if _is_xet(error) else ""
    except (httpx.HTTPError, OSError) as error:
        if _status(error) is not None:
            message = _refused(repo_id, error)
        else:
            message = f"the Hub at {endpoint} cannot be reached ({first_line(error)}); try again later"
    else:
        return
    raise HubError(message) from None


@contextmanager
def fetching(address: Address) -> Iterator[None]:
    """Turn every refusal while reading into a `HubError` that says what to do.

    Example:
        >>> with fetching(Address("me/digits")):
        ...     raise OSError("connection refused")
        Traceback (most recent call last):
        ...
        symdata.errors.HubError: 'me/digits' is not in the cache and the Hub cannot be reached (connection refused)...
    """
    from huggingface_hub import errors
    from huggingface_hub.constants import ENDPOINT
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    what, repo, noun = str(address), address.repo_id, address.kind or "repository"
    _bound_xet()
    try:
        yield
    except errors.GatedRepoError:
        message = f"{what!r} is gated: accept its terms on its page, then log in with `hf auth login`"
    except errors.RepositoryNotFoundError:
        raise NotOnHubError(
            f"there is no {noun} {repo!r} on the Hub that you may read; check the name, or log in with "
            "`hf auth login` if it is private"
        ) from None
    except errors.RevisionNotFoundError:
        message = f"{noun} {repo!r} has no revision {address.revision!r}; leave it out for the newest"
    except errors.HFValidationError as error:
        message = f"{repo!r} is not the name of a repository: {first_line(error)}; write user/name"
    except (errors.HfHubHTTPError, httpx.HTTPError, OSError, ValueError) as error:
        message = _failed(what, error)
        if _status(error) == 404:
            raise NotOnHubError(message) from None
    except RuntimeError as error:  # of Xet, which serves large files
        reason = f"HTTP {_status(error)}" if _status(error) else first_line(error)
        message = f"{what!r} cannot be fetched from the content store of the Hub ({reason}); {_XET}"
    except (KeyError, TypeError, AttributeError) as error:  # an answer that lacks what every answer of the Hub has
        said = f"{type(error).__name__}: {first_line(error)}"
        message = f"{ENDPOINT} does not answer as the Hub does ({said}); set HF_ENDPOINT to a Hub, or unset it"
    else:
        return
    raise HubError(message) from None


@contextmanager
def quiet(module: str) -> Iterator[None]:
    """Silence the warnings of a module of the client that are harmless here, or that the caller words better."""
    logger = logging.getLogger(f"huggingface_hub.{module}")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _bound_xet() -> None:
    for name, value in _XET_ATTEMPTS.items():
        os.environ.setdefault(name, value)


def _status(error: BaseException) -> int | None:
    """The status with which the Hub answered; the client hides it in the cause of its own errors, hf_xet in a text."""
    status = getattr(_response(error), "status_code", None)
    if isinstance(status, int):
        return status
    found = _XET_STATUS.search(str(error))
    return int(found[1]) if found else None


def _response(error: BaseException | None) -> Any:
    while error is not None and getattr(error, "response", None) is None:
        error = error.__cause__
    return getattr(error, "response", None)


def _is_xet(error: BaseException) -> bool:
    """Whether Xet failed: in its own store, or with the token for it."""
    asked = str(getattr(getattr(_response(error), "request", None), "url", ""))
    module, text = type(error).__module__.lower(), str(error)
    return "/xet-" in asked or "xet" in module or "CAS" in text or "/xet-" in text


def _refused(repo_id: str, error: Any) -> str:
    status = _status(error)
    if status is not None and status >= 500:
        return f"the Hub failed on {repo_id!r} (HTTP {status}); publish again later: what was sent is not sent twice"
    mend = "publish without Xet: HF_HUB_DISABLE_XET=1" if _is_xet(error) else _MENDS.get(status or 0)
    return f"the Hub refused {repo_id!r} (HTTP {status}): {mend or first_line(error)}"


def _failed(what: str, error: Exception) -> str:
    status = _status(error)
    if status is None:
        return _unreachable(what, error)
    mend = _XET if _is_xet(error) else _READING.get(status, "try again later")
    return f"the Hub refused {what!r} (HTTP {status}); {mend}"


def _unreachable(what: str, error: BaseException) -> str:
    """Why something was not fetched and is not in the cache either."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return f"{what!r} is not in the cache and HF_HUB_OFFLINE is set; unset it once to fetch it"
    if isinstance(error, OSError) and error.errno in _DISK:
        cache = error.filename or constants.HF_HUB_CACHE
        return f"cannot write {str(cache)!r}: {error.strerror}; free some space or set HF_HOME to another place"
    reason = first_line(error.__cause__ or error)
    if "Consistency check" in reason:
        return f"{what!r} came in part ({reason}); try again: what is whole is kept"
    return f"{what!r} is not in the cache and the Hub cannot be reached ({reason}); try again with a network"
