"""The folder of a run while it runs: recipe, metrics, and the state from which it resumes.

    recipe.yaml  metrics.jsonl  .state/run.json  .state/state.pt  [.state/diverged.json]

The state is one file, replaced by a rename after every few epochs, so a kill at any moment leaves the last one whole.
It is read with `weights_only=True`: tensors and plain data, no code. At the end the model's files are written beside
the first two, and `.state` is removed.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from symdata.errors import StoreError, first_line
from symdata.store import lock
from symdata.store.files import read_json, replacing, write_file, write_json
from zoo.errors import ModelError
from zoo.files import CARD, CONFIG, EVALUATION, GOLDEN, METRICS, PICTURE, RECIPE, WEIGHTS
from zoo.training.config import TrainConfig
from zoo.training.meter import DivergedError
from zoo.training.recipe import read_recipe, recipe_text

STATE = ".state"
RUN, DIVERGED = "run.json", "diverged.json"
"""In STATE: the first marks the folder of a run, the second notes that the loss diverged."""
FORMAT = 1
OURS = (METRICS, RECIPE, CONFIG, WEIGHTS, GOLDEN, EVALUATION, CARD, PICTURE, ".eval_results", "tensorboard")
"""What a training run, or a later command, writes into its folder beside STATE; nothing else is ever removed."""
MAY_DIFFER = ("out", "data", "init", "start_from", "device", "tracker", "checkpoint_every")
"""Fields of a config that change no weight of a run that has begun; the dataset is identified by its hash."""
MENDS = ("lr", "precision")
"""Fields that may change as well after the loss has diverged."""


def is_finished(folder: Path) -> bool:
    """Whether the folder holds a whole model, and no run that is under way."""
    return (folder / CONFIG).exists() and not (folder / STATE).exists() and _is_ours(folder / CONFIG)


def check_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise `ModelError` if the folder holds something that the run must not replace; it says what to do instead."""
    what = repr(str(folder))
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise ModelError(f"{what} is a file, and a model is a folder; choose another --out")
    if not _holds_something(folder):
        return
    begun = _is_ours(folder / STATE / RUN)
    if not begun and not _is_ours(folder / CONFIG):
        raise ModelError(f"{what} exists and is not a model of symdata; it is left alone: choose another --out")
    if overwrite or (begun and resume):
        return
    if begun:
        raise ModelError(f"{what} holds a run that was stopped; go on with --resume or begin again with --overwrite")
    raise ModelError(f"{what} holds a trained model; replace it with --overwrite or choose another --out")


def _holds_something(folder: Path) -> bool:
    """Whether there is more than the first thing that a run makes."""
    others = (path for path in folder.iterdir() if path.name != lock.LOCK)
    return any(path.name != STATE or not path.is_dir() or any(path.iterdir()) for path in others)


def _is_ours(path: Path) -> bool:
    content = read_json(path)
    return isinstance(content, dict) and content.get("library_name") == "symdata"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder if it is not there, and keep other processes from training in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None
    with ExitStack() as stack:
        try:
            stack.enter_context(lock.locked(folder))
        except StoreError:
            raise ModelError(f"another process trains in {str(folder)!r}; wait for it, or use another --out") from None
        yield


def _unwritable(folder: Path, error: OSError) -> ModelError:
    return ModelError(f"cannot write {str(folder)!r}: {error.strerror or error}; choose another --out")


def _interrupted(path: Path, error: OSError) -> ModelError:
    reason = error.strerror or error
    return ModelError(f"cannot write {str(path)!r}: {reason}; free some space and go on with --resume")


