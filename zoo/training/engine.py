"""Accelerate, set up for one run: the device, the precision, the other processes, the trackers."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from typing import Any

import torch

from symdata.errors import first_line
from symdata.installation.hints import install_line, pip
from symdata.installation.packages import EXTRAS
from zoo.devices import check_device
from zoo.errors import ModelError
from zoo.training.config import TrainConfig
from zoo.training.plan import TrainingPlan
from zoo.training.recipe import public_fields

NAMES = {"trackio": "name", "wandb": "name", "mlflow": "run_name"}
"""Tracker -> its word for the name of a run, which is that of the folder; tensorboard writes into the folder."""
_GROUPS = count()
"""Numbers the runs of this process; all processes count alike."""


@contextmanager
def engine(plan: TrainingPlan) -> Iterator[Any]:
    """An `accelerate.Accelerator` for a block; afterwards no process group and no setting of it is left.

    Raises:
        ImportError: without accelerate, or without the tracker that the config asks for.
        ModelError: if there is no such device, or it cannot compute in that precision.
    """
    config = plan.config
    try:
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState, PartialState
    except ImportError:
        raise ImportError(f"training needs accelerate: {install_line('train')}") from None
    if config.tracker is not None and find_spec(config.tracker) is None:
        line = install_line("trackers") if config.tracker in EXTRAS else pip(f"install {config.tracker}")
        raise ImportError(f"{config.tracker} is not installed: {line}")
    device = _device(config.device)
    if config.precision == "fp16" and device is not None and device.type == "cpu":
        raise ModelError("precision 'fp16' needs an accelerator, and the device is cpu; use --precision bf16 or no")
    grouped = torch.distributed.is_available() and torch.distributed.is_initialized()
    # Accelerate has one state for the whole program; this run has its own, and restores the other afterwards.
    shared = [(state._shared_state, dict(state._shared_state)) for state in (AcceleratorState, PartialState)]
    for now, _ in shared:
        now.clear()
    accelerator = None
    try:
        if not grouped:
            _group_again()
        accelerator = _make(Accelerator, config, device, str(plan.folder))
        yield accelerator
        for tracker in accelerator.trackers:
            tracker.finish()
    finally:
        if not grouped and torch.distributed.is_available() and torch.distributed.is_initialized():
            if accelerator is not None:
                accelerator.free_memory()  # first what uses the group: the last process to leave it would wait
            torch.distributed.destroy_process_group()
        for now, before in shared:
            now.clear()
            now.update(before)


def _group_again() -> None:
    """Make the process group of a second run under torchrun; accelerate makes that of the first.

    All groups meet in one store of torchrun: with the same keys a second one would find the addresses of the first, and
    wait for ever.
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_torchelastic_launched()) or (run := next(_GROUPS)) == 0:
        return
    store, rank, size = next(distributed.rendezvous("env://"))  # type: ignore[attr-defined]
    if size > 1:
        own = distributed.PrefixStore(f"symdata-{run}", store)  # type: ignore[attr-defined]
        distributed.init_process_group(store=own, rank=rank, world_size=size)


def _make(accelerator: Any, config: TrainConfig, device: torch.device | None, folder: str) -> Any:
    from accelerate.utils import patch_environment

    cpu = device is not None and device.type == "cpu"
    try:
        with patch_environment(**({} if device is None else {"ACCELERATE_TORCH_DEVICE": device})):
            return accelerator(mixed_precision=config.precision, cpu=cpu, log_with=config.tracker, project_dir=folder)
    except ValueError as error:
        raise ModelError(f"precision {config.precision!r} does not run here: {error}; use --precision no") from None


def start_trackers(accelerator: Any, plan: TrainingPlan) -> None:
    """Begin the log of the tracker that the config asks for, if any."""
    if plan.config.tracker is not None:
        project = plan.config.tracker if plan.config.tracker == "tensorboard" else plan.name
        facts = {k: v for k, v in public_fields(plan.config).items() if isinstance(v, int | float | str | bool)}
        named = NAMES.get(plan.config.tracker)
        words = {} if named is None else {plan.config.tracker: {named: plan.folder.resolve().name}}
        try:
            accelerator.init_trackers(project, config=facts, init_kwargs=words)
        except Exception as error:  # noqa: BLE001  # the tracker's own: no login, no server, a store it does not open
            raise ModelError(
                f"{plan.config.tracker} does not start: {first_line(error)}; mend that and go on with --resume, or "
                "leave --tracker out"
            ) from None


def track(accelerator: Any, line: dict[str, Any]) -> None:
    """Send a line of metrics.jsonl to the trackers, if there are any."""
    values = {key: value for key, value in line.items() if key not in ("step", "seconds")}
    accelerator.log(values, step=line["step"])


def _device(wish: str) -> torch.device | None:
    """The device of that name; None to let accelerate choose, by the rank of the process."""
    device = check_device(wish, auto=True)
    if device is None and not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        return torch.device("cpu")
    return None if wish == "cuda" else device
