"""The model folder: written whole or not at all, and read strictly.

    config.json  model.safetensors  golden.safetensors  README.md  [evaluation.json]

The weights are plain torch tensors of the exported model, so a folder loads with torch and safetensors alone, whatever
library the model was trained with. `golden.safetensors` holds some inputs and their logits: after loading, the model
must give the same logits again.
"""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from symdata import __version__
from zoo.errors import ModelError
from zoo.folder import as_json, place
from zoo.manifest import (
    CARD,
    CONFIG,
    EVALUATION,
    EVALUATION_LIMIT,
    FORMAT,
    GOLDEN,
    WEIGHTS,
    check_fields,
    read_config,
    read_json,
    sealed,
)
from zoo.preprocessing import Preprocessing
from zoo.state import load_strictly, read_tensors, serialised

GOLDEN_IMAGES = 8
"""Inputs in golden.safetensors."""
TOLERANCE = 1e-4
"""Largest difference of logits from the golden ones, as a fraction of the largest of these."""


@dataclass(frozen=True)
class Checkpoint:
    """A model as it was read from its folder."""

    model: nn.Module
    """In eval mode on the CPU; it also has the attributes `preprocessing`, `classes` and `config`."""
    name: str
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    config: dict[str, Any]
    """Everything that config.json says."""


def save_checkpoint(
    folder: Path | str,
    model: nn.Module,
    *,
    name: str,
    preprocessing: Preprocessing,
    classes: tuple[str, ...] | list[str],
    training: Mapping[str, Any],
    dataset: Mapping[str, Any],
    golden_images: Tensor,
) -> Path:
    """Write a model folder; a model that stands there already is replaced, and its evaluation goes.

    Args:
        folder: where; a crash leaves the folder without config.json, or whole.
        model: made by `zoo.create`; it is not changed.
        name: of the checkpoint, for example `p4cnn_28.mnist-none`.
        preprocessing: from uint8 images to what the model takes.
        classes: a name for every logit.
        training: how it was trained, as plain data.
        dataset: what it was trained on, as plain data.
        golden_images: normalised float32 (n, C, H, W); the first 8 are kept.

    Raises:
        ModelError: if the parts do not fit each other, or the folder cannot be written.
    """
    from zoo.card import render_card
    from zoo.models.registry import export

    plain = export(model)
    architecture = getattr(plain, "architecture", None)
    if not architecture:
        raise ModelError(
            f"{type(model).__name__} cannot be saved: it was not made by name; make it with zoo.create(name)"
        )
    weights = {key: value.detach().cpu() for key, value in plain.state_dict().items()}
    twin = _rebuilt(architecture)
    load_strictly(twin, weights, f"the state of {name!r}")
    golden = _golden(twin, golden_images[:GOLDEN_IMAGES].detach().cpu().float(), preprocessing, len(classes), name)
    files = {WEIGHTS: serialised(weights), GOLDEN: serialised(golden)}
    hashes = {file: {"file": file, "sha256": sha256(data).hexdigest()} for file, data in files.items()}
    config = sealed(
        {
            "format": FORMAT,
            "library_name": "symdata",
            "name": name,
            "architecture": architecture,
            "group": str(plain.group),
            "input_size": [preprocessing.size, preprocessing.size],
            "preprocessing": preprocessing.to_dict(),
            "classes": list(classes),
            "training": dict(training),
            "dataset": dict(dataset),
            "exactness": _exactness(twin, preprocessing),
            "weights": hashes[WEIGHTS] | {"parameters": sum(p.numel() for p in twin.parameters())},
            "golden": hashes[GOLDEN],
            "versions": {"symdata": __version__, "torch": torch.__version__, "python": platform.python_version()},
        }
    )
    check_fields(config, "the checkpoint", "save it with other words")
    files[CARD] = render_card(config, None).encode()
    files[CONFIG] = as_json(config)
    place(Path(folder), files)
    return Path(folder)


def read_checkpoint(folder: Path | str) -> Checkpoint:
    """Read a model folder; `ModelError` unless every file in it is as it was written and gives its golden logits."""
    folder = Path(folder)
    config = read_config(folder)
    preprocessing = Preprocessing.from_dict(config["preprocessing"])
    model = _rebuilt(config["architecture"])
    size = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    weights = read_tensors(folder / WEIGHTS, expected=config["weights"]["sha256"], limit=size)
    load_strictly(model, weights, repr(str(folder / WEIGHTS)))
    classes = tuple(config["classes"])
    _check_golden(model, folder / GOLDEN, config["golden"]["sha256"], preprocessing, len(classes))
    equip(model, preprocessing, classes, config)
    return Checkpoint(model, config["name"], preprocessing, classes, config)


