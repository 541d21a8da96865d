"""The sampling grid of every tensor of a run, and the subsamplings that changed it: the arithmetic behind a verdict."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from zoo.exactness.arithmetic import Subsampling
from zoo.exactness.calls import tensors
from zoo.exactness.effects import Axes, Border, GridCall, Step
from zoo.exactness.operations import effect_of
from zoo.exactness.sampling_grid import SamplingGrid, merge, pair
from zoo.layers.subsampling.polyphase import ByPhase


class Grids:
    """Where the pixels of the tensors of a run lie in the image, as far as arguments of operations tell.

    Args:
        image: (1, C, H, W).
    """

    def __init__(self, image: Tensor) -> None:
        self.found: list[Subsampling] = []
        self.order = 0
        self._grids = WeakTensorKeyDictionary({image: SamplingGrid()})

    def record(self, name: str, args: Sequence[Any], out: Any, path: str, order: int) -> None:
        """Follow one call of an operation, the one with this number in the run."""
        self.order = order
        inputs = [t for t in tensors(args) if t in self._grids]
        if not inputs:
            return
        source = inputs[0]
        grid = merge([self._grids[t] for t in inputs])
        pooled = isinstance(out, tuple | list) and "max_pool" in name  # with the positions of the maxima
        first = out[0] if pooled else out
        call = GridCall(name, source, args[1:], first, grid.axes)
        match effect_of(call) if isinstance(first, Tensor) else None:
            case Step() as step:
                grid = self._record(path, step, grid)
            case Border() as border:
                grid = grid.bordered(replace(border, name=path))
            case Axes(axes):
                grid = replace(grid, axes=axes)
            case None:
                grid = grid.kept(source, first)
        for tensor in tensors([out]):
            self._grids[tensor] = grid

    def declare(self, path: str, module: ByPhase, source: Tensor, results: Sequence[Tensor]) -> None:
        """Record one subsampling of a module's first argument, as it declares; none if it makes no map."""
        if not module.sampling or not results or source not in self._grids:
            return
        (h, w), s, out = source.shape[-2:], module.stride, results[0]
        factor, up = (h / out.shape[-2], w / out.shape[-1]), out.shape[-1] > w
        step = Step(module.sampling, (h, w), stride=(s, s), residue=(0, 0) if up else (h % s, w % s), factor=factor)
        self._grids[out] = self._record(path, step, self._grids[source])

    def finish(self, outputs: Any) -> None:
        """Record padding that no window has read: it misaligns the output itself."""
        grids = [self._grids[tensor] for tensor in tensors([outputs]) if tensor in self._grids]
        for grid in grids:
            if grid.axes and not grid.is_centred:
                self._list(grid.as_subsampling())

    def _record(self, path: str, step: Step, grid: SamplingGrid) -> SamplingGrid:
        """Append the subsampling of a step, if it is worth a line; returns the grid after it."""
        if not (grid.is_centred or any(step.residue) or step.one_axis):
            # The window leaves nothing over by itself, so it does not undo the border before it.
            self._list(grid.as_subsampling())
            grid = grid.misaligned()
        r = pair(abs(round(r - o, 6)) for r, o in zip(step.residue, grid.offset, strict=True))
        phi = grid.phi_after(r)
        scale = pair(a * b for a, b in zip(grid.scale, step.factor, strict=True))
        axes = None if step.loses_axes else (grid.axes if step.one_axis else (-2, -1))
        after = SamplingGrid(axes, scale, phi, half=(len(self.found), step.start) if step.one_axis else None)
        if step.one_axis and grid.half is not None and (both := _joined(self.found, grid, step, r, phi)):
            self.found[grid.half[0]] = both
            return replace(after, half=None)
        alike = step.isotropic and grid.is_square
        if step.is_listed or any(r) or not alike:
            note = step.note or grid.note if any(r) else ""
            self._list(grid.subsampling(path, step, r, alike, note))
        return after

    def _list(self, layer: Subsampling) -> None:
        self.found.append(replace(layer, order=self.order))


def _joined(
    found: Sequence[Subsampling], grid: SamplingGrid, step: Step, r: tuple[float, float], phi: tuple[float, float]
) -> Subsampling | None:
    """Two slices, one per axis, as one subsampling; None if they are not that."""
    assert grid.half is not None
    number, start = grid.half
    axis, one = 0 if step.stride[0] > 1 else 1, found[number]
    if one.kind != step.kind or one.stride[axis] > 1:
        return None

    def both(a: Any, b: Any) -> Any:
        return (b[0], a[1]) if axis == 0 else (a[0], b[1])

    kernel, stride = both(one.kernel, step.kernel), both(one.stride, step.stride)
    note = one.note or (grid.note if any(r) and not any(step.residue) else "")
    alike = kernel[0] == kernel[1] and stride[0] == stride[1] and start == step.start
    residue = both(one.residue, r)
    return replace(one, kernel=kernel, stride=stride, residue=residue, phi=phi, isotropic=alike, note=note)
