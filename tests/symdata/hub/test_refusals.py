"""Errors of the store behind the Hub, and of the disk under the cache: what they are, and their own mends."""

import errno
from types import SimpleNamespace

import pytest

from symdata.errors import HubError
from symdata.hub import Address, fetching
from symdata.hub.refusals import sending


@pytest.mark.parametrize(
    "error", [RuntimeError("Data processing error: CAS service error : 404 Not Found"), RuntimeError()]
)
def test_a_store_that_refuses(error):
    with (
        pytest.raises(
            HubError, match=r"'me/x' cannot be fetched from the content store of the Hub \(.*HF_HUB_DISABLE_XET=1"
        ),
        fetching(Address("me/x")),
    ):
        raise error


def test_a_cache_that_is_full():
    full = OSError(errno.ENOSPC, "No space left on device", "/cache/blob")
    with (
        pytest.raises(HubError, match="cannot write '/cache/blob': No space left on device; free some"),
        fetching(Address("me/x")),
    ):
        raise full


def test_a_hub_that_takes_no_files_by_xet():
    """It answers, so it can be reached."""
    response = SimpleNamespace(
        status_code=404, request=SimpleNamespace(url="http://hub/api/models/me/x/xet-write-token/main")
    )
    error = OSError("no token")
    error.response = response
    with (
        pytest.raises(
            HubError, match=r"the Hub refused 'me/x' \(HTTP 404\): publish without Xet: HF_HUB_DISABLE_XET=1"
        ),
        sending("me/x", "http://hub"),
    ):
        raise error
