"""`symdata measure`: how far a model is from a symmetry, in float64."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from cli.options.basic import Parsed, json_option, progress_bar, show
from cli.options.images import LOGITS, SKIP_BAD, open_images
from cli.options.model import GROUP, model_options, open_given_model
from symdata.transforms.generators import MOTIONS

if TYPE_CHECKING:
    from zoo.inference.opened_model import OpenedModel
    from zoo.measure import Alignment
    from zoo.measure.probes import Probe

LIMIT = 100
"""Images, by default: a measurement in float64 of P4CNN along all motions then takes half a minute."""
ALIGNED = 2000
"""Images of an alignment, by default."""


def _generators(text: str) -> tuple[str, ...]:
    """`rotation,translate_x`."""
    from zoo.measure.motions.flows import find_generator

    return tuple(dict.fromkeys(find_generator(word.strip()).name for word in text.split(",")))


@click.command("measure")
@click.argument("model", required=False)
@click.option("--data", required=True, help="Dataset folder, or any source: data/mnist, hub:user/name.")
@click.option("--split", default="test", show_default=True, help="Of the data.")
@click.option("--elements", type=GROUP, default="d4", show_default=True, help="Finite group: an error each.")
@click.option(
    "--generators",
    type=Parsed("generators", _generators),
    default=",".join(MOTIONS),
    show_default=True,
    help="Motions that get a Lie derivative each, separated by commas.",
)
@click.option("--layers", is_flag=True, help="Split each Lie derivative among the layers, too.")
@click.option(
    "--alignment",
    is_flag=True,
    help="Instead: match every layer with the same layer moved by --elements, and merge the two.",
)
@click.option("--against", help="With --alignment: another MODEL of the same architecture, to match and merge too.")
@click.option("--softmax", is_flag=True, help="Of the softmax of the outputs, not of the outputs.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    help=f"Use so many images, spread over the split.  [{LIMIT}; {ALIGNED:,} with --alignment; of a probe all]",
)
@click.option(
    "--probe",
    type=click.Choice(["linear", "knn"]),
    help="Only learn a small classifier on the features, from the train split of --data, and test it on --split.",
)
@click.option("--labels", type=click.IntRange(2), help="Images that the probe learns from.  [300]")
@SKIP_BAD
@model_options
@click.option("--batch-size", type=click.IntRange(1), help="Images per forward.  [what fits the cache]")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps.")
@json_option
def command(model: str | None, data: str, as_json: bool, **given: Any) -> None:
    """Measure how far a model is from a symmetry: under elements of a group, and as images start to move.

    MODEL is a bundled name, a folder, user/repo of the Hub, hf:folder or hf:user/model of transformers, timm:name, a
    .safetensors file with --arch, or package.module:callable for a network of your own, whose weights may come from
    --weights. Everything is computed in float64 on images of the data, and every number has its standard error over
    them.

    \b
      symdata measure p4cnn_28.mnist-none --data data/mnist
      symdata measure runs/mine --data mnist-none --generators rotation --layers
      symdata measure body --data mnist-so2 --probe linear --labels 300
      symdata measure mynet:build --size 28 --mean 0.13 --std 0.31 --data data/mnist --elements c8 --json
      symdata measure runs/a --data data/mnist --alignment --elements d1 --against runs/b
    """
    from zoo.exactness.model_groups import has_typed_layers
    from zoo.measure.motions.layerwise import TYPED
    from zoo.measure.summary import measure_all, passes
    from zoo.references.opening import foreign

    if given["against"] is not None and not given["alignment"]:
        raise click.UsageError("--against is for --alignment; say --alignment too.")
    if given["alignment"] and given["probe"] is not None:
        raise click.UsageError("--alignment and --probe are two measurements; give one of them.")
    if given["labels"] is not None and given["probe"] is None:
        raise click.UsageError("--labels is for a probe; add --probe linear, or leave it out.")
    opened = open_given_model(model, given)
    if given["probe"] is not None:
        show(_probe(opened, data, given), as_json)
        return
    given["limit"] = given["limit"] or (ALIGNED if given["alignment"] else LIMIT)
    if given["alignment"]:
        show(_alignment(opened, data, given), as_json)
        return
    if given["layers"] and has_typed_layers(opened.model):
        raise click.UsageError(f"{TYPED}; leave --layers out.")
    trial = open_images(opened, data, given)
    inputs, generators = trial.preprocessing(opened)(trial.images), given["generators"]
    split = generators if given["layers"] else ()
    total = passes(generators, split) * len(inputs)
    with foreign(f"{opened.name!r} cannot be measured", LOGITS), progress_bar(total, opened.name) as bar:
        found = measure_all(
            opened.model,
            inputs,
            given["elements"],
            generators=generators,
            split=split,
            output="softmax" if given["softmax"] else "logits",
            batch_size=given["batch_size"],
            progress=bar.update,
            name=opened.name,
            data=trial.name,
        )
    show(replace(found, skipped=trial.skipped), as_json)


def _alignment(opened: "OpenedModel", data: str, given: dict[str, Any]) -> "Alignment":
    """The layers of a model beside the same layers moved, and beside those of the model of --against."""
    from zoo.measure import layerwise_alignment
    from zoo.references.opening import foreign

    other = None
    if given["against"] is not None:
        other = open_given_model(given["against"], given | {"weights": None, "arch": None})
    trial = open_images(opened, data, given)
    inputs = trial.preprocessing(opened)(trial.images)
    with foreign(f"{opened.name!r} cannot be aligned", LOGITS):
        return layerwise_alignment(
            opened.model,
            inputs,
            trial.labels,
            given["elements"],
            against=None if other is None else other.model,
            name=opened.name,
            data=trial.name,
            against_name=given["against"] or "",
        )


def _probe(opened: "OpenedModel", data: str, given: dict[str, Any]) -> "Probe":
    """The probe that was asked for, with a progress bar."""
    from zoo.evaluation.images import open_images as open_labelled
    from zoo.measure.probes import LABELS, probe

    preprocessing, labels = opened.require_preprocessing(), given["labels"] or LABELS
    train = open_labelled(data, "train", preprocessing, None, given["skip_bad"])
    test = open_labelled(data, given["split"], preprocessing, given["limit"], given["skip_bad"])
    with progress_bar(labels + len(test), opened.name) as bar:
        return probe(opened, train, test, given["probe"], labels=labels, progress=bar.update)
