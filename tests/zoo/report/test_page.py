"""The page about models: its numbers are those of the evaluation, and a browser opens it without a complaint."""

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
import torch

from tests.support.checkpoints import network
from zoo import ImageSet, OpenedModel, Preprocessing, evaluate
from zoo.errors import ModelError
from zoo.report import ModelEntry, SavedReport, collect, compared, page, read_record
from zoo.report.charts import polar, shares
from zoo.report.table import HEADER

PREPROCESSING = Preprocessing(20, (0.13,), (0.31,))
CLASSES = ("a", "b", "c", "<script>alert(1)</script>")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def entry(
    model=None, name: str = "p4cnn_20", count: int = 24, angles: int = 12, elements: str = "d4", measured: int = 2
) -> ModelEntry:
    model = network() if model is None else model
    images = torch.randint(0, 256, (count, 1, 20, 20), generator=torch.Generator().manual_seed(1)).byte()
    labels = torch.arange(count) % 4
    opened, noise = OpenedModel(model, PREPROCESSING, CLASSES, name), ImageSet(images, labels, name="noise")
    return collect(opened, noise, evaluate(opened, noise, angles=angles, elements=elements), measured=measured)


@pytest.fixture(scope="module")
def entries() -> list[ModelEntry]:
    return [entry(), entry(network("p4cnn_21"), "p4cnn_21 & co"), entry(network("z2cnn_20"), "z2cnn_20")]


@pytest.fixture(scope="module")
def html(entries) -> str:
    return page(entries, command="symdata report p4cnn_20")


