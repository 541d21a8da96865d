"""The address of a repository on the Hub, at a revision: `user/name[@revision]`."""

import re
from dataclasses import dataclass
from typing import Literal

from symdata.errors import HubError

Kind = Literal["model", "dataset"]
"""On the Hub a model and a dataset may have the same name user/name."""

LONGEST = 96, 255
"""Characters of `user/name` on the Hub, and of a revision."""

_TEXT = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./+-]+))?", re.ASCII)
_REVISION = re.compile(r"(?!-)(?!\.)[\w.+-]+(/(?!\.)[\w.+-]+)*", re.ASCII)
_DATASETS = "datasets/"


def is_revision(text: str) -> bool:
    """Whether a branch, tag or commit may have this name. The client makes paths of it: no part begins with a dot.

    Example:
        >>> [is_revision(text) for text in ("v1.0", "refs/pr/1", "../../x", "/x", "a//b", "-x", "my tag")]
        [True, True, False, False, False, False, False]
    """
    if len(text) > LONGEST[1] or ".." in text or text.endswith((".", ".lock")):
        return False
    return _REVISION.fullmatch(text) is not None


@dataclass(frozen=True)
class Address:
    """A repository of the Hub at a revision.

    Example:
        >>> Address.parse("me/digits@v1")
        Address(repo_id='me/digits', revision='v1', kind=None)
        >>> str(Address("me/digits", kind="dataset"))
        'datasets/me/digits'
    """

    repo_id: str
    """`user/name`."""
    revision: str | None = None
    """Branch, tag or commit; None for the main branch."""
    kind: Kind | None = None
    """None if the text does not say it."""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `user/name`, `user/name@revision` or, as in the URLs of the Hub, `datasets/user/name`.

        Raises:
            HubError: for anything else.
        """
        kind: Kind | None = "dataset" if text.startswith(_DATASETS) and text.count("/") > 1 else None
        match = _TEXT.fullmatch(text.removeprefix(_DATASETS) if kind else text) if len(text) <= 400 else None
        if match is None or len(match["repo"]) > LONGEST[0] or {".", ".."}.intersection(match["repo"].split("/")):
            raise HubError(f"{quoted(text)} is not the name of a repository; write user/name or user/name@revision")
        if match["revision"] is not None and not is_revision(match["revision"]):
            raise HubError(f"{text!r} names no revision; write a branch, a tag or a commit, as in {match['repo']}@v1")
        return cls(match["repo"], match["revision"], kind)

    def __str__(self) -> str:
        prefix = _DATASETS if self.kind == "dataset" else ""
        return prefix + self.repo_id + (f"@{self.revision}" if self.revision else "")

    @property
    def clear(self) -> str:
        """The command line that removes the repository from the local cache."""
        return f"hf cache rm {self.kind or 'model'}/{self.repo_id} -y"


def quoted(text: str, most: int = 120) -> str:
    """Quote what somebody typed, shortened if it is long."""
    return repr(text) if len(text) <= most else f"{text[:most]!r}..."
