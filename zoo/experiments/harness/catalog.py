"""The experiments and their parts by name: plain words, so that the command's help imports no experiment."""

from dataclasses import dataclass

from symdata.errors import suggest
from zoo.errors import ModelError


@dataclass(frozen=True)
class CatalogEntry:
    """An experiment by name."""

    module: str
    """In this package; defines `EXPERIMENT`."""
    summary: str
    """For the help: what it measures, and the paper."""
    parts: tuple[str, ...]
    """In the order in which they run and are reported."""
    optional: tuple[str, ...] = ()
    """Those of them that run only when they are asked for."""
    budgets: bool = False
    """Whether `--budget` changes what it does."""

    @property
    def default(self) -> tuple[str, ...]:
        """The parts that run when none is named."""
        return tuple(part for part in self.parts if part not in self.optional)


CATALOG = {
    "using-and-abusing": CatalogEntry(
        "using_and_abusing.parts",
        "subsampling breaks equivariance, and networks use it (Edixhoven, Lengyel & van Gemert 2023)",
        ("knight", "sizes", "upright", "uniform", "biased", "biased40", "cifar"),
        optional=("biased40", "cifar"),
        budgets=True,
    ),
    "subsampling": CatalogEntry(
        "subsampling.classifier",
        "subsampling that keeps equivariance, exactly (Xu et al. 2021)",
        ("networks", "autoencoder"),
    ),
    "augerino": CatalogEntry("augerino", "learned ranges of augmentation (Benton et al. 2020)", ("widths",)),
    "relaxed": CatalogEntry(
        "relaxed", "convolutions that may leave their group, where they must (five methods)", ("mnist6-180",)
    ),
    "evidence": CatalogEntry(
        "evidence", "convolution or dense, by marginal likelihood (van der Ouderaa et al. 2023)", ("quadrants",)
    ),
    "self-supervision": CatalogEntry(
        "self_supervision", "pretext labels that move, and views that may turn (Mukuta & Harada 2023)", ("digits",)
    ),
    "degree": CatalogEntry(
        "degree", "what every method learned of the symmetry, beside the truth", ("graded", "classes")
    ),
    "alignment": CatalogEntry(
        "alignment", "layers of networks beside the same layers mirrored (Bökman & Kahl 2023)", ("mirror",)
    ),
    "dynamics": CatalogEntry(
        "dynamics.parts",
        "whether training on whole orbits stays equivariant (Nordenfors et al. 2025), and ensembles become so",
        ("arms", "penalty", "ensembles", "cost"),
    ),
    "coverage": CatalogEntry(
        "coverage", "whether the degree found in pixels holds what was put in", ("mnist", "cifar10")
    ),
}
"""Name -> experiment."""


def check_part(part: str, experiment: str = "using-and-abusing") -> str:
    """The name of a part, unchanged; `ModelError` with the nearest one for any other."""
    parts = CATALOG[experiment].parts
    if part in parts:
        return part
    raise ModelError(f"the experiment has no part {part!r}; {suggest(part, parts, 0.4)}")