class Reader(HTMLParser):
    """The text, the addresses and the tags of a page; unclosed tags are an error."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.addresses, self.tags, self.open = "", [], set(), []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.addresses += [value for key, value in attrs if key in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_is_whole_and_alone(html):
    reader = Reader(html)
    assert not reader.open
    assert all(address.startswith("data:") for address in reader.addresses)
    assert "script" not in reader.tags and not re.search(r"https?://|@import|url\(", html)
    assert "<script>alert(1)</script>" in reader.text, "a class of that name is text"
    assert "p4cnn_21 & co" in reader.text


def test_its_numbers_are_those_of_the_evaluation(html, entries):
    text = Reader(html).text
    for one in entries:
        assert f"{100 * one.report.upright.value:.2f}" in text
        assert f"{100 * one.report.curve.mean:.2f}" in text
    assert "Exact under c4" in text and "Approximate, phi = 1" not in text  # all three run at 20 pixels
    assert "Not tied by a group" in text
    assert text.count("Where equivariance is lost") == sum(bool(e.report.structure.layers) for e in entries)


def test_agreement_is_what_a_loop_finds(entries):
    from zoo.inference.views import Views

    one, model = entries[0], network()
    images = torch.randint(0, 256, (24, 1, 20, 20), generator=torch.Generator().manual_seed(1)).byte()
    from symdata.groups import Group

    with torch.no_grad():
        predicted = [model(Views(images, PREPROCESSING).under(g)).argmax(1) for g in Group.parse("d4").elements]
    for i, row in enumerate(one.agreement):
        for j, share in enumerate(row):
            assert share == (predicted[i] == predicted[j]).double().mean().item()
    turns = [row[:4] for row in one.agreement[:4]]
    assert all(share == 1 for row in turns for share in row), "exact under c4"
    assert min(map(min, entries[2].agreement)) < 1, "the negative control"


def test_strips_turn_the_image(entries):
    strip = entries[0].strips[0]
    assert [image.angle for image in strip.frames] == [30.0 * k for k in range(12)]
    first = strip.frames[0].pixels
    assert torch.equal(strip.frames[3].pixels, torch.rot90(first, 1, (-2, -1)))
    assert {one.label for one in entries[0].strips} == {0, 1, 2, 3}
    assert strip.frames[0].predicted == strip.frames[3].predicted
    assert all(0 < image.confidence <= 1 for image in strip.frames)


def test_sizes_are_those_of_the_audit(entries):
    from zoo import audit

    for size, phi in entries[0].sizes.items():
        assert (phi == 0) == audit(network(), size, in_chans=1).exact
    assert entries[2].sizes is None


def test_the_comparison_is_ranked(entries):
    lines = compared(entries).splitlines()
    assert len(lines) == 5 and all(line.count("|") == lines[0].count("|") for line in lines)
    column = HEADER.index("all angles") + 1
    means = [float(line.split("|")[column]) for line in lines[2:]]
    assert means == sorted(means, reverse=True)


def test_errors_are_those_of_the_measures(entries):
    """What stands in table and chart is what `zoo.measure` gives on the same images, brute force where there is one."""
    from zoo.inference.sweep import spread
    from zoo.measure import invariance_error, layerwise_equivariance_error, local_equivariance_error

    model, found = network("z2cnn_20"), entries[2].measures
    images = torch.randint(0, 256, (24, 1, 20, 20), generator=torch.Generator().manual_seed(1)).byte()
    x = PREPROCESSING(images[spread(24, 2)])
    assert found.kept["element_errors"].invariance.error.value == invariance_error(model, x).worst
    for motion in found.motions:
        local = local_equivariance_error(model, x, motion.generator)
        assert motion.value == local.value
        assert motion.relative.value == pytest.approx(local.relative.value * local.half_image**2)
    rotation = next(split for split in found.splits if split.generator == "rotation")
    assert rotation.layers == layerwise_equivariance_error(model, x, "rotation").layers
    assert sum(layer.share.value for layer in rotation.layers) == pytest.approx(1.0)
    exact, inexact = (measures.kept["element_errors"].features for measures in (entries[0].measures, found))
    assert exact.group == "c4" and exact.error.value < 1e-12
    assert inexact.group == "d4" and inexact.error.value > 1e-2, "the negative control"


def test_orbits_are_counted_as_by_a_loop(entries):
    from symdata.groups import Group
    from zoo.inference.views import Views

    model, one = network(), entries[0]
    images = torch.randint(0, 256, (24, 1, 20, 20), generator=torch.Generator().manual_seed(1)).byte()
    views, labels = Views(images, PREPROCESSING), torch.arange(24) % 4
    with torch.no_grad():
        answers = torch.stack([model(views.under(g)).argmax(1) for g in Group.parse("d4").elements])
    assert one.orbit == pytest.approx((answers == labels).double().mean().item())
    assert one.always_right.correct == sum(
        all(a == y for a in column) for column, y in zip(answers.T, labels, strict=True)
    )
    assert one.always_same.correct == sum(len(set(column.tolist())) == 1 for column in answers.T)


def test_charts_of_motions_and_layers(html, entries):
    text = Reader(html).text
    assert text.count("As images start to move") == 1 and text.count("Which layers fail") == 3
    for entry_ in entries:
        for motion in entry_.measures.motions:
            assert f"{entry_.name} along {motion.generator}: {motion.relative.value:.3g} +-" in text
    drawing = shares([("a", "Conv2d", 1.25, 0.1), ("b", "ReLU", -0.25, 0.1)], 0)
    bars = [
        tuple(map(float, pair))
        for pair in re.findall(r'<rect class="bar m0" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', drawing)
    ]
    (right, wide), (left, narrow) = bars
    assert left + narrow == pytest.approx(right, abs=0.11) and wide == pytest.approx(5 * narrow, rel=0.01)


def test_layers_are_told_apart_by_their_labels():
    """What all begin with is left out; long paths keep their numbers and their last word."""
    names = [
        f"model.encoder.stages.{i}.layers.{j}.layer.{k}.convolution" for i in (0, 1) for j in (0, 1) for k in (0, 1)
    ]
    drawing = shares([(name, "Conv2d", 0.1, 0.0) for name in names], 0)
    labels = re.findall(r'<text class="label end small"[^>]*>([^<]*)<', drawing)
    assert labels[1] == "0.l.0.l.1.convolution"
    assert len(set(labels)) == 8 and all(name in drawing for name in names)


def test_the_json_gives_page_and_table_again(entries, html, tmp_path):
    """Pictures included; and what is not such a file is refused with what is wrong with it."""
    record = SavedReport(tuple(entries), "", "symdata report p4cnn_20")
    path = tmp_path / "report.json"
    path.write_text(record.dumps(), encoding="utf-8")
    again = read_record(path)
    assert again.dumps() == record.dumps()
    assert page(again.entries, command=again.command) == html and compared(again.entries) == compared(entries)
    fields = json.loads(record.dumps())
    assert fields["models"][0]["evaluation"]["upright"]["accuracy"] == entries[0].report.upright.value
    del fields["models"][1]["measures"]
    for text, reason in (
        (json.dumps(fields), "it has no 'measures'"),
        (json.dumps(fields | {"format": 2}), "its format is 2, expected 1"),
        ("[]", "list indices"),
        ("<html>", "Expecting value"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ModelError, match=rf"report.json' is no report: {reason}.*; give the JSON that"):
            read_record(path)


def test_a_record_with_an_earlier_spelling_stands_beside_a_new_one(entries, tmp_path):
    """`translate-x` is the same motion; the file keeps what it says."""
    record = SavedReport(tuple(entries[:1]))
    text = record.dumps().replace("translate_", "translate-")
    path = tmp_path / "earlier.json"
    path.write_text(text, encoding="utf-8")
    (earlier,) = read_record(path).entries
    assert SavedReport((earlier,)).dumps() == text and "translate-x" in text
    assert compared([earlier]) == compared(entries[:1])
    shown = page([earlier, entries[1]])
    assert shown.count(" along translate_x: ") == 2 and " along translate-x" not in shown


def test_a_saved_report_prints_the_comparison(entries):
    record = SavedReport(tuple(entries), "Three models")
    text = str(record)
    assert text.startswith("Three models\n\nmodel ") and "\n\nIn percent: accuracy upright, orbit: " in text
    assert text.index("p4cnn_21 & co") > 0 and "<td>p4cnn_21 &amp; co</td>" in record._repr_html_()
    assert str(SavedReport((), "Nothing")) == "Nothing"
    assert str(entries[0]).startswith(str(entries[0].report)) and "Over whole orbits under d4: " in str(entries[0])


def test_more_models_than_colours(entries):
    """Nine: all stand in the table, the eight best are drawn; two of one name are told apart."""
    many = [entries[k % 3] for k in range(9)]
    text = Reader(page(many)).text
    assert text.count("Do predictions agree?") == 8 and "1 more are in the table only" in text
    assert len(compared(many).splitlines()) == 11 and "p4cnn_20 #2" in text and "p4cnn_20 #3" in text


def test_without_measures():
    one = entry(measured=0)
    assert one.measures is None and compared([one]).splitlines()[2].count("| - ") == 4
    text = Reader(page([one])).text
    assert "start to move" not in text and "float64 on 2 images" not in text


def test_without_a_curve(entries):
    text = Reader(page([entry(angles=0, elements="c4")])).text
    assert "Accuracy over the angle" not in text and "Do predictions agree?" in text


def test_models_that_do_not_belong_together(entries):
    with pytest.raises(
        ModelError, match=r"evaluated on different images, noise \(24, d4\) and noise \(30, d4\); evaluate"
    ):
        page([entries[0], entry(count=30)])
    with pytest.raises(ModelError, match="0 models for one report, expected at least one"):
        page([])


def test_a_dial_turns_counter_clockwise():
    drawing = polar({"m": ((0.0, 90.0), (1.0, 1.0))}, 0.1)
    (x0, y0), (x1, y1) = re.findall(r'<circle class="dot m0" cx="([\d.]+)" cy="([\d.]+)"', drawing)
    assert float(y0) < float(y1) and float(x1) < float(x0), "0 is up, 90 is left"


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_a_browser_opens_it_without_a_complaint(html, tmp_path):
    """Headless Chromium writes what its console says to stderr; a page with an error shows that it would be seen."""
    good, bad = tmp_path / "good.html", tmp_path / "bad.html"
    good.write_text(html, encoding="utf-8")
    bad.write_text(html.replace("</body>", "<script>nothing()</script></body>"), encoding="utf-8")
    assert "CONSOLE" in opened(bad, tmp_path)
    said = opened(good, tmp_path)
    assert "CONSOLE" not in said
    assert (tmp_path / "good.png").stat().st_size > 10_000


def opened(path, folder) -> str:
    picture = f"--screenshot={path.with_suffix('.png')}"
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={folder}/profile",
    ]
    environment = {**os.environ, "HOME": str(folder)}
    command = [str(BROWSER), *flags, picture, "--window-size=1000,3000", path.as_uri()]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True).stderr
