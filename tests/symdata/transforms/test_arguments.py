"""What a call of an augmentation takes: a random generator, and no word that it would ignore."""

import kornia.augmentation as K
import numpy as np
import pytest
import torch

from symdata import LearnableAffine, RandomSymmetry, act
from symdata.errors import ArgumentError, SymmetryError
from tests.support.pixels import noise


@pytest.mark.parametrize("make", [lambda **o: RandomSymmetry("so2", **o), lambda **o: LearnableAffine("rotation", **o)])
def test_a_generator_decides(make):
    def seeded(n=5):
        return torch.Generator().manual_seed(n)

    images, augment = noise(8, 1, 12, 12), make()
    first = augment(images, generator=seeded())
    assert augment.generator is None and augment(images, generator=seeded()).equal(first)
    assert make(generator=seeded())(images).equal(first) and not augment(images, generator=seeded(6)).equal(first)
    before, drawing = torch.get_rng_state(), seeded()
    one, other = augment(images, generator=drawing), augment(images, generator=drawing)
    assert one.equal(first) and not other.equal(first) and torch.get_rng_state().equal(before)
    with pytest.raises(ArgumentError, match=r"generator is a Generator, expected one of torch: torch.Generator\(\)"):
        augment(images, generator=np.random.default_rng())


def test_a_generator_in_a_container():
    augment, images = RandomSymmetry("d4"), noise(16, 1, 6, 6)
    pipeline = K.AugmentationSequential(augment, data_keys=["image"])
    with augment.given(generator=torch.Generator().manual_seed(3)):
        moved = pipeline(images)
    assert augment(images, generator=torch.Generator().manual_seed(3)).equal(moved)
    assert moved.equal(act(images, augment.elements))
    with pytest.raises(ArgumentError, match="pass one of the two"):
        augment(images, keys=torch.arange(16), generator=torch.Generator())


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("lables", "a call of RandomSymmetry takes no lables=; did you mean labels?"),
        ("key", "takes no key=; did you mean keys?"),
        ("seed", "takes no seed=; there are labels, keys, generator"),
        ("mask", r"takes no mask=; put it into AugmentationSequential\(RandomSymmetry\(...\), data_keys="),
    ],
)
def test_a_word_that_a_call_does_not_take_is_refused(word, sentence):
    augment, images = RandomSymmetry("d4"), noise(8, 1, 6, 6)
    with pytest.raises(ArgumentError, match=sentence) as caught:
        augment(images, **{word: images})
    assert isinstance(caught.value, TypeError)  # as for any function of Python
    with pytest.raises(ArgumentError, match="LearnableAffine takes no generater=; did you mean generator"):
        LearnableAffine()(images, generater=None)
    params = augment.forward_parameters(images.shape)  # which Kornia takes
    assert augment(images, params=params, flip=torch.zeros(8, dtype=torch.bool), save_kwargs=True) is not None
    assert not augment.elements.flip.any()


def test_the_elements_of_the_last_call():
    augment = RandomSymmetry("d4")
    with pytest.raises(SymmetryError, match="no image has been moved yet"):
        augment.elements  # noqa: B018
    images = noise(16, 1, 6, 6)
    assert augment(images).equal(act(images, augment.elements))
