"""Models on the Hub: pushed as one commit, pulled back whole, and listed.

A model folder is sent with a card that names its repository; plain torch and safetensors read it. Before anything is
sent the folder is loaded strictly, so a folder that cannot be loaded is not published.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from symdata.errors import HubError
from symdata.hub import Address, Published, fetching, place, snapshot, upload
from symdata.sources.files import sha256
from zoo.checkpoint.card import render_card
from zoo.checkpoint.eval_results import eval_results
from zoo.checkpoint.folder import read_checkpoint, read_evaluation, save_checkpoint
from zoo.checkpoint.manifest import read_config
from zoo.errors import ModelError
from zoo.files import CARD, CONFIG, DATASET, EVALUATION, GOLDEN, METRICS, PICTURE, RECIPE, WEIGHTS
from zoo.hub.snapshot import read_snapshot
from zoo.models.code import Arch
from zoo.models.own import OwnArchitecture, is_own

RESULTS = ".eval_results/symdata.yaml"
"""The file in which the Hub looks for results on its datasets."""
PARTS = (CONFIG, WEIGHTS, GOLDEN, CARD, EVALUATION, PICTURE, RECIPE, METRICS, RESULTS)
"""Every file of a published model; other files of a repository are neither sent, fetched nor removed."""


def push(
    model: nn.Module | Path | str,
    repo_id: str,
    *,
    private: bool = False,
    tag: str | None = None,
    token: str | None = None,
    dataset: str | None = None,
    license: str | None = None,
    dry_run: bool = False,
    arch: Arch | None = None,
    **parts: Any,
) -> Published:
    """Publish a model as `user/name`, in one commit; files that are there already and unchanged are not sent again.

    Args:
        model: a model folder; or a module, as `zoo.create` or `zoo.load` return it, or a network of your own.
        repo_id: `user/name`; the repository is created if there is none.
        private: whether a repository that is created now is private.
        tag: a name for the uploaded revision, such as `v1`.
        token: an access token; by default that of `hf auth login`.
        dataset: the repository, `user/name[@revision]`, of the dataset that the model was trained on: the hash of its
            manifest must be the one in config.json. Card and results then link to it.
        license: of the weights, an identifier of the Hub such as `mit`; None: that of the training data, or `unknown`.
        dry_run: check everything here and return what would be sent, without asking the Hub anything.
        arch: of the folder of a network of your own: its code, as for `zoo.load`; needed to check the golden logits.
        parts: of a module, what `zoo.save_checkpoint` needs beside it; by default what `zoo.load` has found.

    Raises:
        ModelError: if the model is damaged, or a part of it is missing.
        HubError: if the Hub refuses, or the dataset is another one.

    Example:
        >>> from zoo import load, push
        >>> sorted(push(load("p4cnn_28.mnist-none"), "me/p4cnn", dry_run=True).files)
        ['README.md', 'config.json', 'golden.safetensors', 'model.safetensors']
    """
    address = Address.parse(repo_id)
    if address.kind == "dataset":
        raise HubError(f"{repo_id!r} names a dataset, and a model is published; write {address.repo_id}")
    options: dict[str, Any] = {"private": private, "tag": tag, "token": token, "dry_run": dry_run}
    if isinstance(model, nn.Module):
        with TemporaryDirectory() as temporary:
            folder = save_checkpoint(Path(temporary) / "model", model, **_parts(model, parts))
            own = is_own(read_config(folder)["architecture"])
            options |= {"dataset": dataset, "license": license, "arch": model if own else None}
            return push(folder, repo_id, **options)
    if parts:
        raise ModelError(
            f"{next(iter(parts))} is given for a folder, which has its own; give a module, or leave it out"
        )
    # What `zoo.train` returned knows the code of a network of one's own.
    config = read_checkpoint(model, getattr(model, "arch", None) if arch is None else arch).config
    message = f"{config['name']} made by symdata {config['versions'].get('symdata', '?')}"
    files = _files(Path(model), config, address.repo_id, license, dataset)
    return upload(address, files, mark=GOLDEN, is_ours=PARTS.__contains__, message=message, **options)


def _files(
    folder: Path, config: Mapping[str, Any], repo: str, license: str | None, dataset: str | None
) -> dict[str, Path | bytes]:
    """The files of a model folder, with a card and results that name repositories."""
    link = None if dataset is None else _linked(dataset, config)
    evaluation = read_evaluation(folder, config)
    files: dict[str, Path | bytes] = {name: folder / name for name in PARTS if (folder / name).is_file()}
    files[CARD] = render_card(config, evaluation, repo=repo, dataset=link, license=license).encode()
    if (results := eval_results(config, evaluation, link)) is not None:
        files[RESULTS] = results
    return files


def _parts(model: nn.Module, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a loaded module has, with what was given in its place."""
    parts: dict[str, Any] = {"training": {}, "dataset": {}}
    config = getattr(model, "config", None)
    if isinstance(config, Mapping) and {"name", "training", "dataset"} <= config.keys():
        parts |= {key: config[key] for key in ("name", "training", "dataset")}
        parts |= {"preprocessing": model.preprocessing, "classes": model.classes}
        if is_own(config.get("architecture")):
            parts["own"] = OwnArchitecture.from_dict(config["architecture"])
    parts |= given
    if missing := [key for key in ("name", "preprocessing", "classes") if key not in parts]:
        raise ModelError(
            f"{type(model).__name__} does not know its {missing[0]}; give {', '.join(missing)} to zoo.push"
        )
    return parts


