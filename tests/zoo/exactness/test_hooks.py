"""Hooks on all modules, names of runs, and tensors that were seen."""

import pytest
import torch
from torch import nn

from zoo.exactness.hooks import RunNames, module_hooks
from zoo.measure.seen_tensors import SeenTensors


def test_functions_run_before_and_after_every_module_and_no_longer_than_the_context():
    net, log = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), []
    x = torch.zeros(1, 2, 2)
    with module_hooks(net, lambda name, m, a, out: log.append(f"-{name}"), lambda name, m: log.append(f"+{name}")):
        net(x)
    assert log == ["+", "+0", "-0", "+1", "-1", "-"]
    net(x)
    assert len(log) == 6


def test_a_hook_may_return_another_output():
    net = nn.Sequential(nn.Flatten(), nn.ReLU())
    with module_hooks(net, lambda name, m, a, out: out + 1 if name == "0" else None):
        assert net(torch.zeros(1, 2)).tolist() == [[1.0, 1.0]]


def test_with_before_what_comes_after_runs_for_a_module_that_fails():
    net, log = nn.Sequential(nn.Linear(3, 2)), []
    hooks = module_hooks(net, lambda name, m, a, out: log.append(out), lambda name, m: None)
    with hooks, pytest.raises(RuntimeError, match="shapes"):
        net(torch.zeros(1, 4))
    assert log == [None, None]


def test_runs_are_numbered():
    names = RunNames()
    assert [names.next(name) for name in ("a", "b", "a", "a")] == ["a", "b", "a#2", "a#3"]


def test_a_tensor_is_seen_until_it_changes_and_keeps_nothing_alive():
    seen, x, y = SeenTensors(), torch.zeros(2), torch.zeros(2)
    seen.add(x)
    assert x in seen and y not in seen
    x.add_(1)
    assert x not in seen
    seen.add(y)
    assert len(seen._versions) == 2
    del x, y
    assert len(seen._versions) == 0
    assert not [name for name in dir(torch.zeros(1)) if "symdata" in name]
