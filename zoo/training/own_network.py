"""A network of the user's own before its training: built, and checked to be a classifier that can be trained."""

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.checkpoint.golden import LARGEST_MAP
from zoo.checkpoint.largest_map import largest_map
from zoo.checkpoint.own_network import check_attributes, own_copy, saved_state
from zoo.checkpoint.tensors import load_strictly
from zoo.errors import ModelError
from zoo.exactness.tracer import duplicate, input_channels
from zoo.models.code import Arch, code_name, find_code, foreign, is_code, make_network
from zoo.models.names import ModelName
from zoo.models.own import GIVEN, OwnArchitecture, is_own, zoo_architecture
from zoo.models.registry import build, seeded
from zoo.references.classifier import classifier_name
from zoo.references.loading import info, read_trained
from zoo.references.transfer import say_new, transfer
from zoo.training.config import TrainConfig
from zoo.training.data import TrainingData

OF_THE_ZOO = ("start_from", "width", "coset_pool", "dropout", "downsample", "relax", "average", "copies", "path")
"""Fields of a config that say how a network of the zoo is made."""
BATCH = 2
"""Images in the batches that a network is tried with."""
Shape = tuple[int, int]
"""Channels and side of images."""


def model_words(arch: Arch) -> str:
    """What stands in the field `model` of a config for a network that is given in Python.

    Example:
        >>> model_words("p4cnn_28"), model_words(nn.Flatten()), model_words(nn.Flatten)
        ('p4cnn_28', 'module Flatten', 'torch.nn.modules.flatten:Flatten')
    """
    name = type(arch).__name__ if isinstance(arch, nn.Module) else getattr(arch, "__name__", type(arch).__name__)
    return code_name(arch) or f"{GIVEN}{name}"


def is_own_model(config: TrainConfig) -> bool:
    """Whether the model of a config is a network of the user's own, and not a name of the zoo."""
    return is_code(config.model) or config.model.startswith(GIVEN)


def described(config: TrainConfig, model: nn.Module) -> OwnArchitecture | None:
    """How config.json describes a network of the user's own; None for one of the zoo, even if it was given as it is."""
    if not is_own_model(config) or (not is_code(config.model) and _is_of_the_zoo(model)):
        return None
    return OwnArchitecture(type(model).__name__, config.model if is_code(config.model) else None)


def check_choices(config: TrainConfig, arch: Arch | None) -> None:
    """`ModelError` for a choice that is for networks of the zoo alone, and for a module that is not there any more."""
    if arch is None and config.model.startswith(GIVEN):
        raise ModelError(
            f"model is {config.model!r}, which was given in Python; give it again: zoo.train(module, "
            f"{config.data!r}, out={config.out!r}), with resume=True to go on"
        )
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in OF_THE_ZOO and value != field.default:
            mend = f"leave --{field.name.replace('_', '-')} out"
            raise ModelError(f"{field.name} is {value!r} and {config.model!r} is a network of your own; {mend}")
    if config.init is not None and isinstance(arch, nn.Module):
        raise ModelError(
            f"init is {config.init!r} and a module was given, which has weights already; give those weights instead: "
            f"zoo.train(zoo.load({config.init!r}, num_classes=..., arch=...), {config.data!r})"
        )


def input_size(config: TrainConfig, data: TrainingData, arch: Arch | None) -> int:
    """Side of the input in pixels: as configured, or in the name of a network of the zoo, or that of the images."""
    if not is_own_model(config):
        name = ModelName.parse(config.model)
        return _agreeing(config, name.size, f"take {name.head}_{config.size}, or leave --size out")
    known = zoo_architecture(arch) if isinstance(arch, nn.Module) else None
    if known is not None:
        size = ModelName.parse(known.get("network", known)["name"]).size
        return _agreeing(config, size, "leave size out")
    height, width = data.train.dataset.shape[1:]
    if config.size is None and height != width:
        raise ModelError(
            f"images of {config.data!r} are {height}x{width} and networks are trained on squares; say --size {height}"
        )
    return config.size or height


def _agreeing(config: TrainConfig, size: int, mend: str) -> int:
    if config.size not in (None, size):
        raise ModelError(f"size is {config.size} and {config.model!r} takes {size} pixels; {mend}")
    return size


def own_network(config: TrainConfig, arch: Arch | None, classes: int, channels: int, size: int) -> nn.Module:
    """The network that the user's code makes, on the CPU in training mode, after it was tried on two images.

    Raises:
        ModelError: if there is no such code, or what it makes is no classifier of these images, cannot be trained, or
            cannot be saved and loaded again.
    """
    if arch is None:
        find_code(config.model)  # whatever its import draws is not drawn from the seed
    with seeded(config.seed):
        model = make_network(arch or config.model, num_classes=classes, in_chans=channels)
        check_attributes(model)
        saved_state(model)
        if (numbers := largest_map(model, channels, size)) > LARGEST_MAP:
            raise ModelError(
                f"on an image of {size} pixels {config.model!r} has a feature map of {numbers:,} numbers, at most "
                f"{LARGEST_MAP:,} are held; make it narrower, or its images smaller"
            )
        if not any(p.requires_grad for p in model.parameters()):
            raise ModelError(f"{config.model!r} has no weights to train; set requires_grad of some to True")
        images = torch.randn(BATCH, channels, size, size, generator=torch.Generator().manual_seed(0))
        _try_evaluation(config, duplicate(model), images, classes)
        _try_step(config, duplicate(model).train(), images, classes)
    return model.train()


