"""Batch normalisation whose statistics and affine parameters are shared over the group axis."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from symdata.errors import ShapeError
from symdata.groups import Group
from zoo.layers.bank import is_channels_last
from zoo.layers.regular import lattice_group, order


class GroupBatchNorm2d(nn.Module):
    """Batch norm of fields (B, |G| C, H, W): one mean, variance, weight and bias per field, as equivariance asks.

    Equal to `torch.nn.BatchNorm3d` on (B, C, |G|, H, W), without the copy; parameters and buffers are named as there.
    The result may be a view, and an in-place operation on a view costs autograd a copy: prefer `F.relu(x)` after it.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, group: Group | str, num_fields: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.group = lattice_group(group)
        self.num_fields, self.eps, self.momentum = num_fields, eps, momentum
        self.weight = nn.Parameter(torch.ones(num_fields))
        self.bias = nn.Parameter(torch.zeros(num_fields))
        self.register_buffer("running_mean", torch.zeros(num_fields))
        self.register_buffer("running_var", torch.ones(num_fields))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        size = order(self.group)
        if x.ndim != 4 or x.shape[1] != size * self.num_fields:
            expected = f"(B, {size * self.num_fields}, H, W): {self.num_fields} fields over {self.group}"
            raise ShapeError(f"GroupBatchNorm2d got {tuple(x.shape)}, expected {expected}")
        if not self.training:
            mean, var = self.running_mean.repeat(size), self.running_var.repeat(size)
            weight, bias = self.weight.repeat(size), self.bias.repeat(size)
            return F.batch_norm(x, mean, var, weight, bias, False, self.momentum, self.eps)
        self.num_batches_tracked.add_(1)
        if is_channels_last(x) and not torch.compiler.is_compiling():
            return self._by_channel(x, size)
        # Group-major: the group axis folds into the batch for free.
        folded = x.reshape(len(x) * size, self.num_fields, *x.shape[2:])
        y = F.batch_norm(
            folded, self.running_mean, self.running_var, self.weight, self.bias, True, self.momentum, self.eps
        )
        return y.reshape(x.shape)

    def _by_channel(self, x: Tensor, size: int) -> Tensor:
        """In channels_last, folding would leave rows of C numbers, too short to vectorise: 1.6 to 2.4x (measured)."""
        y: Tensor
        y, mean, var = _SharedNorm.apply(x, self.weight, self.bias, size, self.eps)  # type: ignore[no-untyped-call]
        count = x.numel() // self.num_fields
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
            self.running_var.lerp_(var.to(self.running_var) * (count / (count - 1)), self.momentum)
        return y

    def extra_repr(self) -> str:
        return f"{self.group}, {self.num_fields}, eps={self.eps}, momentum={self.momentum}"


class _SharedNorm(torch.autograd.Function):
    """Training-mode batch norm over |G| C channels whose statistics are then averaged over the group.

    With mean m, variance v per field, n = B |G| H W, and z = (x - m) / sqrt(v + eps):
    dx = w / sqrt(v + eps) . (dy - sum(dy) / n - z sum(dy z) / n), the sums over the group too.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, size: int, eps: float) -> tuple[Tensor, ...]:
        unused = weight.new_zeros(x.shape[1])  # running statistics, whose dtype is that of the results
        means, variances = torch.batch_norm_update_stats(x, unused, unused.clone(), 0.0)  # per channel, biased
        means, variances = means.view(size, -1), variances.view(size, -1)
        mean = means.mean(0)
        var = (variances + (means - mean) ** 2).mean(0)  # the law of total variance
        weights, mean_, var_ = weight.repeat(size), mean.repeat(size), var.repeat(size)
        y, _, _ = torch.native_batch_norm(x, weights, bias.repeat(size), mean_, var_, False, 0.0, eps)
        ctx.save_for_backward(x, weights, mean_, var_)
        ctx.size, ctx.eps = size, eps
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        x, weights, mean, var = ctx.saved_tensors
        mask = [False, True, True]
        _, dw, db = torch.ops.aten.native_batch_norm_backward(
            dy, x, weights, mean, var, None, None, False, ctx.eps, mask
        )
        dw, db = dw.view(ctx.size, -1).sum(0), db.view(ctx.size, -1).sum(0)  # sum(dy z), sum(dy) per field
        n = x.numel() // dw.numel()
        scale = (var + ctx.eps).rsqrt()
        a = weights * scale
        b = a * scale * dw.repeat(ctx.size) / n
        c = mean * b - a * db.repeat(ctx.size) / n
        dx = torch.addcmul(_column(c, x), x, _column(-b, x)).addcmul_(dy, _column(a, x))
        return dx, dw, db, None, None


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like.dtype).view(1, -1, 1, 1)
