"""The model folder: written whole or not at all, and read strictly.

    config.json  model.safetensors  golden.safetensors  README.md  [evaluation.json  polar.png]

The weights are plain torch tensors of the exported model, so a folder loads with torch and safetensors alone, whatever
library the model was trained with. `golden.safetensors` holds some inputs and their logits: after loading, the model
must give the same logits again.
"""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from symdata import __version__
from zoo.checkpoint.atomic_write import as_json, write_files
from zoo.checkpoint.manifest import EVALUATION_LIMIT, FORMAT, check_fields, quoted, read_config, read_json, sealed
from zoo.checkpoint.tensors import load_strictly, read_tensors, serialised, short
from zoo.errors import ModelError
from zoo.files import CARD, CONFIG, EVALUATION, GOLDEN, PICTURE, WEIGHTS
from zoo.preprocessing import Preprocessing

GOLDEN_IMAGES = 8
"""Inputs in golden.safetensors."""
TOLERANCE = 1e-4
"""Largest difference of logits from the golden ones, as a fraction of the largest of these."""
PER_PARAMETER = 8
"""Bytes of a state dict, at most: norms have as many statistics as parameters."""
LARGEST_MAP = 1 << 28
"""Numbers in the largest feature map of one image at which a model is saved and read; 1 GiB."""


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
    from zoo.checkpoint.card import render_card
    from zoo.exactness.record import exactness_record
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
            "exactness": exactness_record(twin, preprocessing.size, preprocessing.channels),
            "weights": hashes[WEIGHTS] | {"parameters": sum(p.numel() for p in twin.parameters())},
            "golden": hashes[GOLDEN],
            "versions": {"symdata": __version__, "torch": torch.__version__, "python": platform.python_version()},
        }
    )
    check_fields(config, "the checkpoint", "save it with other words")
    files[CARD] = render_card(config, None).encode()
    files[CONFIG] = as_json(config)
    write_files(Path(folder), files)
    return Path(folder)


def read_checkpoint(folder: Path | str) -> Checkpoint:
    """Read a model folder; `ModelError` unless every file in it is as it was written and gives its golden logits.

    A folder of unknown origin cannot ask for memory: the bounds of `zoo.build` hold, the weights are counted before the
    network is built, and its largest feature map, for one image, has at most 2**28 numbers (1 GiB).
    """
    from zoo.models.registry import needs

    folder = Path(folder)
    config, path = read_config(folder), folder / WEIGHTS
    try:
        preprocessing = Preprocessing.from_dict(config["preprocessing"])
        parameters = needs(config["architecture"], preprocessing.size).parameters
    except ModelError as error:
        raise ModelError(f"{str(folder / CONFIG)!r} describes no model: {error}") from None
    # Before the network is built: whoever asks for much memory must have sent as much.
    weights = read_tensors(path, expected=config["weights"]["sha256"], limit=PER_PARAMETER * parameters)
    if (numbers := sum(tensor.numel() for tensor in weights.values())) < parameters:
        raise ModelError(f"{str(path)!r} holds {numbers:,} numbers, and its network has {parameters:,}; get it again")
    model = _rebuilt(config["architecture"])
    load_strictly(model, weights, repr(str(path)))
    _check_said(folder, config, model, preprocessing)
    classes = tuple(config["classes"])
    _check_golden(model, folder / GOLDEN, config["golden"]["sha256"], preprocessing, len(classes))
    attach_metadata(model, preprocessing, classes, config)
    return Checkpoint(model, config["name"], preprocessing, classes, config)


def refresh_card(folder: Path | str) -> Path:
    """Render README.md and polar.png again, from config.json and, if it is there and fits, evaluation.json.

    Without a curve in an evaluation of these weights there is no polar.png, and one that stands there goes.
    """
    folder = Path(folder)
    config = read_config(folder)
    _place_with_card(folder, config, read_evaluation(folder, config), {})
    return folder / CARD


