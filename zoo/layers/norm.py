"""Batch normalisation whose statistics and affine parameters are shared over the group axis."""

from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.errors import ShapeError
from symdata.groups import Group
from zoo.layers.bank import is_channels_last
from zoo.layers.regular import lattice_group, order


class GroupBatchNorm2d(nn.Module):
    """Batch norm of fields (B, |G| C, H, W): one mean, variance, weight and bias per field, which keeps it equivariant.

    Equal to `torch.nn.BatchNorm3d` on (B, C, |G|, H, W), without the copy; parameters and buffers are named as there
    (but batches are not counted). The result may be a view, and an in-place operation on a view costs autograd a copy:
    prefer `F.relu(x)` after it.

    In training, where `torch.distributed` runs several processes, the statistics are those of the batches of all of
    them, also of unequal ones, and so are the gradients: each process must then run the same norms in the same order.
    With `norm.synchronised = False` every process has its own statistics.

    Example:
        >>> norm, x = GroupBatchNorm2d("c4", 2), torch.randn(8, 8, 5, 5)
        >>> norm.weight.shape, norm(x).shape
        (torch.Size([2]), torch.Size([8, 8, 5, 5]))
    """

    def __init__(self, group: Group | str, num_fields: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.group = lattice_group(group)
        self.num_fields, self.eps, self.momentum = num_fields, eps, momentum
        self.synchronised = True
        self.weight = nn.Parameter(torch.ones(num_fields))
        self.bias = nn.Parameter(torch.zeros(num_fields))
        self.running_mean = nn.Buffer(torch.zeros(num_fields))
        self.running_var = nn.Buffer(torch.ones(num_fields))

    def forward(self, x: Tensor) -> Tensor:
        size = order(self.group)
        if x.ndim != 4 or x.shape[1] != size * self.num_fields:
            expected = f"(B, {size * self.num_fields}, H, W): {self.num_fields} fields over {self.group}"
            raise ShapeError(f"GroupBatchNorm2d got {tuple(x.shape)}, expected {expected}")
        if not self.training:
            of_fields = (self.running_mean, self.running_var, self.weight, self.bias)
            # `repeat` does the same and takes twice as long; in an audit, on meta tensors, it loads half of torch.
            mean, var, weight, bias = (values.expand(size, -1).reshape(-1) for values in of_fields)
            return F.batch_norm(x, mean, var, weight, bias, False, self.momentum, self.eps)
        distributed = self.synchronised and is_distributed()
        if x.numel() == self.num_fields and not distributed:
            got = f"GroupBatchNorm2d got {tuple(x.shape)}"
            raise ShapeError(f"{got}: one value per field has no variance; train with larger batches or images")
        if distributed:
            # Not as a decorator, which would load torch's compiler with this file: a second of imports.
            alone = torch.compiler.disable(self._by_channel)  # type: ignore[no-untyped-call]
            shared: Tensor = alone(x, size, shared=True)
            return shared
        if is_channels_last(x) and not torch.compiler.is_compiling():
            return self._by_channel(x, size)
        # Group-major: the group axis folds into the batch for free.
        folded = x.reshape(x.shape[0] * size, self.num_fields, *x.shape[2:])
        y = F.batch_norm(
            folded, self.running_mean, self.running_var, self.weight, self.bias, True, self.momentum, self.eps
        )
        return y.reshape(x.shape)

    def _by_channel(self, x: Tensor, size: int, shared: bool = False) -> Tensor:
        """In channels_last, folding would leave rows of C numbers, too short to vectorise: 1.6 to 2.4x (measured)."""
        with torch.no_grad():
            found = statistics(x, self.weight, size)
            mean, var, n = combined(found) if shared else found
            self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
            self.running_var.lerp_((var * (n / (n - 1))).to(self.running_var), self.momentum)
        y: Tensor = _SharedNorm.apply(x, self.weight, self.bias, mean, var, n, self.eps, shared)  # type: ignore[no-untyped-call]
        return y

    def extra_repr(self) -> str:
        return f"{self.group}, {self.num_fields}, eps={self.eps}, momentum={self.momentum}"


class Statistics(NamedTuple):
    """Mean and variance of every field, of one batch or of those of all processes."""

    mean: Tensor
    var: Tensor
    """Biased: divided by the number of values."""
    values: float | Tensor
    """Number of values per field; a tensor if it came from other processes, so that no device has to wait."""


def statistics(x: Tensor, like: Tensor, size: int) -> Statistics:
    """Per field of (B, |G| C, H, W), in the dtype of `like` (C,): per channel first, then over the group."""
    if not len(x):
        return Statistics(torch.zeros_like(like), torch.zeros_like(like), 0)
    unused = like.new_zeros(x.shape[1])  # running statistics, whose dtype is that of the results
    means, variances = torch.batch_norm_update_stats(x, unused, unused.clone(), 0.0)  # per channel, biased
    means, variances = means.view(size, -1), variances.view(size, -1)
    mean = means.mean(0)
    var = (variances + (means - mean) ** 2).mean(0)  # the law of total variance
    return Statistics(mean, var, x.numel() // like.numel())


def is_distributed() -> bool:
    """Whether several processes of `torch.distributed` train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def combined(own: Statistics) -> Statistics:
    """Statistics over the batches of all processes, the same bits on each: sums of deviations, not of squares."""
    mean, var, values = own
    exact = torch.promote_types(mean.dtype, torch.float32)
    packed = torch.cat([mean.to(exact), var.to(exact), mean.new_tensor([values], dtype=exact)])
    gathered = [torch.empty_like(packed) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, packed)
    rows = torch.stack(gathered)
    counts, (means, variances) = rows[:, -1:], rows[:, :-1].chunk(2, 1)  # (P, 1), (P, C), (P, C)
    total = counts.sum()
    centre = (counts * means).sum(0) / total
    spread = (counts * (variances + (means - centre) ** 2)).sum(0) / total
    return Statistics(centre.to(mean), spread.to(var), total)


class _SharedNorm(torch.autograd.Function):
    """Training-mode batch norm over |G| C channels, given the statistics that its fields share.

    With mean m, variance v per field, n values per field, and z = (x - m) / sqrt(v + eps):
    dx = w / sqrt(v + eps) . (dy - sum(dy) / n - z sum(dy z) / n), the sums over the group and all processes too.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, n: Any, eps: float, shared: bool
    ) -> Tensor:
        size = x.shape[1] // len(weight)
        ctx.save_for_backward(x, weight, bias, mean, var)
        ctx.n, ctx.eps, ctx.shared = n, eps, shared
        if not len(x):
            return x.clone()
        mean, var = mean.repeat(size), var.repeat(size)
        return torch.native_batch_norm(x, weight.repeat(size), bias.repeat(size), mean, var, False, 0.0, eps)[0]

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            return (*_twice(ctx, dy), *5 * [None])
        x, weight, _, mean, var = ctx.saved_tensors
        size = x.shape[1] // len(weight)
        weights, mean, var = weight.repeat(size), mean.repeat(size), var.repeat(size)
        own = weight.new_zeros(2, len(weight))
        if len(x):
            mask = [False, True, True]
            sums = torch.ops.aten.native_batch_norm_backward(
                dy, x, weights, mean, var, None, None, False, ctx.eps, mask
            )
            own = torch.stack(sums[1:]).view(2, size, -1).sum(1)  # sum(dy z), sum(dy) per field
        total = own.clone()
        if ctx.shared:
            dist.all_reduce(total)
        dw, db = total
        scale = (var + ctx.eps).rsqrt()
        a = weights * scale
        b = a * scale * dw.repeat(size) / ctx.n
        c = mean * b - a * db.repeat(size) / ctx.n
        dx = torch.addcmul(_column(c, x), x, _column(-b, x)).addcmul_(dy, _column(a, x))
        return dx, own[0], own[1], *5 * [None]


def _twice(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients with a graph, for second derivatives: through the norm of torch, which has them."""
    if ctx.shared:
        raise RuntimeError("GroupBatchNorm2d has no second derivatives across processes; set synchronised = False")
    x, weight, bias, *_ = ctx.saved_tensors
    folded = x.reshape(-1, len(weight), *x.shape[2:])
    y = F.batch_norm(folded, None, None, weight, bias, True, 0.0, ctx.eps).reshape(x.shape)
    wanted = [t for t, needed in zip((x, weight, bias), ctx.needs_input_grad, strict=False) if needed]
    found = iter(torch.autograd.grad(y, wanted, dy, create_graph=True))
    return tuple(next(found) if needed else None for needed in ctx.needs_input_grad[:3])


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like.dtype).view(1, -1, 1, 1)
