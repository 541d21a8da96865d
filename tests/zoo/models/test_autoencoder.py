"""The group equivariant autoencoder: what it shows does not change, and where it is moves with the image."""

import pytest
import torch
from torch.nn import functional as F

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Element, Group
from tests.support.torus import digits, moved
from zoo.models.autoencoder import GroupEquivariantAutoencoder


def make(group, size=16, dtype=torch.float64, **options):
    torch.manual_seed(0)
    return GroupEquivariantAutoencoder(group, 8, size=size, fields=3, **options).to(dtype)


def noise(count=3, size=16, dtype=torch.float64, channels=1):
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(1), dtype=dtype)


def elements(group, size, count=100):
    """`count` random elements of the group of shifts and turns."""
    generator = torch.Generator().manual_seed(2)
    whole = Group.parse(group).elements
    for _ in range(count):
        k, row, column = (int(torch.randint(n, (), generator=generator)) for n in (len(whole), size, size))
        yield whole[k], (row, column)


def spread(images):
    return (images - images.mean((-2, -1), keepdim=True)).norm() / len(images) ** 0.5


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-9)])
@pytest.mark.parametrize(("group", "size"), [("c1", 12), ("c4", 16), ("c4", 28), ("d1", 12), ("d2", 8), ("d4", 16)])
def test_decoding_a_moved_index_moves_the_image(group, size, dtype, bound):
    model = make(group, size, dtype)
    with torch.no_grad():
        z_inv, z_eq = model.encode(noise(2, size, dtype))
        image = model.decode(z_inv, z_eq)
        for e, shift in elements(group, size):
            error = model.decode(z_inv, model.act(e, z_eq, shift)) - moved(image, e, shift)
            assert error.norm() / 2**0.5 <= bound * spread(image) and error.abs().max() <= bound / 10
    assert spread(image) > 1e-3, "not a constant"


@pytest.mark.parametrize("group", ["c4", "d4"])
def test_encoding_a_moved_image(group):
    model, images = make(group), noise()
    with torch.no_grad():
        z_inv, z_eq = model.encode(images)
        for e, shift in elements(group, 16):
            after_inv, after_eq = model.encode(moved(images, e, shift))
            assert torch.equal(after_eq, model.act(e, z_eq, shift))
            assert (after_inv - z_inv).norm() <= 1e-9 * (z_inv - z_inv.mean(0)).norm()
    assert z_eq.shape == (3, 3) and z_inv.shape == (3, 8) and z_inv.std(0).min() > 1e-4


def test_real_digits(data):
    model, images = make("c4", 32), digits(data, 40)
    with torch.no_grad():
        z_inv, z_eq = model.encode(images)
        image = model(images)
        for e, shift in elements("c4", 32, count=6):
            after_inv, after_eq = model.encode(moved(images, e, shift))
            assert torch.equal(after_eq, model.act(e, z_eq, shift))
            assert (after_inv - z_inv).norm() <= 1e-9 * (z_inv - z_inv.mean(0)).norm()
            assert (model(moved(images, e, shift)) - moved(image, e, shift)).norm() <= 1e-9 * spread(image)


def test_the_action_is_one():
    model = make("d4")
    z_eq = torch.tensor([[3, 15, 5], [0, 0, 0]])
    assert torch.equal(model.act(Element(0), z_eq), z_eq)
    for a in model.group.elements:
        for b in model.group.elements:
            assert torch.equal(model.act(a, model.act(b, z_eq)), model.act(a @ b, z_eq))
    assert model.act(Element(90), z_eq, (1, 2))[1].tolist() == [0, 2, 1], "(0, 0) goes to (15, 0), then rolls"


def test_control_the_element_is_needed_and_so_is_its_place():
    model = make("c4")
    with torch.no_grad():
        z_inv, z_eq = model.encode(noise())
        image, e = model.decode(z_inv, z_eq), Element(90)
        turned = model.act(e, z_eq)
        for wrong in (z_eq, torch.cat([z_eq[:, :2], turned[:, 2:]], 1), torch.cat([turned[:, :2], z_eq[:, 2:]], 1)):
            assert (model.decode(z_inv, wrong) - moved(image, e)).norm() > 1e-2 * spread(image)


def test_it_learns_one_image_in_all_its_places():
    """Trained on one place of each of four images, it has learned all places."""
    model, images = make("c4", 8, torch.float32), noise(4, 8, torch.float32)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(200):
        optimizer.zero_grad()
        loss = F.mse_loss(model(images), images)
        loss.backward()
        optimizer.step()
    assert loss < 0.2 * images.var() and all(p.grad is not None for p in model.parameters())
    with torch.no_grad():
        for e, shift in elements("c4", 8, count=5):
            after = moved(images, e, shift)
            assert abs(F.mse_loss(model(after), after) - F.mse_loss(model(images), images)) < 1e-4


REFUSED = [
    (lambda: make("c4", 1), ShapeError, "size is 1, expected a whole number from 2 to 4096 pixels"),
    (lambda: make("c8"), SymmetryError, "c8 moves pixels off their lattice"),
    (lambda: make("c4").encode(noise(size=12)), ShapeError, "images are (3, 1, 12, 12), expected (B, 1, 16, 16)"),
    (lambda: make("c4").encode(noise(channels=3)), ShapeError, "expected (B, 1, 16, 16)"),
]


@pytest.mark.parametrize(("call", "kind", "sentence"), REFUSED)
def test_what_does_not_fit_is_refused(call, kind, sentence):
    with pytest.raises(kind) as caught:
        call()
    assert sentence in str(caught.value) and "\n" not in str(caught.value)
