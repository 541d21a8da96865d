"""A Space: one digit, turned and mirrored, and what an exact, an approximate and a plain network say about it.

Everything but `page` works without gradio.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import symdata
import zoo

NAMES = ("p4cnn_28.mnist-none", "p4cnn_27.mnist-none", "z2cnn_28.mnist-none")
SIZE, INK = 28, 20
"""Side of a digit of MNIST, and of the box that its ink fits, in pixels."""
QUARTERS = tuple(map(symdata.Element, (0, 90, 180, 270)))
INTRO = """# Turn a digit
Choose or draw a digit, then turn it. The first two networks have the same layers and the same number of weights; one
takes images of 28 by 28 pixels, the other of 27 by 27. The third is a plain one. All were trained on upright digits.
The first gives a digit and its quarter turns one answer, right or wrong: it cannot distinguish a 6 from a turned 9."""


@dataclass(frozen=True)
class Answer:
    """What one network says about one moved digit."""

    name: str
    probabilities: dict[str, float]
    """Of every class, for the digit as it is shown."""
    quarters: tuple[str, ...]
    """The most probable class after a further 0, 90, 180 and 270 degrees."""
    change: float
    """The largest change of a probability under those quarter turns."""
    verdict: str
    """What `zoo.audit` proves, from the input size and the layers alone."""

    @property
    def text(self) -> str:
        """Markdown."""
        turned = ", ".join(self.quarters)
        return (
            f"Turned by a further 0, 90, 180, 270 degrees: **{turned}**; a probability changes by up to "
            f"**{100 * self.change:.1f} points**.\n\nThe audit: {self.verdict}."
        )


@cache
def network(name: str) -> Any:
    """A bundled network, loaded once."""
    return zoo.load(name)


@cache
def audit(name: str) -> zoo.Audit:
    """Whether its feature maps move with the image."""
    return zoo.audit(network(name))


def title(name: str) -> str:
    """Its name, and what the audit says of it in a word."""
    found = audit(name)
    return f"{name}: {found.outcome if found.tied else 'tied by no group'}"


def glyph(digit: str) -> Tensor:
    """A drawn digit of the package, uint8 (1, 1, 28, 28)."""
    source = symdata.open_source("glyphs:digits", size=SIZE)
    rows = np.flatnonzero(np.asarray(source.labels("test")) == source.classes.index(digit))
    return source.read("test", rows[:1])


def as_digit(drawing: Image.Image) -> Tensor | None:
    """A drawing, dark on white or transparent, as MNIST has its digits: uint8 (1, 1, 28, 28), or None without ink.

    White on black, the ink scaled into 20 by 20 pixels, its centre of mass in the centre of the image.
    """
    ground = Image.new("RGBA", drawing.size, "white")
    ink = 255 - np.asarray(Image.alpha_composite(ground, drawing.convert("RGBA")).convert("L"))
    rows, columns = np.nonzero(ink > 32)
    if not len(rows):
        return None
    cut = Image.fromarray(ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    scale = INK / max(cut.size)
    width, height = (max(1, round(side * scale)) for side in cut.size)
    small = np.asarray(cut.resize((width, height), Image.Resampling.BOX), dtype=float)
    y, x = ((np.indices(small.shape) * small).sum((1, 2)) / small.sum()).tolist()
    top, left = (min(max(round((SIZE - 1) / 2 - middle), 0), SIZE - side) for middle, side in ((y, height), (x, width)))
    image = np.zeros((SIZE, SIZE), np.uint8)
    image[top : top + height, left : left + width] = small.round()
    return torch.from_numpy(image)[None, None]


def look(upright: Tensor, angle: float, mirror: bool) -> tuple[Tensor, tuple[Answer, ...]]:
    """Move a digit, mirror first, then `angle` degrees counter-clockwise, and ask every network about it.

    `upright` is uint8 (1, 1, 28, 28). Multiples of 90 degrees permute its pixels; any other angle resamples them and
    shows a disk. Returns the moved digit, of the same shape, and an answer of each network of `NAMES`.
    """
    moved = symdata.act(upright, symdata.Element(angle, mirror))
    turned = torch.cat([symdata.act(moved, element) for element in QUARTERS])
    answers = []
    for name in NAMES:
        found = network(name).predict(turned)
        shares = found.probabilities
        probabilities = dict(zip(found.classes, shares[0].tolist(), strict=True))
        change = float((shares - shares[0]).abs().max())
        answers.append(Answer(name, probabilities, found.labels, change, audit(name).verdict))
    return moved, tuple(answers)


def page() -> Any:
    """The page, as Blocks of gradio."""
    import gradio as gr

    def show(drawing: Any, digit: str, angle: float, mirror: bool) -> list[Any]:
        drawn = as_digit(drawing["composite"]) if drawing and drawing["composite"] else None
        moved, answers = look(glyph(digit) if drawn is None else drawn, angle, mirror)
        large = Image.fromarray(moved[0, 0].numpy()).resize((280, 280), Image.Resampling.NEAREST)
        return [large, *(part for answer in answers for part in (answer.probabilities, answer.text))]

    with gr.Blocks(title="Turn a digit") as blocks:
        gr.Markdown(INTRO)
        with gr.Row():
            drawing = gr.Sketchpad(type="pil", label="Draw a digit", height=340, canvas_size=(280, 280))
            with gr.Column():
                digit = gr.Dropdown(list("0123456789"), value="4", label="or choose one")
                angle = gr.Slider(0, 360, 0, step=5, label="Angle, in degrees counter-clockwise")
                mirror = gr.Checkbox(label="Mirror it first")
            outputs: list[Any] = [gr.Image(label="What the networks get", height=340, interactive=False)]
        with gr.Row():
            for name in NAMES:
                with gr.Column():
                    outputs += [gr.Label(label=title(name), num_top_classes=3), gr.Markdown()]
        triggers = [drawing.change, digit.change, angle.change, mirror.change, blocks.load]
        gr.on(triggers, show, [drawing, digit, angle, mirror], outputs, show_progress="hidden", api_name="look")
    return blocks


if __name__ == "__main__":
    page().launch()
