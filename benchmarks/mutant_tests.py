"""The modules that `benchmarks.mutants` edits, and the tests that are to notice.

Left out are pictures, which have no right values, the warps (`symdata.transforms.warp`), which the tests of their
pixels would take minutes to judge, and modules of nothing but names.
"""

_SYMDATA = {
    "elements groups": "test_groups test_elements",
    "grammar symmetry": "test_symmetry test_grammar test_symmetry_sample",
    "measures/angles measures/base measures/density measures/mixture measures/uniform": (
        "test_measures measures/test_mixture test_symmetry test_symmetry_sample"
    ),
    "measures/registry": "measures/test_registry",
    "keys": "test_keys test_symmetry_sample",
    "laws": "inspection/test_goodness",
    "recipes/canvas recipes/catalog recipes/plan recipes/sampling recipes/spec": (
        "recipes/test_sampling recipes/test_spec recipes/test_canvas recipes/test_plan recipes/test_catalog"
    ),
    "transforms/action": "transforms/test_action transforms/test_warp_batches",
    "transforms/augmentation": "transforms/test_container transforms/test_action",
    "transforms/lattice": "transforms/test_lattice",
    "transforms/affine transforms/generators transforms/learnable": (
        "transforms/test_generators transforms/test_learnable"
    ),
    "inspection/goodness": "inspection/test_goodness",
    "inspection/report": "inspection/test_report",
    "inspection/asymmetry/advice": "inspection/asymmetry/test_advice inspection/asymmetry/test_two_sample",
    "inspection/source_audit": "inspection/test_inspect_audit inspection/asymmetry/test_two_sample",
    "inspection/asymmetry/audit inspection/asymmetry/labels inspection/asymmetry/two_sample": (
        "inspection/asymmetry/test_two_sample"
    ),
    "inspection/asymmetry/exact": "inspection/asymmetry/test_exact",
    "inspection/asymmetry/views": "inspection/asymmetry/test_views",
}
_ZOO = {
    "layers/bank layers/bank_cache layers/convolution layers/norm layers/regular layers/separable": (
        "layers/test_layers layers/test_norm layers/test_bank layers/test_parts"
    ),
    "layers/dropout layers/linear": "layers/test_linear",
    "layers/residual_block": "layers/test_residual_block",
    "layers/upsampling": "layers/test_upsampling",
    "layers/spatial_layers": "layers/test_paths",
    "layers/relaxed/base layers/relaxed/broken_filters layers/relaxed/filter_mixtures layers/relaxed/partial "
    "layers/relaxed/residual": "layers/test_relaxed",
    "layers/relaxed/distribution layers/relaxed/likelihood": "layers/test_likelihood layers/test_relaxed",
    "layers/steerable/basis layers/steerable/convolution layers/steerable/fibre layers/steerable/filters": (
        "layers/test_steerable_likelihood models/test_exported models/test_steerable"
    ),
    "layers/steerable/likelihood": "layers/test_steerable_likelihood",
    "layers/subsampling/downsampling layers/subsampling/indexing layers/subsampling/polyphase "
    "layers/subsampling/pooling layers/subsampling/subsample": (
        "layers/test_subsample layers/test_downsampling layers/test_shifts"
    ),
    "exactness/arithmetic exactness/by_size exactness/calls exactness/effects exactness/escapes exactness/grids "
    "exactness/judge exactness/mends exactness/model_groups exactness/rectangles exactness/recorder "
    "exactness/sampling_grid exactness/sites exactness/trace exactness/tracer exactness/rules/folding "
    "exactness/rules/matching exactness/rules/movement exactness/rules/pointwise exactness/rules/products "
    "exactness/rules/reductions exactness/rules/windows": (
        "exactness/test_proofs exactness/test_tracer exactness/test_audits exactness/test_asymmetric_borders"
    ),
    "exactness/hooks": "exactness/test_hooks",
    "measure/assertions measure/element_errors measure/equivariance measure/estimates measure/invariance measure/orbit "
    "measure/model_copy": "measure/test_estimates measure/test_elements measure/test_results",
    "measure/seen_tensors": "exactness/test_hooks",
    "measure/feature_error measure/representation": "measure/test_feature_error",
    "measure/degree": "measure/test_degree",
    "measure/kernels": "measure/test_kernels measure/test_degree",
    "measure/learned": "measure/test_learned_degree",
    "measure/maps": "measure/test_maps measure/test_layerwise",
    "measure/metrics measure/plain_data measure/summary": "measure/test_plain_data measure/test_metrics",
    "measure/size_table": "models/test_exactness measure/test_results",
    "measure/motions/along_motions measure/motions/derivatives measure/motions/lie measure/motions/motion": (
        "measure/test_lie"
    ),
    "measure/motions/flows": "measure/test_flows measure/test_lie",
    "measure/motions/layerwise": "measure/test_layerwise",
    "training/config training/plan training/recipe": "training/test_config training/test_data training/test_loop",
    "training/data": "training/test_data training/test_loop",
    "training/schedule": "training/test_schedule",
    "training/engine training/loop training/meter training/record training/run_folder training/state": (
        "training/test_epoch training/test_loop training/test_resume"
    ),
    "evaluation/images evaluation/run evaluation/scores evaluation/structure evaluation/training_support "
    "evaluation/report": (
        "evaluation/test_evaluate evaluation/test_report evaluation/test_training_support references/test_evaluating"
    ),
    "objectives/objective": "objectives/test_objectives",
    "objectives/augerino": "models/test_averaged",
    "objectives/banks objectives/partial objectives/residual objectives/likelihood": (
        "objectives/test_objectives models/test_relaxed_models"
    ),
    "objectives/evidence": "objectives/test_evidence",
}


def _table(package: str, rooms: dict[str, str]) -> dict[str, list[str]]:
    return {
        f"{package}/{module}.py": [f"tests/{package}/{test}.py" for test in tests.split()]
        for modules, tests in rooms.items()
        for module in modules.split()
    }


TESTS = {**_table("symdata", _SYMDATA), **_table("zoo", _ZOO)}
"""Module -> the test files that are run for it, in this order."""
