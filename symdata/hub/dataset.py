"""Dataset folders on the Hub: published as they are, and pulled back with every hash checked."""

from pathlib import Path

from symdata.errors import HubError, StoreError
from symdata.hub.address import Address
from symdata.hub.snapshot import place, snapshot
from symdata.hub.upload import Published, upload
from symdata.store.manifest import MANIFEST, read_manifest
from symdata.store.verification import verify

CARD, PREVIEW = "README.md", "preview.png"


def publish(
    folder: Path | str,
    repo_id: str,
    *,
    private: bool = False,
    tag: str | None = None,
    token: str | None = None,
    dry_run: bool = False,
) -> Published:
    """Upload a dataset folder with its card, in one commit; what is there already and unchanged is not sent again.

    Args:
        folder: a dataset that `verify` passes (its shards are hashed first; a tampered one is refused).
        repo_id: `user/name`.
        private: whether a repository that is created now is private.
        tag: a name for the uploaded revision, such as `v1`.
        token: an access token; None: the one of `hf auth login`.
        dry_run: check the folder and say what would be sent, and ask the Hub nothing.

    Raises:
        StoreError: if the folder is damaged or no dataset.
        HubError: if the Hub refuses.
    """
    folder, address = Path(folder), _of_dataset(repo_id)
    manifest = read_manifest(folder)
    _check(folder, f"{str(folder)!r} is damaged and was not uploaded")
    return upload(
        address,
        {name: folder / name for name in _names(folder) if (folder / name).is_file()},
        mark=MANIFEST,
        is_ours=lambda name: name.endswith(".parquet"),  # old shards would be read together with new ones
        message=f"{manifest['name']} made by symdata {manifest['versions'].get('symdata', '?')}",
        private=private,
        tag=tag,
        token=token,
        dry_run=dry_run,
    )


def pull(ref: str, out: Path | str) -> Path:
    """Fetch a dataset that symdata made into a new folder, every shard held against the hash in its manifest.

    Args:
        ref: `user/name` or `user/name@revision`.
        out: where; nothing must be there.

    Raises:
        HubError: if it cannot be fetched, is not a dataset of symdata, or `out` is taken.
    """
    address = _of_dataset(ref)
    folder = snapshot(address, (MANIFEST,))
    if not (folder / MANIFEST).is_file():
        mend = f"build one from it: symdata make hub:{address.repo_id} --symmetry d4"
        raise HubError(f"dataset {ref!r} was not made by symdata, for it has no {MANIFEST}; {mend}")
    try:
        names = _names(folder)
        folder = snapshot(Address(address.repo_id, folder.name, "dataset"), names)  # of the same commit
        _check(folder, f"dataset {ref!r} is damaged")
    except StoreError as error:
        raise HubError(f"{error} (from the Hub: {ref!r}; to fetch it anew: {address.clear})") from None
    return place(folder, names, Path(out))


def _of_dataset(ref: str) -> Address:
    address = Address.parse(ref)
    return Address(address.repo_id, address.revision, "dataset")


def _names(folder: Path) -> list[str]:
    """The files of a dataset, by its manifest."""
    shards = [shard["file"] for split in read_manifest(folder)["splits"].values() for shard in split["shards"]]
    return [CARD, *shards, MANIFEST, PREVIEW]


def _check(folder: Path, what: str) -> None:
    if damaged := [check for check in verify(folder, samples=0).checks if not check.passed]:
        raise StoreError(f"{what}: {damaged[0].name}: {damaged[0].detail}")
