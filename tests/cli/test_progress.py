"""Progress on stderr: a line now and then where there is no terminal."""

import io
import sys

from cli.options.basic import ProgressLines, progress_bar


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def lines_of(capsys, every, updates=100, total=1000):
    """The lines of a run of which each of `updates` takes `every` seconds."""
    clock = Clock()
    with ProgressLines(total, "p4cnn_28", clock) as bar:
        for _ in range(updates):
            clock.now += every
            bar.update(total // updates)
    return capsys.readouterr().err.splitlines()


def test_a_long_run_says_now_and_then_how_far_it_is(capsys):
    lines = lines_of(capsys, 1.0)
    assert lines[0] == "p4cnn_28: 100 of 1,000 images, 10%, about 90 s left" or lines[0].endswith("about 2 min left")
    assert 3 <= len(lines) <= 8
    hours = lines_of(capsys, 60.0)
    assert len(hours) <= 100 and "about 2 h left" not in hours[0] and hours[0].endswith("about 1.6 h left")


def test_a_short_run_says_nothing(capsys):
    """Negative control."""
    assert lines_of(capsys, 0.05) == []


def test_a_terminal_gets_a_bar_and_a_closed_stderr_nothing(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar(10, "mine") as bar:
        bar.update(5)
        assert not isinstance(bar, ProgressLines) and bar.n == 5
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(progress_bar(10, "mine"), ProgressLines)
    assert not isinstance(progress_bar(0, "mine"), ProgressLines), "nothing to count"
    monkeypatch.setattr(sys, "stderr", None)
    with progress_bar(10, "mine") as bar:
        bar.update(5)
