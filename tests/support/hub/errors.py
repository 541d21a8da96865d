"""The Hub's way to say no: a status, a code for programs in X-Error-Code, a sentence for people in X-Error-Message."""


class HubError(Exception):
    """An answer other than success; `code` is what the client maps to its exception classes."""

    def __init__(self, status: int, message: str, code: str | None = None, **extra: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.extra = extra

    def headers(self) -> dict[str, str]:
        """The response headers; messages are reduced to ASCII because headers cannot carry more."""
        headers = {"X-Error-Message": self.message.encode("ascii", "replace").decode().replace("\n", " ")}
        if self.code:
            headers["X-Error-Code"] = self.code
        return headers | {name.replace("_", "-"): value for name, value in self.extra.items()}


def revision_not_found(revision: str) -> HubError:
    """The repository exists, the branch, tag or commit does not."""
    return HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def entry_not_found(path: str, commit: str) -> HubError:
    """The revision exists, the path does not. X-Repo-Commit lets the client remember the absence."""
    return HubError(404, f"{path} does not exist at this revision", "EntryNotFound", X_Repo_Commit=commit)
