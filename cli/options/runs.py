"""What the commands that train share: going on with a run, and its line for every epoch."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.training.config import TrainConfig


def recorded_fields(given: dict[str, Any], seeds: int | None = None, command: str = "train") -> dict[str, Any]:
    """The fields of the run in --out, or of its first seed, overridden by the given ones."""
    from zoo.errors import ModelError
    from zoo.training.run_folder import recorded

    out = given["out"]
    folder = Path(out) if seeds is None else Path(f"{Path(out)}-s{given.get('seed', 0)}")
    fields: dict[str, Any] = recorded(folder, given.get("model")) | given
    data = fields.get("data")
    if "data" not in given and isinstance(data, str) and not Path(data).exists():
        mend = f"symdata {command} DATA --resume --out {out}" + ("" if seeds is None else f" --seeds {seeds}")
        raise ModelError(f"the run in {out!r} was on the dataset {data!r}, which is not there; say where it is: {mend}")
    return fields


def epoch_line(line: dict[str, Any], config: "TrainConfig") -> str:
    """A line of metrics.jsonl for a person."""
    held = f"  validation {line['validation_accuracy']:.2%}" if "validation_accuracy" in line else ""
    seed = f"seed {line['seed']}  " if "seed" in line else ""
    return (
        f"{seed}epoch {line['epoch']}/{config.epochs}  loss {line['loss']:.4f}  accuracy {line['accuracy']:.2%}{held}  "
        f"lr {line['lr']:.3g}  {line['seconds']:.1f} s"
    )
