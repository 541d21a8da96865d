"""`symdata models` and `zoo.list_models`: what there is, by group, exactness and weights, here and on the Hub."""

import json

import pytest

from tests.support import commands
from tests.support.checkpoints import network, save
from tests.support.commands import refused, said
from tests.support.hub_server import LoopbackHub
from zoo import list_models
from zoo.errors import ModelError
from zoo.hub.repository import push
from zoo.models import registry
from zoo.models.registry import create
from zoo.references.listing import list_rows

pytest_plugins = ["tests.support.hub_fixture"]


here = commands.here


def test_models():
    lines = said("models").splitlines()
    assert lines[0].split() == ["model", "group", "parameters", "channels", "pixels", "at", "this", "size", "weights"]
    assert set(registry.list_models()) <= {line.split()[0] for line in lines[2:] if line}
    (row,) = [line for line in lines if line.startswith("p4cnn_28 ")]
    assert row.split() == ["p4cnn_28", "c4", "24,990", "3", "28", "exact"]
    (row,) = [line for line in lines if line.startswith("p4cnn_27 ")]
    assert row.split()[-3:] == ["phi", "=", "1"]
    (row,) = [line for line in lines if line.startswith("z2cnn_28 ")]
    assert row.split()[-1] == "plain"


def test_every_architecture_says_what_it_is_and_its_paper():
    rows = list_rows().rows
    assert all(row["description"] and "arXiv" in row["paper"] for row in rows)
    lines = said("models", "p4*_33").splitlines()
    (resnet,) = [line for line in lines if line.startswith("resnet44 ")]
    assert "3 stages of 7 residual blocks" in resnet and resnet.endswith("arXiv 2308.11316")
    assert not [line for line in lines if line.startswith("cwcnn ")]


def test_models_as_json():
    rows = json.loads(said("models", "p4mcnn_2?", "--json"))
    assert {row["name"]: row["exact"] for row in rows if row["weights"] is None} == {
        "p4mcnn_28": True,
        "p4mcnn_27": False,
        "p4mcnn_29": False,
    }
    for row in rows:
        if row["weights"] is None:
            assert row["parameters"] == sum(p.numel() for p in create(row["name"]).parameters())


def test_bundled_models_are_listed(here, monkeypatch):
    save(here / "weights" / "p4cnn_20.squares-none")
    monkeypatch.setattr("zoo.files._weights", lambda: here / "weights")
    row, *others = json.loads(said("models", "--pretrained", "--json"))
    assert not others
    assert (
        row["name"] == "p4cnn_20.squares-none" and row["weights"] == "bundled" and row["exact"] and row["classes"] == 4
    )
    (line,) = [line for line in said("models", "p4cnn_20*").splitlines() if line.startswith("p4cnn_20.")]
    assert line.split()[-2:] == ["exact", "bundled"]


def test_no_model_matches(here, monkeypatch):
    assert "no model matches 'p4cn_28'; did you mean p4cnn_28 or" in refused("models", "p4cn_28")
    assert "no model matches 'xyzzy'; leave it out to see all" in refused("models", "xyzzy")
    monkeypatch.setattr("zoo.files._weights", lambda: here)
    assert "no trained model matches 'x*'" in refused("models", "x*", "--pretrained")


def test_models_by_group_and_exactness(here):
    assert list_models("*cnn_2?", group="c4", exact=True) == ("p4cnn_28", "p4cwcnn_28")
    approximate = set(list_models("*", exact=False))
    assert {"p4cnn_27", "p4resnet44_32"} <= approximate and "z2cnn_28" not in approximate
    names = json.loads(said("models", "*", "--group", "d4", "--approximate", "--json"))
    assert names and all(row["group"] == "d4" and row["exact"] is False for row in names)
    assert "no model that matches '*' is of that group" in refused("models", "--group", "c16", "--approximate")
    assert "c5x" in refused("models", "--group", "c5x")


def test_pretrained_models(here, monkeypatch):
    save(here / "weights" / "p4cnn_20.squares-none")
    monkeypatch.setattr("zoo.files._weights", lambda: here / "weights")
    assert list_models(pretrained=True) == ("p4cnn_20.squares-none",)
    assert list_models("z2*", pretrained=True) == ()
    assert list_models(pretrained=True, exact=False) == ()
    with pytest.raises(ModelError, match="namespace is 'user' without pretrained=True"):
        list_models(namespace="user")


def test_models_of_a_namespace(hub: LoopbackHub, here, monkeypatch):
    push(save(here / "m"), "user/squares")
    push(save(here / "n", network("p4cnn_21"), name="p4cnn_21.squares", **_of_21()), "user/odd")
    push(save(here / "o"), "user/hidden", private=True)
    hub.api().create_repo("user/no-model")
    hub.api().upload_file(
        path_or_fileobj=b"---\ntags: [symdata]\n---\n# Hello", path_in_repo="README.md", repo_id="user/no-model"
    )
    assert list_models(pretrained=True, namespace="user") == ("user/hidden", "user/odd", "user/squares")
    assert list_models("o*", pretrained=True, namespace="user") == ("user/odd",)
    assert list_models(pretrained=True, namespace="user", exact=True) == ("user/hidden", "user/squares")
    rows = json.loads(said("models", "--hub", "user", "--json"))
    assert [row["weights"] for row in rows] == ["Hub"] * 3 and rows[1]["phi"] == 1
    assert "'stranger' has published no model of symdata" in refused("models", "--hub", "stranger")
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # between its retries
    hub.inject(path="/api/models", drop="before", times=None)
    assert "cannot be reached" in refused("models", "--hub", "user")


def _of_21():
    from tests.support.checkpoints import golden
    from zoo import Preprocessing

    return {"preprocessing": Preprocessing(21, (0.13,), (0.31,)), "golden_images": golden(size=21)}


def test_a_listing_is_read_as_text_html_and_plain_data():
    found = list_rows("p4cnn_2?")
    assert str(found) == said("models", "p4cnn_2?").rstrip("\n")
    table, architectures = str(found).split("\n\n")
    assert len(table.splitlines()) == 2 + len(found.rows) and len(architectures.splitlines()) == 3
    assert "<td>c4</td><td>    24,990</td>" in found._repr_html_()
    assert found.to_dict()["models"] == json.loads(said("models", "p4cnn_2?", "--json"))
    nothing = list_rows("xyzzy")
    assert nothing.rows == () and str(nothing).startswith("no model matches 'xyzzy'")
