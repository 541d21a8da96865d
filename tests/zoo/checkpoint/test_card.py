"""The card of a model: every number from its configuration or its evaluation, and the Hub understands it."""

import json
import re
import shlex
import subprocess
import sys

import pytest
import torch
import yaml
from huggingface_hub import ModelCard

from tests.support import checkpoints
from tests.support.checkpoints import edit, network, save
from tests.support.folders import contents
from tests.support.reports import DIGEST, evaluation, report, strange_numbers
from zoo.checkpoint.card import render_card
from zoo.checkpoint.folder import read_checkpoint, refresh_card, write_evaluation
from zoo.checkpoint.manifest import read_config
from zoo.errors import ModelError
from zoo.exactness.audits import audit

DATASET = {"id": "user/squares-none", "revision": "c0ffee" + 34 * "0"}
SECTIONS = ["How equivariant it is", "Use it", "How it was trained", "Intended use", "Limits"]

whole, folder = checkpoints.whole, checkpoints.folder


def parts(card):
    """The YAML head as data, and the body."""
    nothing, front, body = re.split(r"^---\n", card, maxsplit=2, flags=re.M)
    assert not nothing
    return yaml.safe_load(front), body


def front_of(folder):
    return parts((folder / "README.md").read_text(encoding="utf-8"))


def trained_on(config, digest=DIGEST):
    return config | {"dataset": config["dataset"] | {"manifest_sha256": digest}}


def sections(body):
    return re.findall(r"^## (.*)$", body, re.M)


