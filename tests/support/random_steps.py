"""Steps of random networks: operations on maps (B, C, H, W), drawn with their arguments and constants."""

import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.exactness.arithmetic import D4
from zoo.layers import GroupConv2d, GroupConvTranspose2d, GroupPool, GroupUpsampleConv2d, LiftingConv2d
from zoo.layers.regular import move

Step = Callable[[Tensor], Tensor]
Maker = Callable[["Draw", Tensor], Step]


class Draw:
    """Random choices and constants of one network."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.modules = nn.ModuleList()
        self.symmetric = self.random.random() < 0.7
        """Whether constants and paddings are symmetric unless a step is drawn that is not."""

    def values(self, *shape: int) -> Tensor:
        """Random numbers; about 1, so that nothing is cut off."""
        return torch.rand(shape, generator=self.generator, dtype=torch.float64) + 0.5

    def module(self, module: nn.Module) -> nn.Module:
        """A module of the network, with random weights and statistics."""
        with torch.no_grad():
            for t in (*module.parameters(), *module.buffers()):
                if t.is_floating_point():
                    t.copy_(torch.rand(t.shape, generator=self.generator) + 0.2 if t.ndim < 2 else
                            torch.randn(t.shape, generator=self.generator) / 2)  # fmt: skip
        self.modules.append(module.double().eval())
        return module

    def of(self, *choices: object) -> object:
        """One of some things."""
        return self.random.choice(choices)

    def number(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return self.random.randint(low, high)

    def pad(self, most: int = 2) -> tuple[int, int, int, int]:
        """Padding of the four sides, often alike."""
        if self.random.random() < 0.6:
            return (self.number(0, most),) * 4 if self.random.random() < 0.7 else (1, 1, 1, 1)
        return tuple(self.number(0, most) for _ in range(4))  # type: ignore[return-value]


def conv(d: Draw, x: Tensor) -> Step:
    k, s, p, dil = d.number(1, 4), d.number(1, 3), d.number(0, 2), d.of(1, 1, 1, 2)
    mode = d.of("zeros", "zeros", "zeros", "circular", "reflect", "replicate")
    groups = d.of(1, 1, x.shape[1])
    out = x.shape[1] if groups > 1 else d.number(2, 5)
    return d.module(nn.Conv2d(x.shape[1], out, k, s, p, dil, groups, padding_mode=mode))


def conv_rectangular(d: Draw, x: Tensor) -> Step:
    return d.module(nn.Conv2d(x.shape[1], 3, (d.number(1, 3), d.number(1, 3)), (d.number(1, 2), d.number(1, 2))))


def conv_same(d: Draw, x: Tensor) -> Step:
    mode = d.of("zeros", "circular")
    return d.module(nn.Conv2d(x.shape[1], 3, d.number(1, 4), padding="same", padding_mode=mode))


def conv_functional(d: Draw, x: Tensor) -> Step:
    weight, s, p = d.values(3, x.shape[1], 3, 3), d.number(1, 2), d.number(0, 1)
    return lambda x: F.conv2d(x, weight, None, s, p)


def transposed(d: Draw, x: Tensor) -> Step:
    s = d.number(1, 3)
    return d.module(nn.ConvTranspose2d(x.shape[1], 3, d.number(1, 3), s, output_padding=d.of(0, 0, s - 1)))


def pool(d: Draw, x: Tensor) -> Step:
    k, s, ceil = d.number(2, 3), d.number(1, 3), bool(d.of(False, True))
    p, dil = d.number(0, 1), d.number(1, 2)
    return d.of(
        lambda x: F.max_pool2d(x, k, s, p, dil, ceil),
        lambda x: F.avg_pool2d(x, k, s, p, ceil, bool(p)),
        lambda x: F.lp_pool2d(x, 2, k, s),
        lambda x: F.max_pool2d(x, (2, k), s),
        lambda x: -F.max_pool2d(-x, k, s),
        lambda x: F.max_pool3d(x[:, :, None], (1, k, k), (1, s, s))[:, :, 0],
        lambda x: F.max_pool2d(x, k, s, return_indices=True)[0],
    )  # type: ignore[return-value]


def adaptive(d: Draw, x: Tensor) -> Step:
    n = d.number(1, 6)
    return d.of(
        lambda x: F.adaptive_avg_pool2d(x, n), lambda x: F.adaptive_max_pool2d(x, n),
        lambda x: F.adaptive_avg_pool2d(x, (n, n + 1)),
    )  # type: ignore[return-value]  # fmt: skip


def resize(d: Draw, x: Tensor) -> Step:
    n, f = d.number(3, 14), d.of(0.5, 1.5, 2.0, 0.75)
    corners = bool(d.of(False, True))
    return d.of(
        lambda x: F.interpolate(x, size=(n, n)), lambda x: F.interpolate(x, scale_factor=f),
        lambda x: F.interpolate(x, size=(n, n), mode="bilinear", align_corners=corners),
        lambda x: F.interpolate(x, scale_factor=f, mode="bilinear"),
        lambda x: F.interpolate(x, size=(n, n), mode="bicubic"),
        lambda x: F.interpolate(x, size=(n, n), mode="bilinear", antialias=True),
        lambda x: F.interpolate(x, size=(n, n), mode="nearest-exact"),
        lambda x: F.interpolate(x, size=(n, n + 1), mode="area"),
    )  # type: ignore[return-value]  # fmt: skip


def pad(d: Draw, x: Tensor) -> Step:
    sides, mode, value = d.pad(), d.of("constant", "constant", "reflect", "replicate", "circular"), d.of(0.0, 0.0, 1.5)
    if mode == "constant":
        return lambda x: F.pad(x, sides, value=value)
    return lambda x: F.pad(x, sides, mode)


def pad_by_hand(d: Draw, x: Tensor) -> Step:
    def pad(x: Tensor) -> Tensor:
        out = x.new_zeros(*x.shape[:2], x.shape[2] + 1, x.shape[3] + 1)
        out[..., 1:, 1:] = x
        return out

    def cat(x: Tensor) -> Tensor:
        x = torch.cat([x, x.new_zeros(*x.shape[:3], 1)], 3)
        return torch.cat([x, x.new_zeros(*x.shape[:2], 1, x.shape[3])], 2)

    def wrap(x: Tensor) -> Tensor:
        return torch.cat([x[..., -1:], x, x[..., :1]], 3)

    return d.of(pad, cat, wrap)  # type: ignore[return-value]


def crop(d: Draw, x: Tensor) -> Step:
    a, b = d.number(0, 2), d.number(0, 2)
    return d.of(
        lambda x: x[..., a : x.shape[2] - a, a : x.shape[3] - a], lambda x: x[..., a:, b:],
        lambda x: x[..., : x.shape[3] - b], lambda x: x.narrow(2, a, x.shape[2] - a),
        lambda x: F.pad(x[..., a:], (b, 0, 0, 0)),
    )  # type: ignore[return-value]  # fmt: skip


def stride(d: Draw, x: Tensor) -> Step:
    a, s = d.number(0, 1), d.number(2, 3)
    return d.of(
        lambda x: x[..., a::s, a::s], lambda x: x[:, :, a::s], lambda x: x[..., ::s, a::s],
        lambda x: x.index_select(2, torch.arange(a, x.shape[2], s)).index_select(3, torch.arange(a, x.shape[3], s)),
        lambda x: x[:, :, torch.arange(x.shape[2]) % s == 0],
        lambda x: x[:, :, torch.arange(a, x.shape[2], s)][..., torch.arange(a, x.shape[3], s)],
        lambda x: x.gather(3, torch.arange(a, x.shape[3], s).expand(*x.shape[:3], -1)),
        lambda x: x.unfold(2, 2, s).unfold(3, 2, s).amax((-1, -2)),
        lambda x: x.permute(0, 2, 3, 1)[:, ::s, ::s].permute(0, 3, 1, 2),
    )  # type: ignore[return-value]  # fmt: skip


def rearrange(d: Draw, x: Tensor) -> Step:
    r, k = d.number(1, 2), d.number(1, 3)
    return d.of(
        lambda x: F.pixel_unshuffle(x, 2), lambda x: F.pixel_shuffle(x, 2),
        lambda x: torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1),
        lambda x: x[..., ::2, ::2] + x[..., 1::2, 1::2], lambda x: x.roll(r, -1), lambda x: x.roll((r, r), (2, 3)),
        lambda x: x.roll(r, 2).roll(-r, 2), lambda x: x.flip(-1), lambda x: x.flip((-1, -2)), lambda x: x.mT,
        lambda x: torch.rot90(x, k, (2, 3)), lambda x: x + x.flip(-1), lambda x: torch.cat([x, x.mT], 1),
        lambda x: F.channel_shuffle(x, 2), lambda x: x.flip(1), lambda x: x.roll(1, 1), lambda x: x.repeat(1, 2, 1, 1),
        lambda x: x.repeat_interleave(2, 3).repeat_interleave(2, 2),
        lambda x: F.fold(F.unfold(x, 3, padding=1), x.shape[2:], 3, padding=1),
        lambda x: F.unfold(x, 2, stride=2).unflatten(1, (x.shape[1], 4)).amax(2).unflatten(2, (x.shape[2] // 2, -1)),
        lambda x: x.unflatten(2, (2, -1)).flatten(2, 3), lambda x: x.reshape(x.shape[0], -1, *x.shape[2:]),
        lambda x: torch.stack([x, x], 2).flatten(1, 2), lambda x: x.tile(1, 1, 2, 2),
        lambda x: torch.stack(x.unbind(3), 3), lambda x: torch.cat(x.chunk(2, 2), 2), lambda x: x.tril(),
        lambda x: torch.cat([x.split(1, 1)[0], x], 1),
    )  # type: ignore[return-value]  # fmt: skip


def activation(d: Draw, x: Tensor) -> Step:
    inplace = nn.ReLU(inplace=True)
    prelu = d.module(nn.PReLU(x.shape[1]))
    return d.of(
        F.relu, F.gelu, F.silu, torch.tanh, torch.sigmoid, F.elu, F.softplus, torch.exp, torch.square, F.hardswish,
        F.leaky_relu, F.mish, torch.abs, lambda x: x.clamp(-1, 1), lambda x: inplace(x.clone()), prelu, torch.neg,
        lambda x: x.add(1).mul_(2),
        lambda x: x * x,
        lambda x: torch.where(x > 0, x, 0.1 * x),
        lambda x: x / (1 + x * x),
        lambda x: x.masked_fill(x < 0, 0.5), lambda x: torch.atan2(x, x + 3), lambda x: x.data * 1.5,
    )  # type: ignore[return-value]  # fmt: skip


def norm(d: Draw, x: Tensor) -> Step:
    c = x.shape[1]
    ln = d.module(nn.LayerNorm(c))
    return d.of(
        d.module(nn.BatchNorm2d(c)), d.module(nn.InstanceNorm2d(c, affine=True)), d.module(nn.GroupNorm(1, c)),
        d.module(nn.GroupNorm(c, c)), lambda x: ln(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
        lambda x: F.layer_norm(x, x.shape[2:]), lambda x: F.normalize(x, dim=1), lambda x: F.normalize(x, dim=2),
        lambda x: (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), keepdim=True),
        lambda x: F.local_response_norm(x, 2),
        lambda x: x - x.mean(3, keepdim=True), lambda x: x.softmax(1), lambda x: x.softmax(2),
        lambda x: x.flatten(2).softmax(2).view_as(x), lambda x: x / x.amax((1, 2, 3), keepdim=True),
    )  # type: ignore[return-value]  # fmt: skip


def constants(d: Draw, x: Tensor) -> Step:
    c, h, w = x.shape[1:]
    full, row, channel = d.values(1, c, h, w), d.values(1, 1, 1, w), d.values(1, c, 1, 1)
    even = torch.stack([move(full, e) for e in D4.elements]).mean(0) if h == w else channel
    line = torch.linspace(-1, 1, h, dtype=torch.float64)
    radius = (line[:, None] ** 2 + torch.linspace(-1, 1, w, dtype=torch.float64)[None] ** 2).round(decimals=9)
    places = F.affine_grid(torch.eye(2, 3, dtype=torch.float64)[None], [1, 1, h, w], align_corners=False)
    turned = F.affine_grid(torch.tensor([[[0.0, 1, 0], [-1, 0, 0]]], dtype=torch.float64), [1, 1, h, w], False)
    ln = d.module(nn.LayerNorm((h, w)))
    return d.of(
        lambda x: x + full, lambda x: x * row, lambda x: x + channel, lambda x: x * even, lambda x: x + radius,
        lambda x: torch.cat([x, line.view(1, 1, h, 1).expand(1, 1, h, w)], 1),
        lambda x: torch.cat([x, radius[None, None]], 1),
        lambda x: F.grid_sample(x, places, align_corners=False),
        lambda x: F.grid_sample(x, turned, align_corners=False),
        ln, lambda x: x.where(radius < 1, 0), lambda x: x.masked_fill(full > 1, 0.0), lambda x: x.clone().add_(even),
        lambda x: x + torch.rand(1, 1, 1, w, generator=torch.Generator().manual_seed(1)),
    )  # type: ignore[return-value]  # fmt: skip


def context(d: Draw, x: Tensor) -> Step:
    c = x.shape[1]
    gate, mix = d.module(nn.Linear(c, c)), d.module(nn.Linear(c, c))
    one = d.module(nn.Conv1d(1, 1, 3, padding=1))
    return d.of(
        lambda x: x * torch.sigmoid(gate(x.mean((2, 3))))[:, :, None, None], lambda x: x + x.amax((2, 3), keepdim=True),
        lambda x: mix(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), lambda x: x + x.mean(3, keepdim=True),
        lambda x: x * one(x.mean((2, 3))[:, None])[:, 0, :, None, None].sigmoid(), lambda x: x.cumsum(2),
        lambda x: x.mean(3, keepdim=True) + x.mean(2, keepdim=True), lambda x: x.sort(1)[0], lambda x: x.sort(3)[0],
        lambda x: x * (x.mean(1, keepdim=True) > 0), lambda x: x - x[:, :, :1, :1], lambda x: x * x[0, 0, 0, 0].item(),
        lambda x: torch.einsum("bchw,bdhw->bcd", x, x).softmax(-1).matmul(x.flatten(2)).view_as(x),
        lambda x: torch.from_numpy(x.numpy().copy()), lambda x: x.view(x.shape[0], -1).add(1).view_as(x),
        lambda x: x.topk(2, 1)[0], lambda x: x.std(1, keepdim=True) * x, lambda x: x.amax(1, keepdim=True).expand_as(x),
    )  # type: ignore[return-value]  # fmt: skip


def tokens(d: Draw, x: Tensor) -> Step:
    c, h, w = x.shape[1:]
    attention = d.module(nn.MultiheadAttention(c, 1, batch_first=True))
    block = d.module(nn.TransformerEncoderLayer(c, 1, 2 * c, batch_first=True))
    mixing, place = d.module(nn.Linear(h * w, h * w)), d.values(1, h * w, c)
    bias, norm = d.values(h * w, h * w), d.module(nn.LayerNorm(c))
    ws = d.number(2, 3)

    def windows(x: Tensor) -> Tensor:
        t = (
            x.permute(0, 2, 3, 1)
            .reshape(1, h // ws, ws, w // ws, ws, c)
            .permute(0, 1, 3, 2, 4, 5)
            .reshape(-1, ws * ws, c)
        )
        t = t + attention(t, t, t)[0]
        t = t.view(1, h // ws, w // ws, ws, ws, c).permute(0, 1, 3, 2, 4, 5).reshape(1, h, w, c)
        return t.permute(0, 3, 1, 2)

    def on_tokens(f: Step) -> Step:
        return lambda x: f(x.flatten(2).transpose(1, 2)).transpose(1, 2).view(x.shape)

    plain = d.of(
        lambda t: attention(t, t, t)[0], block, lambda t: t + place, norm, lambda t: mixing(t.mT).mT,
        lambda t: F.scaled_dot_product_attention(t, t, t, bias), lambda t: t @ (t.mT @ t),
        lambda t: t - t[:, :1], lambda t: (t @ t.mT).softmax(-1) @ t, lambda t: t.flip(1), lambda t: t.sort(1)[0],
        lambda t: torch.baddbmm(t, t @ t.mT, t),
    )  # fmt: skip
    if d.random.random() < 0.3:
        return d.of(windows, lambda x: windows(x.roll((1, 1), (2, 3))).roll((-1, -1), (2, 3)))  # type: ignore[return-value]
    return on_tokens(plain)  # type: ignore[arg-type]


def ours(d: Draw, x: Tensor) -> Step:
    group = d.of("c4", "d4", "c2", "d1")
    s, k = d.number(1, 2), d.number(1, 3)
    lift = d.module(LiftingConv2d(group, x.shape[1], 2, k, s, d.number(0, 1)))
    conv = d.module(GroupConv2d(group, 2, 2, 3, padding=1))
    k, s = d.number(1, 4), d.number(1, 2)
    larger = d.module(GroupConvTranspose2d(group, 2, 2, k, s, d.number(0, k // 2), groups=d.number(1, 2)))
    mode, corners = d.of(("nearest", False), ("bilinear", False), ("bilinear", True))  # type: ignore[misc]
    finer = d.module(GroupUpsampleConv2d(group, 2, 4, scale=d.number(1, 3), mode=mode, align_corners=corners))
    pool = GroupPool(group)
    return d.of(  # type: ignore[return-value]
        lambda x: pool(lift(x)), lambda x: pool(conv(F.relu(lift(x)))), lambda x: pool(larger(F.relu(lift(x)))),
        lambda x: pool(finer(F.relu(lift(x)))),
    )  # fmt: skip
