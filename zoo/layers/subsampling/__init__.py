"""Pools and subsamplings of feature maps, some with phases that the image itself chooses.

Every file of this folder may add a way to downsample to `zoo.layers.subsampling.downsampling.KINDS`.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
