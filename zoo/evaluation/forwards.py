"""Running a classifier over many images under many elements: eval mode, batches that fit the cache, refusals."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from symdata.errors import ShapeError
from symdata.groups import Element
from zoo.errors import ModelError
from zoo.evaluation.views import Views
from zoo.preprocessing import Preprocessing
from zoo.tracing import FAILURES

CACHE_BYTES = {"cpu": 6 << 20, "cuda": 1 << 28}
"""The largest activation of a batch, per kind of device; on a CPU 4 to 8 MiB were fastest (measured, P4CNN at 28)."""
MAX_BATCH = 1024

Progress = Callable[[int], None]


def sweep(
    model: nn.Module,
    images: Tensor,
    preprocessing: Preprocessing,
    elements: Sequence[Element],
    *,
    fill: str = "background",
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    progress: Progress = lambda images: None,
) -> Iterator[tuple[slice, Tensor]]:
    """The logits of every image under every element, batch by batch.

    Each batch is resized and normalised once. The model runs without gradients in eval mode; when the iterator is
    exhausted or closed its mode is what it was, module by module.

    Args:
        model: images (B, C, H, W) to logits (B, classes).
        images: uint8 (n, C, H, W).
        preprocessing: of the model.
        elements: of O(2), in the order in which the logits are wanted.
        fill: see `zoo.evaluation.views.FILLS`.
        batch_size: images per forward; by default as many as keep the largest activation in the cache.
        device: where to run; by default where the model is. The model is moved back afterwards.
        progress: called with the number of images that went through the model since the last call.

    Yields:
        rows of the batch, and logits (len(elements), B, classes), float32 on the CPU.
    """
    with running(model, device) as where, torch.no_grad():
        fitting, layout = rehearse(model, Views(images[:1], preprocessing, fill, where).upright)
        step = batch_size or fitting
        for start in range(0, len(images), step):
            rows = slice(start, min(start + step, len(images)))
            views = Views(images[rows], preprocessing, fill, where)
            logits = []
            for element in elements:
                logits.append(classify(model, views.under(element).clone(memory_format=layout)).float().cpu())
                progress(rows.stop - rows.start)
            yield rows, torch.stack(logits)


@contextmanager
def running(model: nn.Module, device: torch.device | str | None = None) -> Iterator[torch.device]:
    """The model in eval mode on `device`; afterwards every module is in the mode, and where, it was."""
    home = device_of(model)
    where = home if device is None else torch.device(device)
    modes = [(module, module.training) for module in model.modules()]
    try:
        if any(mode for _, mode in modes):
            model.eval()
        if where != home:
            model.to(where)
        yield where
    finally:
        for module, mode in modes:  # parents first, so that what they do to their children is set right
            if module.training != mode:
                module.train(mode)
        if where != home:
            model.to(home)


def device_of(model: nn.Module) -> torch.device:
    """Where the first parameter or buffer is; the CPU for a model without any."""
    tensor = next(iter([*model.parameters(), *model.buffers()]), None)
    return torch.device("cpu") if tensor is None else tensor.device


def classify(model: nn.Module, x: Tensor) -> Tensor:
    """Logits (B, classes) of images (B, C, H, W); `ModelError` if the model cannot, or gives something else."""
    try:
        logits = model(x)
    except FAILURES as error:
        raise ModelError(f"{_name(model)} cannot run on images {tuple(x.shape)}: {_first_line(error)}") from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(x) or not logits.is_floating_point():
        got = f"{logits.dtype} {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise ModelError(
            f"{_name(model)} gives {got} for images {tuple(x.shape)}, expected logits ({len(x)}, classes); "
            "wrap it in a module that returns them"
        )
    if not bool(logits.isfinite().all()):
        raise ModelError(f"{_name(model)} gives logits that are not finite, so it has diverged; train it again")
    return logits


def rehearse(model: nn.Module, one: Tensor) -> tuple[int, torch.memory_format]:
    """How many images keep the largest activation in the cache, and how they should lie in memory.

    On a CPU networks run 1.2 to 1.6 times as fast with the channel as the fastest axis (measured, CNNs at 28), if they
    run at all: those that flatten a feature map by `view` do not.

    Args:
        model: in eval mode.
        one: a normalised image (1, C, H, W).
    """
    if one.device.type == "cpu":
        try:
            return _fitting(model, one, torch.channels_last), torch.channels_last
        except ModelError:
            pass  # if it cannot run in the other layout either, that is what will be said
    return _fitting(model, one, torch.contiguous_format), torch.contiguous_format


def _fitting(model: nn.Module, one: Tensor, layout: torch.memory_format) -> int:
    largest = one.numel() * one.element_size()

    def look(module: nn.Module, args: Any, out: Any) -> None:
        nonlocal largest
        if isinstance(out, Tensor):
            largest = max(largest, out.numel() * out.element_size())

    with ExitStack() as hooks:
        for module in model.modules():
            if not isinstance(module, torch.jit.ScriptModule) and next(module.children(), None) is None:
                hooks.callback(module.register_forward_hook(look).remove)
        # A clone, for torch calls images of one channel contiguous in either layout, and goes by their strides.
        classify(model, one.clone(memory_format=layout))
    budget = CACHE_BYTES["cpu" if one.device.type == "cpu" else "cuda"]
    return max(1, min(MAX_BATCH, budget // largest))


def checked(images: Any, labels: Any) -> tuple[Tensor, Tensor]:
    """Images and labels as tensors, after a check that they are uint8 (n, C, H, W) and integers (n,)."""
    images, labels = torch.as_tensor(images), torch.as_tensor(labels)
    if images.ndim != 4 or images.dtype != torch.uint8 or not len(images):
        got = f"{images.dtype} {tuple(images.shape)}"
        raise ShapeError(
            f"images are {got}, expected uint8 (n, C, H, W) with n > 0; (x * 255).round().byte() makes them so"
        )
    if labels.shape != images.shape[:1] or labels.is_floating_point() or labels.dtype == torch.bool:
        got = f"{labels.dtype} {tuple(labels.shape)}"
        raise ShapeError(f"labels are {got} for {len(images)} images, expected one class index for each")
    return images, labels.long().cpu()


def check_width(model: nn.Module, width: int, labels: Tensor, classes: Sequence[str] | None) -> None:
    """`ModelError` unless the model has one output for each class, and every label is one of them."""
    if classes is not None and width != len(classes):
        raise ModelError(
            f"{_name(model)} has {width} outputs and there are {len(classes)} classes; use a model for these classes"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= width:
        raise ModelError(
            f"the labels are {low} to {high} and {_name(model)} has {width} outputs, 0 to {width - 1}; "
            "use a model for these classes"
        )


def _name(model: nn.Module) -> str:
    return type(model).__name__


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
