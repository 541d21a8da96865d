"""What a model learned of its symmetry, beside what its data has: claim and truth, on one scale.

The claim is read off the weights: the degree of every convolution (`zoo.measure.degree`), or the half-widths of learned
augmentations. The truth is the law by which a dataset of symdata was made.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from symdata.display import Result, Table
from symdata.errors import SymmetryError
from symdata.groups import Element, Group
from symdata.measures import Measure, degree
from symdata.symmetry import Symmetry
from symdata.transforms.generators import half_width_unit
from zoo.measure import degree_picture
from zoo.measure.degree import LayerDegree, degree_of_equivariance, model_degree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEGEND = (
    "Under each element g: |g K - K| / |K| of the filters K, 0 if they are equivariant; of a law, its probability.\n"
    "The network has no more than its least equivariant layer; product: of all degrees, if layers break independently."
)


@dataclass(frozen=True)
class Truth:
    """How much symmetry a dataset has."""

    symmetry: str
    """Canonical text of the law."""
    group: str
    """In which the degree is measured: the model's, if that contains the law's; else the law's own."""
    degree: float
    """1 - TV(law, Haar) / TV(identity, Haar); the mean over classes."""
    by_class: dict[str, float] | None
    """The same for every class, if the law differs between them."""
    elements: dict[str, float] | None
    """Probability of each element of the group, the mean over classes; None where the law is continuous."""


@dataclass(frozen=True)
class LearnedDegree(Result):
    """How much of its symmetry a model has kept, layer by layer, beside what its data has.

    Example:
        >>> import zoo
        >>> found = learned_degree(zoo.create("p4cnn_12", width=2), "mine", "c4-partial@0.5")
        >>> round(found.degree, 3), found.truth.degree
        (1.0, 0.5)
        >>> figure = found.plot()
    """

    json_fields = ("model", "group", "degree", "product", "layers", "half_widths", "truth")
    model: str
    group: str
    degree: float | None
    """In [0, 1]: the smallest over all layers, or the half-width of rotation over 180; None where nothing is tied. The
    network has no more: later layers cannot restore equivariance that an earlier one broke."""
    product: float | None
    """Of the degrees of all layers: the share of a signal that passes all of them equivariantly, if they break it
    independently of each other; the network has about as much at least."""
    layers: tuple[LayerDegree, ...]
    half_widths: dict[str, float] | None
    """Of learned augmentations by generator: degrees, pixels, logarithms of factors."""
    truth: Truth | None
    grids: str = ""
    """The verdict on grids that are not exact, for the text."""

    @property
    def elements(self) -> list[str]:
        """The names of the elements of the largest group of all layers."""
        return max((list(layer.deviation) for layer in self.layers), key=len, default=[])

    def parts(self) -> Iterable[str | Table]:
        """Claim, half-widths or layers, and the law of the data."""
        yield f"{self.model}: {self._claim()}"
        if self.half_widths:
            widths = [(name, f"{width:.3g}", half_width_unit(name)) for name, width in self.half_widths.items()]
            yield Table(("generator", "half-width", ""), widths)
        if self.layers:
            yield Table(("layer", "", "degree", *self.elements), list(self._rows()))
            yield LEGEND
        if self.grids:
            yield f"This is about filters alone; its grids are {self.grids}"
        if self.truth is not None:
            where = "" if self.truth.by_class is None else ", the mean over classes"
            yield f"data: {self.truth.symmetry}, degree {self.truth.degree:.3f} in {self.truth.group}{where}"

    def _claim(self) -> str:
        if self.half_widths is not None:
            if self.degree is None:
                return "no degree: the augmentations that it learned turn nothing"
            return f"degree {self.degree:.3f}, its half-width of rotation over 180 degrees"
        if self.degree is None:
            return "no degree: its weights are not tied by a group"
        least = f"degree {self.degree:.3f} in {self.group}, that of its least equivariant layer"
        return f"{least}; product {self.product:.3f}"

    def lines(self) -> Iterator[tuple[str, str, float | None, Mapping[str, float]]]:
        """(label, kind, degree, number per element) for each layer: how far its filters move under the element; below
        it the law that it learned, or which elements it keeps (True or False); at the end, the law of the data."""
        for layer in self.layers:
            yield layer.name, layer.kind, layer.degree, layer.deviation
            if layer.likelihood is not None:
                yield "  its law", "", layer.likelihood_degree, layer.likelihood
            if layer.kept is not None:
                yield "  keeps", "", None, {name: name in layer.kept for name in self.elements}
        if self.truth is not None and self.truth.elements is not None:
            yield degree_picture.DATA, "", self.truth.degree, self.truth.elements

    def _rows(self) -> Iterator[tuple[str, ...]]:
        """The same as cells."""
        shown = {True: "yes", False: "no", None: "-"}
        for label, kind, share, numbers in self.lines():
            values = [numbers.get(name) for name in self.elements]
            cells = [f"{v:.3f}" if isinstance(v, float) else shown[v] for v in values]
            yield label, kind, "" if share is None else f"{share:.3f}", *cells

    def plot(self) -> "Figure":
        """The same as a picture: a row for each layer, a column for each element, the data below."""
        return degree_picture.draw(self)


def learned_degree(
    model: nn.Module, name: str = "", symmetry: str | None = None, classes: Sequence[str] | None = None, grids: str = ""
) -> LearnedDegree:
    """What a model claims of its symmetry, and how full `symmetry`, the law of a dataset, is.

    A network that is averaged over learned augmentations claims their rotation; one of group convolutions the smallest
    degree of its layers; a plain one nothing.

    Args:
        model: it is copied, never changed.
        name: of the model, for the text.
        symmetry: text of a law; by default there is no truth.
        classes: names of the dataset's classes.
        grids: the verdict on grids that are not exact, for the text.

    Example:
        >>> import zoo
        >>> print(learned_degree(zoo.create("z2cnn_28", width=2, average="rotation"), "mine"))
        mine: degree 0.048, its half-width of rotation over 180 degrees
        ...
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
    return LearnedDegree(name, "none" if own is None else str(own), claim, product, layers, widths, law, grids)


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
    """The mean of the laws as a probability for each element of the group; None if one is not on these elements."""
    chances = dict.fromkeys(map(str, _elements(group)), 0.0)
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


def _elements(group: Group) -> Sequence[Element]:
    return group.elements if group.is_finite else ()
