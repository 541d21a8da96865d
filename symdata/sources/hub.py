"""Datasets of the Hugging Face Hub: `hub:user/name[@revision]`, through `datasets.load_dataset`.

The revision is resolved to a commit first, and that commit is what is loaded and recorded. Without network, or with
HF_HUB_OFFLINE=1, the copy in the local cache is used if it is of that commit. One request without retries decides
whether the Hub can be reached, so that a machine without network hears so at once (or after that request's time-out of
10 s) instead of after the 23 s that the client's own retries take. With `,stream=ROWS` only the first rows of each
split are fetched (`streaming.py`), which needs the network every time.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symdata.errors import SourceError
from symdata.sources.base import Ref, fingerprint, slug
from symdata.sources.encoded import EncodedSource
from symdata.sources.fit import Fit
from symdata.sources.streaming import stream_rows, streamed
from symdata.sources.table import open_datasets

if TYPE_CHECKING:
    import datasets
    from huggingface_hub import DatasetInfo

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class DatasetAddress:
    """Which dataset, and which state of it."""

    repo: str
    """`user/name`."""
    revision: str | None
    """Branch, tag or commit; None for the default branch."""
    config: str | None
    """Configuration (subset), None for the only or default one."""
    rows: int | None = None
    """Only the first so many of each split, streamed; None for all."""


def open_hub(ref: Ref, fit: Fit) -> EncodedSource:
    """Open a dataset of the Hub; raises SourceError with the mend if it, its revision or the network is not there."""
    repo, _, revision = ref.place.removeprefix("hub:").partition("@")
    address = DatasetAddress(repo, revision or None, ref.options.get("config"), stream_rows(ref))
    info = _ask_hub(ref, address)
    if info is None and address.rows is not None:
        raise SourceError(_unreachable(ref, address, "and rows are streamed over it"))
    commit = _resolve(ref, address, online=info is not None)
    loaded = _load(ref, address, commit, info)
    _check_commit(ref, loaded, commit)
    hashed = fingerprint([f"{repo}@{commit} {address.config or ''}{f' {address.rows} rows' if address.rows else ''}"])
    return open_datasets(
        ref,
        loaded,
        fit,
        name=slug(repo.split("/")[-1]),
        folder=Path(),
        license=_license(address, commit),
        fingerprint=hashed,
        revision=commit,
    )


def _ask_hub(ref: Ref, address: DatasetAddress) -> "DatasetInfo | None":
    """What the Hub says about the dataset, or None where the Hub cannot be reached."""
    from huggingface_hub import HfApi, errors
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    try:
        return HfApi().dataset_info(address.repo, revision=address.revision)
    except errors.HFValidationError:
        raise SourceError(
            f"source {ref.text!r} is not a Hub dataset; write 'hub:user/name' or 'hub:user/name@revision'."
        ) from None
    except errors.RevisionNotFoundError:
        raise SourceError(
            f"dataset {address.repo!r} has no revision {address.revision!r}; leave it out for the default branch, "
            f"or take one of {_site(address)}/tree/main."
        ) from None
    except errors.GatedRepoError:
        raise SourceError(_gated(address)) from None
    except errors.RepositoryNotFoundError:
        raise SourceError(
            f"dataset {address.repo!r} does not exist on the Hub, or it is private; check the name, "
            "or log in with `hf auth login`."
        ) from None
    except errors.HfHubHTTPError as error:
        if error.response.status_code < 500:
            raise SourceError(
                f"the Hub refused {address.repo!r} ({_first_line(error)}); log in with `hf auth login`."
            ) from None
        return None
    except (httpx.TransportError, OSError):  # OSError: offline mode
        return None


def _resolve(ref: Ref, address: DatasetAddress, *, online: bool) -> str:
    """The commit of the revision; the local cache knows those that were used before."""
    from huggingface_hub import HfApi, errors

    try:
        resolve = HfApi().resolve_revision
        found = resolve(address.repo, repo_type="dataset", revision=address.revision, local_files_only=not online)
        return found.resolved  # as a string it is the name that was asked for
    except errors.RevisionResolutionError:
        raise SourceError(_unreachable(ref, address, "and it is not in the local cache")) from None
    except OSError as error:
        raise SourceError(f"source {ref.text!r}: the Hub failed to answer ({_first_line(error)}); try again.") from None


def _load(ref: Ref, address: DatasetAddress, commit: str, info: "DatasetInfo | None") -> "datasets.DatasetDict":
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
            # hf:// keeps a folder here that happens to be called user/name from being loaded instead.
            place = f"hf://datasets/{address.repo}"
            if address.rows is not None:
                return streamed(ref, place, address.config, commit, address.rows)
            return datasets.load_dataset(place, address.config, revision=commit)
    except failures as error:
        raise SourceError(_explain(ref, address, info, error)) from None


@contextmanager
def _offline(really: bool) -> Iterator[None]:
    """Spare `datasets` its retries where the Hub is known to be out of reach."""
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = before or really
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _check_commit(ref: Ref, loaded: "datasets.DatasetDict", commit: str) -> None:
    """`datasets` falls back on the newest copy in its cache, whatever its revision: refuse another commit's images."""
    folders = {part for rows in loaded.values() for file in rows.cache_files for part in Path(file["filename"]).parts}
    if other := next((part for part in sorted(folders) if _COMMIT.fullmatch(part) and part != commit), None):
        raise SourceError(
            f"source {ref.text!r}: the Hub cannot be reached, and the local cache holds commit {other}, not {commit}; "
            "connect to the network and try again."
        )


