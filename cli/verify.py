"""`symdata verify`: hash a dataset again and derive a sample of it again."""

import click

from cli.options.basic import Failure, folder_argument, json_option, show


@click.command("verify")
@folder_argument
@click.option(
    "--samples", type=click.IntRange(0), default=64, show_default=True, help="Images per split to derive again."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Which ones.")
@click.option("--source", help="Where the source is now, if it has moved.")
@json_option
def command(folder: str, samples: int, seed: int, source: str | None, as_json: bool) -> None:
    """Re-hash a dataset and derive a sample of it again.

    Exit code 0 if everything is as the manifest says, 1 otherwise.

    \b
      symdata verify glyphs-d4-partial_at_0p5
    """
    from symdata.store import verify

    result = verify(folder, samples=samples, seed=seed, source=source)
    show(result, as_json)
    if not result.passed:
        raise Failure(f"{folder!r} failed {len(result.failed)} of {len(result.checks)} checks")
