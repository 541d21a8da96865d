"""Random affine maps of images with a learned range: uniform coefficients in the Lie algebra of the affine group.

An element is g = exp(sum_i c_i G_i) with c_i uniform in [-h_i, h_i] (Benton, Finzi, Izmailov & Wilson 2020, arXiv
2010.11882, section 3). The half-widths h are learned: c_i = u_i h_i with u_i uniform in [-1, 1], so that a gradient
reaches h through the matrix exponential and the bilinear look-up. (The paper's widths are 2 h.)

Convention:
    Coordinates are (x, y), y down, in half sides of the image (the shorter one) from its centre. The image moved by g
    shows at p what was at g^-1 p; angles are counter-clockwise as displayed, as everywhere in symdata.

    The generators are those of `symdata.transforms.generators.LEARNABLE`, with their units of t. Only translations
    have another coefficient than t in pixels: a tenth of the half side, so that it does not depend on the image's size.
"""

from collections.abc import Mapping, Sequence
from reprlib import repr as short

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.errors import ShapeError, SymmetryError, one_of, suggest
from symdata.transforms.generators import LEARNABLE, Generator, current_name
from symdata.transforms.resampling import MASKS, PADDINGS
from symdata.transforms.warp import apply_mask

STEP = 0.1
"""Translation of a coefficient of 1, in half sides."""

START = 0.15
"""Half-width before training: 8.6 degrees for a rotation, as in the paper's code."""


def read_generators(names: str | Sequence[str]) -> tuple[str, ...]:
    """The generators of `rotation,translate_x` or a sequence, by their current names.

    Raises:
        SymmetryError: unless each exists, can be learned and comes once.
    """
    parts = [part.strip() for part in names.split(",")] if isinstance(names, str) else names
    if not isinstance(parts, list | tuple) or not 1 <= len(parts) <= len(LEARNABLE):
        raise SymmetryError(f"generators are {short(names)}, expected some of {', '.join(LEARNABLE)}")
    parts = [current_name(part, learned=True) if isinstance(part, str) else part for part in parts]
    for name in parts:
        if not isinstance(name, str) or name not in LEARNABLE:
            raise SymmetryError(f"there is no generator {short(name)}; {suggest(str(name)[:40], LEARNABLE)}")
    if len(set(parts)) < len(parts):
        raise SymmetryError(f"generators {', '.join(parts)} name one twice; name each once")
    return tuple(parts)


