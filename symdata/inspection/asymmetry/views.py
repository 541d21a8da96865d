"""The views of an audit: small numeric fields of an image that turn with the image.

A view is a list of fields (B, c, s, s') such that field(g x) = g field(x). So a field is computed once per image, and
its eight versions are permutations of its entries, as exact as those of the pixels:

- `gray`: the mean of the colour planes, averaged down to at most 14 x 14 pixels: shapes, shading, up and down;
- `colour`: each plane less the gray, averaged down to at most 8 x 8: the sky is blue at the top;
- `planes`: cross-correlation of each plane less the gray with the gray, up to two pixels away, both high-passed: a
  plane that is shifted by a fraction of a pixel correlates on one side;
- `texture`: autocorrelation of the gray, plain and high-passed, up to three pixels away. It is the Fourier transform of
  the power spectrum: sharpening, blur or noise along one axis;
- `border`: the outermost pixels of the gray: scale bars, frames, vignettes, tiling.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from symdata.transforms.lattice import permute

Views = dict[str, list[Tensor]]
"""View -> its fields, (B, c, s, s') float64 each."""
GRAY, COLOUR, RIM = 14, 8, 32
"""Largest side, in pixels, to which a view averages the image down."""
PLANE_LAGS, TEXTURE_LAGS = 2, 3
"""Largest lag of the correlations, in pixels."""
RIM_WIDTH = 2
"""Width of the border of the (averaged) image, in pixels."""
_CHUNK = 1 << 22  # values in float64 at a time

_LAPLACIAN = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)


def fields(images: Tensor) -> Views:
    """View -> its fields, (B, c, s, s') float64 each; `colour` and `planes` are left out of images with one plane.

    Args:
        images: (B, C, H, W) uint8, C being 1 or 3, H and W at least 8.
    """
    step = max(1, _CHUNK // images[:1].numel())
    return join([_fields(part.double() / 255.0) for part in torch.split(images, step)])


def join(parts: list[Views]) -> Views:
    """The views of several batches as those of one."""
    return {view: [torch.cat(many) for many in zip(*(part[view] for part in parts), strict=True)] for view in parts[0]}


def _fields(x: Tensor) -> Views:
    gray = x.mean(1, keepdim=True)
    fine = _high_pass(gray)
    texture = [_autocorrelation(gray - gray.mean((-2, -1), keepdim=True)), _autocorrelation(fine)]
    found = {"gray": [_shrunk(gray, GRAY)], "texture": texture, "border": [_rim(_shrunk(gray, RIM))]}
    if x.shape[1] > 1:
        rest = x - gray
        energy = (fine**2).sum((-2, -1), keepdim=True) + 1e-6
        planes = _correlation(_high_pass(rest), fine.expand(-1, rest.shape[1], -1, -1), PLANE_LAGS) / energy
        found |= {"colour": [_shrunk(rest, COLOUR)], "planes": [planes]}
    return found


def _shrunk(x: Tensor, most: int) -> Tensor:
    """Average down to at most `most` pixels a side; the windows are symmetric, so the result turns with x."""
    return F.adaptive_avg_pool2d(x, (min(most, x.shape[-2]), min(most, x.shape[-1])))


def _high_pass(x: Tensor) -> Tensor:
    """The Laplacian of every plane, (B, C, H, W) -> (B, C, H - 2, W - 2)."""
    kernel = _LAPLACIAN.to(x.dtype).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, kernel, groups=x.shape[1])


def _correlation(a: Tensor, b: Tensor, most: int) -> Tensor:
    """(B, C, 2 most + 1, 2 most + 1): sum over u of a(u) b(u + lag) for every lag, with zeros outside the image."""
    h, w = a.shape[-2:]
    size = (h + most, w + most)  # a cyclic correlation of this period does not wrap for lags up to `most`
    spectrum = torch.fft.rfft2(a, size).conj() * torch.fft.rfft2(b, size)
    cyclic = torch.fft.irfft2(spectrum, size)
    lags = torch.arange(-most, most + 1)
    found: Tensor = cyclic[..., lags % size[0], :][..., lags % size[1]]
    return found


def _autocorrelation(x: Tensor) -> Tensor:
    """Autocorrelation over the energy, whose lag 0 is 1."""
    found = _correlation(x, x, TEXTURE_LAGS)
    found = (found + found.flip(-2, -1)) / 2.0  # lags u and -u differ by rounding, which must not look like content
    return found / (found[..., TEXTURE_LAGS : TEXTURE_LAGS + 1, TEXTURE_LAGS : TEXTURE_LAGS + 1] + 1e-6)


def _rim(x: Tensor) -> Tensor:
    """x with everything but its border set to 0."""
    inside = torch.zeros_like(x)
    k = RIM_WIDTH
    inside[..., k:-k, k:-k] = x[..., k:-k, k:-k]
    return x - inside


def flat(parts: list[Tensor], index: int) -> Tensor:
    """The fields of one view as rows (B, d), moved by the element of d4 with this index."""
    return torch.cat([permute(part, torch.full((len(part),), index)).flatten(1) for part in parts], dim=1)


def orbits(parts: list[Tensor], indices: list[int]) -> np.ndarray:
    """All versions of every image in one view, (B, |G|, d) float64: entry e is the view of the image moved by e.

    The mean over the versions says nothing about the orientation and is subtracted. The rest is scaled to length 1 in
    the mean over the orbit, so that contrast gives no image more weight. The audit stays exact, because both depend on
    the orbit alone and not on the place of the image in it.

    Args:
        parts: fields of one view.
        indices: indices in d4 of the elements of the group, the identity first.
    """
    found = torch.stack([flat(parts, k) for k in indices], dim=1).numpy()  # (B, |G|, d)
    found = found[..., found.reshape(-1, found.shape[-1]).any(0)]
    found = found - found.mean(1, keepdims=True)
    length = np.sqrt((found**2).sum(2).mean(1))
    varies = length > 1e-9  # false for an image that no element changes
    return np.asarray(np.where(varies, 1.0 / np.where(varies, length, 1.0), 0.0)[:, None, None] * found)
