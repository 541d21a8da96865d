"""The unconstrained copy of an equivariant network: the same function, whose filters are free."""

import torch
from torch import nn

from zoo.errors import ModelError
from zoo.layers.relaxed import FreeConv2d
from zoo.models.own import zoo_architecture
from zoo.models.registry import variant


@torch.no_grad()
def free_copy(model: nn.Module) -> nn.Module:
    """A network with the same outputs, in which every filter of every orientation is a weight of its own.

    Its layers remember their group and fields, so the distance to the equivariant networks stays known. Norms and
    biases stay one for each field.

    Args:
        model: a network of the zoo over a subgroup of d4, strict or relaxed; not changed.

    Returns:
        A network as `zoo.create(..., relax="free")` makes it, on the CPU, in the mode of `model`.

    Raises:
        ModelError: for a network that is not of the zoo, or whose filters cannot be free.

    Example:
        >>> import zoo
        >>> tied = zoo.create("p4cnn_12", width=8, in_chans=1, seed=0).eval()
        >>> free, images = free_copy(tied), torch.rand(2, 1, 12, 12)
        >>> torch.allclose(free(images), tied(images), atol=1e-6)
        True
        >>> tied.trunk.conv2.weight.shape, free.trunk.conv2.weight.shape
        (torch.Size([8, 32, 3, 3]), torch.Size([32, 32, 3, 3]))
    """
    architecture = zoo_architecture(model)
    if architecture is None:
        raise ModelError(
            f"{type(model).__name__} is no network of the zoo, so the fields of its layers are not known; copy one "
            "that zoo.create made, or build yours from zoo.layers.relaxed.FreeLiftingConv2d and FreeGroupConv2d"
        )
    copy = variant(architecture, relax="free")
    sources, weights = dict(model.named_modules()), model.state_dict()
    free = {name: layer for name, layer in copy.named_modules() if isinstance(layer, FreeConv2d)}
    for name, layer in free.items():
        layer.set_filters(sources[name].filters())
    for key, tensor in copy.state_dict().items():
        layer_name, _, word = key.rpartition(".")
        if not (word == "weight" and layer_name in free):
            tensor.copy_(weights[key])
    return copy.train(model.training)
