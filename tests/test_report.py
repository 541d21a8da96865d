"""The page about models: its numbers are those of the evaluation, and a browser opens it without a complaint."""

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
import torch

from tests.support import checkpoints
from tests.support.checkpoints import network
from tests.support.commands import refused, run
from zoo import Preprocessing, evaluate
from zoo.errors import ModelError
from zoo.report import Entry, collect, compared, page
from zoo.report.charts import polar

here = checkpoints.here
PREPROCESSING = Preprocessing(20, (0.13,), (0.31,))
CLASSES = ("a", "b", "c", "<script>alert(1)</script>")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def entry(model=None, name: str = "p4cnn_20", count: int = 24, angles: int = 12, elements: str = "d4") -> Entry:
    model = network() if model is None else model
    images = torch.randint(0, 256, (count, 1, 20, 20), generator=torch.Generator().manual_seed(1)).byte()
    labels = torch.arange(count) % 4
    report = evaluate(
        model, images, labels, PREPROCESSING, name=name, data="noise", classes=CLASSES, angles=angles, elements=elements
    )
    return collect(model, images, labels.tolist(), PREPROCESSING, report)


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
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
    from zoo.evaluation.views import Views

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


def test_films_turn_the_image(entries):
    film = entries[0].films[0]
    assert [frame.angle for frame in film.frames] == [30.0 * k for k in range(12)]
    first = film.frames[0].pixels
    assert torch.equal(film.frames[3].pixels, torch.rot90(first, 1, (-2, -1)))
    assert {f.label for f in entries[0].films} == {0, 1, 2, 3}
    assert film.frames[0].predicted == film.frames[3].predicted
    assert all(0 < frame.confidence <= 1 for frame in film.frames)


def test_sizes_are_those_of_the_audit(entries):
    from zoo import audit

    for size, phi in entries[0].sizes.items():
        assert (phi == 0) == audit(network(), size, channels=1).exact
    assert entries[2].sizes is None


def test_the_comparison_is_ranked(entries):
    lines = compared(entries).splitlines()
    assert len(lines) == 5 and all(line.count("|") == lines[0].count("|") for line in lines)
    means = [float(line.split("|")[-3]) for line in lines[2:]]
    assert means == sorted(means, reverse=True)


def test_the_json_can_be_computed_with(entries):
    fields = json.loads(json.dumps(entries[0].to_dict()))
    assert fields["evaluation"]["upright"]["accuracy"] == entries[0].report.upright.value
    assert len(fields["films"][0]["frames"]) == 12 and "pixels" not in fields["films"][0]["frames"][0]


def test_without_a_curve(entries):
    text = Reader(page([entry(angles=0, elements="c4")])).text
    assert "Accuracy over the angle" not in text and "Do predictions agree?" in text


def test_models_that_do_not_belong_together(entries):
    with pytest.raises(ModelError, match=r"evaluated on different images, noise \(24\) and noise \(30\); evaluate"):
        page([entries[0], entry(count=30)])
    with pytest.raises(ModelError, match="0 models for one report, expected 1 to 8"):
        page([])


def test_a_dial_turns_counter_clockwise():
    drawing = polar({"m": ((0.0, 90.0), (1.0, 1.0))}, 0.1)
    (x0, y0), (x1, y1) = re.findall(r'<circle class="dot m0" cx="([\d.]+)" cy="([\d.]+)"', drawing)
    assert float(y0) < float(y1) and float(x1) < float(x0), "0 is up, 90 is left"


def test_the_command(here):
    arguments = ("--data", "glyphs:digits", "--limit", "20", "--angles", "4", "-o", "out/page.html")
    result = run("report", "p4cnn_28.mnist-none", "z2cnn_28.mnist-none", *arguments, "--compare")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("| model | parameters |")
    assert Reader((here / "out/page.html").read_text()).text.count("Watch it turn") == 2
    assert len(json.loads((here / "out/page.json").read_text())) == 2


def test_the_command_refuses(here):
    assert "name at least one MODEL" in refused("report", "--data", "glyphs", code=2)
    said = refused("report", "p4cnn_28.mnist-none", "--data", "glyphs", "-o", "page.pdf", code=2)
    assert "-o 'page.pdf' is no page; name it 'page.html'" in said
    assert "has random weights" in refused("report", "p4cnn_28", "--data", "glyphs")
    assert "classes" in refused("report", "p4cnn_28.mnist-none", "--data", "glyphs:OX")


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
