"""A training run with every choice made and checked, before the first step: images, preprocessing, network, audit."""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from symdata.display import Result
from symdata.sources.files import sha256
from symdata.store.manifest import MANIFEST
from symdata.symmetry import Symmetry
from zoo.devices import check_device
from zoo.errors import ModelError
from zoo.exactness.audits import Audit, audit
from zoo.models.code import Arch
from zoo.models.free_copy import free_copy
from zoo.models.names import ModelName
from zoo.models.own import GIVEN, OwnArchitecture
from zoo.models.registry import create, export, seeded
from zoo.objectives import Objective, objective_of
from zoo.preprocessing import Preprocessing
from zoo.references.cost import Cost, cost_if_known
from zoo.references.loading import read_trained
from zoo.references.opening import python_file
from zoo.references.transfer import transferred
from zoo.training.batches import Batches, make_batches
from zoo.training.config import TrainConfig
from zoo.training.data import TrainingData, make_preprocessing, open_data
from zoo.training.monitor import Monitor
from zoo.training.own_network import begin_with, check_choices, described, input_size, is_own_model, own_network
from zoo.training.weighting import class_weights

logger = logging.getLogger("zoo")


@dataclass(frozen=True, eq=False)
class TrainingPlan(Result):
    """What `train` is about to do.

    Example:
        >>> from symdata import Spec, make
        >>> from zoo.training import TrainConfig, prepare
        >>> _ = make(Spec(source="glyphs:OXAF", size=12, count=80), "letters")
        >>> print(prepare(TrainConfig(data="letters", model="p4cnn_13", width=2, batch_size=16)))
        p4cnn_13.glyphs-none: 1,048 parameters, 80 images 12x12x1, 13 held out
        approximate: at 13x13 ...
    """

    config: TrainConfig
    name: str
    """Of the checkpoint: the network and, after a dot, what it is trained on."""
    folder: Path
    """Where the model goes."""
    data: TrainingData
    data_digest: str
    """sha256 of the dataset's manifest, which holds the hash of every shard."""
    preprocessing: Preprocessing
    model: nn.Module
    """With its initial weights, on the CPU."""
    audit: Audit
    """Whether it is exactly equivariant at its size: known before any training."""
    own: OwnArchitecture | None = None
    """How config.json describes a network of the user's own; None for one of the zoo."""

    @property
    def parameters(self) -> int:
        """Number of trained weights."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    @property
    def steps(self) -> int:
        """Batches in all epochs."""
        return self.config.epochs * -(-len(self.data.train) // self.config.batch_size)

    @property
    def images(self) -> int:
        """Images of all epochs together."""
        return self.config.epochs * len(self.data.train)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the outputs of the model that is written."""
        return self.data.classes

    def objective(self) -> Objective:
        """What is minimised besides the cross-entropy of the batches."""
        return objective_of(self.model, self.config.objective)

    def batches(self, accelerator: Any) -> tuple[Batches, Batches | None]:
        """The batches to train on, and those of the held out images; of both the part of this process."""
        return make_batches(self.config, self.data, self.preprocessing, accelerator)

    def published(self, model: nn.Module) -> nn.Module:
        """The model that is written, from the one that was trained."""
        return model

    @cached_property
    def cost(self) -> Cost | None:
        """Of the forward of one image; None where its operations cannot be counted."""
        return cost_if_known(export(self.model), self.preprocessing.size, self.preprocessing.channels)

    def parts(self) -> Iterable[str]:
        """The network, the images, whether it is exact, and what it costs, on a line each."""
        train, held_out = self.data.train, self.data.validation
        c, h, w = train.dataset.shape
        of = f" of {train.source_images:,} source images" if train.source_images < len(train) else ""
        images = f"{len(train):,} images {h}x{w}x{c}{of}" + (f", {len(held_out):,} held out" if held_out else "")
        free = "; its convolutions may leave the group as they learn" if self.config.relaxation != "none" else ""
        price = "" if self.cost is None else f"\n{self.cost}"
        yield f"{self.name}: {self.parameters:,} parameters, {images}\n{self.audit.verdict}{free}{price}"

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data for JSON."""
        return {
            "folder": str(self.folder),
            "name": self.name,
            "parameters": self.parameters,
            "images": len(self.data.train),
            "held_out": len(self.data.validation or ()),
            "steps": self.steps,
            "preprocessing": self.preprocessing.to_dict(),
            "exactness": self.audit.verdict,
            "cost": None if self.cost is None else self.cost.to_dict(),
            "config": self.config.to_dict(),
        }


def prepare(config: TrainConfig, arch: Arch | None = None) -> TrainingPlan:
    """Open the dataset, build the network, and check that they fit; nothing is written.

    Args:
        config: the run.
        arch: a network of your own, if it is given in Python: a module, which is copied, or what makes one. The `model`
            of the config is then `model_words(arch)`.

    Raises:
        ModelError: if they do not fit, the folder is no dataset with a train split, or there is no such device.
        SymdataError: if the dataset is damaged.

    Example:
        >>> from symdata import Spec, make
        >>> from zoo.training import TrainConfig
        >>> _ = make(Spec(source="glyphs:OXAF", size=12, count=80), "glyphs")
        >>> plan = prepare(TrainConfig(data="glyphs", model="p4cnn_12", width=2, batch_size=16))
        >>> plan.steps, plan.audit.exact
        (50, True)
    """
    own = is_own_model(config)
    if own:
        check_choices(config, arch)
    stem, named = ("-".join(re.findall(r"\w+", config.model.removeprefix(GIVEN))), None) if own else _named(config)
    check_device(config.device, auto=True)
    data = open_data(config)
    # From here on, classes have numbers: those of the labels.
    config = replace(config, symmetry=str(Symmetry.parse(config.symmetry).resolve(data.classes)))
    preprocessing = make_preprocessing(config, input_size(config, data, arch), data.train)
    channels, size = preprocessing.channels, preprocessing.size
    if named is None:
        model = own_network(config, arch, len(data.classes), channels, size)
        if config.init is not None:
            begin_with(config, model, arch, data, (channels, size))
    else:
        model = _network(config, named, data, channels)
    _check_loss(config, data, model)
    Monitor(config, lambda line: None)(model, 0, 0)
    if config.shift >= size:
        raise ModelError(f"shift is {config.shift} and images have {size} pixels; use less, such as --shift 2")
    full = checkpoint_name(config, stem, data)
    return TrainingPlan(
        config=config,
        name=full,
        folder=Path(config.out or full),
        data=data,
        data_digest=sha256(Path(config.data, MANIFEST)),
        preprocessing=preprocessing,
        model=model,
        audit=audit(export(model), size, in_chans=channels),
        own=described(config, model) if own else None,
    )


def _named(config: TrainConfig) -> tuple[str, ModelName]:
    """The name of a network of the zoo, as text and read."""
    if config.model.endswith(".py"):
        raise ModelError(python_file(Path(config.model)))
    name = ModelName.parse(config.model)
    return str(name), name


def _check_loss(config: TrainConfig, data: TrainingData, model: nn.Module) -> None:
    """Raise `ModelError` if the objective does not fit the model, or the class weights do not fit the classes or it."""
    if config.kind != "train":
        return
    objective = objective_of(model, config.objective)
    if class_weights(config, data) is not None and not objective.shares_batches:
        raise ModelError(
            f"class_weights is {config.class_weights!r}, and objective {str(objective)!r} computes the likelihood of "
            "all images, which has no weights; use --class-weights none"
        )


def _network(config: TrainConfig, name: ModelName, data: TrainingData, channels: int) -> nn.Module:
    """The network with its initial weights, in training mode, with those to be trained that `freeze` leaves."""
    facts: dict[str, Any] = {"num_classes": len(data.classes), "in_chans": channels, "width": config.width}
    facts["dropout"] = config.dropout
    if config.init is None and config.start_from is None:
        return create(name, **facts, coset_pool=config.coset_pool, **config.choices(), seed=config.seed)
    source = read_trained(config.init or str(config.start_from))
    pretrained = source.config.get("training", {}).get("kind") == "pretrain"  # its features need not be pooled
    kept: dict[str, Any] = {"coset_pool": config.coset_pool} if pretrained or not config.coset_pool else {}
    if config.start_from is not None:
        source = replace(source, model=free_copy(source.model))
    model = transferred(source, name=name, **facts, **kept, **config.choices(), seed=config.seed)
    if source.classes != data.classes:  # as many classes, but others
        with seeded(config.seed):
            model.reset_classifier(len(data.classes))  # type: ignore[operator]
        if not model.new_tensors:
            logger.warning("%s: not trained, because its classes are others: the classifier", source.name)
    if config.freeze == "body":
        model.requires_grad_(False)
        model.get_classifier().requires_grad_(True)  # type: ignore[operator]
    return model.train()


def checkpoint_name(config: TrainConfig, name: str, data: TrainingData) -> str:
    """`p4cnn_28.mnist-none`: as the config says, or after the dataset and its augmentation."""
    if "." in name:
        return name
    words = str(data.train.dataset.manifest["name"])
    if config.symmetry != "none":
        words += f"-aug-{Symmetry.parse(config.symmetry).slug}"
    words = re.sub(r"[^A-Za-z0-9._-]", "-", words).strip("._-")[:96]
    return f"{name}.{words}" if words else name
