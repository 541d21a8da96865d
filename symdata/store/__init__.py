"""The dataset folder on disk: make, load, verify."""

from symdata.store.dataset import ImageDataset, load, splits
from symdata.store.dataset_folder import Made, make
from symdata.store.manifest import read_manifest
from symdata.store.verification import Verification, verify

__all__ = ["ImageDataset", "Made", "Verification", "load", "make", "read_manifest", "splits", "verify"]
