"""Random shifts: whole pixels, keyed by (seed, epoch, image), and nothing else decides them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats

from symdata.keys import split_keys
from tests.support.training import config, dataset, lines, run, weights
from zoo.errors import ModelError
from zoo.training import prepare, train
from zoo.training.batches import Batches
from zoo.training.shifts import draw_shifts, shift_images


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("training") / "data", count=60)


def images(data, number=0, part=(0, 1), **changes) -> torch.Tensor:
    """The images of an epoch, in the order in which they are served."""
    return torch.cat([batch.images for batch in served(data, part, **changes).epoch(number)])


def served(data, part=(0, 1), **changes) -> Batches:
    plan = prepare(config(data, **changes))
    return Batches(plan.config, plan.data.train, plan.preprocessing, torch.device("cpu"), part)


# The operation


@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_a_shift_is_a_crop_of_the_padded_image(padding, dtype):
    batch = torch.randint(1, 256, (9, 3, 5, 7), generator=torch.Generator().manual_seed(0)).to(dtype)
    shifts = torch.tensor([[x, y] for x in (-2, 0, 3) for y in (-3, 0, 1)])
    mode = {"mode": "replicate"} if padding == "border" else {}
    padded = F.pad(batch.float(), (3, 3, 3, 3), **mode).to(dtype)
    found = shift_images(batch, shifts, padding)
    for k, (right, down) in enumerate(shifts.tolist()):
        expected = padded[k, :, 3 - down : 8 - down, 3 - right : 10 - right]
        assert torch.equal(found[k], expected)
        assert torch.equal(expected, batch[k]) == (right == down == 0)


def test_right_and_down_are_positive():
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 2, 2] = 1
    assert shift_images(image, torch.tensor([[1, 2]]))[0, 0, 4, 3] == 1


def test_shifts_are_uniform_and_their_parts_independent():
    keys = torch.from_numpy(split_keys(3, "train", "shift-1", np.arange(40_500)))
    shifts = draw_shifts(keys, 4).numpy()
    cells = np.bincount((shifts[:, 0] + 4) * 9 + shifts[:, 1] + 4, minlength=81)
    assert len(cells) == 81 and stats.chisquare(cells).pvalue > 1e-3
    tied = np.bincount((shifts[:, 0] + 4) * 9 + shifts[:, 0] + 4, minlength=81)  # negative control
    assert stats.chisquare(tied).pvalue < 1e-12


# In training


@pytest.mark.parametrize("fill", ["background", "zero"])
def test_every_image_of_an_epoch_is_shifted_by_its_own_key(data, fill):
    batches = served(data, shift=2, fill=fill)
    rows = torch.arange(60)
    shifts = draw_shifts(split_keys(0, "train", "shift-3", rows), 2)
    unit = batches.images.float() / 255
    if fill == "background":
        expected = (shift_images(unit, shifts) - batches.mean) / batches.std
    else:
        expected = shift_images((unit - batches.mean) / batches.std, shifts, "zeros")
    for number, same in ((3, True), (4, False)):  # in epoch 4 the shifts are others
        order = np.argsort(split_keys(0, "train", f"epoch-{number}", np.arange(60)), kind="stable")
        shown = torch.cat([batch.images for batch in batches.epoch(number)])
        assert torch.equal(shown, expected[order]) == same


def test_shifts_differ_by_seed_and_epoch_and_are_none_without_the_option(data):
    rows = torch.arange(60)
    drawn = [draw_shifts(split_keys(seed, "train", f"shift-{e}", rows), 2) for seed in (0, 1) for e in (0, 1)]
    assert not any(torch.equal(a, b) for k, a in enumerate(drawn) for b in drawn[:k])
    assert torch.equal(images(data, shift=0), images(data)) and not torch.equal(images(data, shift=2), images(data))


@pytest.mark.parametrize("symmetry", ["none", "so2"])
def test_the_shift_of_an_image_does_not_depend_on_its_batch(data, symmetry):
    small, large = (images(data, symmetry=symmetry, shift=2, batch_size=size) for size in (7, 50))
    assert torch.equal(small, large)


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("augment_per", ["image", "batch"])
def test_processes_share_every_batch(data, processes, augment_per):
    changes = {"shift": 3, "symmetry": "c4", "augment_per": augment_per}
    alone = list(served(data, **changes).epoch(1))
    parts = [list(served(data, (k, processes), **changes).epoch(1)) for k in range(processes)]
    for k, batch in enumerate(alone):
        assert torch.equal(torch.cat([part[k].images for part in parts]), batch.images)


def test_one_shift_for_a_batch(data):
    plain = list(served(data).epoch(0))
    moved = list(served(data, shift=1, augment_per="batch").epoch(0))
    every = [torch.tensor([[x, y]]) for x in (-1, 0, 1) for y in (-1, 0, 1)]
    for before, after in zip(plain, moved, strict=True):
        assert any(torch.allclose(shift_images(before.images, shift), after.images) for shift in every)


def test_images_are_turned_first_and_shifted_then(data):
    shifts = draw_shifts(split_keys(0, "train", "shift-0", torch.arange(60)), 2)
    order = np.argsort(split_keys(0, "train", "epoch-0", np.arange(60)), kind="stable")
    turned = images(data, symmetry="c4")
    assert torch.allclose(images(data, symmetry="c4", shift=2), shift_images(turned, shifts[order]))


def test_images_that_are_held_out_stay(data):
    plan = prepare(config(data, shift=3))
    held = Batches(plan.config, plan.data.validation, plan.preprocessing, torch.device("cpu"), (0, 1))
    shown = torch.cat([shown for shown, _ in held.plain()])
    assert torch.equal(shown, plan.preprocessing(plan.data.validation.images))


class Stop(Exception):  # noqa: N818
    """What stops a run here."""


def test_a_resumed_run_has_the_same_bits(data, tmp_path):
    changes = {"shift": 2, "epochs": 3, "symmetry": "c4"}
    whole = run(data, out=str(tmp_path / "whole"), **changes)
    assert weights(run(data, out=str(tmp_path / "plain"), **changes | {"shift": 0})) != weights(whole)
    seen = []

    def progress(n):
        seen.append(n)
        if sum(seen) > 100:
            raise Stop

    with pytest.raises(Stop):
        train(config(data, out=str(tmp_path / "run"), **changes), progress=progress)
    folder = run(data, out=str(tmp_path / "run"), resume=True, **changes)
    assert weights(folder) == weights(whole) and lines(folder) == lines(whole)


def test_a_shift_out_of_the_image_is_refused(data):
    with pytest.raises(ModelError, match="shift is 12 and images have 12 pixels; use less, such as --shift 2"):
        prepare(config(data, shift=12))
    with pytest.raises(ModelError, match="shift is -1, expected a whole number from 0"):
        config(data, shift=-1)
