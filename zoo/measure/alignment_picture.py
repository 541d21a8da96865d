"""The correlation of matched channels, layer by layer, drawn."""

from typing import TYPE_CHECKING, Any

from symdata.pictures.curves import COLOURS
from symdata.pictures.figure import INK, LINE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.measure.alignment_result import Alignment


def draw(found: "Alignment") -> "Figure":
    """A line for each pair; 1 in every layer is a group convolutional network up to a permutation."""
    figure = new_figure(7.0, 3.6, layout="constrained")
    axes: Any = figure.add_subplot()
    names: list[str] = []
    for k, pair in enumerate(found.pairs):
        layers = [layer for layer in pair.layers if layer.correlation is not None]
        names = [layer.name for layer in layers]
        axes.plot(
            range(len(names)), [x.correlation for x in layers], "o-", color=COLOURS[k % len(COLOURS)], label=pair.other
        )
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8, color=INK)
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), 1.05)
    axes.set_ylabel("correlation of matched channels", fontsize=9, color=INK)
    axes.grid(color=LINE, linewidth=0.8)
    axes.legend(frameon=False, fontsize=8, ncols=4)
    title = figure.suptitle(f"{found.name}: layers beside the same layers moved", fontsize=11, color=INK)
    for text in (title, *axes.get_xticklabels(), *axes.get_legend().get_texts()):
        text.set_parse_math(False)  # a name may have dollars in it
    return figure