def begin_with(config: TrainConfig, model: nn.Module, arch: Arch | None, data: TrainingData, images: Shape) -> None:
    """Give a network of the user's own the weights of `init`, which the same code made, and freeze what `freeze` says.

    The classifier stays as it is where the classes are others; the names of its tensors are logged.

    Args:
        config: the run; its `init` is not None.
        model: changed in place.
        arch: the code, if it is given in Python.
        data: what it is to be trained on.
        images: channels and side of its input.

    Raises:
        ModelError: if `init` is no model of this code, or it is not clear which layer is the classifier.
    """
    ref = str(config.init)
    if not is_own(info(ref)["architecture"]):
        raise ModelError(
            f"init is {ref!r}, a network of the zoo, and {config.model!r} is your own; name a model that was trained "
            "from the same code, or make your network begin with zoo.load"
        )
    source = read_trained(ref, arch or config.model)
    same, frozen = source.classes == data.classes, config.freeze == "body"
    channels, side = images
    head = None if same and not frozen else classifier_name(model, torch.zeros(1, channels, side, side))
    say_new(source.name, transfer(source.model, model, None if same else head))
    if frozen and head is not None:
        model.requires_grad_(False).get_submodule(head).requires_grad_(True)


def check_processes(model: nn.Module, processes: int, device: str) -> None:
    """`ModelError` for a network whose result depends on how many processes share its batches.

    Example:
        >>> check_processes(nn.BatchNorm2d(4), processes=1, device="cpu")
    """
    if processes == 1 or device == "cuda":  # there torch's norms are made to share their statistics
        return
    norms = [name for name, module in model.named_modules() if isinstance(module, _BatchNorm)]
    if norms:
        raise ModelError(
            f"{processes} processes share batches on {device}, and the batch norm {norms[0]!r} of "
            f"{type(model).__name__} would see a part of each; train in one process, or with the norms of zoo.layers, "
            "which see all of it"
        )


def _try_evaluation(config: TrainConfig, model: nn.Module, images: Tensor, classes: int) -> None:
    with torch.no_grad():
        logits = _logits(config, model, images, classes, "in eval mode")
        again = _logits(config, model, images, classes, "in eval mode")
    if not torch.allclose(logits, again, rtol=1e-4, atol=1e-5, equal_nan=True):
        raise ModelError(
            f"{config.model!r} gives other logits for the same images in eval mode; is there a dropout that ignores "
            "the mode? F.dropout(x, p, training=self.training) obeys it"
        )


def _try_step(config: TrainConfig, model: nn.Module, images: Tensor, classes: int) -> None:
    logits = _logits(config, model, images, classes, "in training mode")
    if not logits.requires_grad:
        raise ModelError(f"the logits of {config.model!r} have no gradients; keep detach() and no_grad() out of it")
    with foreign(f"{config.model!r} cannot be trained", "mend its backward pass"):
        torch.autograd.backward(logits.sum())


def _logits(config: TrainConfig, model: nn.Module, images: Tensor, classes: int, when: str) -> Tensor:
    shape = tuple(images.shape)
    with foreign(f"{config.model!r} cannot run on images {shape} {when}", _mend(model, images)):
        logits: Any = model(images)
    if not isinstance(logits, Tensor):
        raise ModelError(
            f"{config.model!r} returns {type(logits).__name__} {when}, expected logits ({BATCH}, {classes}) alone; "
            "return one tensor"
        )
    if logits.shape != (BATCH, classes) or not logits.is_floating_point():
        raise ModelError(
            f"{config.model!r} returns {str(logits.dtype).removeprefix('torch.')} {tuple(logits.shape)} for images "
            f"{shape} {when}, expected floats ({BATCH}, {classes}), a logit for each of {classes} classes; let it take "
            "num_classes, or return that shape"
        )
    return logits


def _mend(model: nn.Module, images: Tensor) -> str:
    """What to do if a network cannot run on images."""
    try:
        reads = input_channels(model)
    except ModelError:
        reads = images.shape[1]
    if reads == 3 and images.shape[1] == 1:
        return "add --channels 3, which repeats the gray channel"
    if reads != images.shape[1]:
        return f"let it take in_chans, {images.shape[1]} here"
    return f"let it take floats (B, {', '.join(map(str, images.shape[1:]))}), or say another --size"


def _is_of_the_zoo(model: nn.Module) -> bool:
    """Whether `zoo.create` makes the same network: with these weights, what it makes gives the same logits."""
    known = zoo_architecture(model)
    if known is None:
        return False
    try:
        with seeded(0):
            twin = build(known)
        copied, weights = own_copy(model)
        load_strictly(twin, weights, "the network")
        inner = known.get("network", known)
        size, channels = ModelName.parse(inner["name"]).size, inner["channels"]
        images = torch.randn(2 * BATCH, channels, size, size, generator=torch.Generator().manual_seed(0))
        logits = []
        for network in (twin.train(), copied.train()):  # norms by the batch: no feature is dead
            with seeded(0), torch.no_grad():
                logits.append(network(images))
        return torch.equal(*logits)
    except (ModelError, RuntimeError):
        return False
