"""Images on a torus: moved by circular shifts and elements of d4, drawn from MNIST, put through networks."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from symdata.sources import open_source
from zoo.layers.regular import act_on_features, move


def moved(images, element, shift=(0, 0)):
    """Images (B, C, H, W) moved by an element of d4, then rolled."""
    return move(images, element).roll(shift, (-2, -1))


def moved_fields(features, element, group, shift=(0, 0)):
    """Feature maps (B, |G| C, H, W), likewise."""
    return act_on_features(features, element, group).roll(shift, (-2, -1))


def shifts(count, size, seed=0):
    """Random shifts, (rows, columns); the first is odd in both, with any even seed."""
    drawn = torch.randint(size, (count, 2), generator=torch.Generator().manual_seed(seed)).tolist()
    return [(1, 3) if seed % 2 == 0 else (3, 2), *map(tuple, drawn)][:count]


def digits(data, count, size=32):
    """MNIST test images as float64 (count, 1, size, size) in [0, 1], with zeros around them."""
    images = open_source(str(data / "mnist")).read("test", np.arange(count))
    return F.pad(images.double() / 255, ((size - 28) // 2,) * 4)


def lively(model, images, seed=0):
    """The model in float64 and eval mode, with norms that suit the images, and without constants that hide them."""
    torch.manual_seed(seed)
    model.double().train()
    with torch.no_grad():
        for module in model.modules():
            if hasattr(module, "running_var"):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, 0.0, 0.5)
        for _ in range(12):
            model(images)
    return model.eval()


def change(model, images, element, shift=(0, 0), before=None):
    """How much each image's logits change when it moves, relative to how much they differ between images: (n,)."""
    with torch.no_grad():
        before, after = model(images) if before is None else before, model(moved(images, element, shift))
    return (after - before).norm(dim=1) / (before - before.mean(0)).norm(dim=1)
