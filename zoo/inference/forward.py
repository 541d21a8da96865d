"""Running a model: in eval mode and then in the mode it had, in batches that fit the cache, with one-line errors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import ModelError, describe_error
from zoo.exactness.hooks import module_hooks
from zoo.exactness.tracer import FAILURES

CACHE_BYTES = {"cpu": 6 << 20, "cuda": 1 << 28}
"""The largest activation of a batch, per kind of device; on a CPU 4 to 8 MiB were fastest (measured, P4CNN at 28)."""
MAX_BATCH = 1024


@contextmanager
def eval_mode(model: nn.Module, device: torch.device | str | None = None) -> Iterator[torch.device]:
    """The model in eval mode on `device`; afterwards every module has its mode and place again."""
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
        for module, mode in modes:  # parents first: they set the mode of their children too
            if module.training != mode:
                module.train(mode)
        if where != home:
            model.to(home)


def device_of(model: nn.Module) -> torch.device:
    """The device of the first parameter or buffer; the CPU for a model without any."""
    tensor = next(iter([*model.parameters(), *model.buffers()]), None)
    return torch.device("cpu") if tensor is None else tensor.device


def compute(model: nn.Module, x: Tensor) -> Tensor:
    """The output of a model for images (B, C, H, W): one tensor of floats (B, ...), all finite; else `ModelError`."""
    expected = f"one tensor of floats with {len(x)} entries; wrap it in a module that returns that"
    return _run(model, x, "outputs", expected, lambda out: out.ndim > 0)


def classify(model: nn.Module, x: Tensor) -> Tensor:
    """Logits (B, classes) of images (B, C, H, W); `ModelError` if the model fails, or gives something else."""
    expected = f"logits ({len(x)}, classes); wrap it in a module that returns them"
    return _run(model, x, "logits", expected, lambda out: out.ndim == 2)


def _run(model: nn.Module, x: Tensor, what: str, expected: str, fits: Callable[[Tensor], bool]) -> Tensor:
    name, shape = type(model).__name__, tuple(x.shape)
    try:
        out = model(x)
    except FAILURES as error:
        raise ModelError(f"{name} cannot run on images {shape}: {describe_error(error)}") from error
    if not isinstance(out, Tensor) or not fits(out) or len(out) != len(x) or not out.is_floating_point():
        got = f"{out.dtype} {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
        raise ModelError(f"{name} gives {got} for images {shape}, expected {expected}")
    if not bool(out.isfinite().all()):
        raise ModelError(f"{name} gives {what} that are not finite, so it has diverged; train it again")
    return out


def rehearse(
    model: nn.Module, one: Tensor, run: Callable[[nn.Module, Tensor], Tensor] = classify
) -> tuple[int, torch.memory_format]:
    """The batch size that keeps the largest activation in the cache, and the memory layout that is faster.

    On a CPU networks run 1.2 to 1.6 times as fast with the channel as the fastest axis (measured, CNNs at 28), but
    those that flatten a feature map by `view` do not run. In float64 they run 1.2 to 1.5 times as fast without.

    Args:
        model: in eval mode.
        one: a normalised image (1, C, H, W).
        run: runs the model, and checks its output.
    """
    if one.device.type == "cpu" and one.dtype != torch.float64:
        try:
            return _fitting(model, one, torch.channels_last, run), torch.channels_last
        except ModelError:
            pass  # if it cannot run in the other layout either, that raises
    return _fitting(model, one, torch.contiguous_format, run), torch.contiguous_format


def _fitting(
    model: nn.Module, one: Tensor, layout: torch.memory_format, run: Callable[[nn.Module, Tensor], Tensor]
) -> int:
    largest = one.numel() * one.element_size()

    def look(name: str, module: nn.Module, args: Any, out: Any) -> None:
        nonlocal largest
        if isinstance(out, Tensor) and next(module.children(), None) is None:
            largest = max(largest, out.numel() * out.element_size())

    with module_hooks(model, look):
        # A clone, since torch calls images of one channel contiguous in either layout, and goes by their strides.
        run(model, one.clone(memory_format=layout))
    budget = CACHE_BYTES["cpu" if one.device.type == "cpu" else "cuda"]
    return max(1, min(MAX_BATCH, budget // largest))
