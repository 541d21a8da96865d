"""The action of O(2) on the pixels of images, and random augmentations by it."""
