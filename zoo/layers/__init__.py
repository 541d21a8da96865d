"""Layers of group-equivariant networks, one class each, parametric in a subgroup of d4: c1, c2, c4, d1, d2, d4.

Feature maps are (B, |G| C, H, W), group-major; see `zoo.layers.regular` for the reason and for the action of the group.
"""

from zoo.layers.convolution import GroupConv2d as GroupConv2d
from zoo.layers.convolution import LiftingConv2d as LiftingConv2d
from zoo.layers.dropout import GroupDropout as GroupDropout
from zoo.layers.linear import GroupLinear as GroupLinear
from zoo.layers.norm import GroupBatchNorm2d as GroupBatchNorm2d
from zoo.layers.regular import act_on_features as act_on_features
from zoo.layers.regular import fields as fields
from zoo.layers.regular import flat as flat
from zoo.layers.residual_block import GroupResidualBlock as GroupResidualBlock
from zoo.layers.separable import GCGroupConv2d as GCGroupConv2d
from zoo.layers.separable import GGroupConv2d as GGroupConv2d
from zoo.layers.subsampling.downsampling import downsampling as downsampling
from zoo.layers.subsampling.indexing import GroupIndex as GroupIndex
from zoo.layers.subsampling.indexing import group_index as group_index
from zoo.layers.subsampling.polyphase import AdaptivePolyphase2d as AdaptivePolyphase2d
from zoo.layers.subsampling.polyphase import EquivariantPolyphase2d as EquivariantPolyphase2d
from zoo.layers.subsampling.pooling import BlurPool2d as BlurPool2d
from zoo.layers.subsampling.pooling import GroupAvgPool2d as GroupAvgPool2d
from zoo.layers.subsampling.pooling import GroupMaxPool2d as GroupMaxPool2d
from zoo.layers.subsampling.pooling import GroupPool as GroupPool
from zoo.layers.subsampling.subsample import EquivariantSubsample2d as EquivariantSubsample2d
from zoo.layers.subsampling.subsample import EquivariantUpsample2d as EquivariantUpsample2d
from zoo.layers.upsampling import GroupConvTranspose2d as GroupConvTranspose2d
from zoo.layers.upsampling import GroupUpsampleConv2d as GroupUpsampleConv2d
