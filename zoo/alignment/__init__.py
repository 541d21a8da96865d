"""Networks aligned with their own images under a group, and with each other: weights moved, matched and merged.

Networks that are trained to be equivariant tend to become group convolutional networks up to a permutation of their
channels (Bökman & Kahl 2023, arXiv 2305.17017).

    transform_weights   g theta: every filter moved by an element of d4
    transform_check     whether f_{g theta}(g x) = f_theta(x), and if not, which subsampling breaks it
    plain_copy          a group-equivariant network as an ordinary one
"""

from zoo.alignment.plain_copy import plain_copy as plain_copy
from zoo.alignment.transform import TransformCheck as TransformCheck
from zoo.alignment.transform import transform_check as transform_check
from zoo.alignment.transform import transform_weights as transform_weights