def refresh_card(folder: Path | str) -> Path:
    """Render README.md again, from config.json and, if it is there and about these weights, evaluation.json."""
    from zoo.card import render_card

    folder = Path(folder)
    config, evaluation = read_config(folder), read_json(folder / EVALUATION, EVALUATION_LIMIT)
    if not isinstance(evaluation, dict) or evaluation.get("weights_sha256", own := config["weights"]["sha256"]) != own:
        evaluation = None
    text = render_card(config, evaluation)
    place(folder, {CARD: text.encode()})
    return folder / CARD


def write_evaluation(folder: Path | str, evaluation: Mapping[str, Any]) -> Path:
    """Put a report beside the model that it is about, as evaluation.json, and its numbers on the card."""
    folder = Path(folder)
    config = read_config(folder)
    place(folder, {EVALUATION: as_json(dict(evaluation) | {"weights_sha256": config["weights"]["sha256"]})})
    refresh_card(folder)
    return folder / EVALUATION


def equip(model: nn.Module, preprocessing: Preprocessing, classes: tuple[str, ...], config: dict[str, Any]) -> None:
    """Give a model, in place, what one needs to use it: `.preprocessing`, `.classes`, `.config`."""
    for name, value in (("preprocessing", preprocessing), ("classes", classes), ("config", config)):
        setattr(model, name, value)


def _rebuilt(architecture: Any) -> nn.Module:
    """An untrained twin in eval mode; torch's global generator is left as it was."""
    from zoo.models.registry import build

    with torch.random.fork_rng(devices=[]):
        model: nn.Module = build(architecture)
        return model.eval()


def _golden(
    model: nn.Module, images: Tensor, preprocessing: Preprocessing, classes: int, name: str
) -> dict[str, Tensor]:
    shape = (preprocessing.channels, preprocessing.size, preprocessing.size)
    if images.ndim != 4 or tuple(images.shape[1:]) != shape or not len(images):
        raise ModelError(f"golden_images are {tuple(images.shape)}, expected (n, {', '.join(map(str, shape))})")
    logits = _logits(model, images)
    if logits.shape[1:] != (classes,):
        raise ModelError(f"{name!r} gives {tuple(logits.shape[1:])} logits for {classes} classes; name each of them")
    if not logits.isfinite().all():
        raise ModelError(f"{name!r} gives logits that are not finite, so it is not saved; train it with a smaller lr")
    return {"images": images, "logits": logits}


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        try:
            out: Tensor = model(images)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise ModelError(f"{type(model).__name__} cannot run on images {tuple(images.shape)}: {error}") from None
    return out


def _check_golden(model: nn.Module, path: Path, expected: str, preprocessing: Preprocessing, classes: int) -> None:
    side = preprocessing.size
    limit = 4 * GOLDEN_IMAGES * (preprocessing.channels * side**2 + classes)
    golden = read_tensors(path, expected=expected, limit=limit)
    shapes = {"images": (preprocessing.channels, side, side), "logits": (classes,)}
    counts = {len(t) if t.ndim else 0 for t in golden.values()}
    right = golden.keys() == shapes.keys() and len(counts) == 1 and 1 <= min(counts) <= GOLDEN_IMAGES
    if not right or any(golden[k].shape[1:] != s or golden[k].dtype != torch.float32 for k, s in shapes.items()):
        found = ", ".join(f"{key} {tuple(t.shape)}" for key, t in golden.items())
        raise ModelError(f"{str(path)!r} holds {found}, expected float32 images (n, *{shapes['images']}) and logits")
    logits, wanted = _logits(model, golden["images"]), golden["logits"]
    if logits.shape != wanted.shape:
        raise ModelError(f"{str(path)!r} has logits {tuple(wanted.shape)} and the model gives {tuple(logits.shape)}")
    error = float((logits - wanted).abs().max()) / max(float(wanted.abs().max()), 1e-6)
    if not error <= TOLERANCE:  # not a number is no less wrong
        raise ModelError(
            f"{type(model).__name__} does not give the logits that {str(path)!r} holds: they are {error:.2g} of their "
            f"size apart, at most {TOLERANCE:g} passes; install the version of symdata that it names, or train it again"
        )


def _exactness(model: nn.Module, preprocessing: Preprocessing) -> dict[str, Any]:
    from zoo.exactness import audit, lattice_part

    said = audit(model, preprocessing.size, channels=preprocessing.channels).to_dict()
    kept = {key: said[key] for key in ("size", "group", "exact", "verdict", "phi", "survivors", "nearest")}
    return kept | {"tied": lattice_part(model) is not None}