class AffineRange(nn.Module):
    """A box in the Lie algebra of affine maps, with learned half-widths, and the action of its elements on images.

    Args:
        generators: some of `LEARNABLE`, as a sequence or joined by commas.
        half_width: start value: one number for all coefficients, or by name in the units of t: radians, pixels and
            logarithms of a factor. One that is 0 stays 0.
        resample: `bilinear` or `bicubic`, whose gradients train the half-widths, or `nearest`, whose gradient is 0.
        mask: `disk` blackens all pixels outside the inscribed disk, also under the identity, so that dark or smeared
            corners do not reveal the element; `none` keeps them.
        padding: `border`, `zeros` or `reflection`: the values outside the image.
        size: shorter side of the images in pixels, for half-widths of translations by name.

    Example:
        >>> box = AffineRange("rotation", half_width=0.5)
        >>> {name: round(width, 1) for name, width in box.half_widths().items()}
        {'rotation': 28.6}
    """

    basis: Tensor
    caps: Tensor

    def __init__(
        self,
        generators: str | Sequence[str] = ("rotation",),
        half_width: float | Mapping[str, float] = START,
        *,
        resample: str = "bilinear",
        mask: str = "disk",
        padding: str = "border",
        size: int | None = None,
    ) -> None:
        super().__init__()
        self.generators = read_generators(generators)
        self.resample = one_of("resample", resample, ("bilinear", "bicubic", "nearest"), SymmetryError)
        self.mask = one_of("mask", mask, MASKS, SymmetryError)
        self.padding = one_of("padding", padding, PADDINGS, SymmetryError)
        # The half-width is |h|: its slope is 1 wherever h starts, except at 0, where it is 0. The softplus of a
        # parameter would be small only far below 0, where its slope is nearly 0.
        self.half_width = nn.Parameter(torch.tensor(_start(self.generators, half_width, size)))
        rows = torch.tensor([LEARNABLE[name].velocity for name in self.generators], dtype=torch.float32)
        rows[..., 2] *= STEP
        self.register_buffer("basis", F.pad(rows, (0, 0, 0, 1)), persistent=False)  # (d, 3, 3)
        caps = [_cap(LEARNABLE[name]) for name in self.generators]
        self.register_buffer("caps", torch.tensor(caps), persistent=False)

    def extra_repr(self) -> str:
        return f"{', '.join(self.generators)}, resample={self.resample}, mask={self.mask}, padding={self.padding}"

    def half_widths(self, size: int | None = None) -> dict[str, float]:
        """Half-width by generator: degrees (180 is full rotation), pixels, or the logarithm of a factor.

        `size`, the shorter side of the images in pixels, is needed if there are translations.
        """
        found = {}
        for name, width in zip(self.generators, self.capped().detach().tolist(), strict=True):
            generator, cap = LEARNABLE[name], _cap(LEARNABLE[name])
            full = cap if width >= cap * (1 - 1e-6) else width  # in float32 pi is a little less
            found[name] = full * _per_coefficient(generator, size) * generator.shown_per_t
        return found

    def capped(self) -> Tensor:
        """The half-widths, (d,), limited to their caps; the gradient of one at its cap is 0."""
        return torch.minimum(self.half_width.abs(), self.caps)

    def draw(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """(count, d) uniform in [-1, 1), to be multiplied by the half-widths; by default from torch's generator."""
        shape, device = (count, len(self.generators)), self.half_width.device
        place = device if generator is None else generator.device
        drawn = torch.rand(shape, generator=generator, device=place, dtype=_wide(self.half_width.dtype))
        return (2 * drawn - 1).to(device)

    def spread(self, copies: int) -> Tensor:
        """(copies, d) in (-1, 1), without randomness: along each generator the midpoints of `copies` equal intervals.

        Each generator has them in another order, that of the multiples of an irrational number mod 1. Their mean is
        0; a single copy is the identity.
        """
        count = torch.arange(copies, dtype=torch.float64)
        orders = [torch.argsort((count * step) % 1.0) for step in _irrationals(len(self.generators))]
        ranks = torch.stack([order.argsort() for order in orders], 1)  # (copies, d)
        return ((2 * ranks + 1) / copies - 1).to(self.half_width.device, _wide(self.half_width.dtype))

    def matrices(self, draws: Tensor) -> Tensor:
        """The elements of draws (B, d) in [-1, 1] as maps of half sides from the centre, (B, 3, 3) float32 at least."""
        if draws.ndim != 2 or draws.shape[1] != len(self.generators):
            raise ShapeError(f"draws are {tuple(draws.shape)}, expected (B, {len(self.generators)}), one per generator")
        widths = self.half_width.to(_wide(self.half_width.dtype)).abs()  # a module in half precision keeps exact maps
        # Limited to the cap, but with the slope of |h|, so that a half-width beyond its cap can decrease again.
        widths = widths - (widths - self.caps.to(widths)).clamp(min=0).detach()
        coefficients = draws.to(widths) * widths
        # A sum, because mixed precision would round a matrix product to three digits.
        algebra = (coefficients[:, :, None, None] * self.basis.to(coefficients)).sum(1)
        out: Tensor = torch.linalg.matrix_exp(algebra)
        return out

    def forward(self, images: Tensor, draws: Tensor, *, inverse: bool = False, resample: str | None = None) -> Tensor:
        """Move each image by its own element; differentiable in the images and in the half-widths.

        Args:
            images: (B, C, H, W), floating point.
            draws: (B, d) in [-1, 1], from `draw`, or (1, d) for all images, such as one row of `spread`.
            inverse: whether to move by the inverse elements.
            resample: kernel for this call; None for that of the module.
        """
        if images.ndim != 4 or not images.is_floating_point() or draws.shape[0] not in (1, images.shape[0]):
            got = f"{len(draws)} draws for images {images.dtype} {tuple(images.shape)}"
            raise ShapeError(
                f"{got}, expected one, or one for each, of floats (B, C, H, W); divide uint8 images by 255"
            )
        # The value at p comes from g^-1 p, and exp(-A) is the inverse of exp(A).
        return self.look_up(images, self.matrices(draws if inverse else -draws), resample)

    def look_up(self, images: Tensor, source: Tensor, resample: str | None = None) -> Tensor:
        """Read images (B, C, H, W) at the positions to which `source`, (B, 3, 3) or (1, 3, 3), takes their pixels."""
        # In float32 at least, as in `warp`: half precision cannot hold the position of a pixel.
        dtype = _wide(images.dtype)
        source = source.to(dtype)
        grid = _grid(source, images.shape[-2], images.shape[-1]).expand(images.shape[0], -1, -1, -1)
        kernel = self.resample if resample is None else resample
        moved = F.grid_sample(images.to(dtype), grid, mode=kernel, padding_mode=self.padding, align_corners=False)
        return apply_mask(moved, self.mask).to(images.dtype)


class FixedMaps(nn.Module):
    """The maps of `AffineRange.spread` as numbers, for exporters that have no matrix exponential.

    Example:
        >>> affine = AffineRange("rotation")
        >>> images, fixed = torch.rand(2, 1, 8, 8), FixedMaps(affine, copies=4)
        >>> moved, wanted = fixed(images, fixed.spread(4)[1:2]), affine(images, affine.spread(4)[1:2])
        >>> bool(torch.allclose(moved, wanted))
        True
    """

    maps: Tensor

    def __init__(self, affine: AffineRange, copies: int) -> None:
        super().__init__()
        self.settings = [affine]  # in a list, so that its parameters are not those of this module
        self.register_buffer("maps", affine.matrices(-affine.spread(copies)).detach())

    def spread(self, copies: int) -> Tensor:
        """(copies, 1): the number of each map."""
        return torch.arange(copies, device=self.maps.device)[:, None]

    def forward(self, images: Tensor, draws: Tensor) -> Tensor:
        """Move all images (B, C, H, W) by the map of this number, (1, 1)."""
        return self.settings[0].look_up(images, self.maps.index_select(0, draws[:, 0]))


def to_pixels(matrices: Tensor, height: int, width: int) -> Tensor:
    """Maps (B, 3, 3) of half sides from the centre as maps of pixel coordinates (x, y, 1)."""
    half, centre = min(height, width) / 2, matrices.new_tensor([(width - 1) / 2, (height - 1) / 2])
    linear, shift = matrices[:, :2, :2], matrices[:, :2, 2]
    # p -> L (p - c) + half t + c, as sums, because mixed precision would round a matrix product to three digits.
    moved = half * shift + centre - (linear * centre).sum(-1)
    return torch.cat([torch.cat([linear, moved[:, :, None]], 2), matrices[:, 2:]], 1)


def _wide(dtype: torch.dtype) -> torch.dtype:
    """float32 in place of a narrower dtype."""
    return torch.promote_types(dtype, torch.float32)


def _grid(source: Tensor, height: int, width: int) -> Tensor:
    """Source positions (B, H, W, 2) in units of `grid_sample`: -1 and 1 are the edges of the image."""
    half = min(height, width)
    # Pixel centres in half sides.
    x, y = ((2 * torch.arange(n, dtype=source.dtype, device=source.device) + 1 - n) / half for n in (width, height))
    column, row = source[:, None, :2, 0] * x[:, None], source[:, None, :2, 1] * y[:, None]  # (B, W, 2), (B, H, 2)
    at = column[:, None] + (row + source[:, None, :2, 2])[:, :, None]  # (B, H, W, 2)
    return at * at.new_tensor([half / width, half / height])


def _start(generators: tuple[str, ...], half_width: float | Mapping[str, float], size: int | None) -> list[float]:
    """The coefficients of the half-widths, checked."""
    by_name = {}
    if isinstance(half_width, Mapping):
        by_name = {current_name(str(name), learned=True): width for name, width in half_width.items()}
    if unknown := set(by_name) - set(generators):
        raise SymmetryError(f"half_width names {short(sorted(unknown))}, expected {', '.join(generators)}")
    found = []
    for name in generators:
        value = by_name.get(name, START) if isinstance(half_width, Mapping) else half_width
        unit = _per_coefficient(LEARNABLE[name], size) if name in by_name else 1.0
        most = _cap(LEARNABLE[name]) * unit
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise SymmetryError(
                f"half_width of {name} is {short(value)}, expected 0 to {most:.4g}, for example {START}"
            )
        found.append(float(value) / unit)
    return found


def _cap(generator: Generator) -> float:
    """The largest half-width of a coefficient."""
    assert generator.largest is not None  # `LEARNABLE` has no others
    return generator.largest / STEP if generator.is_translation else generator.largest


def _per_coefficient(generator: Generator, size: int | None) -> float:
    """t of a coefficient of 1, in images whose shorter side has `size` pixels."""
    if not generator.is_translation:
        return 1.0
    if size is None:
        raise ShapeError(f"the half-width of {generator.name} is in pixels; say of which side, for example size=28")
    return STEP * size / 2


def _irrationals(count: int) -> list[float]:
    """Numbers whose multiples mod 1 fill a cube evenly (Roberts 2018): r^-k with r the root of r^(d + 1) = r + 1."""
    root = 1.5
    for _ in range(60):
        root = (1 + root) ** (1 / (count + 1))
    return [root**-k for k in range(1, count + 1)]
