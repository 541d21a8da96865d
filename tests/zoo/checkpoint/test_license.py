"""The license of weights: what their owner says, else that of the data, else unknown."""

import pytest
import yaml

from tests.support import checkpoints
from zoo.checkpoint.card import render_card
from zoo.checkpoint.manifest import read_config

whole = checkpoints.whole


@pytest.mark.parametrize(
    ("of_data", "of_weights"),
    [("mit", "mit"), ("CC0-1.0", "cc0-1.0"), ("unknown", "unknown"), ("see LICENSE", "unknown"), (None, "unknown")],
)
def test_weights_have_the_license_of_their_data(whole, of_data, of_weights):
    config = read_config(whole)
    config["dataset"] = config["dataset"] | {"source": {"ref": "x", "license": of_data}}
    assert yaml.safe_load(render_card(config, None).split("---")[1])["license"] == of_weights
    assert yaml.safe_load(render_card(config, None, license="gpl-3.0").split("---")[1])["license"] == "gpl-3.0"
