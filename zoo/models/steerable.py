"""Steerable networks and escnn: what makes their convolutions, and the export to plain torch.

    >>> from zoo.models.registry import create
    >>> net = create("c8cnn_28", in_chans=1, seed=0)
    >>> plain = export(net)  # the same logits without escnn

escnn solves, once per process, for the kernels between two representations; the convolution, its coefficients and the
rest of the network are our own modules. So a state dict holds coefficients, norms and the head only, the same in
training and evaluation mode, and copying, compiling or changing the dtype of one network leaves all others as they are.

Exactness:
    Under the multiples of 90 degrees (d8, o2: and the mirrors) a network is exact to float rounding at exact sizes,
    like the networks of `zoo.layers`. Other elements are approximate: filters and images are sampled on pixels, and
    fields of so2 and o2 on 16 rotations.
"""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from zoo.errors import ModelError
from zoo.layers.steerable.basis import tied
from zoo.layers.steerable.convolution import ConvFactory, ExpandedConv2d, FieldConv2d, SteerableConv2d, ordinary
from zoo.layers.steerable.filters import by_channels, by_fields
from zoo.layers.steerable.likelihood import LikelihoodSteerableConv2d
from zoo.models.spec import NetworkSpec


def conv_factory(spec: NetworkSpec) -> ConvFactory:
    """What makes the convolutions of a network in its form, steerable or exported, strict or relaxed.

    Raises:
        ModelError: when it is called for a steerable network, if escnn is missing.
    """
    strict = spec.choices["relax"] == "none"
    if spec.form == "exported":
        return ordinary if strict else partial(FieldConv2d, group=spec.group)
    return partial(SteerableConv2d if strict else LikelihoodSteerableConv2d, group=spec.group)


def export(model: nn.Module) -> nn.Module:
    """The same network with ordinary convolutions, in evaluation mode: equal logits, loads with torch alone.

    The filters are tied bit for bit under the elements of d4, so that what is exact stays so in every dtype; all but
    those that a learned likelihood has moved away from the group.
    """
    spec = getattr(model, "spec", None)
    if not isinstance(spec, NetworkSpec) or "exported" not in spec.family.forms:
        raise ModelError(f"{type(model).__name__} is no steerable network; export takes those that zoo.create makes")
    if spec.form == "exported":
        return model
    net = replace(spec, form="exported").build()
    state = {key: value.detach() for key, value in model.state_dict().items() if not key.endswith(".likelihood.logits")}
    for key, module in model.named_modules():
        if isinstance(module, ExpandedConv2d):
            state[f"{key}.weight"] = _exported_filter(module).contiguous()
    weight = next(model.parameters())
    net.to(device=weight.device, dtype=weight.dtype).load_state_dict(state)
    return net


@torch.no_grad()
def _exported_filter(module: ExpandedConv2d) -> Tensor:
    filters = module.filter().detach()
    if isinstance(module, LikelihoodSteerableConv2d) and not module.is_strict:
        return filters
    return by_channels(
        tied(by_fields(filters, module.before, module.after), module.symmetry, module.before, module.after)
    )
