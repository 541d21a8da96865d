"""Which experiments there are, and their parts: names alone, so that asking for help imports nothing."""

from dataclasses import dataclass
from difflib import get_close_matches

from zoo.errors import ModelError


@dataclass(frozen=True)
class CatalogEntry:
    """An experiment by name."""

    module: str
    """In this package; holds `EXPERIMENT`."""
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
        ("knight", "sizes", "upright", "uniform", "biased", "biased40", "cifar"),
        optional=("biased40", "cifar"),
        budgets=True,
    ),
    "subsampling": CatalogEntry("subsampling.classifier", ("networks", "autoencoder")),
    "augerino": CatalogEntry("augerino", ("widths",)),
    "relaxed": CatalogEntry("relaxed", ("mnist6-180",)),
    "evidence": CatalogEntry("evidence", ("quadrants",)),
    "degree": CatalogEntry("degree", ("graded", "classes")),
}


def check_part(part: str, experiment: str = "using-and-abusing") -> str:
    """The name of a part as it came; `ModelError` with the nearest one for anything else."""
    parts = CATALOG[experiment].parts
    if part in parts:
        return part
    near = get_close_matches(part, parts, n=1, cutoff=0.4)
    mend = f"did you mean {near[0]}?" if near else f"there are {', '.join(parts)}"
    raise ModelError(f"the experiment has no part {part!r}; {mend}")
