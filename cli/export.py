"""`symdata export`: a model with its preprocessing as a file that runs elsewhere."""

from pathlib import Path
from typing import Any

import click

from cli.options.basic import json_option, show
from cli.options.model import model_options, open_given_model


@click.command("export")
@click.argument("model", required=False)
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The file.")
@click.option("--to", type=click.Choice(["onnx", "pt2"]), help="The format.  [the suffix of --out]")
@model_options
@json_option
def command(model: str | None, out: Path, to: str | None, as_json: bool, **given: Any) -> None:
    """Write a model with its preprocessing as one file.

    It takes uint8 images (batch, channels, size, size) and gives logits; the batch is free. onnx runs in onnxruntime,
    pt2 is opened by torch.export.load. The file is run and compared with the model before it is written.

    \b
      symdata export p4cnn_28.mnist-none --out digits.onnx
      symdata export runs/mine --to pt2 --out mine.pt2
    """
    from zoo.deployment.formats import export_pipeline

    show(export_pipeline(open_given_model(model, given | {"device": "cpu"}), out, to=to), as_json)
