"""`symdata reproduce`: the experiments of the literature, run again, beside their numbers."""

from pathlib import Path
from textwrap import fill
from typing import Any

import click

from cli.options.basic import FOLDER, json_option, print_json
from zoo.experiments.harness.catalog import CATALOG, check_part


def _line(name: str) -> str:
    """A line of the help: an experiment, what it measures, its parts."""
    entry, indent = CATALOG[name], max(map(len, CATALOG)) + 2
    text = f"{entry.summary}: {', '.join(entry.parts)}"
    return fill(text, 112, initial_indent=name.ljust(indent), subsequent_indent=" " * indent)


HELP = """Run an experiment of the literature again and print its tables, beside published numbers if there are any.

\b
{experiments}

Stopped at any moment, the same command goes on from there.

\b
  symdata reproduce using-and-abusing --part knight --part sizes
  symdata reproduce using-and-abusing --part upright --data data/mnist --seeds 3 --workers 2
  symdata reproduce degree --data data/mnist
"""


@click.command("reproduce", help=HELP.format(experiments="\n".join(map(_line, CATALOG))))
@click.argument("name", type=click.Choice(list(CATALOG)))
@click.option("--part", "parts", multiple=True, help="May be given several times.  [all, but for biased40 and cifar]")
@click.option("--seeds", type=click.IntRange(1, 1000), default=3, show_default=True, help="Runs of every network.")
@click.option(
    "--budget",
    type=click.Choice(["small", "long", "paper"]),
    default="small",
    show_default=True,
    help="Of using-and-abusing. small: 6,000 images, 10 epochs, 4 CPU-minutes a network. paper: 8,000, 50 epochs, "
    "60,000 test images; long: trained like that, tested like small.",
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder of MNIST's idx files; only knight and sizes need none."
)
@click.option("--cifar", help="Source of CIFAR-10, for cifar: folder, parquet file, hub:user/name.")
@click.option("--out", type=FOLDER, help="Where runs and data go; what is finished there is not run again.  [NAME]")
@click.option("--record", type=FOLDER, help="Where README.md, results.json and pictures go.  [--out]")
@click.option("--full-test", is_flag=True, help="Turn all 60,000 test images by 90 degrees, whatever the budget.")
@click.option("--width", type=click.IntRange(1, 512), help="Fields of the first layer of the networks of cifar.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes, a network each.")
@json_option
def command(name: str, parts: tuple[str, ...], budget: str, as_json: bool, **options: Any) -> None:
    """Run an experiment and write its record."""
    from zoo.devices import check_device
    from zoo.errors import ModelError
    from zoo.experiments.harness.experiment import reproduce
    from zoo.experiments.harness.results import to_dict, write
    from zoo.experiments.harness.setting import BUDGETS, Setting

    for part in parts:
        try:
            check_part(part, name)
        except ModelError as error:
            raise click.BadParameter(f"{error}.", param_hint="--part") from None
    check_device(options["device"])
    options["out"] = options["out"] or Path(name)
    setting = Setting(experiment=name, parts=parts, budget=BUDGETS[budget], **options)
    sections = []
    for section in reproduce(setting, lambda line: click.echo(line, err=True)):
        sections.append(section)
        if not as_json:
            click.echo(f"{section}\n")
    if as_json:
        print_json(to_dict(sections, setting))
    for file in write(sections, setting):
        click.echo(f"wrote {file}", err=True)
