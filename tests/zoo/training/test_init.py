"""A run that begins with the weights of another one."""

import pytest

import zoo
from tests.support.training import config, dataset, run
from zoo.errors import ModelError
from zoo.training import prepare, train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("training") / "data", count=64)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    return run(data, out=str(tmp_path_factory.mktemp("trained") / "run"), epochs=1)


def test_the_network_begins_with_the_trained_weights(data, trained):
    plan = prepare(config(data, init=str(trained)))
    before, now = zoo.load(trained).state_dict(), plan.model.state_dict()
    assert all(now[key].equal(value) for key, value in before.items())
    assert not all(prepare(config(data)).model.state_dict()[key].equal(value) for key, value in before.items())


def test_other_classes_have_a_new_classifier_though_there_are_as_many(trained, tmp_path):
    other = dataset(tmp_path / "other", count=64, source="glyphs:PQRS")
    plan = prepare(config(other, init=str(trained)))
    assert len(plan.data.classes) == len(zoo.load(trained).classes) and plan.data.classes != zoo.load(trained).classes
    differ = [k for k, v in zoo.load(trained).state_dict().items() if not plan.model.state_dict()[k].equal(v)]
    assert differ == ["head.weight", "head.bias"]


def test_a_frozen_body_keeps_weights_and_statistics(data, trained, tmp_path):
    tuned = run(data, out=str(tmp_path / "tuned"), init=str(trained), freeze="body", epochs=2, dropout=0.2)
    before, after = zoo.load(trained).state_dict(), zoo.load(tuned).state_dict()
    assert [key for key in before if not before[key].equal(after[key])] == ["head.weight", "head.bias"]
    free = run(data, out=str(tmp_path / "free"), init=str(trained), epochs=2, dropout=0.2)
    assert not zoo.load(free).state_dict()["trunk.conv1.weight"].equal(before["trunk.conv1.weight"])
    assert zoo.info(tuned)["training"]["init"] == "run", "no path of this machine"


def test_a_stopped_run_goes_on_where_it_began(data, trained, tmp_path):
    options = {"init": str(trained), "freeze": "body", "epochs": 2}
    whole = run(data, out=str(tmp_path / "whole"), **options)

    class StopError(Exception):
        """Ends a run after its first epoch."""

    def stop(metrics):
        raise StopError

    with pytest.raises(StopError):
        train(config(data, out=str(tmp_path / "run"), **options), report=stop)
    resumed = train(config(data, out=str(tmp_path / "run"), **options), resume=True)
    assert (resumed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_freezing_random_weights_is_refused(data):
    with pytest.raises(ModelError, match="name a trained model: --init MODEL"):
        config(data, freeze="body")


def test_another_network_is_refused(data, trained):
    with pytest.raises(ModelError, match="is another network than"):
        prepare(config(data, init=str(trained), model="p4mcnn_13"))