def blocks(body, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", body, re.M | re.S)


def test_the_card(whole):
    front, body = front_of(whole)
    assert list(front)[:4] == ["library_name", "license", "pipeline_tag", "tags"]
    assert front["library_name"] == "symdata" and front["license"] == "mit"
    assert front["tags"] == ["symdata", "equivariance", "symmetry", "c4", "exact"]
    assert front["datasets"] == ["user/squares"]
    assert "model-index" not in front
    config = read_config(whole)
    assert f"with {config['weights']['parameters']:,} parameters, for images of 20 x 20 pixels with 1 channel" in body
    assert "**Exactly**" in body and "and logits stay" in body
    assert blocks(body, "sh") == ["symdata train squares-none --model p4cnn_20\n"]
    assert "| its source | `hub:user/squares` |" in body
    assert "has not been evaluated" in body and "polar.png" not in body
    assert sections(body) == SECTIONS
    assert "[More" not in body and "None" not in body and "\n\n\n" not in body
    assert len(body.splitlines()) < 70
    assert not strange_numbers((whole / "README.md").read_text(), config)


def test_the_card_of_an_evaluated_model(folder):
    write_evaluation(folder, evaluation())
    front, body = front_of(folder)
    assert "| upright | 97.65 % ± 0.43 |" in body and "| under r90 | 95.14 % ± 0.61 |" in body
    assert "| mean over 4 angles | 91.25 % |" in body
    assert "| elements not seen in training | 81.04 % |" in body
    assert "On 1,234 images of squares-none, test (200 of them for the angles)" in body
    assert "has not been evaluated" not in body
    assert sections(body) == [SECTIONS[0], "Accuracy", *SECTIONS[1:]]
    (entry,) = front["model-index"]
    (result,) = entry["results"]
    assert {metric["name"]: metric["value"] for metric in result["metrics"]}["accuracy, under r90"] == 1174 / 1234
    read_checkpoint(folder)


def test_no_number_on_a_card_is_its_own(folder):
    write_evaluation(folder, evaluation(angles=12))
    config, said = read_config(folder), evaluation(angles=12)
    card = (folder / "README.md").read_text()
    assert not strange_numbers(card, config, said)
    for number in ("97.65", "1,234", "81.25", "0.13", f"{config['weights']['parameters']:,}"):
        one_more = number[:-1] + str((int(number[-1]) + 1) % 10)
        assert number in card
        assert strange_numbers(card.replace(number, one_more), config, said) == {one_more}
    assert strange_numbers(card, config)  # without its evaluation, those of the evaluation are strange


def test_the_hub_understands_the_card(folder):
    write_evaluation(folder, evaluation())
    results = ModelCard.load(folder / "README.md").data.eval_results
    # those of its own group, and no mirror
    assert [r.metric_value for r in results] == [1205 / 1234, 1174 / 1234, 1143 / 1234, 1112 / 1234, 182.5 / 200]
    assert [r.metric_name for r in results][1:] == [
        *(f"accuracy, under r{angle}" for angle in (90, 180, 270)),
        "accuracy, mean over 4 angles",
    ]
    (only,) = {(r.dataset_name, r.dataset_type, r.dataset_split, r.dataset_revision, r.task_type) for r in results}
    assert only == ("squares-none", "squares-none", "test", None, "image-classification")


@pytest.mark.parametrize(
    ("digest", "measured", "kind"),
    [
        (DIGEST, DIGEST, "user/squares-none"),
        (DIGEST, "00" * 32, "squares-none"),  # evaluated on another dataset
        (DIGEST, None, "squares-none"),  # on a source, or by a version that did not say
        (None, None, "squares-none"),
    ],
)
def test_a_dataset_of_the_hub_is_named_where_it_is_proven(whole, digest, measured, kind):
    config, said = trained_on(read_config(whole), digest), evaluation(manifest_sha256=measured)
    card = render_card(config, said, repo="user/squares-c4", dataset=DATASET)
    front, body = parts(card)
    assert front["datasets"] == ["user/squares-none"]
    assert f"| its repository | `{DATASET['id']}@{DATASET['revision']}` |" in body
    data = ModelCard(card).data
    for result in data.eval_results:
        assert result.dataset_type == kind
        assert result.dataset_revision == (DATASET["revision"] if kind == DATASET["id"] else None)
    assert data.datasets == ["user/squares-none"] and data.pipeline_tag == "image-classification"


@pytest.mark.parametrize("repo", [None, "user/name", "user/name@v1"])
def test_the_snippets_say_where_the_model_is(whole, repo):
    _, body = parts(render_card(read_config(whole), evaluation(), repo=repo))
    assert f'zoo.load("{repo or "PATH"}")' in body
    assert f"symdata evaluate {repo or 'PATH'} --data squares-none" in body
    assert f"`symdata audit {repo or 'PATH'} --size N`" in body
    assert (repo is None) == ("PATH" in body)


def test_the_snippet_runs(folder):
    (code,) = blocks(front_of(folder)[1], "python")
    found = {}
    exec(code.replace("PATH", str(folder)), found)
    assert found["logits"].shape == (1, 4) and torch.isfinite(found["logits"]).all()
    assert f"(1, {len(found['model'].classes)}), in the order of model.classes" in code


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, {"angles": 4, "angle_limit": 200, "fill": "background"}),
        ({"group": "c8", "fill": "zero", "split": "holdout"}, {"split": "holdout", "fill": "zero"}),
        ({"angles": 36}, {"angles": 36}),
        ({"angles": 0}, {"angles": 0, "angle_limit": None}),
        ({"data": "my data, test"}, {"data": "my data"}),
        ({"data": "mnist, test", "split": None}, {"data": "mnist", "split": "test"}),  # as it was written at first
    ],
)
def test_the_command_measures_it_again(whole, changes, options):
    from cli.evaluate import command

    said = report(**changes)
    _, body = parts(render_card(read_config(whole), evaluation(**changes)))
    again, _ = blocks(body, "sh")
    given = command.make_context("evaluate", shlex.split(again)[2:]).params
    assert given["model"] == "PATH" and given["limit"] == said.count and str(given["elements"]) == said.group
    assert {key: given[key] for key in options} == options
    assert ("--angles" in again) == (changes.get("angles") != 36)


def test_angles_that_no_option_asks_for_have_no_command(whole):
    from zoo.evaluation.report import AngleCurve

    _, body = parts(render_card(read_config(whole), evaluation(curve=AngleCurve((0.0, 10.0), (9, 8), 9))))
    assert len(blocks(body, "sh")) == 1  # that of its training


def test_the_sizes_are_what_the_audit_says(whole):
    config, model = read_config(whole), network()
    sizes = config["exactness"]["sizes"]
    assert list(sizes) == [str(size) for size in range(16, 25)]
    _, body = front_of(whole)
    for size, phi in sizes.items():
        report = audit(model, int(size))
        assert phi == max(report.phi) and report.exact == (phi == 0)
        row = [f"{size} x {size}", f"{phi:g}", "exact" if report.exact else "approximate"]
        assert "| " + " | ".join(f"**{cell}**" if size == "20" else cell for cell in row) + " |\n" in body
    assert {0.0, 1.0} == set(sizes.values())


