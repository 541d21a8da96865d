"""`symdata inspect` on any source, and with --audit on our own folders."""

import json

import pytest
from click.testing import CliRunner
from PIL import Image

from cli.main import main
from symdata.inspection.source_audit import audit_source
from symdata.recipes.spec import Spec
from symdata.store import load, make
from tests.support.annotated import write_masks


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A small dataset folder of ours, upright."""
    folder = tmp_path_factory.mktemp("built") / "upright"
    make(Spec(count=400, size=16), folder)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, built):
    """Someone else's image folder, of the same images."""
    root, dataset = tmp_path_factory.mktemp("pictures"), load(built, "train")
    for i, (image, label) in enumerate(zip(dataset.images(), dataset.labels.tolist(), strict=True)):
        place = root / f"class-{label:02}"
        place.mkdir(exist_ok=True)
        Image.fromarray(image[0].numpy()).save(place / f"{i:04}.png")
    return root


def run(*arguments):
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)])


def test_an_image_folder_is_audited_alone(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(pictures)
    assert result.exit_code == 0, result.output
    assert "Symmetry audit of 400 images" in result.stdout
    assert "DIFFERS" in result.stdout
    assert "- Augmenting with d4 changes what a classifier sees" in result.stdout
    assert "chi-square" not in result.stdout
    assert not list(tmp_path.iterdir())


def test_an_audit_of_a_source_gives_json(pictures):
    result = run(pictures, "--json", "--group", "c4", "--limit", 300)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["split"], found["shape"], found["audit"]["images"]) == ("train", [1, 16, 16], 300)
    assert found["audit"]["group"] == "c4"
    assert {test["element"] for test in found["audit"]["tests"]} == {"r90", "r180"}
    assert found["audit"]["degree"]["bound"] < 0.1
    assert found["audit"]["safe"] == "none"
    assert found["audit"]["advice"]


def test_an_audit_prints_what_the_command_prints():
    found = audit_source("glyphs:bd", group="d1", limit=200)
    assert run("glyphs:bd", "--group", "d1", "--limit", 200).stdout == f"{found}\n"
    assert str(found.audit) in str(found)
    assert "<td>DIFFERS</td>" in found._repr_html_()
    labels = [text.get_text() for text in found.plot().axes[0].get_yticklabels()]
    assert labels == [f"{test.element}, {test.view}" for test in found.audit.tests]


def test_glyphs_are_audited_from_their_name():
    result = run("glyphs:OX", "--limit", 200)
    assert result.exit_code == 0, result.output
    assert "Augmenting with d4 is safe as far as 200 images can tell" in result.stdout


def test_a_folder_of_ours_is_audited_beside_its_report(built, tmp_path):
    result = run(built, "--audit", "--split", "train", "--out", tmp_path / "seen")
    assert result.exit_code == 0, result.output
    assert result.stdout.index("Every element is one that the symmetry gives") < result.stdout.index("Symmetry audit")
    result = run(built, "--audit", "--split", "train", "--out", tmp_path / "seen", "--json")
    found = json.loads(result.stdout)
    assert (found["splits"][0]["degree"], found["audit"]["degree"]["bound"]) == (0.0, pytest.approx(0.0, abs=0.05))


def test_a_folder_of_ours_is_not_audited_unasked(built, tmp_path):
    result = run(built, "--out", tmp_path / "seen")
    assert result.exit_code == 0
    assert "Symmetry audit" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["FOLDER", "--group", "c4"], 2, "add --audit"),
        (["FOLDER", "--limit", "300"], 2, "add --audit"),
        (["PICTURES", "--out", "seen"], 2, "leave it out"),
        (["PICTURES", "--split", "train", "--split", "test"], 2, "run it once for each"),
        (["PICTURES", "--split", "holdout"], 1, "no split 'holdout'; it has train"),
        (["PICTURES", "--limit", "20"], 1, "20 images are too few"),
        (["PICTURES", "--group", "c8"], 1, "'c8' is no group that moves pixels"),
        (["glyphs:O"], 1, "one class"),
        (["nobody/nothing"], 1, "for the Hub write 'hub:"),
    ],
)
def test_refusals_are_a_sentence(built, pictures, arguments, code, sentence):
    result = run(*({"FOLDER": built, "PICTURES": pictures}.get(a, a) for a in arguments))
    assert result.exit_code == code
    assert sentence in result.stderr
    assert "Traceback" not in result.output
    assert code == 2 or result.stderr.count("\n") == 1
    assert not result.stdout


def test_images_without_labels_get_no_verdict_about_labels(tmp_path):
    write_masks(tmp_path, 100)
    found = audit_source(str(tmp_path), group="c4")
    assert found.audit.labels == () and "The labels" not in str(found)
    assert run(tmp_path, "--group", "c4").exit_code == 0
