"""What a network shows of itself at a prompt: one line, where torch prints every layer."""

from typing import Any

from torch import nn


class ShortRepr(nn.Module):
    """Base of networks whose `repr` is one line; `print(model)` shows the layers, as for any other module.

    Example:
        >>> import zoo
        >>> zoo.load("p4cnn_28.mnist-none")
        CNN('p4cnn_28.mnist-none', c4, 24,810 parameters, 28x28 pixels, 10 classes)
    """

    def __repr__(self) -> str:
        facts = vars(self)
        config, preprocessing, group = (facts.get(name) for name in ("config", "preprocessing", "group"))
        shown: list[Any] = [repr(config["name"])] if isinstance(config, dict) and "name" in config else []
        shown += [] if group is None else [group]
        shown.append(f"{sum(p.numel() for p in self.parameters()):,} parameters")
        size = getattr(preprocessing, "size", None)
        shown += [] if size is None else [f"{size}x{size} pixels"]
        shown += [f"{self.num_classes} classes"] if "num_classes" in facts else []
        return f"{type(self).__name__}({', '.join(map(str, shown))})"

    def __str__(self) -> str:
        return nn.Module.__repr__(self)
