"""Image classifiers of other libraries with our interface: `hf:user/model`, `hf:folder`, `timm:resnet18`.

    hf:    any AutoModelForImageClassification of transformers, from the Hub or a folder, with its own image processor.
           Weights are read from safetensors only, and no code of a repository runs.
    timm:  any model of timm by name, pretrained, with the transform that timm gives for it.

`hf:user/model,pretrained=no` and `timm:resnet18,pretrained=no` have random weights, and nothing but descriptions is
downloaded; `timm:resnet18,num_classes=10` has a new classifier. Neither library is needed for anything else; if one is
missing, the error gives the line that installs it.
"""

import inspect
import json
import re
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from symdata.installation.hints import install_line
from zoo.errors import ModelError
from zoo.inference.opened_model import OpenedModel
from zoo.references.processors import ForeignProcessor, Processed, of_transformers

EXTRAS = {"hf": "transformers", "timm": "timm"}
"""Prefix of a reference -> the library, which is also the name of the extra."""
INDEX = "model.safetensors.index.json"
"""Lists the files of a large model."""
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""Files that transformers reads an image processor from."""
DESCRIPTION = ("config.json", *PROCESSORS)
FILES = (*DESCRIPTION, "model.safetensors", INDEX)
NOISE = 0.02
"""Standard deviation of what is added to random weights."""
_OPTION = re.compile(r",(?P<key>pretrained|num_classes)=(?P<value>[^,]*)$")


def is_adapted(ref: str) -> bool:
    """Whether a reference names a model of another library."""
    return ref.split(":")[0] in EXTRAS and ":" in ref


def adapt(ref: str, pretrained: bool = True) -> OpenedModel:
    """Open a classifier of another library.

    Args:
        ref: `hf:user/model`, `hf:user/model@revision`, `hf:folder` or `timm:name`; `,pretrained=no`,
            and `,num_classes=10` for timm, may follow.
        pretrained: False is the same as that option: random weights, and none are downloaded.

    Raises:
        ModelError: if the library is not installed, or the model cannot be used.
    """
    prefix, _, place = ref.partition(":")
    place, options = _options(ref, place)
    pretrained = pretrained and options.get("pretrained") != "no"
    library = EXTRAS[prefix]
    if not place:
        raise ModelError(f"{ref!r} names no model; write {prefix}:{'user/model' if prefix == 'hf' else 'resnet18'}")
    if find_spec(library) is None:
        raise ModelError(f"{ref!r} needs {library}, which is not installed: {install_line(library)}")
    if prefix == "hf":
        return _transformers(ref, place, pretrained)
    return _timm(ref, place, pretrained, int(options.get("num_classes", 0)))


def _options(ref: str, place: str) -> tuple[str, dict[str, str]]:
    """A place without its options, and these."""
    found: dict[str, str] = {}
    while option := _OPTION.search(place):
        place, found = place[: option.start()], {option["key"]: option["value"], **found}
    if found.get("pretrained") not in ("yes", "no", None):
        raise ModelError(f"{ref!r}: pretrained is {found['pretrained']!r}, expected yes or no")
    if "num_classes" in found and (ref.startswith("hf") or not re.fullmatch("[1-9][0-9]{0,5}", found["num_classes"])):
        raise ModelError(f"{ref!r}: num_classes is {found['num_classes']!r}, expected a number, of a model of timm")
    return place, found


class Logits(nn.Module):
    """A classifier of transformers, as images to logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(pixel_values=images).logits
        return logits


def _transformers(ref: str, place: str, pretrained: bool) -> OpenedModel:
    import transformers

    folder = place if Path(place).is_dir() else str(_fetched(place, pretrained))
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    auto = transformers.AutoModelForImageClassification
    if pretrained:
        model = auto.from_pretrained(folder, use_safetensors=True, **safe)
    else:
        config = transformers.AutoConfig.from_pretrained(folder, **safe)
        model = _random(lambda: auto.from_config(config, trust_remote_code=False))
    _check_processor(Path(folder), place)
    processor = transformers.AutoImageProcessor.from_pretrained(folder, **safe)
    channels = getattr(model.config, "num_channels", 3)
    inputs = tuple(inspect.signature(model.forward).parameters)
    preprocessing = of_transformers(processor, f"hf:{place}", channels if channels in (1, 3) else 3, inputs)
    names = model.config.id2label
    known = names and not all(str(name).startswith("LABEL_") for name in names.values())
    classes = tuple(str(names[i]) for i in range(len(names))) if known else None
    return OpenedModel(Logits(model).eval(), preprocessing, classes, ref, trained=pretrained)


def _check_processor(folder: Path, place: str) -> None:
    """`ModelError` if the folder has no image processor; the message of transformers would blame the Hub."""
    if any((folder / name).is_file() for name in PROCESSORS):
        return
    there = place if Path(place).is_dir() else "folder"
    beside = "there" if Path(place).is_dir() else "beside the model in a folder of yours"
    raise ModelError(
        f"hf:{place} has no {PROCESSORS[0]}, which says how images become its input; "
        f"save the model's image processor {beside}: processor.save_pretrained({there!r})"
    )


def _fetched(place: str, pretrained: bool) -> Path:
    """The cached files of a model on the Hub: its description and, if they are wanted, its safetensors; no others."""
    from symdata.hub import Address, snapshot

    address = Address.parse(place)
    if not pretrained:
        return snapshot(address, DESCRIPTION)
    folder = snapshot(address, FILES)
    if (index := folder / INDEX).is_file():
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        folder = snapshot(Address(address.repo_id, folder.name), (*FILES, *shards))
    return folder


def _random(build: Callable[[], nn.Module]) -> nn.Module:
    """A network with random weights, always the same, of which none is zero or symmetric as trained ones never are."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = build()
        for parameter in model.parameters():
            parameter.add_(NOISE * torch.randn_like(parameter))
    return model


def _timm(ref: str, name: str, pretrained: bool, num_classes: int) -> OpenedModel:
    import timm

    build = partial(timm.create_model, name, **({"num_classes": num_classes} if num_classes else {}))
    model = (build(pretrained=True) if pretrained else _random(build)).eval()
    facts = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**facts, is_training=False)
    settings = ", ".join(f"{key}={facts[key]}" for key in ("input_size", "crop_pct", "crop_mode", "interpolation"))
    known = ((facts["mean"], facts["std"]),)
    processor = ForeignProcessor(transform, f"timm:{name}", int(facts["input_size"][0]), settings, known)
    return OpenedModel(model, Processed.by(processor), name=ref, trained=pretrained and not num_classes)