def write_evaluation(folder: Path | str, evaluation: Mapping[str, Any]) -> Path:
    """Put a report beside the model that it is about: evaluation.json, its curve as polar.png, and both on the card."""
    folder = Path(folder)
    config = read_config(folder)
    said = dict(evaluation) | {"weights_sha256": config["weights"]["sha256"]}
    _place_with_card(folder, config, said, {EVALUATION: as_json(said)})
    return folder / EVALUATION


def read_evaluation(folder: Path, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """What evaluation.json says; None if there is none, or it is of other weights; `ModelError` if it is no report."""
    from zoo.evaluation.report import Report

    found = read_json(folder / EVALUATION, EVALUATION_LIMIT)
    own = config["weights"]["sha256"]
    if found is None or (isinstance(found, dict) and found.get("weights_sha256", own) != own):
        return None
    try:
        Report.from_dict(found)
    except ModelError as error:
        raise ModelError(f"{str(folder / EVALUATION)!r} is no evaluation: {error}") from None
    said: dict[str, Any] = found
    return said


def _place_with_card(
    folder: Path, config: Mapping[str, Any], evaluation: Mapping[str, Any] | None, files: Mapping[str, bytes]
) -> None:
    """Put `files` into the folder, and the card and the picture that go with them."""
    from zoo.checkpoint.card import render_card
    from zoo.evaluation.report import Report

    said = {CARD: render_card(config, evaluation).encode()}
    report = None if evaluation is None else Report.from_dict(evaluation)
    if report is None or report.curve is None:
        write_files(folder, {**files, **said}, gone=(PICTURE,))
        return
    from zoo.evaluation.picture import as_png, picture  # imports what draws

    write_files(folder, {**files, PICTURE: as_png(picture([report])), **said})


def attach_metadata(
    model: nn.Module, preprocessing: Preprocessing, classes: tuple[str, ...], config: dict[str, Any]
) -> None:
    """Give a model, in place, what one needs to use it: `.preprocessing`, `.classes`, `.config`."""
    for name, value in (("preprocessing", preprocessing), ("classes", classes), ("config", config)):
        setattr(model, name, value)


def _check_said(folder: Path, config: Mapping[str, Any], model: nn.Module, preprocessing: Preprocessing) -> None:
    """`ModelError` if config.json says of the network what is not so."""
    for key, said, so in (
        ("group", config["group"], str(model.group)),
        ("input_size", config["input_size"], [preprocessing.size, preprocessing.size]),
        ("weights.parameters", config["weights"]["parameters"], sum(p.numel() for p in model.parameters())),
    ):
        if said != so:
            where = repr(str(folder / CONFIG))
            raise ModelError(f"{where} says {key} = {quoted(said)}, and its network has {quoted(so)}; save it again")


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
    from zoo.models.registry import needs

    size, architecture = images.shape[-1], cast(Mapping[str, Any], model.architecture)
    largest = needs(architecture, size).largest_map
    if largest > LARGEST_MAP:
        raise ModelError(
            f"on an image of {size} pixels {type(model).__name__} has a feature map of {largest:,} numbers, at most "
            f"{LARGEST_MAP:,} are held; make it narrower, or its images smaller"
        )
    with torch.no_grad():
        try:
            return torch.cat([model(part) for part in torch.split(images, max(1, LARGEST_MAP // largest))])
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            reason = short(error, 300)
            raise ModelError(f"{type(model).__name__} cannot run on images {tuple(images.shape)}: {reason}") from None


def _check_golden(model: nn.Module, path: Path, expected: str, preprocessing: Preprocessing, classes: int) -> None:
    side = preprocessing.size
    limit = 4 * GOLDEN_IMAGES * (preprocessing.channels * side**2 + classes)
    golden = read_tensors(path, expected=expected, limit=limit)
    shapes = {"images": (preprocessing.channels, side, side), "logits": (classes,)}
    counts = {len(t) if t.ndim else 0 for t in golden.values()}
    right = golden.keys() == shapes.keys() and len(counts) == 1 and 1 <= min(counts) <= GOLDEN_IMAGES
    if not right or any(golden[k].shape[1:] != s or golden[k].dtype != torch.float32 for k, s in shapes.items()):
        found = short(", ".join(f"{key} {tuple(t.shape)}" for key, t in golden.items()))
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