def test_an_approximate_network_says_how_much(tmp_path):
    from zoo.preprocessing import Preprocessing

    model, images = network("p4cnn_21"), checkpoints.golden(size=21)
    save(tmp_path / "m", model, preprocessing=Preprocessing(21, (0.13,), (0.31,)), golden_images=images)
    front, body = front_of(tmp_path / "m")
    assert front["tags"][-1] == "approximate"
    assert "lie phi = 1 input pixel apart, and of c4 only the identity survives." in body
    assert "It would be exact at 20 x 20 or 22 x 22." in body
    assert "| **21 x 21** | **1** | **approximate** |" in body


def test_a_plain_network_promises_nothing(tmp_path):
    save(tmp_path / "m", network("z2cnn_20"))
    front, body = front_of(tmp_path / "m")
    assert front["tags"] == ["symdata", "equivariance", "symmetry", "c1"]
    assert "not tied by any group" in body and "**Not by construction.**" in body
    assert "phi" not in body and "| input size |" not in body
    write_evaluation(tmp_path / "m", evaluation())
    assert len(ModelCard.load(tmp_path / "m" / "README.md").data.eval_results) == 2


def test_a_configuration_of_old_has_no_sizes_and_a_card(folder):
    edit(folder, lambda config: config["exactness"].pop("sizes"))
    read_checkpoint(folder)
    refresh_card(folder)
    _, body = front_of(folder)
    assert "| input size |" not in body and "**Exactly**" in body and sections(body) == SECTIONS


def test_of_a_large_group_the_worst_are_shown(whole):
    said = report(group="d16")
    _, body = parts(render_card(read_config(whole), evaluation(group="d16")))
    shown = re.findall(r"^\| under (\S+) \|", body, re.M)
    assert len(shown) == 16 and set(shown) == {score.element for score in said.elements[16:]}


def test_a_card_is_rendered_again_to_the_same_bytes(whole, folder):
    refresh_card(folder)
    assert contents(folder) == contents(whole)
    write_evaluation(folder, evaluation())
    evaluated = contents(folder)
    refresh_card(folder)
    assert contents(folder) == evaluated and evaluated.keys() > contents(whole).keys()


def test_text_of_others_stays_text(whole):
    """Names come from folders and commands: none of them makes a heading, a table, a picture or HTML."""
    evil = "x\n---\n\n# A heading\n\n```\n| a | b |\n<script>![p](http://p)</script>"
    config = read_config(whole)
    config |= {"classes": [evil, *config["classes"][1:]], "name": evil}
    config["training"] = config["training"] | {"command": evil, "symmetry": evil}
    config["dataset"] = config["dataset"] | {"name": evil, "source": {"ref": evil, "license": evil}}
    card = render_card(config, evaluation(data=f"{evil}, test", note=evil, name=evil))
    front, body = parts(card)
    assert front["model-index"][0]["name"] == " ".join(evil.split()).replace("`", "'")
    assert set(front) == {"library_name", "license", "pipeline_tag", "tags", "model-index"}
    assert sections(body) == [SECTIONS[0], "Accuracy", *SECTIONS[1:]]
    assert len(re.findall(r"^# ", body, re.M)) == 1
    outside = re.sub(r"^```.*?^```$|`[^`\n]*`", "", body, flags=re.M | re.S)
    assert (
        outside.count("![") == 1
        and not re.search(r"(?<!\\)<script", outside)
        and "\n---" not in body
        and "`" not in outside.replace("\\`", "")
    )
    for line in body.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 4), line


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config["exactness"].pop("tied"),
        lambda config: config.update(exactness={}),
        lambda config: config["exactness"].update(sizes={"many": 0.0}),
        lambda config: config["exactness"].update(phi=[]),
        lambda config: config["preprocessing"].update(mean=3),
        lambda config: config.update(group="q8"),
        lambda config: config["dataset"].update(source=3),
    ],
)
def test_what_says_too_little_for_a_card_is_one_sentence(whole, change):
    config = read_config(whole)
    change(config)
    with pytest.raises(ModelError, match=r"config\.json does not say what a card tells") as caught:
        render_card(config, evaluation())
    assert "\n" not in str(caught.value)


def test_nothing_that_draws_is_loaded_for_a_model_that_was_not_evaluated(folder):
    code = (
        "import json, sys; from zoo.checkpoint.folder import refresh_card, write_evaluation; refresh_card(sys.argv[1]);"
        "print('matplotlib' in sys.modules); write_evaluation(sys.argv[1], json.loads(sys.argv[2]));"
        "print('matplotlib' in sys.modules)"
    )
    words = [sys.executable, "-c", code, str(folder), json.dumps(evaluation())]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "False\nTrue\n"
