"""The errors of the feature maps of any model under a group, as far as they can be compared."""

from torch import Tensor, nn

from symdata.groups import Group
from zoo.errors import ModelError
from zoo.exactness.model_groups import tied_group
from zoo.measure.equivariance import FeatureError, equivariance_error, has_other_fields, shared_group


def comparable_errors(model: nn.Module, inputs: Tensor, group: Group) -> tuple[FeatureError | None, str]:
    """The errors of the feature maps, and a note on what they do not say; None where no map can be compared.

    Args:
        model: it is copied, never changed.
        inputs: normalised images (n, C, H, W), as the model takes them.
        group: those of its elements that are symmetries of the feature maps count.
    """
    shared = shared_group(model, group)
    if has_other_fields(model):
        return None, "its fields are not those of a lattice group, so feature maps are not compared"
    if len(shared.elements) == 1:
        return None, f"{group} shares no element with the symmetries of its feature maps but the identity"
    note = "" if tied_group(model) else "no layer ties its weights by a group: each channel is taken for an image"
    try:
        return equivariance_error(model, inputs, shared), note
    except ModelError as error:
        return None, f"feature maps were not compared: {error}"