def _linked(ref: str, config: Mapping[str, Any]) -> dict[str, str]:
    """Repository and commit of the dataset `ref`; `HubError` unless the model was trained on it."""
    asked = Address.parse(ref)
    folder = snapshot(Address(asked.repo_id, asked.revision, "dataset"), (DATASET,))
    expected = config["dataset"].get("manifest_sha256")
    path = folder / DATASET
    found = sha256(path) if path.is_file() else None
    if found is None or found != expected:
        raise HubError(
            f"{ref!r} is not the dataset that the model was trained on: its {DATASET} has sha256 {found}, expected "
            f"{expected}; publish that one first, or leave --dataset out"
        )
    return {"id": asked.repo_id, "revision": folder.name}


def pull(ref: str, out: Path | str, *, arch: Arch | None = None) -> Path:
    """Fetch a model from the Hub into a new folder, after loading it strictly.

    Args:
        ref: `user/name` or `user/name@revision`.
        out: where; nothing must be there.
        arch: of a network of somebody's own: its code, as for `zoo.load`.

    Raises:
        ModelError: if it is no model of symdata, or damaged.
        HubError: if it cannot be fetched, or `out` exists.

    Example:
        >>> from zoo import pull
        >>> pull("not a repository", "here")
        Traceback (most recent call last):
        ...
        symdata.errors.HubError: 'not a repository' is not the name of a repository; ...
    """
    address = Address.parse(ref)
    folder = snapshot(address, PARTS)
    read_snapshot(folder, address, partial(read_checkpoint, arch=arch))
    return place(folder, PARTS, Path(out))


def published(namespace: str) -> list[tuple[str, dict[str, Any]]]:
    """The models of symdata that a user or organisation has published: `user/name` and the content of its config.json.

    Raises:
        HubError: if the Hub cannot be reached, or the name is none.
    """
    from huggingface_hub import HfApi

    try:
        Address.parse(f"{namespace}/name")
    except HubError:
        raise HubError(f"{namespace[:100]!r} is not the name of a user or organisation; write it alone") from None
    with fetching(Address(f"{namespace}/*")):
        found = sorted(model.id for model in HfApi().list_models(author=namespace, filter="symdata"))
    rows = []
    for repo_id in found:
        try:
            rows.append((repo_id, read_config(snapshot(Address(repo_id), (CONFIG,)))))
        except (ModelError, HubError):  # anyone may put that tag on a card
            continue
    return rows
