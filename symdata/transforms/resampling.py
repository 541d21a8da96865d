"""How images are resampled: the choice of kernel, mask, padding and supersampling."""

from dataclasses import asdict, dataclass
from typing import Any

from symdata.errors import SymmetryError, one_of, whole

KERNELS = ("halves", "thirds", "spline", "bilinear", "bicubic", "nearest")
PADDINGS = ("border", "zeros", "reflection")
MASKS = ("disk", "none")
DEFAULT = "halves"
"""The kernel of `auto` off the lattice."""
FIRST_DEFAULT = "spline"
"""The kernel of `auto` in datasets whose manifest says no version of a kernel: all that were made before `halves`."""
VERSIONS = {"halves": 1, "thirds": 1}
"""Versions of the kernels whose weights are ours to choose; a change of weights is a new version."""


@dataclass(frozen=True)
class Resampling:
    """How images are resampled, or permuted if the kernel is `exact`."""

    kernel: str = DEFAULT
    """`halves`, `thirds` or `spline` (blur every element alike), `bilinear`, `bicubic`, `nearest`, or `exact`."""
    mask: str = "disk"
    """`disk` blackens all pixels outside the inscribed disk, for every element alike; `none` keeps them."""
    padding: str = "border"
    """Values outside the image: `border` (the nearest pixel), `zeros` or `reflection`."""
    supersample: int = 1
    """Samples per output pixel and axis, averaged; 3 with `bilinear` is how RotMNIST was made."""

    def __post_init__(self) -> None:
        one_of("resample", self.kernel, ("exact", *KERNELS), SymmetryError)
        one_of("mask", self.mask, MASKS, SymmetryError)
        one_of("padding", self.padding, PADDINGS, SymmetryError)
        whole("supersample", self.supersample, 1, 16, SymmetryError, "; 3 is the usual value")
        if self.supersample > 1 and self.kernel in ("exact", "nearest"):
            raise SymmetryError(
                f"supersample={self.supersample} needs interpolation, and resample is {self.kernel!r}; "
                "use resample='bilinear'"
            )

    @property
    def is_exact(self) -> bool:
        return self.kernel == "exact"

    def to_dict(self) -> dict[str, Any]:
        """What the manifest of a dataset says: the fields, and the version of the kernel if it has versions."""
        version = VERSIONS.get(self.kernel)
        return asdict(self) | ({} if version is None else {"version": version})

    @classmethod
    def choose(
        cls, is_lattice: bool, resample: str = "auto", mask: str = "auto", padding: str = "border", supersample: int = 1
    ) -> "Resampling":
        """The choice without leakage for each `auto`: exact and no mask on the lattice, else halves and disk."""
        if resample == "auto":
            resample = "bilinear" if supersample > 1 else "exact" if is_lattice else DEFAULT
        if mask == "auto":
            mask = "none" if resample == "exact" else "disk"
        return cls(resample, mask, padding, supersample)
