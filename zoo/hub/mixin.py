"""`HubModel`: our checkpoints behind the interface of huggingface_hub, `from_pretrained` and `push_to_hub`.

    model = HubModel.from_pretrained("user/p4cnn_28.mnist-none", revision="v1")
    model.push_to_hub("user/mine")

Two readers, one repository: the mixin passes the entries of config.json that `__init__` names to it, and the weights
have the keys of the network itself. Here the folder is also read strictly, as `zoo.load` does.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from huggingface_hub import PyTorchModelHubMixin, snapshot_download
from torch import Tensor, nn

from symdata.hub import Address, fetching
from zoo.checkpoint.folder import attach_metadata, read_checkpoint, save_checkpoint
from zoo.files import CONFIG, GOLDEN, WEIGHTS
from zoo.hub.repository import golden_noise
from zoo.models.registry import build
from zoo.preprocessing import Preprocessing


class HubModel(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="symdata",
    tags=["equivariance", "symmetry"],
    pipeline_tag="image-classification",
):
    """A network of the zoo with its preprocessing and classes: images (B, C, H, W) to logits (B, classes).

    `.network` is the network itself, `.preprocessing` and `.classes` are as those of `zoo.load`.

    Args:
        architecture: such as `zoo.create(name).architecture`.
        preprocessing: the entries of a `zoo.Preprocessing`, as plain data.
        classes: a name for each logit.
        name: of the checkpoint.
        training: how it was trained, as plain data.
        dataset: what it was trained on, as plain data.

    Raises:
        ModelError: if any of them is not what config.json of a model may hold.
    """

    preprocessing: Preprocessing
    classes: tuple[str, ...]
    config: dict[str, Any]
    """Everything that config.json says, of a model that was read."""

    def __init__(
        self,
        architecture: dict[str, Any],
        preprocessing: dict[str, Any],
        classes: Sequence[str],
        name: str = "model",
        training: Mapping[str, Any] | None = None,
        dataset: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._network = (build(architecture),)  # not a child: its children stand here under their own names, so that
        for key, child in self.network.named_children():  # the keys of the weights are those of the file
            self.add_module(key, child)
        self._facts = {"name": name, "training": training or {}, "dataset": dataset or {}}
        attach_metadata(self, Preprocessing.from_dict(preprocessing), tuple(classes), {})

    @property
    def network(self) -> nn.Module:
        """The network, with `.features`, `.group` and `.architecture`."""
        return self._network[0]

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits

    def _save_pretrained(self, save_directory: Path) -> None:
        # What `save_pretrained` and `push_to_hub` of the mixin call: a whole model folder.
        facts: dict[str, Any] = {"preprocessing": self.preprocessing, "classes": self.classes, **self._facts}
        save_checkpoint(save_directory, self.network, golden_images=golden_noise(self.preprocessing), **facts)

    @classmethod
    def _from_pretrained(
        cls, *, model_id: str, revision: str | None, strict: bool = True, map_location: str = "cpu", **how: Any
    ) -> Self:
        # What `from_pretrained` calls; never less strict than `zoo.load`, whatever `strict` says.
        where = {key: how[key] for key in ("cache_dir", "force_download", "local_files_only", "token") if key in how}
        folder = Path(model_id)
        if not folder.is_dir():
            with fetching(Address(model_id, revision)):
                files = [CONFIG, WEIGHTS, GOLDEN]
                folder = Path(snapshot_download(model_id, revision=revision, allow_patterns=files, **where))
        read = read_checkpoint(folder)
        kept = {key: read.config[key] for key in ("architecture", "preprocessing", "classes", "name")}
        model = cls(**kept, training=read.config["training"], dataset=read.config["dataset"])
        model.load_state_dict(read.model.state_dict())
        attach_metadata(model, read.preprocessing, read.classes, read.config)
        return model.to(map_location).eval()
