"""Datasets of the Hugging Face Hub: `hub:user/name[@revision]`, loaded with `datasets.load_dataset`.

The revision is resolved to a commit, which is loaded and recorded. Without network, or with HF_HUB_OFFLINE=1, the copy
in the local cache is used if it is of that commit. One request without retries decides whether the Hub can be reached:
without network this takes at most its time-out of 10 s, and not the 23 s of the client's own retries. With
`,stream=ROWS` only the first rows of each split are fetched, which always needs the network. They are not shuffled: if
the rows of a dataset are sorted by class, the first ones may be of one class, and opening the source raises an error.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symdata.errors import SourceError, first_line
from symdata.sources.base import Ref, refusal
from symdata.sources.encoded import EncodedSource
from symdata.sources.files import Facts, fingerprint, slug
from symdata.sources.fit import Fit
from symdata.sources.saved import open_datasets

if TYPE_CHECKING:
    import datasets
    from huggingface_hub import DatasetInfo

MOST_ROWS = 1_000_000
"""Largest number of rows per split that can be streamed; they are kept in memory, encoded."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class DatasetAddress:
    """A dataset of the Hub at a revision, from a reference."""

    ref: Ref
    repo: str
    """`user/name`."""
    revision: str | None
    """Branch, tag or commit; None for the default branch."""
    config: str | None
    """Configuration (subset); None for the only or default one."""
    rows: int | None
    """How many rows of each split to stream; None for all, without streaming."""

    @classmethod
    def of(cls, ref: Ref) -> "DatasetAddress":
        """The address in a reference `hub:user/name[@revision]`."""
        repo, _, revision = ref.place.removeprefix("hub:").partition("@")
        rows = ref.options.get("stream")
        if rows is not None and not (rows.isascii() and rows.isdigit() and 1 <= int(rows) <= MOST_ROWS):
            raise refusal(ref.text, f"stream={rows}, expected rows of each split from 1 to {MOST_ROWS}")
        return cls(ref, repo, revision or None, ref.options.get("config"), None if rows is None else int(rows))

    @property
    def page(self) -> str:
        """URL of the dataset's page."""
        from huggingface_hub import constants

        return f"{constants.ENDPOINT}/datasets/{self.repo}"

    def __str__(self) -> str:
        return f"source {self.ref.text!r}"


def open_ref(ref: Ref, fit: Fit, device: str) -> EncodedSource:
    """Open a dataset of the Hub; raises SourceError if it, its revision or the network is missing."""
    address = DatasetAddress.of(ref)
    info = _ask_hub(address)
    if info is None and address.rows is not None:
        raise SourceError(_unreachable(address, "and rows are streamed over it"))
    commit = _resolve(address, online=info is not None)
    loaded = _load(address, commit, info)
    _check_commit(address, loaded, commit)
    rows = f" {address.rows} rows" if address.rows else ""
    hashed = fingerprint([f"{address.repo}@{commit} {address.config or ''}{rows}"])
    facts = Facts(ref.text, slug(address.repo.split("/")[-1]), _license(address, commit), hashed, commit)
    return open_datasets(ref, loaded, fit, facts, Path())


def _ask_hub(address: DatasetAddress) -> "DatasetInfo | None":
    """What the Hub says about the dataset; None if the Hub cannot be reached."""
    from huggingface_hub import HfApi, errors
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    try:
        return HfApi().dataset_info(address.repo, revision=address.revision)
    except errors.HFValidationError:
        reason = f"{address} is not a Hub dataset; write 'hub:user/name' or 'hub:user/name@revision'"
    except errors.RevisionNotFoundError:
        reason = (
            f"dataset {address.repo!r} has no revision {address.revision!r}; leave it out for the default branch, "
            f"or take one of {address.page}/tree/main"
        )
    except errors.GatedRepoError:
        reason = _gated(address)
    except errors.RepositoryNotFoundError:
        reason = (
            f"dataset {address.repo!r} does not exist on the Hub, or it is private; check the name, "
            "or log in with `hf auth login`"
        )
    except errors.HfHubHTTPError as error:
        if error.response.status_code >= 500:
            return None
        reason = f"the Hub refused {address.repo!r} ({first_line(error)}); log in with `hf auth login`"
    except (httpx.TransportError, OSError):  # OSError: offline mode
        return None
    raise SourceError(reason)


