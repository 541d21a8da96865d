"""Image classifiers of other libraries with our interface: `hf:user/model`, `hf:folder`, `timm:resnet18`.

    hf:    any AutoModelForImageClassification of transformers, from the Hub or a folder, with its own image processor.
           Weights are read from safetensors only, and no code of a repository runs.
    timm:  any model of timm by name, pretrained, with the size, mean and std that timm gives for it.

Neither library is needed for anything else; if one is missing, the error gives the line that installs it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from symdata.installation.hints import install_line
from zoo.errors import ModelError
from zoo.inference.opened_model import OpenedModel
from zoo.preprocessing import Preprocessing

EXTRAS = {"hf": "transformers", "timm": "timm"}
"""Prefix of a reference -> the library, which is also the name of the extra."""
INDEX = "model.safetensors.index.json"
"""Lists the files of a large model."""
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""Files that transformers reads an image processor from."""
FILES = ("config.json", *PROCESSORS, "model.safetensors", INDEX)
PROBE = 96
"""Side of the image on which a processor is run once, to see what size it makes."""
UNIT = 1 / 255
"""The factor of a processor that brings values to [0, 1] before they are normalised."""


@dataclass(frozen=True)
class Processed(Preprocessing):
    """A `Preprocessing` that resizes and crops with the processor of another library."""

    processor: Callable[..., Any] | None = field(default=None, compare=False, repr=False)

    def fitted(self, images: Tensor) -> Tensor:
        """uint8 (B, C, H, W) to uint8 (B, channels, size, size), as the processor does it."""
        kept = Preprocessing(images.shape[-1], self.mean, self.std) if images.ndim == 4 else None
        if kept is None or images.dtype != torch.uint8 or images.shape[1] not in (1, self.channels):
            return super().fitted(images)  # raises the error
        full = images.expand(-1, self.channels, -1, -1).permute(0, 2, 3, 1).cpu().numpy()  # (B, H, W, channels)
        return _resized(self.processor, full).to(images.device)


def is_adapted(ref: str) -> bool:
    """Whether a reference names a model of another library."""
    return ref.split(":")[0] in EXTRAS and ":" in ref


def adapt(ref: str) -> OpenedModel:
    """Open a classifier of another library.

    Args:
        ref: `hf:user/model`, `hf:user/model@revision`, `hf:folder` or `timm:name`.

    Raises:
        ModelError: if the library is not installed, or the model cannot be used.
    """
    prefix, _, place = ref.partition(":")
    library = EXTRAS[prefix]
    if not place:
        raise ModelError(f"{ref!r} names no model; write {prefix}:{'user/model' if prefix == 'hf' else 'resnet18'}")
    if find_spec(library) is None:
        raise ModelError(f"{ref!r} needs {library}, which is not installed: {install_line(library)}")
    return _transformers(ref, place) if prefix == "hf" else _timm(ref, place)


class Logits(nn.Module):
    """A classifier of transformers, as images to logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(pixel_values=images).logits
        return logits


def _transformers(ref: str, place: str) -> OpenedModel:
    import transformers

    folder = place if Path(place).is_dir() else str(_fetched(place))
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForImageClassification.from_pretrained(folder, use_safetensors=True, **safe)
    _check_processor(Path(folder), place)
    processor = transformers.AutoImageProcessor.from_pretrained(folder, **safe)
    names = model.config.id2label
    known = names and not all(str(name).startswith("LABEL_") for name in names.values())
    classes = tuple(str(names[i]) for i in range(len(names))) if known else None
    return OpenedModel(Logits(model).eval(), _preprocessing(processor, place), classes, ref, trained=True)


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


def _fetched(place: str) -> Path:
    """The cached files of a model on the Hub: its description and its safetensors, and no others."""
    from symdata.hub import Address, snapshot

    address = Address.parse(place)
    folder = snapshot(address, FILES)
    if (index := folder / INDEX).is_file():
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        folder = snapshot(Address(address.repo_id, folder.name), (*FILES, *shards))
    return folder


def _preprocessing(processor: Any, place: str) -> Processed:
    """A processor of transformers in two parts: the processor resizes and crops, we normalise with its numbers."""
    scale = float(getattr(processor, "rescale_factor", UNIT)) if getattr(processor, "do_rescale", True) else 1.0
    if abs(scale - UNIT) > 1e-9:
        raise ModelError(f"hf:{place}: its processor scales by {scale:g}, expected 1/255; wrap the model in your own")
    normalises = getattr(processor, "do_normalize", True)
    mean = tuple(processor.image_mean) if normalises else (0.0, 0.0, 0.0)
    std = tuple(processor.image_std) if normalises else (1.0, 1.0, 1.0)
    out = _resized(processor, np.zeros((1, PROBE, PROBE, len(mean)), np.uint8))
    if out.shape[-1] != out.shape[-2]:
        raise ModelError(f"hf:{place}: its processor makes images {tuple(out.shape[-2:])}, expected squares")
    return Processed(int(out.shape[-1]), mean, std, processor=processor)


def _resized(processor: Any, images: np.ndarray) -> Tensor:
    """uint8 (B, H, W, C) to uint8 (B, C, size, size)."""
    kept = {"do_rescale": False, "do_normalize": False, "return_tensors": "np", "input_data_format": "channels_last"}
    out = processor(images=list(images), **kept)["pixel_values"]
    return torch.from_numpy(np.asarray(out).clip(0, 255).round().astype(np.uint8))


def _timm(ref: str, name: str) -> OpenedModel:
    import timm

    model = timm.create_model(name, pretrained=True).eval()
    facts = timm.data.resolve_model_data_config(model)
    _, height, width = facts["input_size"]
    if height != width:
        raise ModelError(f"timm:{name} takes images {height}x{width}, expected squares; wrap the model in your own")
    resize = facts["interpolation"] if facts["interpolation"] in ("bilinear", "bicubic") else "bilinear"
    preprocessing = Preprocessing(int(height), tuple(facts["mean"]), tuple(facts["std"]), resize)
    return OpenedModel(model, preprocessing, name=ref, trained=True)
