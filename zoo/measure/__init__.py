"""How far a model is from a symmetry, measured: invariance, equivariance, whole orbits, Lie derivatives, filters.

Every measure returns a small frozen result: numbers with their standard error over images. `print(result)` shows it as
a table, a notebook as HTML, and `to_dict()` is plain data for JSON. Models are copied, so their mode, precision and
device stay as they are.

    summary                   of a model and images as they are, everything below that needs images, at once
    measure_all               the same of normalised images: what `symdata measure` prints
    equivariance_error        feature maps, or any output, under the elements of a subgroup of d4
    invariance_error          the output under any elements of O(2)
    orbit_accuracy            accuracy over whole orbits, and how often the answer is the same along them
    local_equivariance_error  the derivative along a motion: rotation, translations, scale, shear
    layerwise_equivariance_error  the same, split among the layers by the chain rule
    degree_of_equivariance    how much of its symmetry each layer has kept, and the smallest: `model_degree`
    learned_degree            the same beside the symmetry of the data: what `symdata degree` prints
    layerwise_alignment       layers matched with the same layers moved, and the barrier of merging the two
    equivariant_distance      how far free or relaxed filters have left the equivariant ones, layer by layer
    project_                  free filters back to the nearest equivariant ones
    ensemble_error            orbit error of the mean prediction of K networks, against K
    kernel_deviation          filters against the nearest equivariant ones, without images
    probe                     how good features are, by a linear or a k-NN classifier on few labels
    checked_audit             the prediction of `zoo.audit` beside the measured error
    assert_invariant, assert_equivariant   for the tests of a model

This file is the list of public names; each is loaded when it is first used.
"""

from typing import TYPE_CHECKING

from symdata.lazy import lazy_names

if TYPE_CHECKING:
    from symdata.transforms.generators import GENERATORS as GENERATORS
    from symdata.transforms.generators import Generator as Generator
    from zoo.measure import summary as summary
    from zoo.measure.alignment import layerwise_alignment as layerwise_alignment
    from zoo.measure.alignment_result import Alignment as Alignment
    from zoo.measure.assertions import assert_equivariant as assert_equivariant
    from zoo.measure.assertions import assert_invariant as assert_invariant
    from zoo.measure.degree import LayerDegree as LayerDegree
    from zoo.measure.degree import degree_of_equivariance as degree_of_equivariance
    from zoo.measure.degree import model_degree as model_degree
    from zoo.measure.distance import EquivariantDistance as EquivariantDistance
    from zoo.measure.distance import equivariant_distance as equivariant_distance
    from zoo.measure.distance import project_ as project_
    from zoo.measure.ensembles import EnsembleError as EnsembleError
    from zoo.measure.ensembles import ensemble_error as ensemble_error
    from zoo.measure.equivariance import FeatureError as FeatureError
    from zoo.measure.equivariance import equivariance_error as equivariance_error
    from zoo.measure.estimates import Estimate as Estimate
    from zoo.measure.feature_error import checked_audit as checked_audit
    from zoo.measure.invariance import InvarianceError as InvarianceError
    from zoo.measure.invariance import invariance_error as invariance_error
    from zoo.measure.kernels import KernelDeviation as KernelDeviation
    from zoo.measure.kernels import kernel_deviation as kernel_deviation
    from zoo.measure.kernels import kernel_deviations as kernel_deviations
    from zoo.measure.learned import LearnedDegree as LearnedDegree
    from zoo.measure.learned import learned_degree as learned_degree
    from zoo.measure.motions.flows import flow as flow
    from zoo.measure.motions.flows import tangent as tangent
    from zoo.measure.motions.layerwise import LayerTerm as LayerTerm
    from zoo.measure.motions.layerwise import LayerwiseError as LayerwiseError
    from zoo.measure.motions.layerwise import layerwise_equivariance_error as layerwise_equivariance_error
    from zoo.measure.motions.lie import LieDerivative as LieDerivative
    from zoo.measure.motions.lie import LocalError as LocalError
    from zoo.measure.motions.lie import lie_derivative as lie_derivative
    from zoo.measure.motions.lie import local_equivariance_error as local_equivariance_error
    from zoo.measure.motions.motion import LieDerivativeSettings as LieDerivativeSettings
    from zoo.measure.orbit import OrbitAccuracy as OrbitAccuracy
    from zoo.measure.orbit import orbit_accuracy as orbit_accuracy
    from zoo.measure.probes import Probe as Probe
    from zoo.measure.probes import probe as probe
    from zoo.measure.summary import Summary as Summary
    from zoo.measure.summary import measure_all as measure_all

__getattr__, __dir__, __all__ = lazy_names(__name__)