def _resolve(address: DatasetAddress, *, online: bool) -> str:
    """The commit of the revision; without network from the local cache, which has those that were used before."""
    from huggingface_hub import HfApi, errors

    try:
        resolve = HfApi().resolve_revision
        found = resolve(address.repo, repo_type="dataset", revision=address.revision, local_files_only=not online)
        return found.resolved  # str(found) would be the name of the revision
    except errors.RevisionResolutionError:
        raise SourceError(_unreachable(address, "and it is not in the local cache")) from None
    except OSError as error:
        raise SourceError(f"{address}: the Hub failed to answer ({first_line(error)}); try again") from None


def _load(address: DatasetAddress, commit: str, info: "DatasetInfo | None") -> "datasets.DatasetDict":
    import datasets
    import pyarrow as pa
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    failures = (
        datasets.exceptions.DatasetsError,
        OSError,
        ValueError,
        RuntimeError,
        httpx.HTTPError,
        pa.ArrowException,
    )
    try:
        with _offline(info is None):
            # Without hf:// a local folder with the name user/name would be loaded instead.
            place = f"hf://datasets/{address.repo}"
            streaming = address.rows is not None
            loaded = datasets.load_dataset(place, address.config, revision=commit, streaming=streaming)
            return _first_rows(address, loaded) if streaming else loaded
    except failures as error:
        raise SourceError(_explain(address, info, error)) from None


def _first_rows(address: DatasetAddress, loaded: "datasets.IterableDatasetDict") -> "datasets.DatasetDict":
    """The first rows of every split that the reference names, in memory, with encoded images."""
    import datasets

    found = {}
    for split in address.ref.chosen(loaded).values():
        rows = loaded[split]
        encoded = rows.decode(False) if rows.features else rows
        found[split] = datasets.Dataset.from_list(list(encoded.take(address.rows)), features=rows.features)
    return datasets.DatasetDict(found)


@contextmanager
def _offline(really: bool) -> Iterator[None]:
    """Switch `datasets` to offline mode, without retries, if the Hub cannot be reached."""
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = before or really
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _check_commit(address: DatasetAddress, loaded: "datasets.DatasetDict", commit: str) -> None:
    """Raise SourceError for another commit: offline, `datasets` loads the newest copy in its cache of any revision."""
    folders = {part for rows in loaded.values() for file in rows.cache_files for part in Path(file["filename"]).parts}
    if other := next((part for part in sorted(folders) if _COMMIT.fullmatch(part) and part != commit), None):
        raise SourceError(
            f"{address}: the Hub cannot be reached, and the local cache holds commit {other}, not {commit}; "
            "connect to the network and try again"
        )


def _license(address: DatasetAddress, commit: str) -> str:
    """License in the dataset's card, or "unknown"."""
    from huggingface_hub import DatasetCard, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        path = hf_hub_download(address.repo, "README.md", repo_type="dataset", revision=commit)
        found: Any = DatasetCard.load(path).data.to_dict().get("license")
    except (EntryNotFoundError, OSError, ValueError):
        return "unknown"
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found or "unknown")


def _explain(address: DatasetAddress, info: "DatasetInfo | None", error: BaseException) -> str:
    """One sentence for a failure inside `datasets`."""
    text = str(error)
    if info is not None and info.gated and "gated" in text.lower():
        return _gated(address)
    if configs := re.search(r"available configs(?: in the cache)?: (\[.*?\])", text, re.IGNORECASE | re.DOTALL):
        names = re.findall(r"'([^']+)'", configs[1])
        mend = f"{address.ref.place},config={names[0] if names else 'NAME'}"
        return f"{address}: choose one of its {len(names)} configurations ({', '.join(names[:8])}), as in {mend!r}"
    if "scripts are no longer supported" in text:
        mend = f"hub:{address.repo}@refs/convert/parquet"
        return f"dataset {address.repo!r} is a loading script; open its parquet copy: {mend!r}"
    if info is None:
        return _unreachable(address, "and its files are not in the local cache")
    return f"{address} cannot be loaded ({type(error).__name__}: {first_line(error)}); see {address.page}"


def _unreachable(address: DatasetAddress, cache: str) -> str:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        mend = "unset HF_HUB_OFFLINE once to download it"
        return f"{address}: offline mode is on (HF_HUB_OFFLINE), {cache}; {mend}"
    return (
        f"{address}: no network to {constants.ENDPOINT}, {cache}; connect and try again, "
        "or use a local source such as 'glyphs'"
    )


def _gated(address: DatasetAddress) -> str:
    return f"dataset {address.repo!r} is gated; ask for access at {address.page}, then log in with `hf auth login`"
