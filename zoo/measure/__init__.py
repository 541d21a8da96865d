"""How far a model is from a symmetry, measured: invariance, equivariance, whole orbits, Lie derivatives, filters.

Every measure gives a small frozen result, numbers with their standard error over images, and `to_dict()` for JSON.
Models are copied, so they stay in the mode, the precision and the place that they were in.

    equivariance_error        feature maps, or any output, under the elements of a subgroup of d4
    invariance_error          the output under any elements of O(2)
    orbit_accuracy            accuracy over whole orbits, and how far the answers agree along them
    local_equivariance_error  the derivative along a motion: rotation, translations, scale, shear
    layerwise_equivariance_error  the same, split among the layers by the chain rule
    degree_of_equivariance    how much of its symmetry each layer has kept, and the smallest: `model_degree`
    kernel_deviation          filters against the nearest equivariant ones, without images
    assert_invariant, assert_equivariant   for the tests of a model

This file is the list of public names; each is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.measure.degree import LayerDegree as LayerDegree
    from zoo.measure.degree import degree_of_equivariance as degree_of_equivariance
    from zoo.measure.degree import model_degree as model_degree
    from zoo.measure.equivariance import FeatureError as FeatureError
    from zoo.measure.equivariance import equivariance_error as equivariance_error
    from zoo.measure.estimates import Estimate as Estimate
    from zoo.measure.flows import GENERATORS as GENERATORS
    from zoo.measure.flows import Generator as Generator
    from zoo.measure.flows import flow as flow
    from zoo.measure.flows import tangent as tangent
    from zoo.measure.invariance import InvarianceError as InvarianceError
    from zoo.measure.invariance import invariance_error as invariance_error
    from zoo.measure.judge import assert_equivariant as assert_equivariant
    from zoo.measure.judge import assert_invariant as assert_invariant
    from zoo.measure.kernels import KernelDeviation as KernelDeviation
    from zoo.measure.kernels import kernel_deviation as kernel_deviation
    from zoo.measure.kernels import kernel_deviations as kernel_deviations
    from zoo.measure.layerwise import LayerTerm as LayerTerm
    from zoo.measure.layerwise import LayerwiseError as LayerwiseError
    from zoo.measure.layerwise import layerwise_equivariance_error as layerwise_equivariance_error
    from zoo.measure.lie import LieDerivative as LieDerivative
    from zoo.measure.lie import LocalError as LocalError
    from zoo.measure.lie import lie_derivative as lie_derivative
    from zoo.measure.lie import local_equivariance_error as local_equivariance_error
    from zoo.measure.motions import How as How
    from zoo.measure.orbit import OrbitAccuracy as OrbitAccuracy
    from zoo.measure.orbit import orbit_accuracy as orbit_accuracy

_HOMES = {
    "Estimate": "estimates",
    "FeatureError": "equivariance",
    "GENERATORS": "flows",
    "Generator": "flows",
    "How": "motions",
    "InvarianceError": "invariance",
    "KernelDeviation": "kernels",
    "LayerDegree": "degree",
    "LayerTerm": "layerwise",
    "LayerwiseError": "layerwise",
    "LieDerivative": "lie",
    "LocalError": "lie",
    "OrbitAccuracy": "orbit",
    "assert_equivariant": "judge",
    "assert_invariant": "judge",
    "degree_of_equivariance": "degree",
    "equivariance_error": "equivariance",
    "flow": "flows",
    "invariance_error": "invariance",
    "kernel_deviation": "kernels",
    "kernel_deviations": "kernels",
    "layerwise_equivariance_error": "layerwise",
    "lie_derivative": "lie",
    "local_equivariance_error": "lie",
    "model_degree": "degree",
    "orbit_accuracy": "orbit",
    "tangent": "flows",
}
"""Public name -> the module of this package that defines it; no module may be called like a public name."""

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo.measure' has no attribute {name!r}; it has {', '.join(sorted(__all__))}")
    value = getattr(import_module(f"zoo.measure.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
