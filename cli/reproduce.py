"""`symdata reproduce`: the experiments of a paper, run again, beside its numbers."""

from pathlib import Path
from typing import Any

import click

from cli.options import json_option, print_json

PAPERS = ("using-and-abusing",)


class PartType(click.ParamType[str]):
    """A part of an experiment; a usage error with the nearest name for anything else."""

    name = "part"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from zoo.errors import ModelError
        from zoo.experiments.setting import check_part

        try:
            return check_part(value)
        except ModelError as error:
            self.fail(f"{error}.", param, ctx)


@click.command("reproduce")
@click.argument("paper", type=click.Choice(PAPERS))
@click.option(
    "--part",
    "parts",
    type=PartType(),
    multiple=True,
    help="knight, sizes, upright, uniform, biased, biased40, cifar; may be given several times.  [the first five]",
)
@click.option(
    "--seeds", type=click.IntRange(1, 1000), default=3, show_default=True, help="Runs of every network; knight has 5."
)
@click.option(
    "--budget",
    type=click.Choice(["small", "long", "paper"]),
    default="small",
    show_default=True,
    help="small: 6,000 images, 10 epochs, 4 CPU-minutes a network. paper: 8,000, 50 epochs, 60,000 test images; "
    "long: trained like that, tested like small.",
)
@click.option("--data", type=click.Path(path_type=Path), help="Folder of MNIST's idx files, for upright to biased40.")
@click.option("--cifar", help="Source of CIFAR-10, for cifar: a folder, a parquet file or hub:user/name.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(PAPERS[0]),
    show_default=True,
    help="Where runs and data go; what is finished there is not run again.",
)
@click.option(
    "--record",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where README.md, results.json and pictures go.  [--out]",
)
@click.option("--full-test", is_flag=True, help="Turn all 60,000 test images by 90 degrees, whatever the budget.")
@click.option("--width", type=click.IntRange(1, 512), help="Fields of the first layer of the networks of cifar.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes, a network each.")
@json_option
def command(paper: str, parts: tuple[str, ...], budget: str, as_json: bool, **options: Any) -> None:
    """Run the experiments of a paper again and print their tables beside the published numbers.

    PAPER is using-and-abusing: "Using and Abusing Equivariance", Edixhoven, Lengyel & van Gemert 2023. Stopped at any
    moment, the same command goes on from there.

    \b
      symdata reproduce using-and-abusing --part knight --part sizes
      symdata reproduce using-and-abusing --part upright --data data/mnist --seeds 3 --workers 2
    """
    from zoo.devices import check_device
    from zoo.experiments.results import header, section_text, to_dict, write
    from zoo.experiments.setting import BUDGETS, DEFAULT_PARTS, Setting
    from zoo.experiments.using_and_abusing import reproduce

    check_device(options["device"])
    setting = Setting(parts=parts or DEFAULT_PARTS, budget=BUDGETS[budget], **options)
    sections = []
    for section in reproduce(setting, lambda line: click.echo(line, err=True)):
        sections.append(section)
        if not as_json:
            click.echo(section_text(section) + "\n")
    if as_json:
        print_json(to_dict(sections, header(setting)))
    for file in write(sections, setting):
        click.echo(f"wrote {file}", err=True)
