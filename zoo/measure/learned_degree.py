"""What a model learned of its symmetry, beside what its data has: the claim and the truth, on one scale.

The claim is read off the weights: the degree of every convolution (`zoo.measure.degree`), or the half-widths of learned
augmentations. The truth is the law by which a dataset of symdata was made.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from symdata.errors import SymmetryError
from symdata.groups import Group
from symdata.measures import Measure, degree
from symdata.symmetry import Symmetry
from zoo.measure.degree import LayerDegree, degree_of_equivariance, model_degree


@dataclass(frozen=True)
class Truth:
    """How much symmetry a dataset has."""

    symmetry: str
    """Canonical text of the law."""
    group: str
    """In which it is measured: the model's, if that contains the law's; else the law's own."""
    degree: float
    """1 - TV(law, Haar) / TV(identity, Haar); the mean over classes."""
    by_class: dict[str, float] | None
    """The same for every class, if the law differs between them."""
    elements: dict[str, float] | None
    """Probability of each element of the group, the mean over classes; None where the law is continuous."""


@dataclass(frozen=True)
class Learned:
    """What `symdata degree` shows."""

    model: str
    group: str
    degree: float | None
    """In [0, 1]: the smallest over all layers, or the half-width of rotation over 180; None where nothing is tied. What
    one layer has lost no other finds again, so the network has no more."""
    product: float | None
    """Of the degrees of all layers: the share of a signal that goes through all of them equivariantly, if they break
    it independently of each other; the network has about so much at least."""
    layers: tuple[LayerDegree, ...]
    half_widths: dict[str, float] | None
    """Of learned augmentations by generator: degrees, pixels, logarithms of factors."""
    truth: Truth | None

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return asdict(self) | {"layers": [layer.to_dict() for layer in self.layers]}


def learned(
    model: nn.Module, name: str = "", symmetry: str | None = None, classes: Sequence[str] | None = None
) -> Learned:
    """What `model` claims, and what `symmetry`, the law of a dataset with these classes, makes of it.

    A network that is averaged over learned augmentations claims their rotation; one of group convolutions the smallest
    degree of its layers; a plain one nothing.
    """
    group = getattr(model, "group", None)
    own = group if isinstance(group, Group) and len(_elements(group)) > 1 else None
    widths = model.half_widths() if hasattr(model, "half_widths") else None  # type: ignore[operator]
    layers = degree_of_equivariance(model)
    layers = tuple(layer for layer in layers if layer.kind != "plain") if own is not None else ()
    claim = model_degree(layers) if layers else None
    product = math.prod(layer.degree for layer in layers) if layers else None
    if widths is not None:
        claim = product = widths["rotation"] / 180.0 if "rotation" in widths else None
    law = None if symmetry is None else truth(Symmetry.parse(symmetry), own, classes)
    return Learned(name, "none" if own is None else str(own), claim, product, layers, widths, law)


def truth(symmetry: Symmetry, group: Group | None = None, classes: Sequence[str] | None = None) -> Truth:
    """How full a law is: in `group` if that contains the law's own group, else in the latter."""
    where = group if group is not None and symmetry.group <= group else symmetry.group
    if not symmetry.is_per_class:
        assert symmetry.rest is not None
        return Truth(str(symmetry), str(where), degree(symmetry.rest, where), None, _law([symmetry.rest], where))
    names = [str(c) for c in range(10)] if classes is None else list(classes)
    laws = [symmetry.measure(c) for c in range(len(names))]
    by_class = {name: degree(law, where) for name, law in zip(names, laws, strict=True)}
    return Truth(str(symmetry), str(where), sum(by_class.values()) / len(by_class), by_class, _law(laws, where))


def _law(laws: Sequence[Measure], group: Group) -> dict[str, float] | None:
    """The mean of the laws as a probability for each element of the group."""
    elements = _elements(group)
    chances = dict.fromkeys(map(str, elements), 0.0)
    for law in laws:
        try:
            atoms = law.atoms
        except SymmetryError:  # continuous
            return None
        for element, probability in atoms:
            if str(element) not in chances:
                return None
            chances[str(element)] += probability / len(laws)
    return chances


def _elements(group: Group) -> Sequence[Any]:
    return group.elements if group.is_finite else ()
