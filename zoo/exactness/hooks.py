"""Hooks on all modules of a running model."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

After = Callable[[str, nn.Module, tuple[Any, ...], Any], Any]


@contextmanager
def module_hooks(
    model: nn.Module, after: After, before: Callable[[str, nn.Module], None] | None = None
) -> Iterator[None]:
    """Within this context functions run after every module, and before it.

    Args:
        model: scripted modules in it take no hooks.
        after: gets (name, module, arguments, output) and may return another output; with `before` it also runs for a
            module that has raised, whose output is None.
        before: gets (name, module).
    """
    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                continue
            if before is not None:
                handle = module.register_forward_pre_hook(lambda m, _, name=name: before(name, m))
                hooks.callback(handle.remove)
            handle = module.register_forward_hook(
                lambda m, args, out, name=name: after(name, m, args, out), always_call=before is not None
            )
            hooks.callback(handle.remove)
        yield


class RunNames:
    """Names for the runs of modules: `conv`, and `conv#2` when it runs again."""

    def __init__(self) -> None:
        self._runs: Counter[str] = Counter()

    def next(self, name: str) -> str:
        """The name for one more run."""
        self._runs[name] += 1
        return name if self._runs[name] == 1 else f"{name}#{self._runs[name]}"
