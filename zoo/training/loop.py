"""The training loop, to be read from top to bottom.

A run does not depend on when it was stopped, how many processes share it, or what ran before it: the order of the
images, their augmentation and dropout follow from (seed, epoch), the learning rate from the step.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from symdata.keys import split_keys
from zoo.checkpoint.folder import save_checkpoint
from zoo.errors import ModelError
from zoo.training import run_folder
from zoo.training.batches import Batches
from zoo.training.callback import Callback, asked_to_stop
from zoo.training.config import TrainConfig
from zoo.training.engine import engine, start_trackers, track
from zoo.training.meter import DivergedError, Meter
from zoo.training.monitor import Monitor
from zoo.training.plan import TrainingPlan, prepare
from zoo.training.record import check_finished, dataset_record, golden_images, training_record
from zoo.training.schedule import set_rate
from zoo.training.state import TrainingState

Metrics = dict[str, Any]


def train(
    what: TrainConfig | TrainingPlan,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda images: None,
    report: Callable[[Metrics], None] = lambda metrics: None,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Train a network on a dataset folder, and write it as a model folder.

    On the CPU the same config gives the same bits, stopped and resumed or not, with the same number of threads. Under
    `torchrun` every process takes its part of each batch, and the result is that of one process, to rounding.

    Args:
        what: the run, or its plan by `prepare`.
        resume: go on with a run that was stopped; begin if there is none; leave a finished one as it is.
        overwrite: replace a model or a run in the folder.
        progress: called with the number of images that were trained on since the last call.
        report: called at the end of every epoch with its line of metrics.jsonl.
        callbacks: called in this order at the end of every epoch with an `EpochView`; one that returns True ends the
            run there, and its model is written as after the last epoch.

    Returns:
        The model folder: what `zoo.load` reads, and metrics.jsonl and recipe.yaml.

    Raises:
        ModelError: in any case of bad input, before anything is written.
        DivergedError: if the loss is not finite; the last good state is kept.
        ImportError: without accelerate.

    Example:
        >>> from symdata import Spec, make
        >>> from zoo.training import TrainConfig
        >>> _ = make(Spec(source="glyphs:OXAF", size=12, count=16), "letters")
        >>> folder = train(TrainConfig(data="letters", model="p4cnn_12", epochs=1, width=2, batch_size=8, out="model"))
        >>> sorted(path.name for path in folder.glob("*.safetensors"))
        ['golden.safetensors', 'model.safetensors']
    """
    plan = what if isinstance(what, TrainingPlan) else prepare(what)
    config, folder = plan.config, plan.folder
    if is_done(plan, resume=resume, overwrite=overwrite):
        return folder
    saved = None if overwrite else run_folder.read_state(folder)
    changes = {} if saved is None else run_folder.check_state(saved, config, plan.data_digest, folder)
    with engine(plan) as accelerator:
        devices = [accelerator.device] if accelerator.device.type == "cuda" else []
        with torch.random.fork_rng(devices):  # torch's generators are afterwards as they were
            _run(plan, accelerator, saved, changes, progress, report, callbacks)
    return folder


def is_done(plan: TrainingPlan, *, resume: bool, overwrite: bool) -> bool:
    """Whether the folder holds the finished run of this plan, which is to stay.

    Raises:
        ModelError: if it holds something that the run must not replace, or another finished run.
    """
    if resume and not overwrite and run_folder.is_finished(plan.folder):
        check_finished(plan)
        return True
    run_folder.check_folder(plan.folder, resume=resume, overwrite=overwrite)
    return False


def _run(
    plan: TrainingPlan,
    accelerator: Any,
    saved: dict[str, Any] | None,
    changes: dict[str, Any],
    progress: Callable[[int], None],
    report: Callable[[Metrics], None],
    callbacks: Sequence[Callback],
) -> None:
    """The epochs that are left, from the state of a stopped run or from the start."""
    config, folder = plan.config, plan.folder
    with ExitStack() as stack:
        objective = plan.objective()
        if accelerator.num_processes > 1 and not objective.shares_batches:
            raise ModelError(f"objective {str(objective)!r} looks at all images at once; train in one process")
        batches, held_out = plan.batches(accelerator)
        state = TrainingState(accelerator, config, deepcopy(plan.model), objective)
        state.restore(saved, changes)
        accelerator.wait_for_everyone()  # until all have read the folder
        if accelerator.is_main_process:
            stack.enter_context(run_folder.locked(folder))
            if saved is None:
                run_folder.begin(folder, config)
                _save(plan, state)
        accelerator.wait_for_everyone()
        start_trackers(accelerator, plan)
        writes = accelerator.is_main_process
        log = run_folder.MetricsLog(folder, state.metrics_bytes, writes, partial(track, accelerator))
        progress(state.epochs * len(plan.data.train))
        for epoch in range(state.epochs, config.epochs):
            if state.stopped:  # and then killed before the model was written
                break
            started = time.perf_counter()
            try:
                metrics = _epoch(epoch, state, batches, log, progress)
                state.check_finite(metrics)
            except DivergedError as error:
                if writes:
                    run_folder.note_divergence(folder, error)
                raise
            metrics |= state.objective.after_epoch(state.plain.eval(), epoch + 1, batches.plain)
            metrics |= _validate(state, held_out)
            metrics["seconds"] = round(time.perf_counter() - started, 3)
            log.add(metrics)
            state.end_epoch(metrics, log.length)
            state.stop_early(asked_to_stop(callbacks, plan, state, metrics))
            if state.epochs % config.checkpoint_every == 0 or state.epochs == config.epochs or state.stopped:
                _save(plan, state)
            report(metrics)
            if state.stopped:
                break
        if accelerator.is_main_process:
            _publish(plan, state)
            run_folder.end(folder)
        accelerator.wait_for_everyone()


