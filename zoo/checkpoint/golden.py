"""Golden logits: some inputs and what the model answers to them, so that every copy of it can be checked."""

from pathlib import Path

import torch
from torch import Tensor, nn

from zoo.checkpoint.largest_map import largest_map
from zoo.checkpoint.tensors import read_tensors, short
from zoo.errors import ModelError
from zoo.exactness.tracer import FAILURES
from zoo.preprocessing import Preprocessing

GOLDEN_IMAGES = 8
"""Inputs in golden.safetensors."""
TOLERANCE = 1e-4
"""Largest difference between logits and golden logits, as a fraction of the largest golden logit."""
LARGEST_MAP = 1 << 28
"""Numbers in the largest feature map of one image, at most, in a model that is saved or read; 1 GiB."""


def golden_noise(preprocessing: Preprocessing) -> Tensor:
    """Inputs (8, C, H, W) for a model that comes without images: the same noise every time."""
    shape = (GOLDEN_IMAGES, preprocessing.channels, preprocessing.size, preprocessing.size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def golden_tensors(
    model: nn.Module, images: Tensor, preprocessing: Preprocessing, classes: int, name: str
) -> dict[str, Tensor]:
    """The first images and their logits; `ModelError` if they do not fit the preprocessing and the classes.

    Args:
        model: in eval mode on the CPU.
        images: normalised (n, C, H, W).
        preprocessing: of the model.
        classes: their number.
        name: of the model, for the message.
    """
    images = images[:GOLDEN_IMAGES].detach().cpu().float()
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
    size = images.shape[-1]
    largest = largest_map(model, images.shape[1], size)
    if largest > LARGEST_MAP:
        raise ModelError(
            f"on an image of {size} pixels {type(model).__name__} has a feature map of {largest:,} numbers, at most "
            f"{LARGEST_MAP:,} are held; make it narrower, or its images smaller"
        )
    with torch.no_grad():
        try:
            return torch.cat([model(part) for part in torch.split(images, max(1, LARGEST_MAP // largest))])
        except FAILURES as error:
            reason = short(error, 300)
            raise ModelError(f"{type(model).__name__} cannot run on images {tuple(images.shape)}: {reason}") from None


def check_golden(model: nn.Module, path: Path, expected: str, preprocessing: Preprocessing, classes: int) -> None:
    """`ModelError` unless golden.safetensors has the sha256 `expected` and the model gives the logits in it."""
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
    if not error <= TOLERANCE:  # also catches NaN
        raise ModelError(
            f"{type(model).__name__} does not give the logits that {str(path)!r} holds: they are {error:.2g} of their "
            f"size apart, at most {TOLERANCE:g} passes; install the version of symdata that it names, or train it again"
        )
