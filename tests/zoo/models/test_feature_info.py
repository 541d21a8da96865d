"""What a network says of its feature maps, beside the maps that its layers return."""

import pytest
import torch

import zoo
from tests.support.steerable import require_escnn
from zoo.models.family import STEERABLE_WORDS
from zoo.models.registry import create, list_models


@pytest.mark.parametrize(
    ("name", "choices"),
    [(name, {}) for name in list_models() if name.endswith(("_28", "_29", "_33", "_16"))][::3]
    + [("p4cnn_28", {"downsample": "equivariant"}), ("p4resnet44_32", {"downsample": "aps"})]
    + [("p4cnn_28", {"relax": word}) for word in ("likelihood", "banks", "partial")]
    + [("z2pathcnn_16", {"path": "dense"}), ("z2cnn_28", {"average": "rotation"})],
)
def test_the_rows_are_what_the_layers_return(name, choices):
    if name.startswith(STEERABLE_WORDS):
        require_escnn()
    net, size = create(name, **choices).eval(), int(name.split("_")[1])
    rows, shapes = net.feature_info, {}
    for row in rows:
        module = net.get_submodule(row["module"])
        module.register_forward_hook(lambda m, args, out, key=row["module"]: shapes.update({key: out.shape}))
    with torch.no_grad():
        net(torch.zeros(1, net.in_chans if hasattr(net, "in_chans") else 3, size, size))
    for row in rows:
        _, channels, height, width = shapes[row["module"]]
        assert channels == row["num_chs"]
        # Layers without padding take up to 14 pixels in all.
        assert height == width and size / row["reduction"] - 14 <= height <= -(-size // row["reduction"])
    assert [row["reduction"] for row in rows] == sorted({row["reduction"] for row in rows})


def test_the_last_row_is_what_the_head_reads():
    net = zoo.create("p4mresnet44_33")
    assert net.feature_info[-1] == {"num_chs": 8 * net.num_features, "reduction": 4, "module": "trunk.relu"}


def test_asking_changes_nothing():
    net = create("p4cnn_28", seed=0)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    assert net.training and net.feature_info == net.feature_info and net.training
    assert all(net.state_dict()[key].equal(value) for key, value in before.items())
