"""The model folder: written whole or not at all, and read strictly.

    config.json  model.safetensors  golden.safetensors  README.md  [evaluation.json  polar.png]

The weights are plain torch tensors of the exported model, so a folder loads with torch and safetensors alone, whatever
library the model was trained with. `golden.safetensors` holds some inputs and their logits: after loading, the model
must give the same logits again.
"""

import json
import platform
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from symdata import __version__
from zoo.checkpoint.atomic_write import write_files
from zoo.checkpoint.golden import check_golden, golden_noise, golden_tensors
from zoo.checkpoint.manifest import EVALUATION_LIMIT, FORMAT, check_fields, quoted, read_config, read_json, sealed
from zoo.checkpoint.own_network import check_attributes, own_copy, read_own
from zoo.checkpoint.tensors import load_strictly, read_tensors, serialised
from zoo.errors import ModelError
from zoo.files import CARD, CONFIG, EVALUATION, GOLDEN, PICTURE, WEIGHTS
from zoo.inference.opened_model import OpenedModel
from zoo.inference.predictions import classify_images
from zoo.models.code import Arch
from zoo.models.own import OwnArchitecture, is_own, own_group, zoo_architecture
from zoo.models.registry import build, export, needs
from zoo.preprocessing import Preprocessing

PER_PARAMETER = 8
"""Bytes of a state dict per parameter, at most: norms have as many statistics as parameters."""


