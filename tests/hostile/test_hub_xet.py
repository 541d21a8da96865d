"""A content store of Xet that refuses, with the real hf_xet: one sentence with the status and the mend, in seconds."""

import json
from importlib.util import find_spec

import pytest

from tests.support import checkpoints
from zoo import push

pytestmark = pytest.mark.skipif(find_spec("hf_xet") is None, reason="pip install hf_xet")
pytest_plugins = ["tests.support.hub_fixture"]
whole = checkpoints.whole

READ = """
import json, sys, time
from pathlib import Path
from symdata.errors import SymdataError
import zoo

found, out = {}, Path(sys.argv[1])
readers = {
    "load": lambda: zoo.load("user/model"),
    "pull": lambda: zoo.pull("user/model", out),
    "evaluate": lambda: zoo.evaluate("user/model", "glyphs", limit=1),
    "HubModel": lambda: zoo.HubModel.from_pretrained("user/model"),
}
for name, read in readers.items():
    start = time.monotonic()
    try:
        read()
        text = "read"
    except SymdataError as error:
        text = str(error)
    found[name] = [text, time.monotonic() - start, out.exists()]
print(json.dumps(found))
"""

SEND = """
from pathlib import Path
from symdata.errors import SymdataError
from symdata.hub import Address, upload

try:
    upload(Address("user/new"), {"x.safetensors": bytes(2000)}, mark="x.safetensors", is_ours=bool, message="new")
except SymdataError as error:
    print(error)
"""


@pytest.mark.parametrize("status", [404, 403, 503])
def test_a_store_that_refuses_is_a_sentence_within_seconds(hub, whole, tmp_path, status):
    push(whole, "user/model")
    hub.store.xet = status
    found = json.loads(hub.run(READ, str(tmp_path / "out"), home=tmp_path / "xet", HF_HUB_DISABLE_XET="0").stdout)
    for name, (text, seconds, written) in found.items():
        refused = f"'user/model' cannot be fetched from the content store of the Hub (HTTP {status})"
        assert text == f"{refused}; fetch without Xet: HF_HUB_DISABLE_XET=1", (name, text)
        assert seconds < 60 and not written, name
    assert [call for call in hub.requests if call.path.startswith("/cas/") and call.status == status]
    mended = json.loads(hub.run(READ, str(tmp_path / "out"), home=tmp_path / "plain", HF_HUB_DISABLE_XET="1").stdout)
    # The negative control: without Xet it can be read.
    assert {mended[name][0] for name in ("load", "pull", "HubModel")} == {"read"}


def test_a_hub_that_takes_nothing_by_xet(hub, tmp_path):
    said = hub.run(SEND, home=tmp_path / "xet", HF_HUB_DISABLE_XET="0").stdout
    assert said.strip() == "the Hub refused 'user/new' (HTTP 404): publish without Xet: HF_HUB_DISABLE_XET=1"
    assert not hub.run(SEND, home=tmp_path / "plain", HF_HUB_DISABLE_XET="1").stdout
    assert hub.read("user/new", "x.safetensors") == bytes(2000)
