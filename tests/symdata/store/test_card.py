"""The manifest and the card: numbers that agree with the shards, YAML that the Hub accepts, a command that works."""

import json
import re
import shlex
from pathlib import Path

import datasets
import numpy as np
import pytest
import yaml
from huggingface_hub import DatasetCard

from symdata.recipes.plan import resolve
from symdata.recipes.spec import Spec
from symdata.sources import open_source
from symdata.store import load
from symdata.store.card import command
from symdata.store.shards import plan_shards
from tests.support.commands import run
from tests.support.folders import build, contents, table
from tests.support.images import write_folder

datasets.disable_progress_bars()


def test_the_manifest_says_what_was_built(tmp_path):
    fields = {"symmetry": "0-7:so2@-45..45,rest:c8", "test_symmetry": "o2", "size": 21}
    turned = build(tmp_path / "d", count=200, **fields).folder
    manifest = json.loads((turned / "symdata.json").read_text())
    assert manifest["splits"]["train"]["symmetry"] == "0-7:so2@-45..45,rest:c8"
    assert manifest["splits"]["test"]["symmetry"] == "o2" and manifest["splits"]["test"]["group"] == "o2"
    assert manifest["splits"]["test"]["degree"] == 1.0
    assert manifest["resampling"] == {
        "kernel": "halves",
        "mask": "disk",
        "padding": "border",
        "supersample": 1,
        "version": 1,
    }
    assert manifest["source"]["fingerprint"] == open_source("glyphs").fingerprint
    assert manifest["shape"] == [1, 21, 21]
    for split, entry in manifest["splits"].items():
        assert entry["num_examples"] == len(table(turned, split))
        for shard in entry["shards"]:
            assert shard["bytes"] == (turned / shard["file"]).stat().st_size


SPECS = {
    "default": {"symmetry": "d4-partial"},
    "per class": {"symmetry": "0-7:so2@-45..45,rest:c8", "test_symmetry": "o2", "size": 20},
    "recipe": {"recipe": "mnist6-180", "source": "glyphs:digits", "seed": 3, "mask": "disk"},
    "pairs": {"recipe": "ddmnist-d4", "source": "glyphs:digits"},
    "quadrants": {"recipe": "digit-quadrant", "source": "glyphs:digits", "symmetry": "so2@0~20", "padding": "zeros"},
    "supersampled": {"symmetry": "so2", "supersample": 3, "resample": "bilinear"},
}


@pytest.mark.parametrize("name", SPECS)
def test_the_card_is_valid_and_agrees_with_the_manifest(name, tmp_path):
    made = build(tmp_path / "d", count=120, **SPECS[name])
    card = DatasetCard.load(made.folder / "README.md")
    assert "More Information Needed" not in card.text and "{{" not in card.text and "{%" not in card.text
    front = yaml.safe_load(card.content.split("---\n")[1])
    declared = {split["name"]: split["num_examples"] for split in front["dataset_info"]["splits"]}
    assert declared == {split: entry["num_examples"] for split, entry in made.manifest["splits"].items()}
    assert front["license"] == "other" and front["size_categories"] == ["n<1K"]
    assert front["task_categories"] == ["image-classification"]
    files = {entry["split"]: entry["path"] for entry in front["configs"][0]["data_files"]}
    assert files == {split: f"{split}-*.parquet" for split in declared}
    for split, entry in made.manifest["splits"].items():
        cells = [
            split,
            f"{entry['num_examples']:,}",
            f"`{entry['symmetry']}`",
            f"{entry['degree']:.3f}",
            entry["group"],
        ]
        assert f"| {' | '.join(cells)} |" in card.text
    for column in table(made.folder, "train").column_names:
        assert f"`{column}`" in card.text or column.endswith("_right")
    said_exact = "never interpolated" in card.text
    assert said_exact == (made.manifest["resampling"]["kernel"] == "exact")


