"""Publish dataset folders on the Hub, and pull them back with every hash checked."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from symdata.errors import HubError, StoreError
from symdata.hub.address import Address
from symdata.hub.snapshot import place, snapshot
from symdata.hub.upload import Published, upload
from symdata.store.dataset_folder import CARD, PREVIEW
from symdata.store.manifest import MANIFEST, read_manifest, shard_entries
from symdata.store.verification import verify


def publish(
    folder: Path | str,
    repo_id: str,
    *,
    private: bool = False,
    tag: str | None = None,
    token: str | None = None,
    dry_run: bool = False,
) -> Published:
    """Upload a dataset folder with its card in one commit; files that have not changed are not sent again.

    Args:
        folder: a dataset; its shards are hashed first, and a damaged one is refused.
        repo_id: `user/name`.
        private: whether a repository that is created now is private.
        tag: a name for the uploaded revision, such as `v1`.
        token: an access token; None: the one of `hf auth login`.
        dry_run: check the folder and say what would be sent, without a request to the Hub.

    Raises:
        StoreError: if the folder is damaged or not a dataset.
        HubError: if the Hub refuses.

    Example:
        >>> import symdata
        >>> made = symdata.make("glyphs", "glyphs", symmetry="d4", count=8, size=8)
        >>> print(symdata.publish("glyphs", "me/glyphs", dry_run=True))
        file                               bytes
        ---------------------------------  ------------
        README.md                          ...
        dataset https://huggingface.co/datasets/me/glyphs: nothing was sent
    """
    folder, address = Path(folder), _dataset_address(repo_id)
    manifest = read_manifest(folder)
    _check(folder, f"{str(folder)!r} is damaged and was not uploaded")
    files = {name: folder / name for name in _names(folder) if (folder / name).is_file()}
    message = f"{manifest['name']} made by symdata {manifest['versions'].get('symdata', '?')}"
    options: dict[str, Any] = {"private": private, "tag": tag, "token": token, "dry_run": dry_run}
    # `datasets` would read old shards together with new ones.
    return upload(address, files, mark=MANIFEST, is_ours=_is_shard, message=message, **options)


def pull(ref: str, out: Path | str) -> Path:
    """Fetch a dataset that symdata made into a new folder, and check every shard against the hash in its manifest.

    Args:
        ref: `user/name` or `user/name@revision`.
        out: the new folder; nothing may exist there.

    Returns:
        `out`.

    Raises:
        HubError: if it cannot be fetched, was not made by symdata, or `out` exists.

    Example:
        >>> import symdata
        >>> symdata.pull("me/glyphs@../v1", "glyphs")
        Traceback (most recent call last):
        ...
        symdata.errors.HubError: 'me/glyphs@../v1' names no revision; write a branch, a tag or a commit, as in ...
    """
    address = _dataset_address(ref)
    folder = snapshot(address, (MANIFEST,))
    if not (folder / MANIFEST).is_file():
        mend = f"build one from it: symdata make hub:{address.repo_id} --symmetry d4"
        raise HubError(f"dataset {ref!r} was not made by symdata, for it has no {MANIFEST}; {mend}")
    try:
        names = _names(folder)
        folder = snapshot(replace(address, revision=folder.name), names)  # of the same commit
        _check(folder, f"dataset {ref!r} is damaged")
    except StoreError as error:
        raise HubError(f"{error} (from the Hub: {ref!r}; to fetch it anew: {address.clear})") from None
    return place(folder, names, Path(out))


def _dataset_address(ref: str) -> Address:
    return replace(Address.parse(ref), kind="dataset")


def _names(folder: Path) -> list[str]:
    """Names of the files of a dataset."""
    return [CARD, *(shard["file"] for shard in shard_entries(read_manifest(folder))), MANIFEST, PREVIEW]


def _is_shard(name: str) -> bool:
    return name.endswith(".parquet")


def _check(folder: Path, what: str) -> None:
    if damaged := verify(folder, samples=0).failed:
        raise StoreError(f"{what}: {damaged[0].name}: {damaged[0].detail}")