def begin(folder: Path, config: TrainConfig) -> None:
    """Begin an empty run: remove what an earlier one left, and nothing else."""
    try:
        (folder / STATE).mkdir(exist_ok=True)
        for left in (folder / STATE).iterdir():
            left.unlink()
        write_json(folder / STATE / RUN, {"library_name": "symdata"})
        for path in (folder / name for name in OURS):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        write_file(folder / RECIPE, recipe_text(config))
        write_file(folder / METRICS, b"")
    except OSError as error:
        raise _unwritable(folder, error) from None


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Replace the state in one step; it is streamed, since it may be large."""
    path = folder / STATE / "state.pt"
    try:
        with replacing(path, sync=True) as file:
            torch.save(state | {"format": FORMAT}, file)
        (folder / STATE / DIVERGED).unlink(missing_ok=True)  # from here on the loss is finite again
    except (OSError, RuntimeError) as error:
        failed = error if isinstance(error, OSError) else error.__context__  # torch raises an error of its own
        if not isinstance(failed, OSError):
            raise
        raise _interrupted(path, failed) from None


def read_state(folder: Path) -> dict[str, Any] | None:
    """The last state, on the CPU; None if there is none yet."""
    path = folder / STATE / "state.pt"
    if not _is_ours(folder / STATE / RUN) or not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, UnpicklingError) as error:
        raise ModelError(f"{str(path)!r} is damaged: {first_line(error)}; begin again with --overwrite") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ModelError(f"{str(path)!r} is of another version of symdata; begin again with --overwrite")
    return state


def recorded(folder: Path, model: str | None = None) -> dict[str, Any]:
    """The fields of the run in a folder: from its state, which has the path of the dataset, or else from its recipe.

    Args:
        folder: of the run.
        model: as for `read_recipe`; a state is of this machine, and code that it names was named here.

    Raises:
        ModelError: if no run was begun there.
    """
    state = read_state(folder)
    if state is not None:
        return dict(state["config"])
    if not (folder / RECIPE).is_file():
        what = f"{str(folder)!r} holds no {RECIPE}" if folder.is_dir() else f"there is no folder {str(folder)!r}"
        raise ModelError(
            f"{what} of a run to go on with; begin one: symdata train DATA --model p4cnn_28 --out {folder}"
        )
    return read_recipe(folder / RECIPE, model)


def check_state(state: dict[str, Any], config: TrainConfig, data_digest: str, folder: Path) -> dict[str, Any]:
    """The fields that a resumed run may change and does: name -> [old, new]; `ModelError` for any other change."""
    if state["data_digest"] != data_digest:
        raise ModelError(
            f"the run in {str(folder)!r} was on another dataset than {config.data!r}; name that one, or --overwrite"
        )
    before, now = config.defaults() | state["config"], config.to_dict()  # fields that came later have their default
    differ = {name: [before[name], value] for name, value in now.items() if before[name] != value}
    allowed = (*MAY_DIFFER, *MENDS) if (folder / STATE / DIVERGED).exists() else MAY_DIFFER
    for name, (old, new) in differ.items():
        if name not in allowed:
            raise ModelError(
                f"the run in {str(folder)!r} has {name} = {old!r}, and now it is {new!r}; "
                f"resume with {old!r}, or begin again with --overwrite"
            )
    return {name: pair for name, pair in differ.items() if name in MENDS}


def note_divergence(folder: Path, error: DivergedError) -> None:
    """Leave a note that the loss diverged; it lets the next run change `MENDS`."""
    with suppress(OSError):  # the divergence is what matters
        write_json(folder / STATE / DIVERGED, vars(error))


class MetricsLog:
    """metrics.jsonl, a JSON object per line; cut back to the lines of the state when a run resumes."""

    def __init__(self, folder: Path, length: int, writes: bool, also: Callable[[dict[str, Any]], None]) -> None:
        """Of several processes one `writes`; `also` is called with every line, for the trackers."""
        self.path, self.length, self.also, self.writes = folder / METRICS, length, also, writes
        if not writes:
            return
        found = self.path.stat().st_size if self.path.exists() else 0
        if found < length:
            raise ModelError(f"{str(self.path)!r} has lost lines: {found} bytes of {length}; begin again: --overwrite")
        os.truncate(self.path, length)

    def add(self, line: dict[str, Any]) -> None:
        """Append a line to the file at once."""
        self.also(line)
        data = json.dumps(line).encode() + b"\n"
        self.length += len(data)
        if self.writes:
            try:
                with self.path.open("ab") as file:
                    file.write(data)
            except OSError as error:
                raise _interrupted(self.path, error) from None


def end(folder: Path) -> None:
    """Remove the state of a finished run."""
    shutil.rmtree(folder / STATE, ignore_errors=True)
