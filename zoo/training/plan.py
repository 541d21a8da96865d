"""A training run with every choice made and checked, before the first step: images, preprocessing, network, audit."""

import re
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from symdata.symmetry import Symmetry
from zoo.devices import check_device
from zoo.exactness.audits import Audit, audit
from zoo.models.names import ModelName
from zoo.models.registry import create, export
from zoo.objectives import objective_of
from zoo.preprocessing import Preprocessing
from zoo.training.config import TrainConfig
from zoo.training.data import TrainingData, make_preprocessing, open_data
from zoo.training.run_folder import manifest_digest


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """What `train` is about to do."""

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

    @property
    def parameters(self) -> int:
        """Number of trained weights."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.data.train) // self.config.batch_size)

    @property
    def images(self) -> int:
        """Images of all epochs together."""
        return self.config.epochs * len(self.data.train)


def prepare(config: TrainConfig) -> TrainingPlan:
    """Open the dataset, build the network, check that they fit; nothing is written.

    Raises:
        ModelError: if they do not fit, the folder is no dataset with a train split, or there is no such device.
        SymdataError: if the dataset is damaged.
    """
    name = ModelName.parse(config.model)
    check_device(config.device, auto=True)
    data = open_data(config)
    preprocessing = make_preprocessing(config, name.size, data.train)
    model = create(
        name,
        num_classes=len(data.classes),
        in_chans=preprocessing.channels,
        width=config.width,
        coset_pool=config.coset_pool,
        dropout=config.dropout,
        **config.choices(),
        seed=config.seed,
    )
    objective_of(model, config.objective)  # refuses what does not fit
    full = checkpoint_name(config, name, data)
    return TrainingPlan(
        config=config,
        name=full,
        folder=Path(config.out or full),
        data=data,
        data_digest=manifest_digest(config.data),
        preprocessing=preprocessing,
        model=model,
        audit=audit(export(model), name.size, in_chans=preprocessing.channels),
    )


def checkpoint_name(config: TrainConfig, name: ModelName, data: TrainingData) -> str:
    """`p4cnn_28.mnist-none`: as the config says, or after the dataset and what augments it."""
    if name.data is not None:
        return str(name)
    words = str(data.train.dataset.manifest["name"])
    if config.symmetry != "none":
        words += f"-aug-{Symmetry.parse(config.symmetry).slug}"
    words = re.sub(r"[^A-Za-z0-9._-]", "-", words).strip("._-")[:96]
    return f"{name}.{words}" if words else str(name)
