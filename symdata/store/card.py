"""The card of a dataset, README.md: numbers from the manifest, the YAML header from the classes of `datasets`."""

from typing import Any

import yaml

from symdata.display import template
from symdata.recipes.plan import DatasetPlan
from symdata.recipes.splitting import notes
from symdata.sources.files import printable
from symdata.store.manifest import shard_entries
from symdata.store.shards import features, plan_shards


def render_card(plan: DatasetPlan, manifest: dict[str, Any]) -> str:
    """Text of the README.md of a dataset folder."""
    front = yaml.safe_dump(_front(plan, manifest), sort_keys=False, allow_unicode=True)
    recipe = plan.recipe if plan.recipe.name else None
    text = template("dataset.md.j2").render(
        front=front,
        m=manifest,
        recipe=recipe,
        as_published=recipe is not None and plan.spec.symmetry is None and plan.spec.test_symmetry is None,
        command=command(plan, manifest),
        canvas=plan.recipe.canvas,
        notes=notes(manifest),
        columns=manifest.get("columns", {"kept": {}, "left_out": {}}),
        total=sum(entry["num_examples"] for entry in manifest["splits"].values()),
    )
    return printable(text)


def command(plan: DatasetPlan, manifest: dict[str, Any]) -> str:
    """The `symdata make` line that builds the same files again, from the same revision and into as many shards."""
    words = [plan.spec.command(plan.pinned)]
    if [shard["file"] for shard in shard_entries(manifest)] != [shard.file for shard in plan_shards(plan)]:
        words += [f"--num-shards {max(len(entry['shards']) for entry in manifest['splits'].values())}"]
    return " ".join(words)


def _front(plan: DatasetPlan, manifest: dict[str, Any]) -> dict[str, Any]:
    """The YAML header, which tells `datasets` the splits and the Hub the tags."""
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
        task_categories=_tasks(manifest),
        size_categories=[_size_category(sum(entry["num_examples"] for entry in entries.values()))],
        tags=["symdata", "symmetry", "equivariance", *sorted({entry["group"] for entry in entries.values()})],
    )
    DatasetInfosDict({"default": info}).to_dataset_card_data(data)
    data_files = [{"split": name, "path": f"{name}-*.parquet"} for name in entries]
    MetadataConfigs({"default": {"data_files": data_files}}).to_dataset_card_data(data)
    front: dict[str, Any] = data.to_dict()  # type: ignore[no-untyped-call]
    return front


def _tasks(manifest: dict[str, Any]) -> list[str]:
    """The Hub's names of what the dataset is for."""
    found = manifest.get("annotations") or {}
    tasks = {
        "image-classification": len(manifest["classes"]) > 1,
        "image-segmentation": found.get("masks"),
        "object-detection": found.get("categories"),
        "keypoint-detection": found.get("keypoints"),
    }
    return [task for task, fits in tasks.items() if fits]


def _license_id(text: str) -> str:
    """The Hub's lower-case license id, or `other` for anything that is not one word."""
    plain = text.lower()
    return plain if plain.replace("-", "").replace(".", "").isalnum() else "other"


def _size_category(n: int) -> str:
    """The Hub's name for a number of images."""
    bounds = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")
    rank = sum(n >= 1000 * 10**k for k in range(6))
    return f"{bounds[rank - 1]}<n<{bounds[rank]}" if rank else "n<1K"
