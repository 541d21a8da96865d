"""How the layers of a network match with the same layers moved, or with those of another network: the results."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from symdata.display import Result, Table, plain
from zoo.alignment.transform import TransformCheck

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MERGES = {
    "averaged": (False, "none"),
    "averaged, batch norm": (False, "batch-norm"),
    "permuted": (True, "none"),
    "permuted, batch norm": (True, "batch-norm"),
    "permuted, REPAIR": (True, "repair"),
}
"""How two networks are merged -> whether channels are permuted, and how statistics are measured again."""


@dataclass(frozen=True)
class LayerAlignment:
    """One layer with weights of a network, beside the same layer of another."""

    name: str
    channels: int
    """Of its output."""
    correlation: float | None
    """Mean Pearson correlation of matched channels, after the nonlinearity; None where none can be permuted."""
    residual: float
    """|W - P W' Q^T| / |W|, with the permutations of its outputs and inputs."""
    returns: float | None
    """Share of channels that the permutation brings back in as many steps as the element has; None for networks."""


@dataclass(frozen=True)
class PairAlignment:
    """A network beside itself moved by an element, or beside another network."""

    other: str
    """The element, such as `r90`, or the name of the other network."""
    order: int | None
    """Of the element: 2 for mirrors and half turns, 4 for quarter turns; None for another network."""
    check: TransformCheck | None
    """Whether moving the weights moves the function; None for another network."""
    accuracies: tuple[float, float]
    """Of the two, in [0, 1]."""
    merged: Mapping[str, float]
    """By name of `MERGES` the accuracy of the merged network, in [0, 1]."""
    layers: tuple[LayerAlignment, ...]

    @property
    def barriers(self) -> dict[str, float]:
        """By name of `MERGES`: the share of the mean accuracy that merging loses; below 0 it gains."""
        mean = sum(self.accuracies) / 2
        return {name: (mean - value) / mean if mean else 0.0 for name, value in self.merged.items()}

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        check = None if self.check is None else {**plain(vars(self.check)), "exact": self.check.exact}
        fields = {key: plain(value) for key, value in vars(self).items() if key != "check"}
        return fields | {"barriers": self.barriers, "check": check}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "PairAlignment":
        """The inverse of `to_dict`."""
        check = fields["check"]
        if check is not None:
            height, width = check["size"]
            check = TransformCheck(
                check["element"], (height, width), check["error"], check["layer"], tuple(check["nearest"])
            )
        first, second = fields["accuracies"]
        layers = tuple(LayerAlignment(**layer) for layer in fields["layers"])
        return cls(fields["other"], fields["order"], check, (first, second), dict(fields["merged"]), layers)


@dataclass(frozen=True)
class Alignment(Result):
    """How far a network is a group convolutional one up to permutations, and how well it merges.

    Example:
        >>> import torch, zoo
        >>> from zoo.measure import layerwise_alignment
        >>> found = layerwise_alignment(zoo.load("p4cnn_28.mnist-none"), torch.rand(20, 1, 28, 28), [3] * 20, "c2")
        >>> print(found)
        Each layer beside the same layer moved: 10 images to match channels, 10 to classify
        ...
    """

    name: str
    data: str
    matched: int
    """Images on which channels were matched and statistics measured."""
    classified: int
    """Other images, on which accuracies were measured."""
    pairs: tuple[PairAlignment, ...]
    fixed: tuple[str, ...] = ()
    """Layers whose channels could not be permuted."""

    @property
    def notes(self) -> list[str]:
        """What the numbers do not say."""
        failing = [pair.check for pair in self.pairs if pair.check is not None and not pair.check.exact]
        notes = [f"note: {check}; so barriers and correlations are not those of the weights alone" for check in failing]
        return notes + ([f"note: the channels of {', '.join(self.fixed)} cannot be permuted"] if self.fixed else [])

    def parts(self) -> Iterator[str | Table]:
        """Barriers for each pair, and the measures of each layer."""
        head = f"{self.name} on {self.data}: each" if self.data else "Each"
        images = f"{self.matched:,} images to match channels, {self.classified:,} to classify"
        yield "\n".join([f"{head} layer beside the same layer moved: {images}", *self.notes])
        rows = [
            (p.other, *(f"{100 * a:.1f}" for a in p.accuracies), *(f"{b:.3f}" for b in p.barriers.values()))
            for p in self.pairs
        ]
        note = "barrier: the share of the mean accuracy that the mean of both networks' weights loses"
        yield Table(("against", "accuracy %", "its own %", *MERGES), rows, "Barriers", (note,))
        others = [pair.other for pair in self.pairs]
        for title, field in (
            ("Correlation of matched channels", "correlation"),
            ("Residual of the weights", "residual"),
            ("Share of channels that return after the order of the element", "returns"),
        ):
            values = [[getattr(layer, field) for layer in pair.layers] for pair in self.pairs]
            names = [(layer.name, f"{layer.channels:,}") for layer in self.pairs[0].layers]
            cells = [
                (*name, *("-" if v is None else f"{v:.3f}" for v in row))
                for name, row in zip(names, zip(*values, strict=True), strict=True)
            ]
            if any(v is not None for row in values for v in row):
                yield Table(("layer", "channels", *others), cells, title)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {key: plain(value) for key, value in vars(self).items()} | {"notes": self.notes}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Alignment":
        """The inverse of `to_dict`."""
        pairs = tuple(map(PairAlignment.from_dict, fields["pairs"]))
        matched, classified = (int(fields[key]) for key in ("matched", "classified"))
        return cls(fields["name"], fields["data"], matched, classified, pairs, tuple(fields["fixed"]))

    def data_rows(self) -> list[dict[str, Any]]:
        """A row for each pair and layer."""
        return [{"against": pair.other, **vars(layer)} for pair in self.pairs for layer in pair.layers]

    def plot(self) -> "Figure":
        """The correlation of matched channels, layer by layer, a line for each pair."""
        from zoo.measure.alignment_picture import draw

        return draw(self)