def test_the_card_states_the_conventions(tmp_path):
    """The sentences, and that the columns and the degree follow them."""
    made = build(tmp_path / "d", count=120, symmetry="d4", test_symmetry="none")
    text = " ".join((made.folder / "README.md").read_text().split())
    assert "0 for the identity alone, 1 for the Haar measure of its group" in text
    assert [made.manifest["splits"][split]["degree"] for split in ("train", "test")] == [1.0, 0.0]
    assert "mirror left-right first if `flip`, then rotate by `angle` degrees counter-clockwise as displayed" in text
    assert "rotations by 360 k / n degrees first, then the same after a mirror; -1 if the group is continuous" in text
    rows = table(made.folder, "train").to_pylist()
    assert {row["element"]: (row["angle"], row["flip"]) for row in rows} == {
        k: (90.0 * (k % 4), k >= 4) for k in range(8)
    }
    source = open_source("glyphs")
    for row, image in zip(rows[:16], load(made.folder, "train").images()[:16].numpy(), strict=True):
        upright = source.read("train", [row["index"]])[0].numpy()
        mirrored = upright[..., ::-1] if row["flip"] else upright
        assert np.array_equal(image, np.rot90(mirrored, row["angle"] // 90, (-2, -1)))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"symmetry": "c8"}, "so that blur and corners hardly tell which element acted"),
        ({"symmetry": "c8", "mask": "none"}, "blur or corners may tell which element acted"),
        ({"symmetry": "c8", "resample": "bilinear"}, "blur or corners may tell which element acted"),
        ({"symmetry": "c4", "mask": "disk"}, "bit for bit, and black outside the inscribed disk."),
    ],
)
def test_the_card_says_what_resampling_may_tell(fields, words, tmp_path):
    assert words in " ".join((build(tmp_path / "d", count=60, **fields).folder / "README.md").read_text().split())


def card_command(folder: Path) -> list[str]:
    (line,) = re.findall(r"^    (symdata make.*)$", (folder / "README.md").read_text(), re.MULTILINE)
    return shlex.split(line)


@pytest.mark.parametrize("name", SPECS)
def test_the_command_of_the_card_makes_the_same_bytes(name, tmp_path):
    first = build(tmp_path / "first", count=150, run={"num_shards": 2}, **SPECS[name])
    again = run(*card_command(first.folder)[1:], "--out", tmp_path / "second")
    assert again.exit_code == 0, again.output
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_the_command_of_the_card_quotes_what_a_shell_would_split(tmp_path):
    source = write_folder(tmp_path / "my pets & friends")
    made = build(tmp_path / "d", source=str(source), symmetry="so2@45~20")
    words = card_command(made.folder)
    assert words == ["symdata", "make", str(source), "--symmetry", "so2@45~20"]


def test_the_command_names_every_option_that_is_not_the_default(tmp_path):
    fields = {"recipe": "updown45", "symmetry": "c8", "test_symmetry": "c4", "size": 20, "count": 60, "seed": -1}
    fields |= {"resample": "bicubic", "mask": "none", "padding": "reflection", "supersample": 2, "resize": "area"}
    plan = resolve(Spec(**fields))
    shards = [{"file": shard.file} for shard in plan_shards(plan, 2)]
    manifest = {"splits": {"train": {"shards": shards[:2]}, "validation": {"shards": shards[2:4]}}}
    line = command(plan, manifest)
    for name, value in fields.items():
        assert f"--{name.replace('_', '-')} {value}" in line or name == "recipe"
    assert line.startswith("symdata make updown45 ") and line.endswith("--num-shards 2")


def test_class_names_that_yaml_reads_otherwise(tmp_path):
    names = ("1e3", "a: b", "null", "yes", "ä 'b' \"c\"", "07")
    source = write_folder(tmp_path / "s", names, per_class=4)
    made = build(tmp_path / "d", source=str(source), symmetry="d4")
    assert made.manifest["classes"] == sorted(names)
    loaded = datasets.load_dataset(str(made.folder), cache_dir=str(tmp_path / "cache"))
    assert loaded["train"].features["label"].names == sorted(names)
