"""Running somebody's model: in eval mode and then as it was, in batches that fit the cache, with refusals in a line."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import ModelError, describe_error
from zoo.exactness.tracer import FAILURES

CACHE_BYTES = {"cpu": 6 << 20, "cuda": 1 << 28}
"""The largest activation of a batch, per kind of device; on a CPU 4 to 8 MiB were fastest (measured, P4CNN at 28)."""
MAX_BATCH = 1024


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


def compute(model: nn.Module, x: Tensor) -> Tensor:
    """What a model makes of images (B, C, H, W): one tensor of floats (B, ...), all finite; else `ModelError`."""
    out = _run(model, x)
    if not isinstance(out, Tensor) or not out.ndim or len(out) != len(x) or not out.is_floating_point():
        raise ModelError(
            f"{_name(model)} gives {_kind(out)} for images {tuple(x.shape)}, expected one tensor of floats with "
            f"{len(x)} entries; wrap it in a module that returns that"
        )
    return _finite(model, out, "outputs")


def classify(model: nn.Module, x: Tensor) -> Tensor:
    """Logits (B, classes) of images (B, C, H, W); `ModelError` if the model cannot, or gives something else."""
    logits = _run(model, x)
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(x) or not logits.is_floating_point():
        raise ModelError(
            f"{_name(model)} gives {_kind(logits)} for images {tuple(x.shape)}, expected logits ({len(x)}, classes); "
            "wrap it in a module that returns them"
        )
    return _finite(model, logits, "logits")


def _run(model: nn.Module, x: Tensor) -> Any:
    try:
        return model(x)
    except FAILURES as error:
        raise ModelError(f"{_name(model)} cannot run on images {tuple(x.shape)}: {describe_error(error)}") from error


def _finite(model: nn.Module, out: Tensor, what: str) -> Tensor:
    if not bool(out.isfinite().all()):
        raise ModelError(f"{_name(model)} gives {what} that are not finite, so it has diverged; train it again")
    return out


def _kind(out: Any) -> str:
    return f"{out.dtype} {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__


def rehearse(
    model: nn.Module, one: Tensor, run: Callable[[nn.Module, Tensor], Tensor] = classify
) -> tuple[int, torch.memory_format]:
    """How many images keep the largest activation in the cache, and how they should lie in memory.

    On a CPU networks run 1.2 to 1.6 times as fast with the channel as the fastest axis (measured, CNNs at 28), if they
    run at all: those that flatten a feature map by `view` do not. In float64 they run 1.2 to 1.5 times as fast without.

    Args:
        model: in eval mode.
        one: a normalised image (1, C, H, W).
        run: what runs it, and refuses what it makes.
    """
    if one.device.type == "cpu" and one.dtype != torch.float64:
        try:
            return _fitting(model, one, torch.channels_last, run), torch.channels_last
        except ModelError:
            pass  # if it cannot run in the other layout either, that is what will be said
    return _fitting(model, one, torch.contiguous_format, run), torch.contiguous_format


def _fitting(
    model: nn.Module, one: Tensor, layout: torch.memory_format, run: Callable[[nn.Module, Tensor], Tensor]
) -> int:
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
        run(model, one.clone(memory_format=layout))
    budget = CACHE_BYTES["cpu" if one.device.type == "cpu" else "cuda"]
    return max(1, min(MAX_BATCH, budget // largest))


def _name(model: nn.Module) -> str:
    return type(model).__name__
