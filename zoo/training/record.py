"""What config.json holds of a model's training: plain data, without paths of this machine."""

from typing import Any

from torch import Tensor

from symdata.display import plain_fields
from symdata.store.files import read_json
from zoo.checkpoint.golden import GOLDEN_IMAGES
from zoo.errors import ModelError
from zoo.files import CONFIG
from zoo.models.own import GIVEN
from zoo.training.config import TrainConfig
from zoo.training.plan import TrainingPlan
from zoo.training.recipe import public_fields
from zoo.training.run_folder import MAY_DIFFER
from zoo.training.state import TrainingState
from zoo.training.weighting import class_weights


def training_record(plan: TrainingPlan, state: TrainingState) -> dict[str, Any]:
    """The resolved config, and the numbers of the run."""
    best = state.best or state.last
    facts = {
        **({} if plan.config.kind == "train" else {"kind": plan.config.kind}),
        **({} if plan.config.model.startswith(GIVEN) else {"command": command(plan.config)}),
        **public_fields(plan.config),
        **plain_fields(plan.preprocessing, "mean", "std"),
        "parameters": plan.parameters,
        "steps": plan.steps // plan.config.epochs * state.epochs,
        "images": len(plan.data.train) * state.epochs,
        "kept_epoch": best["epoch"],
        "seconds": round(state.seconds, 1),
        "processes": state.accelerator.num_processes,
        "device_type": state.accelerator.device.type,
    }
    facts |= {name: state.last[name] for name in ("loss", "accuracy", "validation_loss") if name in state.last}
    facts |= {name: best[name] for name in ("validation_accuracy",) if name in best}
    weights = class_weights(plan.config, plan.data)
    facts |= {} if weights is None else {"class_weight_values": weights.tolist()}
    facts |= {} if state.stopped is None else {"stopped": state.stopped}
    return facts | ({"changes": state.changes} if state.changes else {})


def dataset_record(plan: TrainingPlan) -> dict[str, Any]:
    """The dataset of the training: enough to build it again and to recognise it by its hash."""
    train, validation = plan.data.train, plan.data.validation
    manifest = train.dataset.manifest
    source = {key: manifest["source"].get(key) for key in ("ref", "name", "license", "fingerprint", "revision")}
    source["ref"] = source["ref"] if str(source["ref"]).startswith(("hub:", "glyphs")) else source["name"]
    return {
        "name": manifest["name"],
        "symmetry": {split: entry["symmetry"] for split, entry in manifest["splits"].items()},
        "seed": manifest["spec"].get("seed"),
        "source": source,
        "manifest_sha256": plan.data_digest,
        "split": train.dataset.split,
        "rows": len(train),
        "validation_split": None if validation is None else validation.dataset.split,
        "validation_rows": len(validation or ()),
    }


def golden_images(plan: TrainingPlan) -> Tensor:
    """Some images as the model takes them, (8, C, H, W) float32; held out ones if there are any."""
    share = plan.data.validation or plan.data.train
    return plan.preprocessing(share.images[:GOLDEN_IMAGES])


def command(config: TrainConfig) -> str:
    """The command that trains it again, with the options that are not the default."""
    fields = public_fields(config)
    default = config.defaults()
    words = ["symdata", config.kind, fields.pop("data"), "--model", fields.pop("model")]
    for name, value in fields.items():
        option = name.replace("_", "-")
        if value == default[name] or name in ("device", "log_every", "checkpoint_every", "tracker"):
            continue
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    return " ".join(words)


def check_finished(plan: TrainingPlan) -> None:
    """Raise `ModelError` if the model in the folder is of another run; it names a field that differs."""
    config = read_json(plan.folder / CONFIG) or {}
    before, now = config.get("training", {}), public_fields(plan.config)
    ignored = {*MAY_DIFFER, *(name for change in before.get("changes", []) for name in change)}
    ignored |= {name for name in ("mean", "std") if now[name] is None}  # the model has the measured ones
    default = plan.config.defaults()  # of fields that came later
    pairs = {name: (before.get(name, default[name]), value) for name, value in now.items() if name not in ignored}
    if config.get("dataset", {}).get("manifest_sha256") != plan.data_digest:
        pairs = {"dataset": ("another", plan.config.data)}
    for name, (old, new) in pairs.items():
        if old != new:
            raise ModelError(
                f"{str(plan.folder)!r} is a finished model with {name} = {old!r}, and now it is {new!r}; "
                "choose another --out, or replace it with --overwrite"
            )