def _epoch(
    epoch: int, state: TrainingState, batches: Batches, log: run_folder.MetricsLog, progress: Callable[[int], None]
) -> Metrics:
    """One pass over the images; its line of metrics.jsonl."""
    config, accelerator, steps = state.config, state.accelerator, len(batches)
    meter, lr = Meter(accelerator, epoch + 1, epoch * steps), config.lr
    _seed_dropout(config.seed, epoch, accelerator)
    model, optimizer = state.training(), state.optimizer
    monitor = Monitor(config, log.add)
    if epoch == 0:
        monitor(state.plain, 1, 0)
    # Where reading a number costs nothing, a loss that is not finite stops the run in its own step.
    every = 1 if accelerator.device.type == "cpu" and accelerator.num_processes == 1 else config.log_every
    options: dict[str, Any] = {"weight": batches.weights, "label_smoothing": config.label_smoothing, "reduction": "sum"}
    for k, batch in enumerate(batches.epoch(epoch), 1):
        lr = set_rate(optimizer, config, epoch * steps + k - 1, steps)
        logits = state.logits(model, batch.images)  # (b, classes)
        loss = F.cross_entropy(logits, batch.labels, **options)
        # Gradients are averaged over processes: the sum of all parts x processes / weight of the whole batch (without
        # class weights its size) is the mean over it, as `F.cross_entropy` has it.
        mean = loss * (accelerator.num_processes / batch.weight)
        extra = state.objective.per_image(partial(state.logits, model), batch.images, logits)
        if extra is not None:
            mean = mean + extra.sum() * (accelerator.num_processes / batch.size)
        penalty = state.objective.penalty(state.plain)
        accelerator.backward(mean if penalty is None else mean + penalty)
        optimizer.step()
        optimizer.zero_grad()
        meter.add(loss, logits, batch, lr)
        if k % every == 0 or k % config.log_every == 0 or k == steps:
            meter.read()
        if k % config.log_every == 0 and k < steps:
            log.add({"epoch": epoch + 1, "step": epoch * steps + k, "window_loss": meter.window(), "lr": lr})
        monitor(state.plain, epoch + 1, epoch * steps + k)
        progress(batch.size // batches.elements)
    metrics = meter.metrics() | monitor.metrics(state.plain)
    return {"epoch": epoch + 1, "step": (epoch + 1) * steps, **metrics, "lr": lr}


@torch.no_grad()
def _validate(state: TrainingState, held_out: Batches | None) -> Metrics:
    """Loss and accuracy on the images that are held out, if any; every process takes its part of them."""
    if held_out is None:
        return {}
    model = state.plain.eval()
    sums = torch.zeros(3, device=held_out.device)
    for images, labels in held_out.plain():
        logits = state.logits(model, images)
        loss = F.cross_entropy(logits, labels, reduction="sum")
        sums += torch.stack([loss, (logits.argmax(1) == labels).sum(), torch.full_like(loss, len(labels))])
    loss, hits, count = state.accelerator.reduce(sums, "sum").tolist()
    return {"validation_loss": loss / count, "validation_accuracy": hits / count}


def _save(plan: TrainingPlan, state: TrainingState) -> None:
    """Write the state from which a stopped run resumes."""
    if state.accelerator.is_main_process:
        origin = {"config": plan.config.to_dict(), "data_digest": plan.data_digest}
        run_folder.write_state(plan.folder, state.saved() | origin)


def _publish(plan: TrainingPlan, state: TrainingState) -> None:
    """Write the model folder."""
    model = deepcopy(plan.model)
    model.load_state_dict(state.kept())
    save_checkpoint(
        plan.folder,
        plan.published(model.eval()),
        name=plan.name,
        preprocessing=plan.preprocessing,
        classes=plan.classes,
        training=training_record(plan, state),
        dataset=dataset_record(plan),
        golden_images=golden_images(plan),
        own=plan.own,
    )


def _seed_dropout(seed: int, epoch: int, accelerator: Any) -> None:
    """Seed the dropout of an epoch, in each process differently."""
    key = int(split_keys(seed, "train", f"dropout-{epoch}", torch.tensor([accelerator.process_index]))[0])
    torch.default_generator.manual_seed(key % 2**63)
    if accelerator.device.type == "cuda":
        with torch.cuda.device(accelerator.device):
            torch.cuda.manual_seed(key % 2**63)