def save_checkpoint(
    folder: Path | str,
    model: nn.Module,
    *,
    name: str,
    preprocessing: Preprocessing,
    classes: tuple[str, ...] | list[str],
    training: Mapping[str, Any],
    dataset: Mapping[str, Any],
    golden_images: Tensor | None = None,
    own: OwnArchitecture | None = None,
) -> Path:
    """Write a model folder. It replaces a model that is there already, whose evaluation is removed.

    Args:
        folder: where; a crash leaves it whole, or without config.json.
        model: any classifier; it is not changed. One that `zoo.create` made is loaded by its folder alone; any other
            is a network of one's own, whose code is named again when it is loaded.
        name: of the checkpoint, for example `p4cnn_28.mnist-none`.
        preprocessing: from uint8 images to what the model takes.
        classes: a name for every logit.
        training: how it was trained, as plain data.
        dataset: what it was trained on, as plain data.
        golden_images: normalised float32 (n, C, H, W), of which the first 8 are kept; by default noise.
        own: how config.json describes a network of one's own; by default by its class.

    Raises:
        ModelError: if the parts do not fit each other, or the folder cannot be written.

    Example:
        >>> from zoo import Preprocessing, create, load, save_checkpoint
        >>> preprocessing, classes = Preprocessing(12, (0.5,) * 3, (0.5,) * 3), list("0123456789")
        >>> facts = {"preprocessing": preprocessing, "classes": classes, "training": {"epochs": 0}, "dataset": {}}
        >>> folder = save_checkpoint("mine", create("p4cnn_12"), name="mine", **facts)
        >>> load("mine").classes[:3]
        ('0', '1', '2')
    """
    from zoo.checkpoint.card import render_card
    from zoo.exactness.record import exactness_record

    plain = export(model)
    architecture = None if own is not None else zoo_architecture(plain)
    if architecture is None:
        architecture, (twin, weights) = (own or OwnArchitecture(type(model).__name__)).to_dict(), own_copy(model)
    else:
        weights = {key: value.detach().cpu() for key, value in plain.state_dict().items()}
        twin = _rebuilt(architecture)
        load_strictly(twin, weights, f"the state of {name!r}")
    images = golden_noise(preprocessing) if golden_images is None else golden_images
    golden = golden_tensors(twin, images, preprocessing, len(classes), name)
    tensors = {WEIGHTS: serialised(weights), GOLDEN: serialised(golden)}
    hashes = {file: {"file": file, "sha256": sha256(data).hexdigest()} for file, data in tensors.items()}
    config = sealed(
        {
            "format": FORMAT,
            "library_name": "symdata",
            "name": name,
            "architecture": architecture,
            "group": _group(twin),
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
    write_files(Path(folder), {**tensors, CARD: render_card(config, None), CONFIG: _json(config)})
    return Path(folder)


def read_checkpoint(folder: Path | str, arch: Arch | None = None) -> OpenedModel:
    """Read a model folder; `ModelError` unless every file is as it was written and the golden logits come out.

    A folder of unknown origin cannot ask for memory: the bounds of `zoo.models.registry.build` hold, the weights are
    counted before the network is built, and its largest feature map, for one image, has at most 2**28 numbers (1 GiB).
    Nor can it run code: a network of somebody's own is made by `arch`, and its weights are those of that network.

    Args:
        folder: what `save_checkpoint` wrote.
        arch: of a network of one's own: `package.module:callable`, a callable or a module, which is copied.

    Raises:
        CodeNeededError: for a network of one's own, without `arch`.

    Returns:
        The model in eval mode on the CPU, with the attributes `preprocessing`, `classes` and `config`, and the same
        beside it.

    Example:
        >>> from zoo.files import bundled_folder
        >>> read_checkpoint(bundled_folder("p4cnn_28.mnist-none"))
        OpenedModel('p4cnn_28.mnist-none', 24,810 parameters, 28x28 pixels, 10 classes)
    """
    folder = Path(folder)
    config, classes = (found := read_config(folder)), tuple(found["classes"])
    try:
        preprocessing = Preprocessing.from_dict(config["preprocessing"])
        own = OwnArchitecture.from_dict(config["architecture"]) if is_own(config["architecture"]) else None
        parameters = 0 if own else needs(config["architecture"], preprocessing.size).parameters
    except ModelError as error:
        raise ModelError(f"{str(folder / CONFIG)!r} describes no model: {error}") from None
    weights, expected = folder / WEIGHTS, config["weights"]["sha256"]
    if own is not None:
        if arch is None:
            raise own.needs_code(config["name"])
        model = read_own(arch, len(classes), preprocessing.channels, weights, expected)
    elif arch is not None:
        raise ModelError(f"{config['name']!r} is a network of the zoo and made by its name; leave out the code {arch}")
    else:
        model = _read_network(config["architecture"], parameters, weights, expected)
    _check_facts(folder, config, model, preprocessing)
    check_golden(model, folder / GOLDEN, config["golden"]["sha256"], preprocessing, len(classes))
    attach_metadata(model, preprocessing, classes, config)
    return OpenedModel(model, preprocessing, classes, config["name"], config, trained=True)


def _read_network(architecture: Any, parameters: int, path: Path, expected: str) -> nn.Module:
    """The network of the zoo with the weights in `path`, in eval mode."""
    # Before the network is built: whoever asks for much memory must have sent as much.
    weights = read_tensors(path, expected=expected, limit=PER_PARAMETER * parameters)
    if (numbers := sum(tensor.numel() for tensor in weights.values())) < parameters:
        raise ModelError(f"{str(path)!r} holds {numbers:,} numbers, and its network has {parameters:,}; get it again")
    model = _rebuilt(architecture)
    load_strictly(model, weights, repr(str(path)))
    return model


def _group(model: nn.Module) -> str:
    """The group of a network; of one's own, that which ties its weights."""
    return own_group(model) if zoo_architecture(model) is None else str(model.group)


def refresh_card(folder: Path | str) -> Path:
    """Render README.md and polar.png again, from config.json and, if it is there and fits, evaluation.json.

    An old polar.png is removed if there is no evaluation of these weights with a curve.
    """
    folder = Path(folder)
    config = read_config(folder)
    _write_with_card(folder, config, read_evaluation(folder, config), {})
    return folder / CARD


def write_evaluation(folder: Path | str, evaluation: Mapping[str, Any]) -> Path:
    """Put a report into the folder of its model: evaluation.json, its curve as polar.png, and both on the card."""
    folder = Path(folder)
    config = read_config(folder)
    sealed_report = dict(evaluation) | {"weights_sha256": config["weights"]["sha256"]}
    _write_with_card(folder, config, sealed_report, {EVALUATION: _json(sealed_report)})
    return folder / EVALUATION


def read_evaluation(folder: Path, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Content of evaluation.json; None if there is none or it is of other weights; `ModelError` if it is no report."""
    from zoo.evaluation.report import Report

    found: dict[str, Any] | None = read_json(folder / EVALUATION, EVALUATION_LIMIT)
    own = config["weights"]["sha256"]
    if found is None or (isinstance(found, dict) and found.get("weights_sha256", own) != own):
        return None
    try:
        Report.from_dict(found)
    except ModelError as error:
        raise ModelError(f"{str(folder / EVALUATION)!r} is no evaluation: {error}") from None
    return found


def _write_with_card(
    folder: Path, config: Mapping[str, Any], evaluation: Mapping[str, Any] | None, files: Mapping[str, str]
) -> None:
    """Put `files` into the folder, and the card and the picture that go with them."""
    from zoo.checkpoint.card import render_card
    from zoo.evaluation.report import Report

    card = {CARD: render_card(config, evaluation)}
    report = None if evaluation is None else Report.from_dict(evaluation)
    if report is None or report.curve is None:
        write_files(folder, {**files, **card}, gone=(PICTURE,))
        return
    from zoo.evaluation.picture import as_png  # imports what draws

    write_files(folder, {**files, PICTURE: as_png(report.plot()), **card})


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"


def attach_metadata(
    model: nn.Module, preprocessing: Preprocessing, classes: tuple[str, ...], config: dict[str, Any]
) -> None:
    """Set the attributes of a model that are needed to use it: `preprocessing`, `classes`, `config`, and `predict`.

    Raises:
        ModelError: if it has others of that name.
    """
    check_attributes(model)
    for name, value in (("preprocessing", preprocessing), ("classes", classes), ("config", config)):
        setattr(model, name, value)
    if not hasattr(model, "predict"):  # a network of one's own; those of the zoo have the method
        model.predict = partial(classify_images, model)  # type: ignore[assignment]


def _check_facts(folder: Path, config: Mapping[str, Any], model: nn.Module, preprocessing: Preprocessing) -> None:
    """`ModelError` if config.json contradicts the network."""
    for key, stated, actual in (
        ("group", config["group"], _group(model)),
        ("input_size", config["input_size"], [preprocessing.size, preprocessing.size]),
        ("weights.parameters", config["weights"]["parameters"], sum(p.numel() for p in model.parameters())),
    ):
        if stated != actual:
            raise ModelError(
                f"{str(folder / CONFIG)!r} says {key} = {quoted(stated)}, and its network has {quoted(actual)}; "
                "save it again"
            )


def _rebuilt(architecture: Any) -> nn.Module:
    """A network of this architecture with random weights, in eval mode; torch's global generator is not changed."""
    with torch.random.fork_rng(devices=[]):
        model: nn.Module = build(architecture)
        return model.eval()
