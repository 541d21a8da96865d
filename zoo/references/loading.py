"""Trained models by reference: a folder, a bundled name, or a repository of the Hub; looked for in this order.

    zoo.load("runs/mine")              a folder that `symdata train` wrote
    zoo.load("p4cnn_28.mnist-none")    bundled with the package; needs torch and safetensors alone, and no network
    zoo.load("user/repo@v1")           the Hub, or its cache, at a branch, tag or commit

With SYMDATA_HUB_NAMESPACE=user in the environment, the name of a trained model that is not bundled means user/name.
"""

import os
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from torch import nn

from symdata.errors import HubError, NotOnHubError
from zoo.checkpoint.folder import read_checkpoint
from zoo.checkpoint.manifest import quoted, read_config
from zoo.checkpoint.tensors import PICKLES
from zoo.devices import on_device
from zoo.errors import ModelError
from zoo.files import CONFIG, GOLDEN, NAME, WEIGHTS, bundled, bundled_folder, is_bundled
from zoo.hub.snapshot import read_snapshot
from zoo.inference.opened_model import OpenedModel
from zoo.models.code import Arch
from zoo.references.transfer import transferred

if TYPE_CHECKING:
    from symdata.hub import Address
    from zoo.models.names import ModelName

T = TypeVar("T")
NAMESPACE = "SYMDATA_HUB_NAMESPACE"
"""Environment variable: the user or organisation whose models can be given without their owner."""

_MEND = "give a name of `symdata models`, a folder, or user/repo@revision"


def load(
    ref: str | Path,
    *,
    num_classes: int | None = None,
    in_chans: int | None = None,
    arch: Arch | None = None,
    device: str = "cpu",
) -> nn.Module:
    """Load a trained model; its hashes and golden logits are checked.

    Args:
        ref: a folder, a bundled name, `user/repo` or `user/repo@revision`; a folder here goes before a bundled name.
        num_classes: another number of logits than it was trained for: the classifier is then new, the rest is kept.
            0 leaves the classifier out, and the output is its features (B, num_features).
        in_chans: another number of channels of the images; see `zoo.create`.
        arch: of a network of your own, whose folder has no code: `package.module:callable`, a callable or a module,
            which is copied. A callable gets `num_classes` and `in_chans` if it has such parameters.
        device: where the model is moved.

    Returns:
        The model in eval mode. `.preprocessing` turns uint8 images (B, C, H, W) into its input, `.classes` names its
        logits, `.config` is the content of config.json. With `num_classes` or `in_chans`, `.new_tensors` are the names
        of the tensors that are not trained, and there is no `.config`.

    Raises:
        ModelError: if there is no such model, or any part of it is missing or was changed.

    Example:
        >>> import torch
        >>> from zoo import load
        >>> model = load("p4cnn_28.mnist-none")
        >>> images = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
        >>> model(model.preprocessing(images)).shape
        torch.Size([2, 10])
        >>> load("p4cnn_28.mnist-none", num_classes=0)(model.preprocessing(images)).shape
        torch.Size([2, 10])
    """
    trained = read_trained(ref, arch)
    if num_classes is None and in_chans is None:
        return on_device(trained.model, device)
    return on_device(transferred(trained, arch=arch, num_classes=num_classes, in_chans=in_chans), device)


def info(ref: str | Path) -> dict[str, Any]:
    """The content of config.json of a trained model; its weights are not read.

    Example:
        >>> from zoo import info
        >>> facts = info("p4cnn_28.mnist-none")
        >>> facts["group"], facts["input_size"], facts["exactness"]["exact"]
        ('c4', [28, 28], True)
    """
    return _read(ref, (CONFIG,), read_config)


def read_trained(ref: str | Path, arch: Arch | None = None) -> OpenedModel:
    """A trained model with everything that is known about it; refuses what `load` refuses."""
    return _read(ref, (CONFIG, WEIGHTS, GOLDEN), partial(read_checkpoint, arch=arch))


def _read(ref: str | Path, files: tuple[str, ...], read: Callable[[Path], T]) -> T:
    """`read` the model folder, or these files of the repository."""
    found = find(ref)
    if isinstance(found, Path):
        return read(found)
    from symdata.hub import snapshot  # the only way to the network

    try:
        folder = snapshot(found, files)
    except NotOnHubError as error:
        raise NotOnHubError(f"there is no folder {str(ref)!r} here; {error}") from None
    return read_snapshot(folder, found, read)


def find(ref: str | Path) -> "Path | Address":
    """The folder here or the repository of the Hub that a reference names; nothing is read.

    Raises:
        ModelError: if there is neither, with the nearest names.
    """
    ref = Path(ref) if isinstance(ref, os.PathLike) else ref
    text = str(ref)
    try:
        # A folder goes first: `symdata train` may have written one here under the name of a bundled model.
        if text and Path(text).is_dir() and (Path(text, CONFIG).is_file() or not is_bundled(text)):
            return Path(text)
        if is_bundled(text):
            return bundled_folder(text)
        if text and Path(text).is_file():
            raise ModelError(_is_file(Path(text)))
    except OSError as error:  # a name that no file can have, a folder that may not be looked into
        reason = error.strerror or str(error)
        raise ModelError(f"there is no model at {quoted(text)} ({reason}); {_MEND}") from None
    if not isinstance(ref, Path) and (found := _on_hub(text)) is not None:
        return found
    if NAME.fullmatch(text) and not isinstance(ref, Path):
        raise ModelError(_unknown(text))
    raise ModelError(f"there is no model at {quoted(text)}; {_MEND}")


def _on_hub(text: str) -> "Address | None":
    """The repository that a reference names, with its owner or in the default namespace."""
    from symdata.hub import Address

    owner, match = os.environ.get(NAMESPACE), NAME.fullmatch(text)
    name = network_name(match["name"]) if owner and match else None
    if name is not None and name.data is not None:
        text = f"{owner}/{text}"
    try:
        address = Address.parse(text)
    except HubError:
        return None
    return None if address.kind == "dataset" else address


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
    """Why no trained model has this plain name."""
    from zoo.models.registry import list_models

    here, known = bundled(), list_models()
    if (parsed := network_name(name)) is not None:
        bare = str(parsed.bare)
        like = [other for other in here if other.startswith(f"{bare}.")]
        have = f"bundled: {', '.join(like or here) or 'none'}"
        if name == bare:
            return f"{name!r} has no weights; {have}; for an untrained one zoo.create({bare!r})"
        mend = f"if it is on the Hub, give its owner: user/{name}, or {NAMESPACE}=user"
        return f"{name!r} is not bundled; {have}; {mend}; for an untrained one zoo.create({bare!r})"
    near = get_close_matches(name, [*here, *known], 4, 0.5)
    hint = f"the nearest are {', '.join(near)}" if near else "`symdata models` lists them"
    return f"there is no model {name!r}: neither bundled nor a folder; {hint}"


def network_name(text: str) -> "ModelName | None":
    """The parsed name of a network, with or without a dataset, as in `p4cnn_28.mnist-none`; None for other text."""
    from zoo.models.names import ModelName

    try:
        return ModelName.parse(text)
    except ModelError:
        return None