def _license(address: DatasetAddress, commit: str) -> str:
    """License in the dataset's card, "unknown" where there is none."""
    from huggingface_hub import DatasetCard, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        path = hf_hub_download(address.repo, "README.md", repo_type="dataset", revision=commit)
        found: Any = DatasetCard.load(path).data.to_dict().get("license")
    except (EntryNotFoundError, OSError, ValueError):
        return "unknown"
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found or "unknown")


def _explain(ref: Ref, address: DatasetAddress, info: "DatasetInfo | None", error: BaseException) -> str:
    """One sentence for a failure inside `datasets`."""
    text = str(error)
    if info is not None and info.gated and "gated" in text.lower():
        return _gated(address)
    if configs := re.search(r"available configs(?: in the cache)?: (\[.*?\])", text, re.IGNORECASE | re.DOTALL):
        names = re.findall(r"'([^']+)'", configs[1])
        mend = f"{ref.place},config={names[0] if names else 'NAME'}"
        listing = ", ".join(names[:8])
        return f"source {ref.text!r}: choose one of its {len(names)} configurations ({listing}), as in {mend!r}."
    if "scripts are no longer supported" in text:
        mend = f"hub:{address.repo}@refs/convert/parquet"
        return f"dataset {address.repo!r} is a loading script; open its parquet copy: {mend!r}."
    if info is None:
        return _unreachable(ref, address, "and its files are not in the local cache")
    return f"source {ref.text!r} cannot be loaded ({type(error).__name__}: {_first_line(error)}); see {_site(address)}."


def _unreachable(ref: Ref, address: DatasetAddress, cache: str) -> str:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        mend = "unset HF_HUB_OFFLINE once to download it"
        return f"source {ref.text!r}: offline mode is on (HF_HUB_OFFLINE), {cache}; {mend}."
    return (
        f"source {ref.text!r}: no network to {constants.ENDPOINT}, {cache}; connect and try again, "
        "or use a local source such as 'glyphs'."
    )


def _gated(address: DatasetAddress) -> str:
    return f"dataset {address.repo!r} is gated; ask for access at {_site(address)}, then log in with `hf auth login`."


def _site(address: DatasetAddress) -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/datasets/{address.repo}"


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
