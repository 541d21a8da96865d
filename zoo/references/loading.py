"""Models by reference: a folder, a bundled name, or a repository of the Hub; in this order.

zoo.load("runs/mine")              a folder that `symdata train` wrote
zoo.load("p4cnn_28.mnist-none")    bundled with the package: torch and safetensors are enough, no network
zoo.load("user/repo@v1")           the Hub, or its cache, at a branch, tag or commit

With SYMDATA_HUB_NAMESPACE=user in the environment, the name of a trained model that is not bundled is user/name.
"""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from symdata.errors import HubError
from zoo.checkpoint.folder import Checkpoint, read_checkpoint
from zoo.checkpoint.manifest import quoted, read_config
from zoo.checkpoint.tensors import PICKLES
from zoo.devices import on_device
from zoo.errors import ModelError
from zoo.files import CONFIG, GOLDEN, NAME, WEIGHTS, bundled, bundled_folder, is_bundled
from zoo.hub.snapshot import read_snapshot

if TYPE_CHECKING:
    from symdata.hub import Address

NAMESPACE = "SYMDATA_HUB_NAMESPACE"
"""The environment variable that names the user or organisation whose models need no more than their own name."""

_MEND = "give a name of `symdata models`, a folder, or user/repo@revision"


def load(ref: str | Path, *, device: str = "cpu") -> nn.Module:
    """A trained model, checked against its hashes and its golden logits.

    Args:
        ref: a folder, a bundled name, `user/repo` or `user/repo@revision`; a folder here goes before a bundled name.
        device: where the model goes in the end.

    Returns:
        The model in eval mode. `.preprocessing` turns uint8 images (B, C, H, W) into its input, `.classes` names its
        logits, `.config` says everything that is known about it.

    Raises:
        ModelError: for a reference that leads nowhere, and a model of which any part is missing or was changed.
    """
    return on_device(checkpoint(ref).model, device)


def info(ref: str | Path) -> dict[str, Any]:
    """What config.json says about a trained model; its weights are not read."""
    place = find(ref)
    if isinstance(place, Path):
        return read_config(place)
    return read_snapshot(_fetch(place, (CONFIG,)), place, read_config)


def checkpoint(ref: str | Path) -> Checkpoint:
    """A trained model with its name, preprocessing, classes and configuration; as `load`."""
    place = find(ref)
    if isinstance(place, Path):
        return read_checkpoint(place)
    return read_snapshot(_fetch(place, (CONFIG, WEIGHTS, GOLDEN)), place, read_checkpoint)


def find(ref: str | Path) -> "Path | Address":
    """Where a reference leads, without going there: a folder here, or a repository of the Hub.

    Raises:
        ModelError: if it leads nowhere, with the nearest names.
    """
    try:
        return _find(ref)
    except OSError as error:  # a name that no file can have, a folder that may not be looked into
        reason = error.strerror or str(error)
        raise ModelError(f"there is no model at {quoted(str(ref))} ({reason}); {_MEND}") from None


def _find(ref: str | Path) -> "Path | Address":
    text = str(ref)
    # A folder first: what `symdata train` wrote here under the name of a bundled model is what its owner means.
    if text and Path(text).is_dir() and (Path(text, CONFIG).is_file() or not is_bundled(text)):
        return Path(text)
    if is_bundled(text):
        return bundled_folder(text)
    if text and Path(text).is_file():
        raise ModelError(_is_file(Path(text)))
    if not isinstance(ref, Path) and (found := _on_hub(text)) is not None:
        return found
    if NAME.fullmatch(text) and not isinstance(ref, Path):
        raise ModelError(_unknown(text))
    raise ModelError(f"there is no model at {quoted(text)}; {_MEND}")


def _on_hub(text: str) -> "Address | None":
    """The repository that a reference names, by itself or in the default namespace."""
    from symdata.hub import Address

    owner, match = os.environ.get(NAMESPACE), NAME.fullmatch(text)
    if owner and match and _is_trained_name(match["name"]):
        text = f"{owner}/{text}"
    try:
        address = Address.parse(text)
    except HubError:
        return None
    return None if address.kind == "dataset" else address


def _is_trained_name(text: str) -> bool:
    """Whether this is a network and the dataset behind a dot, as in `p4cnn_28.mnist-none`."""
    from zoo.models.names import ModelName

    try:
        return ModelName.parse(text).data is not None
    except ModelError:
        return False


def _fetch(place: "Address", only: Iterable[str]) -> Path:
    from symdata.hub import snapshot  # the only way to the network

    return snapshot(place, only)


def _is_file(path: Path) -> str:
    text = str(path)
    if path.suffix == ".safetensors":
        return f"{text!r} holds weights alone; say for which network: --weights {text} --arch package.module:build"
    if path.suffix in PICKLES:
        return f"{text!r} is a pickle, which may run code when it is opened; save the weights as safetensors"
    if path.name == CONFIG:
        return f"{text!r} is a part of a model; give its folder: {path.parent}"
    return f"{text!r} is a file, and a model is a folder; give one that `symdata train` wrote"


def _unknown(name: str) -> str:
    """Why a plain name is none of a trained model."""
    from zoo.models.registry import list_models

    here, known = bundled(), list_models()
    if (bare := _bare(name)) is not None:
        like = [other for other in here if other.startswith(f"{bare}.")]
        have = f"bundled: {', '.join(like or here) or 'none'}"
        if name == bare:
            return f"{name!r} has no weights; {have}; for an untrained one zoo.create({bare!r})"
        mend = f"if it is on the Hub, give its owner: user/{name}, or {NAMESPACE}=user"
        return f"{name!r} is not bundled; {have}; {mend}; for an untrained one zoo.create({bare!r})"
    near = get_close_matches(name, [*here, *known], 4, 0.5)
    hint = f"the nearest are {', '.join(near)}" if near else "`symdata models` lists them"
    return f"there is no model {name!r}: neither bundled nor a folder; {hint}"


def _bare(name: str) -> str | None:
    """The name of the network alone, if there is one of this name."""
    from zoo.models.names import ModelName

    try:
        return str(ModelName.parse(name).bare)
    except ModelError:
        return None
