"""`.eval_results/symdata.yaml` of a model repository: results that the Hub shows on the page of the dataset."""

from collections.abc import Mapping
from typing import Any

import yaml

from zoo.checkpoint.card import on_training_data
from zoo.evaluation.report import Report

UPRIGHT, ANGLES = "default", "mean-over-angles"
"""Tasks: the images of the dataset as they are, and turned."""


def eval_results(
    config: Mapping[str, Any], evaluation: Mapping[str, Any] | None, dataset: Mapping[str, Any] | None
) -> bytes | None:
    """The file, in the format of `huggingface_hub.EvalResultEntry`; values are accuracies in [0, 1], as in model-index.

    Args:
        config: config.json.
        evaluation: evaluation.json, or None.
        dataset: `id` and `revision` of the repository of the dataset whose hash is in config.json.

    Returns:
        None unless the hashes prove that the evaluation is on that dataset.

    Raises:
        ModelError: if `evaluation` is no report.
    """
    report = None if evaluation is None else Report.from_dict(evaluation)
    if report is None or dataset is None or not on_training_data(config, report):
        return None
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    entries = [
        EvalResultEntry(
            dataset_id=dataset["id"], dataset_revision=dataset["revision"], task_id=task, value=value, notes=notes
        )
        for task, value, notes in _results(report)
    ]
    text: str = yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False)
    return text.encode()


def _results(report: Report) -> list[tuple[str, float, str]]:
    """Task, accuracy in [0, 1], and how it was measured."""
    split, size = report.split or "test", f"{report.size} x {report.size} pixels"
    where = f"accuracy in [0, 1] on {{:,}} images of the split {split} at {size}"
    found = [(UPRIGHT, report.upright.value, f"element e (images as they are), {where.format(report.count)}")]
    if (curve := report.curve) is not None:
        turned = f"mean over {len(curve.angles)} angles from {min(curve.angles):g} to {max(curve.angles):g} degrees"
        notes = f"{turned}, fill {report.fill}, {where.format(curve.count)}"
        found.append((ANGLES, curve.mean, notes))
    return found
