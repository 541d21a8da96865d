"""Models by reference: a folder, a bundled name, or a repository of the Hub; in this order.

zoo.load("runs/mine")              a folder that `symdata train` wrote
zoo.load("p4cnn_28.mnist-none")    bundled with the package: torch and safetensors are enough, no network
zoo.load("user/repo@v1")           the Hub, at a branch, tag or commit
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from zoo.checkpoint import Checkpoint, read_checkpoint
from zoo.errors import ModelError
from zoo.manifest import CONFIG, read_config
from zoo.state import PICKLES

_REPO = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?", re.ASCII)
_NAME = re.compile(r"[\w.+-]+", re.ASCII)


class Place(NamedTuple):
    """Where a reference leads: a folder here, or a repository of the Hub."""

    folder: Path | None
    repo: str | None = None
    revision: str | None = None


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
    return read_config(place.folder or _fetch(place, (CONFIG,)))


def checkpoint(ref: str | Path) -> Checkpoint:
    """A trained model with its name, preprocessing, classes and configuration; as `load`."""
    place = find(ref)
    if place.folder is not None:
        return read_checkpoint(place.folder)
    folder = _fetch(place)
    try:
        return read_checkpoint(folder)
    except ModelError as error:
        clear = f"hf cache rm model/{place.repo} -y"
        raise ModelError(f"{error} (from the Hub: {str(ref)!r}; to fetch it anew: {clear})") from None


def bundled() -> tuple[str, ...]:
    """The names of the models that come with the package."""
    folder = _weights()
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.name for path in folder.iterdir() if (path / CONFIG).is_file()))


def bundled_folder(name: str) -> Path:
    """Where a bundled model stands."""
    return _weights() / name


def find(ref: str | Path) -> Place:
    """Where a reference leads, without going there; `ModelError` with the nearest names if it leads nowhere."""
    text = str(ref)
    # A folder first: what `symdata train` wrote here under the name of a bundled model is what its owner means.
    if text and Path(text).is_dir() and (Path(text, CONFIG).is_file() or not _is_bundled(text)):
        return Place(Path(text))
    if _is_bundled(text):
        return Place(bundled_folder(text))
    if text and Path(text).is_file():
        raise ModelError(_is_file(Path(text)))
    match = _REPO.fullmatch(text) if not isinstance(ref, Path) else None
    if match and text.split("/")[0] not in (".", ".."):
        return Place(None, match["repo"], match["revision"])
    if _NAME.fullmatch(text) and not isinstance(ref, Path):
        raise ModelError(_unknown(text))
    raise ModelError(f"there is no model at {text!r}; give a name of `symdata models`, a folder, or user/repo@revision")


def on_device(model: nn.Module, device: str) -> nn.Module:
    """The model on another device; `ModelError` if there is no such device."""
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"device {device!r} cannot be used: {reason}; use 'cpu' or 'cuda'") from None


def _is_bundled(text: str) -> bool:
    return bool(_NAME.fullmatch(text)) and (_weights() / text / CONFIG).is_file()


def _weights() -> Path:
    return Path(str(resources.files("zoo"))) / "weights"


def _fetch(place: Place, only: Iterable[str] | None = None) -> Path:
    from zoo.hub import snapshot  # the only way to the network

    return snapshot(str(place.repo), place.revision, only)


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
        return f"{name!r} has no weights; {have}; for an untrained one zoo.create({bare!r})"
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
