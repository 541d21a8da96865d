"""Small annotated datasets for tests: images of painted rectangles, with their boxes, keypoints and masks."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.images import encoded

CATEGORIES = ("cat", "dog", "eel")
SIDE = 12


def painted(n: int = 6, size: tuple[int, int] = (SIDE, SIDE), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Black RGB images (n, H, W, 3) with a rectangle in two colours, and its boxes (n, 4): x, y, width, height.

    The upper left pixel of each rectangle is red, the others are gray.
    """
    random, (h, w) = np.random.default_rng(seed), size
    images = np.zeros((n, h, w, 3), np.uint8)
    near = random.integers(0, [w - 3, h - 3], (n, 2))
    sides = random.integers(2, np.array([w, h]) - near + 1)
    for image, (x, y), (dx, dy) in zip(images, near, sides, strict=True):
        image[y : y + dy, x : x + dx] = 200
        image[y, x] = 255, 0, 0
    return images, np.concatenate([near, sides], axis=1)


def coco(boxes: np.ndarray, size: tuple[int, int] = (SIDE, SIDE), keypoints: bool = False) -> dict[str, Any]:
    """The content of instances.json as `to_coco` writes it: an object in each image."""
    h, w = size
    names = {"keypoints": ["corner", "none"], "skeleton": []} if keypoints else {}
    entries = []
    for k, (x, y, dx, dy) in enumerate(boxes.tolist()):
        box = [float(x), float(y), float(dx), float(dy)]
        entry = {"id": k + 1, "image_id": k + 1, "category_id": 1 + k % 3, "bbox": box}
        entry |= {"area": float(dx * dy) - 0.5, "iscrowd": int(k == 2)}
        entries.append(entry | ({"keypoints": [x, y, 2, 0, 0, 0], "num_keypoints": 1} if keypoints else {}))
    return {
        "images": [{"id": k + 1, "file_name": f"{k:06d}.png", "width": w, "height": h} for k in range(len(boxes))],
        "annotations": entries,
        "categories": [{"id": k, "name": name, **names} for k, name in enumerate(CATEGORIES, 1)],
    }


def write_coco(
    root: Path, splits: tuple[str, ...] = ("train",), size: tuple[int, int] = (SIDE, SIDE), keypoints: bool = False
) -> dict[str, Any]:
    """`root/instances_<split>.json` and `root/<split>/*.png`; returns the content for each split."""
    contents = {}
    for seed, split in enumerate(splits):
        images, boxes = painted(size=size, seed=seed)
        (root / split).mkdir(parents=True)
        for k, image in enumerate(images):
            (root / split / f"{k:06d}.png").write_bytes(encoded(image))
        contents[split] = coco(boxes, size, keypoints)
        (root / f"instances_{split}.json").write_text(json.dumps(contents[split]))
    return contents


def write_yolo(root: Path, splits: tuple[str, ...] = ("train",), data: str = "") -> None:
    """`root/data.yaml`, `root/images/<split>/*.png` and `root/labels/<split>/*.txt`; one image has no text file."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_text(data or f"names: {list(CATEGORIES)}\n")
    for seed, split in enumerate(splits):
        images, boxes = painted(seed=seed)
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for k, (image, (x, y, w, h)) in enumerate(zip(images, boxes.tolist(), strict=True)):
            (root / "images" / split / f"{k:06d}.png").write_bytes(encoded(image))
            if k != 1:
                row = f"{k % 3} {(x + w / 2) / SIDE:.12g} {(y + h / 2) / SIDE:.12g} {w / SIDE:.12g} {h / SIDE:.12g}\n"
                (root / "labels" / split / f"{k:06d}.txt").write_text(row)


def write_masks(root: Path, n: int = 6, classes: bool = False, seed: int = 0) -> np.ndarray:
    """`root/images/<k>.png` and `root/masks/<k>.png`, or class folders beside a folder `masks`; returns the masks."""
    images, _ = painted(n, seed=seed)
    masks = (images.sum(3) > 0).astype(np.uint8) * 2 + (images[..., 1] == 0) * (images[..., 0] > 0).astype(np.uint8)
    for k, (image, mask) in enumerate(zip(images, masks, strict=True)):
        folder = CATEGORIES[k % 2] if classes else ""
        for base, pixels in ((root if classes else root / "images", image), (root / "masks", mask.astype(np.uint8))):
            (base / folder).mkdir(parents=True, exist_ok=True)
            (base / folder / f"{k}.png").write_bytes(encoded(pixels))
    return masks.astype(np.uint8)
