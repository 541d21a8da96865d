"""`zoo.create`: a network by its name, with fresh weights or those of a trained model."""

from pathlib import Path
from typing import Any

from torch import nn

from zoo.models import registry
from zoo.models.names import ModelName
from zoo.references.loading import read_trained
from zoo.references.transfer import transferred


def create(
    name: str | ModelName,
    *,
    pretrained: str | Path | bool | None = None,
    num_classes: int | None = None,
    in_chans: int | None = None,
    seed: int | None = None,
    **choices: Any,
) -> nn.Module:
    """The network of that name, with fresh weights or with those of a trained model.

    Without `pretrained` this is `zoo.models.registry.create`, which lists all choices. With it, every choice that is
    not given is that of the trained model, and its weights are copied. A classifier with another number of classes has
    fresh weights. A first convolution with another number of channels keeps the sum of its filters over the channels,
    so that a gray image gives the same features as before.

    Args:
        name: such as `p4cnn_28`; with `pretrained` it may have another size than the trained model.
        pretrained: a reference as for `zoo.load`; True for `name` itself, as in `p4cnn_28.mnist-none`.
        num_classes: number of logits; 0 for no classifier, and the output is (B, num_features).
        in_chans: channels of the images.
        seed: of the fresh weights; None draws them from torch's global generator.
        choices: `width`, `average`, `copies`, and what the family of the network has.

    Returns:
        The network in training mode. With `pretrained`, `.preprocessing` turns uint8 images into its input, and
        `.new_tensors` are the names of the tensors that are not trained, which are logged too.

    Raises:
        ModelError: for an unknown name or choice, and for a trained model whose weights do not fit.

    Example:
        >>> import zoo
        >>> net = zoo.create("p4cnn_29", pretrained="p4cnn_28.mnist-none", num_classes=7, seed=0)
        >>> net.new_tensors, net.get_classifier().out_features, net.num_features
        (('head.weight', 'head.bias'), 7, 10)
    """
    if pretrained is None or pretrained is False:
        return registry.create(name, num_classes=num_classes, in_chans=in_chans, seed=seed, **choices)
    source = read_trained(str(name) if pretrained is True else pretrained)
    return transferred(source, name=name, num_classes=num_classes, in_chans=in_chans, seed=seed, **choices).train()
