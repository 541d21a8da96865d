"""The slider is HTML that needs nothing else: pictures, answers, a strip without scripts, and a strict policy."""

import base64
import hashlib
import html
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from symdata.errors import ShapeError
from symdata.pictures.slider import script, slider, slider_page, style

VIEWS = tuple(f"{10 * k}°" for k in range(36))
NASTY = '"><script>alert(1)</script>'


def pictures(count=36, channels=1, side=8):
    return np.random.default_rng(0).integers(0, 256, (count, channels, side, side), dtype=np.uint8)


def answers(count=36):
    return {"exact": [("cat", 0.91)] * count, NASTY: [("cat", 0.5) if k % 2 else ("<b>dog", 0.6) for k in range(count)]}


class Tags(HTMLParser):
    """The tags of a page with their attributes; what is not closed, or closed twice, is an error."""

    VOID = ("input", "meta", "link")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found, self.open, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data if self.open and self.open[-1] not in ("style", "script") else ""

    def of(self, name):
        return [attrs for tag, attrs in self.found if tag == name]


def sprite_of(text):
    content = base64.b64decode(re.search(r"data:image/\w+;base64,([^\"]+)", text)[1])
    return np.asarray(Image.open(io.BytesIO(content)))


def facts_of(text):
    (figure,) = Tags(text).of("figure")
    return json.loads(figure["data-slider"])


@pytest.mark.parametrize("channels", [1, 3])
def test_every_view_has_its_picture_in_the_sprite(channels):
    given = pictures(channels=channels)
    text = slider(given, VIEWS, answers(), "cat")
    facts, sheet = facts_of(text), sprite_of(text)
    sheet = sheet if channels == 3 and sheet.ndim == 3 else sheet[..., :1] if sheet.ndim == 3 else sheet[..., None]
    assert facts["views"] == list(VIEWS) and facts["size"] == [8, 8]
    for k in range(36):
        y, x = (8 * v for v in divmod(k, facts["columns"]))
        assert np.array_equal(sheet[y : y + 8, x : x + 8], given[k].transpose(1, 2, 0))
    (entry,) = Tags(text).of("input")
    assert (entry["type"], entry["min"], entry["max"]) == ("range", "0", "35")


def test_every_answer_is_there_once_for_each_view():
    facts = facts_of(slider(pictures(), VIEWS, answers(), "cat"))
    said = [[(facts["labels"][label], share / 1000) for label, share in row] for row in facts["said"]]
    assert said == [list(row) for row in answers().values()]
    assert facts["labels"][facts["truth"]] == "cat"
    assert facts_of(slider(pictures(), VIEWS, answers()))["truth"] == -1, "negative control: nobody knows the class"


def test_without_scripts_the_strip_stays_and_says_the_answers():
    tags = Tags(slider(pictures(), VIEWS, answers(), "cat", alone=False))
    assert not tags.of("script") and "open" in tags.of("details")[0]
    stills = [attrs for attrs in tags.of("svg") if attrs["class"] == "still"]
    assert len(stills) == 12 and len({attrs["viewbox"] for attrs in stills}) == 12
    assert stills[1]["aria-label"] == f"An image of class cat, 30°: exact says cat, 91.0 %; {NASTY} says cat, 50.0 %"
    marks = [attrs.get("class") for attrs in tags.of("td")]
    assert marks.count("right") == 12 + 6 and marks.count("wrong") == 6
    unknown = Tags(slider(pictures(), VIEWS, answers()))
    assert not [attrs for attrs in unknown.of("td") if attrs.get("class")], "negative control"


def test_names_and_labels_are_text():
    text = slider(pictures(), VIEWS, answers(), "cat", alone=False)
    assert "<script" not in text and "<b>" not in text
    assert NASTY in Tags(text).text and "<b>dog" in Tags(text).text


def test_a_page_asks_for_nothing_and_its_policy_is_of_its_script_and_style():
    body = "".join(slider(pictures(), VIEWS, answers(), label, alone=False) for label in ("cat", None))
    page = slider_page("Cats & dogs", body)
    tags = Tags(page)
    assert not re.search(r"https?:|@import|url\(|\son\w+=|\sstyle=", page)
    addresses = [attrs.get("href", attrs.get("src", "")) for _, attrs in tags.found]
    assert all(address.startswith(("data:", "#")) for address in addresses if address)
    (policy,) = [attrs["content"] for attrs in tags.of("meta") if attrs.get("http-equiv")]
    for tag in ("script", "style"):
        (code,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy and policy.startswith("default-src 'none'")
    assert html.unescape("Cats &amp; dogs") in tags.text and len(tags.of("main")) == 1


def test_alone_it_brings_style_and_script():
    text = slider(pictures(), VIEWS, answers(), "cat")
    assert f"<style>{style()}</style>" in text and f"<script>{script()}</script>" in text
    assert all(
        rule.lstrip().startswith((".symdata-slider", "@media", "body", "--s", "margin", "font", "}"))
        for rule in style().splitlines()
        if rule.strip()
    ), "its style changes nothing outside of it"


def test_photographs_stay_small():
    noise = pictures(channels=3, side=64)
    assert len(slider(noise, VIEWS, answers(), "cat")) < 250_000
    grid = np.linspace(0, 255, 64, dtype=np.uint8)
    smooth = np.broadcast_to(grid, (36, 3, 64, 64))
    assert len(slider(smooth, VIEWS, answers(), "cat", alone=False)) < 40_000


@pytest.mark.parametrize(
    ("given", "views", "said", "reason"),
    [
        (pictures(3), VIEWS, answers(), "'views' has 36 entries for 3 pictures, expected one for each"),
        (pictures(3), VIEWS[:3], answers(4), "'exact' has 4 entries for 3 pictures"),
        (pictures(3).astype(float), VIEWS[:3], answers(3), r"float64 \(3, 1, 8, 8\), expected uint8 \(n, C, h, w\)"),
        (pictures(3, channels=2), VIEWS[:3], answers(3), "with 1 or 3 channels"),
        (pictures(0), (), {}, "pictures are uint8"),
    ],
)
def test_what_does_not_fit_is_refused(given, views, said, reason):
    with pytest.raises(ShapeError, match=reason):
        slider(given, views, said)
