"""Group convolutions and whole networks against plain torch with as many channels, escnn, and GrouPy-style layers.

The reference is the floor: `torch.nn.Conv2d` with the expanded channels does the same multiplications and nothing else.
A ratio of 0.98 means that a case needs 1 / 0.98 = 1.02 times as long as the floor.
"""

from benchmarks.harness import Bench, Case, optional  # isort: skip  (sets the number of threads)

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.networks_peers import GroupyConv2d, groupy, plain, plain_layer
from zoo.layers import GroupConv2d
from zoo.models.registry import create

torch.set_num_threads(1)
escnn = optional("benchmarks.networks_escnn")


def layer_step(layer: nn.Module, x: Tensor, eval_mode: bool) -> Callable[[], Any]:
    """Forward and backward of one layer; in eval mode forward alone."""
    if eval_mode:
        return inference(layer, x)
    layer.train()

    def step() -> None:
        layer.zero_grad(set_to_none=True)
        layer(x.requires_grad_()).sum().backward()

    return step


def inference(model: nn.Module, x: Tensor) -> Callable[[], Any]:
    """A forward in eval mode, without gradients."""
    model.eval()

    def step() -> None:
        with torch.inference_mode():
            model(x)

    return step


def training(model: nn.Module, x: Tensor, amp: bool = False) -> Callable[[], Any]:
    """Forward, cross-entropy, backward and a step of Adam."""
    model.train()
    labels = torch.arange(len(x)) % 10
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()

    return step


def layers(bench: Bench, group: str, batch: int, fields: int, side: int, target: float) -> None:
    """One regular layer, 3x3: training and eval."""
    ours = GroupConv2d(group, fields, fields, 3, padding=1)
    floor, peer = plain_layer(ours), GroupyConv2d(ours)
    x = torch.randn(batch, ours.in_channels, side, side)
    ways: list[tuple[str, nn.Module, bool]] = [
        ("nn.Conv2d, expanded channels", floor, False),
        (f"symdata GroupConv2d({group})", ours, True),
        ("GrouPy-style", peer, False),
    ]
    if escnn is not None and group == "c4":
        kind = escnn.regular(fields)
        conv = escnn.conv(kind, kind, 3, padding=1)
        ways.append(("escnn R2Conv", _Wrapped(conv, kind), False))
    # A copy has no gradients. Those that training leaves behind make a bank that is kept be compared at every call.
    for name, wanted in (("train", target), ("eval", 1.01), ("eval while gradients wait", 1.03)):
        cases = [
            Case(
                n,
                layer_step(copy.deepcopy(m) if name == "eval" else m, x.clone(), name != "train"),
                mine,
                1 / wanted if mine else None,
            )
            for n, m, mine in ways
        ]
        bench.compare(f"{group} layer, {fields} fields, {side}x{side}, batch {batch}, {name}", batch, cases)


class _Wrapped(nn.Module):
    def __init__(self, conv: nn.Module, kind: Any) -> None:
        super().__init__()
        self.conv, self.kind = conv, kind

    def forward(self, x: Tensor) -> Tensor:
        assert escnn is not None
        return self.conv(escnn.escnn.nn.GeometricTensor(x, self.kind)).tensor


def networks(bench: Bench, name: str, peer: Callable[[], nn.Module] | None, batch: int, side: int) -> None:
    """A whole network: training step and eval."""
    ours = create(name, in_chans=3)
    x = torch.randn(batch, 3, side, side)
    last = x.to(memory_format=torch.channels_last)

    def laid_out(model: nn.Module) -> nn.Module:
        return copy.deepcopy(model).to(memory_format=torch.channels_last)

    floor = plain(copy.deepcopy(ours))
    train = [
        Case("plain torch, expanded channels", training(copy.deepcopy(floor), x)),
        Case(f"symdata {name}", training(copy.deepcopy(ours), x), True, 1 / 1.05),
        Case("... channels_last", training(laid_out(ours), last), True),
        Case("... channels_last, bf16 autocast", training(laid_out(ours), last, amp=True), True),
        Case("plain torch, channels_last", training(laid_out(floor), last)),
        Case("GrouPy-style", training(groupy(copy.deepcopy(ours)), x)),
    ]
    infer = [
        Case("plain torch, expanded channels", inference(copy.deepcopy(floor), x)),
        Case(f"symdata {name}", inference(copy.deepcopy(ours), x), True, 1 / 1.02),
        Case("... channels_last", inference(laid_out(ours), last), True),
        Case("plain torch, channels_last", inference(laid_out(floor), last)),
        Case("GrouPy-style", inference(groupy(copy.deepcopy(ours)), x)),
    ]
    if peer is not None:
        train.append(Case("escnn", training(peer(), x)))
        infer.append(Case("escnn", inference(peer(), x)))
    bench.compare(f"{name}, batch {batch}, training step", batch, train)
    bench.compare(f"{name}, batch {batch}, eval", batch, infer)


def main() -> None:
    """Layers, then networks."""
    bench = Bench("Group convolutions beside plain torch, escnn and GrouPy-style layers, one thread")
    few = bench.quick
    layers(bench, "c4", 8 if few else 64, 16, 32, 1.02)
    layers(bench, "d4", 4 if few else 32, 16, 32, 1.02)
    layers(bench, "c4", 8, 10, 14, 1.10)
    networks(bench, "p4cnn_28", None if escnn is None else lambda: escnn.EscnnCNN(10), 8 if few else 64, 28)
    networks(bench, "p4resnet44_33", None if escnn is None else lambda: escnn.EscnnResNet44(16), 2 if few else 16, 33)
    bench.finish()


if __name__ == "__main__":
    main()
