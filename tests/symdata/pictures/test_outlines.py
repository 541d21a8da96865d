"""Annotations drawn into images."""

import numpy as np
import torch

from symdata.annotations import Annotations, Objects, Schema
from symdata.pictures.outlines import COLOURS, outlined


def test_a_box_is_drawn_on_its_outermost_pixels():
    images = np.full((2, 1, 6, 7), 9, np.uint8)
    objects = Objects.boxed(np.array([[1.0, 2.0, 4.0, 3.0]]), image=np.array([1]))
    drawn = outlined(images, Annotations(Schema(categories=("a",)), 2, (6, 7), objects=objects))
    wanted = np.zeros((6, 7), bool)
    wanted[2:5, 1:5], wanted[3, 2:4] = True, False
    assert (drawn[0] == 9).all() and drawn.shape == (2, 3, 6, 7) and (images == 9).all()
    assert np.array_equal((drawn[1] == COLOURS[0][:, None, None]).all(0), wanted)


def test_regions_of_a_mask_are_outlined_and_void_is_not():
    masks = torch.tensor([[[0, 0, 255], [1, 1, 255], [1, 1, 255]]], dtype=torch.uint8)
    drawn = outlined(np.zeros((1, 3, 3, 3), np.uint8), Annotations(Schema(masks=True), 1, (3, 3), masks))
    found = (drawn[0] > 0).any(0)
    assert found.tolist() == [[True, True, False], [False, True, False], [False, True, False]]


def test_images_without_annotations_are_left_as_they_are():
    images = np.zeros((1, 1, 3, 3), np.uint8)
    assert outlined(images, None) is images
