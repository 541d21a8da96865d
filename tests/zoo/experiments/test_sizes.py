"""Exact sizes, predicted and measured; what counts as wrong."""

from copy import deepcopy

import pytest
import torch

from zoo.experiments.harness.runs import Job, RunRecord
from zoo.experiments.harness.setting import Setting
from zoo.experiments.using_and_abusing import depth, sizes
from zoo.experiments.using_and_abusing.exactness import calibrated, errors, measured_elements, narrow, noise
from zoo.experiments.using_and_abusing.parts import EXPERIMENT
from zoo.experiments.using_and_abusing.published import SIZES
from zoo.models.registry import create, list_models

SETTING = Setting(out=None)


def measured(network, kind, wanted=SIZES):
    request = {"network": network, "architecture": kind, "sizes": list(wanted)}
    job = Job("sizes", f"exact-{network}", request, sizes.run)
    return RunRecord("sizes", job.key, job.request, sizes.run(job, SETTING), 1.0, 1.0, "now")


@pytest.mark.parametrize(
    ("network", "kind", "wanted"),
    [
        ("p4cnn", "cnn", (20, 21, 27, 28, 29, 100)),
        ("z2cnn2", "cnn2", (20, 22, 28, 30)),
        ("pmcwcnn", "cwcnn", (20, 28, 29)),
        ("gcp4mresnet44", "resnet44", (32, 33, 35)),
        ("p2mresnet18", "resnet18", (29, 32, 33)),
        ("p4knight", "knight", (31, 32, 33)),
        ("torchvision", "torchvision resnet18", (32, 33, 64, 65)),
    ],
)
def test_rule_prediction_and_measurement_agree(network, kind, wanted):
    record = measured(network, kind, wanted)
    assert sizes.wrong_sizes(record) == []
    kept = [int(size) for size in record.result["errors"]]
    assert kept + record.result["too small"] == sorted(wanted) or record.result["too small"]
    assert any(error > 0.01 for error in record.result["errors"].values())


def test_every_disagreement_is_wrong():
    record = measured("p4cnn", "cnn", (27, 28))
    for error, predicted in ((1e-12, []), (0.1, [28]), (1e-5, [28]), (1e-5, []), (float("nan"), [28])):
        record.result["errors"], record.result["predicted"] = {"28": error}, predicted
        assert sizes.wrong_sizes(record) == [28]


def test_all_networks_of_the_registry_are_asked():
    heads = {name.rsplit("_", 1)[0] for name in list_models()}
    asked = set(sizes.networks())
    assert asked - heads == {"torchvision"}
    assert heads - asked <= {h for h in heads if h.startswith(("c8", "c16", "d8", "so2", "o2", "z2path"))}


def test_a_calibrated_narrow_network_is_not_dead():
    model = narrow("p4cnn_28", 28)
    with torch.no_grad():
        features = model.features(noise(2, 3, (28, 28)))
    assert 0.2 < float((features > 0).double().mean()) < 0.8
    assert features.dtype == torch.float64


def test_an_untied_filter_is_found_out():
    model = calibrated(create("p4resnet44_33", width=1, seed=0), 33)
    images, tried = noise(2, 3, (33, 33)), measured_elements(model)
    assert max(errors(model, images, tried)) < 1e-9
    conv = model.trunk.stage1[0].conv1
    conv.forward = lambda x, inner=conv.forward: inner(x) + 1e-3 * torch.roll(inner(x), 1, -1)
    assert max(errors(model, images, tried)) > 1e-6


@pytest.fixture(scope="module")
def answers():
    return {key: sizes.run(Job("sizes", key, {}, sizes.run), SETTING) for key in depth.QUESTIONS}


def test_stages_pooling_rectangles_and_parameters(answers):
    results = deepcopy(answers)
    assert depth.series(results) == {f"{band} wrong": [0.0] for band in ("B3", "B4", "B13", "B14")}
    stages = results["stages"]
    assert max(stages["p4resnet44_96"][s] for s in ("stem", "stage1")) < 1e-9 < 1e-2 < stages["p4resnet44_96"]["stage2"]
    titles = [table.title for table in depth.tables(results)]
    assert titles[2:] == ["Rectangles", "Parameters"]
    stages["p4resnet44_97"]["stage3"] = 1e-6
    results["rectangles"]["30x33"]["errors"]["r90"] = 0.5
    results["parameters"]["p4cnn_28"] = [24_991]
    results["pooling"]["rows"][0]["logits"] = 1e-2
    assert depth.series(results) == {f"{band} wrong": [1.0] for band in ("B3", "B4", "B13", "B14")}


def test_the_report_counts_what_is_wrong(answers):
    kinds = {"p4cnn": "cnn", "p4cnn2": "cnn2", "p4cwcnn": "cwcnn", "p4knight": "knight"}
    kinds |= {"p4resnet44": "resnet44", "p4pcamresnet44": "pcamresnet44", "p4resnet18": "resnet18"}
    kinds |= {"torchvision": "torchvision resnet18"}
    records = []
    for network, kind in kinds.items():
        exact = list(sizes.published_sizes(kind))
        result = {"predicted": exact, "errors": {str(n): 1e-15 if n in exact else 0.3 for n in SIZES}}
        records.append(
            RunRecord("sizes", f"exact-{network}", {"network": network, "architecture": kind}, result, 1, 1, "")
        )
    records += [RunRecord("sizes", key, {}, result, 1.0, 1.0, "") for key, result in answers.items()]
    section = EXPERIMENT.section("sizes", records, SETTING)
    assert [verdict.word for verdict in section.verdicts] == ["inside"] * 5
    assert section.tables[0].rows[0][:5] == ("cnn", "0 mod 2", "20, 22, 24, ..., 98, 100, 224", "1 x 83", "0")
    assert section.tables[1].rows[0][1:4] == ("1", "0", "1")
    records[0].result["errors"]["27"] = 1e-15
    assert EXPERIMENT.section("sizes", records, SETTING).verdicts[0].word == "OUTSIDE"
