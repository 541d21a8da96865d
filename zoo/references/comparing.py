"""`zoo.compare`: several models over several seeds, on the same images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.errors import ModelError
from zoo.evaluation.images import ImageSet
from zoo.evaluation.seeds import SeedComparison, SeededRun, compare_seeds
from zoo.models.code import Arch
from zoo.references.evaluating import evaluate
from zoo.references.opening import as_opened_with


def compare(
    models: Sequence[Any],
    data: ImageSet | Sequence[Any] | str | Path,
    *,
    arch: Arch | None = None,
    probe: int = 0,
    **options: Any,
) -> SeedComparison:
    """Evaluate models that differ by their seeds, and compare them: means, spreads, and paired tests over the seeds.

    Models belong together if their config.json differs by the seed alone.

    Args:
        models: what `zoo.evaluate` takes, or what `zoo.train_seeds` returned, which stands for all its models.
        data: the images, as for `zoo.evaluate`; the same for all models.
        arch: the code of those that are folders of networks of your own, as for `zoo.load`.
        probe: images on which equivariance is measured, as for `zoo.evaluate`; the comparison does not show it.
        options: the others of `zoo.evaluate`: split, elements, angles, limit, skip_bad, ...

    Raises:
        ModelError: if no two of the models differ by their seed alone, and in the cases of `zoo.evaluate`.

    Example:
        >>> import zoo
        >>> from symdata import Spec, make
        >>> _ = make(Spec(source="glyphs:OXAF", size=12, count=96), "letters")
        >>> two = [
        ...     zoo.train_seeds(zoo.TrainConfig(data="letters", model=name, epochs=1, width=2, batch_size=16), 2)
        ...     for name in ("p4cnn_12", "z2cnn_12")
        ... ]
        >>> comparison = zoo.compare(two, "letters", angles=0)
        >>> [group.name for group in comparison.groups], len(comparison.pairs)
        (['p4cnn_12.glyphs-none', 'z2cnn_12.glyphs-none'], 2)
    """
    every = [one for model in models for one in getattr(model, "runs", (model,))]
    evaluated = []
    for model in every:
        opened = as_opened_with(model, arch)
        evaluated.append((evaluate(opened, data, probe=probe, **options), SeededRun.of(opened.config)))
    found = compare_seeds(evaluated)
    if found is None:
        raise ModelError(
            f"no two of these {len(every)} models differ by their seed alone, as their config.json says; train some: "
            "symdata train DATA --model p4cnn_28 --seeds 5"
        )
    return found
