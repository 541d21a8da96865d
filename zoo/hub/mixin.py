"""`HubModel`: our checkpoints with the interface of huggingface_hub, `from_pretrained` and `push_to_hub`.

    model = HubModel.from_pretrained("user/p4cnn_28.mnist-none", revision="v1")
    model.push_to_hub("user/mine")

`zoo.load` and the mixin of huggingface_hub read the same repository: the mixin passes the entries of config.json that
`__init__` names to it, and the weights have the keys of the network itself. `HubModel` reads a folder as strictly as
`zoo.load` does.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from huggingface_hub import PyTorchModelHubMixin, snapshot_download
from torch import Tensor, nn

from symdata.hub import Address, fetching
from zoo.checkpoint.folder import attach_metadata, read_checkpoint, save_checkpoint
from zoo.files import CONFIG, GOLDEN, WEIGHTS
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

    `.network` is the network itself; `.preprocessing` and `.classes` are those that `zoo.load` gives.

    Args:
        architecture: such as `zoo.create(name).architecture`.
        preprocessing: the entries of a `zoo.Preprocessing`, as plain data.
        classes: a name for each logit.
        name: of the checkpoint.
        training: how it was trained, as plain data.
        dataset: what it was trained on, as plain data.

    Raises:
        ModelError: if any of them may not stand in the config.json of a model.

    Example:
        >>> from zoo import HubModel
        >>> from zoo.files import bundled_folder
        >>> model = HubModel.from_pretrained(bundled_folder("p4cnn_28.mnist-none"))
        >>> str(model.network.group), model.preprocessing.size, model.classes[:2]
        ('c4', 28, ('0', '1'))
    """

    preprocessing: Preprocessing
    classes: tuple[str, ...]
    config: dict[str, Any]
    """Content of config.json, for a model that was read; else empty."""

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
        # In a tuple the network is no child. Its children are, so that the keys of the weights are those of the file.
        self._network = (build(architecture),)
        for key, child in self.network.named_children():
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
        # Called by `save_pretrained` and `push_to_hub` of the mixin.
        facts: dict[str, Any] = {"preprocessing": self.preprocessing, "classes": self.classes, **self._facts}
        save_checkpoint(save_directory, self.network, **facts)

    @classmethod
    def _from_pretrained(
        cls, *, model_id: str, revision: str | None, strict: bool = True, map_location: str = "cpu", **how: Any
    ) -> Self:
        # Called by `from_pretrained`; as strict as `zoo.load`, whatever `strict` is.
        where = {key: how[key] for key in ("cache_dir", "force_download", "local_files_only", "token") if key in how}
        folder = Path(model_id)
        if not folder.is_dir():
            with fetching(Address(model_id, revision)):
                files = [CONFIG, WEIGHTS, GOLDEN]
                folder = Path(snapshot_download(model_id, revision=revision, allow_patterns=files, **where))
        read = read_checkpoint(folder)
        names = ("architecture", "preprocessing", "classes", "name", "training", "dataset")
        model = cls(**{name: read.config[name] for name in names})
        model.load_state_dict(read.model.state_dict())
        attach_metadata(model, model.preprocessing, model.classes, read.config)
        return model.to(map_location).eval()
