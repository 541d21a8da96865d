"""Masks in tables of text and in tar shards: read as those in a folder of masks are."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from symdata.errors import SourceError
from symdata.sources import open_source
from symdata.store import load, make, verify
from tests.support.annotated import write_masks
from tests.support.images import encoded
from tests.symdata.sources.test_webdataset import as_json, write

EVERY = np.arange(6)


def _csv(root: Path, label: bool, separator: str = ",") -> str:
    header = ["image", "mask", *(["label"] if label else []), "patient"]
    rows = [[f"images/{k}.png", f"masks/{k}.png", *(["cat", "dog"][k % 2 :][:1] if label else []), k] for k in EVERY]
    path = root / ("t.csv" if separator == "," else "t.tsv")
    path.write_text("".join(separator.join(map(str, row)) + "\n" for row in [header, *rows]))
    return str(path)


def _tsv(root: Path, label: bool) -> str:
    return _csv(root, label, "\t")


def _jsonl(root: Path, label: bool) -> str:
    rows = [{"image": f"images/{k}.png", "mask": f"masks/{k}.png", "patient": k} for k in EVERY.tolist()]
    rows = [row | ({"label": ["cat", "dog"][k % 2]} if label else {}) for k, row in enumerate(rows)]
    (root / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(root / "t.jsonl")


def _tar(root: Path, label: bool) -> str:
    members = {}
    for k in EVERY.tolist():
        members |= {f"{k:04}.{kind}": (root / folder / f"{k}.png").read_bytes() for kind, folder in KINDS.items()}
        members[f"{k:04}.json"] = as_json(patient=k, **({"label": ["cat", "dog"][k % 2]} if label else {}))
    return str(write(root / "train-0000.tar", members))


KINDS = {"png": "images", "mask.png": "masks"}
FORMS = {_csv: "mask", _tsv: "mask", _jsonl: "mask", _tar: "mask.png"}
Write = Callable[[Path, bool], str]


@pytest.mark.parametrize("label", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_masks_are_those_of_the_folder(form: Write, label: bool, tmp_path: Path) -> None:
    masks = write_masks(tmp_path)
    ref = form(tmp_path, label)
    whole, found = open_source(str(tmp_path)), open_source(f"{ref},mask={FORMS[form]},void=9")
    assert found.annotation_schema.void == 9 and found.classes == (("cat", "dog") if label else ("image",))
    assert np.array_equal(found.annotations("train", EVERY[::-1]).masks, masks[::-1])
    assert found.read("train", EVERY).equal(whole.read("train", EVERY))
    assert found.extra_columns("train").to_pydict() == {"patient": list(range(6))}
    plain = open_source(ref)  # beside labels, masks are read if they are named
    assert hasattr(plain, "annotation_schema") is not label
    made = make(ref + f",mask={FORMS[form]}", tmp_path.parent / f"{tmp_path.name}-d", symmetry="d4", seed=3)
    assert verify(made.folder).passed
    folder = load(make(str(tmp_path), tmp_path.parent / f"{tmp_path.name}-f", symmetry="d4", seed=3).folder)
    assert load(made.folder).annotations().masks.equal(folder.annotations().masks)


@pytest.mark.parametrize("form", FORMS)
def test_another_mask_is_another_source(form: Write, tmp_path: Path) -> None:
    write_masks(tmp_path)
    before = open_source(form(tmp_path, False)).fingerprint
    (tmp_path / "masks" / "4.png").write_bytes(encoded(np.zeros((12, 12), np.uint8)))
    assert open_source(form(tmp_path, False)).fingerprint != before


@pytest.mark.parametrize("form", FORMS)
def test_bad_masks_are_named_together_and_left_out(form: Write, tmp_path: Path) -> None:
    masks = write_masks(tmp_path)
    (tmp_path / "masks" / "1.png").write_text("no mask")
    (tmp_path / "masks" / "4.png").write_bytes(encoded(np.zeros((5, 5), np.uint8)))
    ref = form(tmp_path, False)
    with pytest.raises(SourceError, match=r"^source .*: mask .* cannot be used: it is not an image.*; replace or rem"):
        open_source(ref)
    with pytest.raises(SourceError, match=r"2 of 6 images .*\(mask .* cannot be used: .*\(mask .* is 5x5, its image"):
        open_source(ref, check=True)
    assert np.array_equal(open_source(ref, skip_bad=2).annotations("train", EVERY[:4]).masks, masks[[0, 2, 3, 5]])


def test_rows_without_a_mask(tmp_path: Path) -> None:
    write_masks(tmp_path)
    path = Path(_csv(tmp_path, False))
    path.write_text(path.read_text().replace("masks/2.png", "").replace("masks/3.png", "masks/none.png"))
    with pytest.raises(SourceError, match=r"t.csv line 4 has no path in column 'mask'; fill it or drop that row"):
        open_source(path)
    named = r"2 of 6 images .*\(t.csv line 4 has no path; .*\(t.csv line 5: .*none.png' cannot be read"
    with pytest.raises(SourceError, match=named):
        open_source(path, check=True)
    assert open_source(path, skip_bad=2).splits == {"train": 4}


def test_samples_without_a_mask(tmp_path: Path) -> None:
    write_masks(tmp_path)
    pixels = (tmp_path / "images" / "0.png").read_bytes()
    mask = (tmp_path / "masks" / "0.png").read_bytes()
    ref = write(tmp_path / "a.tar", {"0.png": pixels, "0.mask.png": mask, "1.png": pixels})
    with pytest.raises(SourceError, match=r"a.tar sample '1' has no mask mask.png, its members are png; add it"):
        open_source(ref)
    with pytest.raises(SourceError, match=r"1 of 2 images .*a.tar has no member '1.mask.png'"):
        open_source(ref, check=True)
    assert open_source(ref, skip_bad=1).splits == {"train": 1}
    two = write(tmp_path / "b.tar", {"0.png": pixels, "0.mask.png": mask, "0.mask.gif": mask})
    with pytest.raises(SourceError, match=r"masks could be mask.gif or mask.png; name their ending with ,mask=ENDING"):
        open_source(two)
    assert open_source(f"{two},mask=mask.gif").splits == {"train": 1}
    members = {
        f"{k}.{end}": what for k in "01" for end, what in {"jpg": pixels, "png": mask, "cls": k.encode()}.items()
    }
    own = write(tmp_path / "c.tar", members)
    assert open_source(f"{own},mask=png").annotations("train", np.arange(2)).masks.shape == (2, 12, 12)
    with pytest.raises(SourceError, match="void= is for masks, and there are none"):
        open_source(f"{own},image=jpg,void=3")
