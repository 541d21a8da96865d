"""The card of a dataset, README.md: numbers come from the manifest, the YAML head from the classes of `datasets`."""

import shlex
from importlib import resources
from typing import Any

import jinja2
import yaml

from symdata.recipes.plan import DatasetPlan
from symdata.store.shards import features, plan_shards

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)


def render_card(plan: DatasetPlan, manifest: dict[str, Any]) -> str:
    """README.md of the dataset folder, as text."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    template = environment.from_string((resources.files("cards") / "dataset.md.j2").read_text(encoding="utf-8"))
    front = yaml.safe_dump(_front(plan, manifest), sort_keys=False, allow_unicode=True)
    recipe = plan.recipe if plan.recipe.name else None
    return template.render(
        front=front,
        m=manifest,
        recipe=recipe,
        as_written=recipe is not None and all(spec is None for spec in (plan.spec.symmetry, plan.spec.test_symmetry)),
        command=command(plan, manifest),
        canvas=plan.canvas,
        total=sum(entry["num_examples"] for entry in manifest["splits"].values()),
    )


def command(plan: DatasetPlan, manifest: dict[str, Any]) -> str:
    """The `symdata make` line that builds these files again: from the same revision, into as many shards."""
    spec, source, words = plan.spec, plan.pinned, ["symdata make"]
    words += [spec.recipe] if spec.recipe else []
    if source:
        words += [f"--source {shlex.quote(source)}" if spec.recipe else shlex.quote(source)]
    files = [shard["file"] for entry in manifest["splits"].values() for shard in entry["shards"]]
    usual = files == [shard.file for shard in plan_shards(plan)]
    most = max(len(entry["shards"]) for entry in manifest["splits"].values())
    for option, value, default in (
        ("--symmetry", spec.symmetry, None),
        ("--test-symmetry", spec.test_symmetry, None),
        ("--size", spec.size, None),
        ("--resize", spec.resize, "bilinear"),
        ("--count", spec.count, None),
        ("--seed", spec.seed, 0),
        ("--validation", spec.validation, None),
        ("--resample", spec.resample, "auto"),
        ("--mask", spec.mask, "auto"),
        ("--padding", spec.padding, "border"),
        ("--supersample", spec.supersample, 1),
        ("--num-shards", None if usual else most, None),
    ):
        words += [f"{option} {value}"] if value != default else []
    return " ".join(words)


def _front(plan: DatasetPlan, manifest: dict[str, Any]) -> dict[str, Any]:
    from datasets import DatasetInfo, SplitDict, SplitInfo
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCardData

    entries = manifest["splits"]
    splits = SplitDict()
    for name, entry in entries.items():
        size = sum(shard["bytes"] for shard in entry["shards"])
        splits.add(SplitInfo(name=name, num_bytes=size, num_examples=entry["num_examples"]))
    size = sum(info.num_bytes for info in splits.values())
    info = DatasetInfo(features=features(plan), splits=splits, download_size=size, dataset_size=size)
    data = DatasetCardData(
        license=_license_id(manifest["source"]["license"]),
        pretty_name=manifest["name"],
        task_categories=["image-classification"],
        size_categories=[_size_category(sum(entry["num_examples"] for entry in entries.values()))],
        tags=["symdata", "symmetry", "equivariance", *sorted({entry["group"] for entry in entries.values()})],
    )
    DatasetInfosDict({"default": info}).to_dataset_card_data(data)
    files_of = [{"split": name, "path": f"{name}-*.parquet"} for name in entries]
    MetadataConfigs({"default": {"data_files": files_of}}).to_dataset_card_data(data)
    front: dict[str, Any] = data.to_dict()  # type: ignore[no-untyped-call]
    return front


def _license_id(text: str) -> str:
    """The Hub's lower-case licence id, or `other` for anything that is not one word."""
    plain = text.lower()
    return plain if plain.replace("-", "").replace(".", "").isalnum() else "other"


def _size_category(n: int) -> str:
    names = ("1K", "10K", "100K", "1M", "10M", "100M")
    rank = sum(n >= size for size in SIZES)
    if rank == 0:
        return "n<1K"
    return f"{names[rank - 1]}<n<{names[rank]}" if rank < len(SIZES) else "100M<n<1B"
