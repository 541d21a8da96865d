"""Steerable networks: skeletons of `zoo.models.exported` whose convolutions live in the kernel spaces of escnn.

    >>> net = create_steerable(ModelName.parse("c8cnn_28"), num_classes=10, in_chans=1, seed=0)
    >>> plain = export(net)  # the same logits without escnn

escnn solves, once per process, for the kernels between two representations; the convolution, its coefficients and the
rest of the network are our own modules. So a state dict holds coefficients, norms and the head only, the same in
training and evaluation mode, and copying, compiling or changing the dtype of one network touches no other.

Exactness:
    Under the multiples of 90 degrees (d8, o2: and the mirrors) a network is exact to float rounding at exact sizes,
    like the networks of `zoo.layers`. Other elements are approximate: filters and images are sampled on pixels, and
    fields of so2 and o2 on 16 rotations.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import ModelError
from zoo.layers.steerable.basis import tied
from zoo.layers.steerable.convolution import SteerableConv2d
from zoo.layers.steerable.likelihood import LikelihoodSteerableConv2d
from zoo.models.exported import FieldNet, bounded, exported_maker, read_spec
from zoo.models.exported_spec import WIDTHS, FieldNetSpec, read_name
from zoo.models.names import ModelName


def create_steerable(
    name: ModelName | str,
    *,
    num_classes: int | None = None,
    in_chans: int | None = None,
    width: int | None = None,
    coset_pool: bool = True,
    dropout: float = 0.0,
    relax: str = "none",
    seed: int | None = None,
) -> FieldNet:
    """A steerable network, freshly initialised.

    Args:
        name: `<group><architecture>_<size>` with c8, c16, d8, so2 or o2 and cnn or wrn16, such as c8cnn_28.
        num_classes: number of logits, 10 by default.
        in_chans: channels of the images, 3 by default.
        width: number of fields; by default that of `zoo.models.exported.WIDTHS`.
        coset_pool: whether the head sees the maximum over the group; only then are the logits invariant.
        dropout: probability, in training.
        relax: `likelihood`, for convolutions with a learned likelihood over the group, or `none`.
        seed: of the initial weights; None draws from torch's global generator.

    Raises:
        ModelError: if escnn is missing, or for a name or a number that makes no network.
    """
    parsed = read_name(str((ModelName.parse(name) if isinstance(name, str) else name).bare))
    spec = FieldNetSpec(
        name=str(parsed),
        num_classes=10 if num_classes is None else num_classes,
        in_chans=3 if in_chans is None else in_chans,
        width=WIDTHS[parsed.architecture][parsed.group_word] if width is None else width,
        coset_pool=coset_pool,
        dropout=dropout,
        relax=relax,
    )
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        return _steerable(bounded(spec))


def build_steerable(architecture: Mapping[str, Any]) -> FieldNet:
    """The network whose `.architecture` this is, with fresh weights; `ModelError` for anything else."""
    return _steerable(read_spec(architecture, "steerable"))


def _steerable(spec: FieldNetSpec) -> FieldNet:
    kind = SteerableConv2d if spec.relax == "none" else LikelihoodSteerableConv2d
    return FieldNet(spec, lambda conv: kind(conv, spec.group), "steerable")


def export(model: nn.Module) -> FieldNet:
    """The same network with ordinary convolutions, in evaluation mode: equal logits, loads with torch alone.

    The filters are tied bit for bit under the elements of d4, so that what is exact stays so in every dtype; all but
    those that a learned likelihood has led away from the group.
    """
    if not isinstance(model, FieldNet):
        raise ModelError(f"{type(model).__name__} is no steerable network; export takes what create_steerable makes")
    if model.form == "exported":
        return model
    net = FieldNet(model.spec, exported_maker(model.spec), "exported")
    state = {key: value.detach() for key, value in model.state_dict().items() if not key.endswith(".likelihood.logits")}
    for key, module in model.named_modules():
        if isinstance(module, LikelihoodSteerableConv2d) and not module.is_strict:
            state[f"{key}.weight"] = module.filter().detach().contiguous()
        elif isinstance(module, SteerableConv2d | LikelihoodSteerableConv2d):
            state[f"{key}.weight"] = _tied_filter(module).contiguous()
    weight = model.head.weight
    net = net.to(device=weight.device, dtype=weight.dtype)
    net.load_state_dict(state)
    return net.eval()


def _tied_filter(module: SteerableConv2d | LikelihoodSteerableConv2d) -> Tensor:
    conv = module.conv
    with torch.no_grad():
        out, into, kernel, _ = conv.shape
        split = module.filter().view(conv.after.size, conv.fields_out, conv.before.size, conv.fields_in, kernel, kernel)
        fields = split.permute(1, 3, 0, 2, 4, 5)  # (C_out, C_in, d_out, d_in, k, k)
        exact = tied(fields, module.symmetry, conv.before, conv.after)
        return exact.permute(2, 0, 3, 1, 4, 5).reshape(out, into, kernel, kernel)
