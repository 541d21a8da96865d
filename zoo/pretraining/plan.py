"""A pretraining with every choice made and checked, before the first step."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from symdata.groups import Group
from zoo.errors import ModelError
from zoo.layers.regular import LATTICE
from zoo.models.network import Network
from zoo.models.registry import seeded, variant
from zoo.objectives import Objective
from zoo.pretraining.batches import make_pretext_batches
from zoo.pretraining.config import PretrainConfig
from zoo.pretraining.maps import MapError
from zoo.pretraining.objectives import Pretext, parse_pretext
from zoo.training.batches import Batches
from zoo.training.own_network import is_own_model
from zoo.training.plan import TrainingPlan, prepare


@dataclass(frozen=True, eq=False, kw_only=True)
class PretrainPlan(TrainingPlan):
    """What `pretrain` is about to do.

    The model that is written is the network with the head as its classifier, as a plain linear layer; where the head
    looks at more than one image, the network without a classifier.

    Example:
        >>> from symdata import Spec, make
        >>> _ = make(Spec(source="glyphs:OXAF", size=12, count=80), "letters")
        >>> config = PretrainConfig(data="letters", model="p4cnn_12", width=2, batch_size=16, objective="jigsaw")
        >>> print(prepare_pretraining(config))
        p4cnn_12.glyphs-none-jigsaw: 1,094 parameters, 80 images 12x12x1, 13 held out
        ...
        jigsaw: 24 labels in 10 orbits of c4, equivariant head
    """

    pretext: Pretext

    @property
    def group(self) -> Group:
        """Of the network."""
        assert isinstance(self.model, Network)
        return self.model.group

    @property
    def classes(self) -> tuple[str, ...]:
        assert isinstance(self.model, Network)
        return self.pretext.outputs(self.model)

    @property
    def images(self) -> int:
        """Images of all epochs together; two views are two images."""
        return super().images * self.pretext.views

    def objective(self) -> Objective:
        return MapError(self.pretext.maps)

    def batches(self, accelerator: Any) -> tuple[Batches, Batches | None]:
        if accelerator.num_processes > 1:
            raise ModelError("a pretraining looks at all images of a batch at once; run it in one process")
        assert isinstance(self.config, PretrainConfig)
        return make_pretext_batches(self.config, self.data, self.preprocessing, self.group, accelerator.device)

    @torch.no_grad()
    def published(self, model: nn.Module) -> nn.Module:
        assert isinstance(model, Network)
        expanded = getattr(model.head, "expanded", None)
        if expanded is None or len(expanded()[0]) != len(self.classes) or expanded()[0].shape[1] != model.num_features:
            model.reset_classifier(0)
            return model
        weight, bias = expanded()
        model.reset_classifier(len(weight))
        assert isinstance(model.head, nn.Linear)
        model.head.weight.copy_(weight)
        model.head.bias.copy_(bias)
        return model

    def parts(self) -> Iterable[str]:
        """As of a training, and the objective."""
        yield "\n".join([*super().parts(), self.pretext.describe(self.group)])


def prepare_pretraining(config: PretrainConfig) -> PretrainPlan:
    """Open the dataset, build the network with its head, and check that they fit; nothing is written.

    Raises:
        ModelError: as `zoo.training.prepare`, and for a network without regular fields.

    Example:
        >>> from symdata import Spec, make
        >>> _ = make(Spec(source="glyphs:OXAF", size=12, count=80), "glyphs")
        >>> plan = prepare_pretraining(PretrainConfig(data="glyphs", model="p4cnn_12", width=2, batch_size=16))
        >>> plan.classes[:2], plan.audit.exact
        (('field 0 at e', 'field 1 at e'), True)
    """
    if is_own_model(config):
        raise ModelError(f"model is {config.model!r}, and {_MEND}")
    plan, pretext = prepare(config), parse_pretext(config.objective)
    model = plan.model
    if not isinstance(model, Network) or str(model.group) not in LATTICE:
        raise ModelError(f"the fields of {config.model!r} are not of one of {', '.join(LATTICE)}, and {_MEND}")
    network = variant(model.architecture, num_classes=0, coset_pool=pretext.coset_pool, seed=config.seed)
    assert isinstance(network, Network)
    with seeded(config.seed):
        network.head = pretext.new_head(network)
    known = {field.name: getattr(plan, field.name) for field in fields(TrainingPlan)}
    name = f"{plan.name}-{pretext.name}" + ("-invariant" if pretext.coset_pool else "")
    folder = Path(config.out or name)
    return PretrainPlan(**known | {"model": network.train(), "name": name, "folder": folder}, pretext=pretext)


_MEND = (
    "heads that move with labels need regular fields; take a network of the zoo on a lattice group, such as p4cnn_28"
)
