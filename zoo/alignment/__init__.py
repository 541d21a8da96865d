"""Networks aligned with their own images under a group, and with each other: weights moved, matched and merged.

Networks that are trained to be equivariant tend to become group convolutional networks up to a permutation of their
channels (Bökman & Kahl 2023, arXiv 2305.17017).

    transform_weights   g theta: every filter moved by an element of d4
    transform_check     whether f_{g theta}(g x) = f_theta(x), and if not, which subsampling breaks it
    plain_copy          a group-equivariant network as an ordinary one
    PermutationSpec     which channel axes of which parameters are tied, found by tracing
    match_activations   the permutation of every layer's channels that correlates two networks best
    merge               the weights of two networks averaged, and their statistics repaired

`zoo.measure.layerwise_alignment` puts these together.
"""

from zoo.alignment.matching import ChannelMatch as ChannelMatch
from zoo.alignment.matching import Matching as Matching
from zoo.alignment.matching import match_activations as match_activations
from zoo.alignment.merging import merge as merge
from zoo.alignment.permutations import PermutationSpec as PermutationSpec
from zoo.alignment.plain_copy import plain_copy as plain_copy
from zoo.alignment.transform import TransformCheck as TransformCheck
from zoo.alignment.transform import transform_check as transform_check
from zoo.alignment.transform import transform_weights as transform_weights
