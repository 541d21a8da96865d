"""Building and reading datasets end to end: a parquet file with lossless PNGs that `datasets` opens.

The peers get their elements drawn and their images in memory and in their own layout; symdata draws, moves, encodes and
writes. Every file is opened again with Pillow and compared pixel by pixel before anything is timed.
"""

from benchmarks.harness import Bench, Case  # isort: skip  (sets the number of threads)

import io
import os
import tempfile
from pathlib import Path

_ROOM = tempfile.TemporaryDirectory(prefix="symdata-bench-")
os.environ.update(HF_HOME=_ROOM.name, HF_HUB_OFFLINE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1")

import datasets  # noqa: E402
import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from benchmarks.data import Memory, cells, mnist, mosaics, photos  # noqa: E402
from benchmarks.peers import channels_last, cv2, each, pil_d4, size  # noqa: E402
from symdata import Symmetry  # noqa: E402
from symdata.recipes.catalog import PLAIN  # noqa: E402
from symdata.recipes.plan import DatasetPlan  # noqa: E402
from symdata.recipes.sampling import Sampling, plan_samples  # noqa: E402
from symdata.recipes.spec import Spec  # noqa: E402
from symdata.store import load  # noqa: E402
from symdata.store.dataset_folder import make  # noqa: E402
from symdata.store.png import encode_pngs  # noqa: E402
from symdata.store.shards import features, plan_shards, write_shards  # noqa: E402
from symdata.transforms.resampling import Resampling  # noqa: E402

datasets.disable_progress_bars()


def plan_of(images: torch.Tensor) -> DatasetPlan:
    """What `symdata make --symmetry d4` plans, for images in memory."""
    source, d4 = Memory(images), Symmetry.parse("d4")
    samples = plan_samples(source, Sampling())
    return DatasetPlan(
        Spec(source="memory", symmetry="d4"),
        source,
        PLAIN,
        samples,
        {"train": d4},
        Resampling("exact", "none"),
        source.classes,
    )


def pillow_png(array: np.ndarray, **options: int) -> bytes:
    """A PNG file in memory, Pillow."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG", **options)
    return file.getvalue()


def build_pillow(arrays: np.ndarray, index: list[int], labels: np.ndarray, path: Path) -> None:
    """Transpose, encode, write: the loop that people write."""
    pngs = [pillow_png(pil_d4(array, k)) for array, k in zip(arrays, index, strict=True)]
    image = pa.StructArray.from_arrays(
        [pa.array(pngs, pa.binary()), pa.nulls(len(pngs), pa.string())], ["bytes", "path"]
    )
    pq.write_table(
        pa.table({"image": image, "label": labels, "element": index}), path, compression={"image.bytes": "none"}
    )


def build_datasets(dataset: datasets.Dataset, index: list[int], path: Path) -> None:
    """`datasets.map` with Pillow inside, then `to_parquet`."""

    def move(row: dict, i: int) -> dict:
        k = index[i]
        return {"image": Image.fromarray(pil_d4(np.asarray(row["image"]), k)), "element": k}

    dataset.map(move, with_indices=True, keep_in_memory=True, new_fingerprint="bench").to_parquet(path)


def as_datasets(arrays: np.ndarray, labels: np.ndarray) -> datasets.Dataset:
    """An upright dataset as `datasets` keeps it: encoded images in arrow."""
    columns = {"image": [{"bytes": pillow_png(a), "path": None} for a in arrays], "label": labels}
    return datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())


def decoded(path: Path) -> np.ndarray:
    """Every image of a parquet file, through Pillow."""
    rows = pq.read_table(path, columns=["image"])["image"].to_pylist()
    return np.stack([np.asarray(Image.open(io.BytesIO(row["bytes"]))) for row in rows])


def bench_build(bench: Bench, title: str, images: torch.Tensor, targets: tuple[float, float], slow: int) -> None:
    """Build: Pillow's loop as reference, then datasets' map; `targets` are the ratios to the two."""
    plan, arrays, room = plan_of(images), channels_last(images), Path(tempfile.mkdtemp(dir=_ROOM.name))
    labels, schema = plan.source.labels("train"), features(plan).arrow_schema
    index = plan.drawn("train", range(len(images)))[0].cpu().lattice_index().tolist()
    shards, upright = plan_shards(plan, 1), as_datasets(arrays[:slow], labels[:slow])
    ours, theirs, third = room / shards[0].file, room / "pillow.parquet", room / "datasets.parquet"

    def build() -> None:
        ours.unlink(missing_ok=True)
        write_shards(plan, shards, room, workers=1)

    pillow = Case("Pillow transpose, Pillow PNG, pyarrow", lambda: build_pillow(arrays, index, labels, theirs))
    mapped = Case("datasets.map with Pillow, to_parquet", lambda: build_datasets(upright, index, third), count=slow)
    for case in (pillow, mapped):
        case.run()
    build()
    assert pq.read_schema(ours).equals(schema)
    wanted = each(arrays, index, pil_d4)
    assert np.array_equal(decoded(ours), wanted)
    assert np.array_equal(decoded(theirs), wanted)
    assert np.array_equal(decoded(third), wanted[:slow])
    bench.compare(f"build d4, {title}", len(images), [pillow, Case("symdata", build, target=targets[0])])
    bench.compare(
        f"build d4, {title}, against datasets", len(images), [mapped, Case("symdata", build, target=targets[1])]
    )
    bench.fact(
        f"file size, {title}", "symdata's file over Pillow's", ours.stat().st_size / theirs.stat().st_size, "x", 1.15
    )


def bench_png(bench: Bench, title: str, images: torch.Tensor) -> None:
    """The encoder alone."""
    batch, arrays = images.numpy(), channels_last(images)
    cases = [
        Case("Pillow, default", lambda: [pillow_png(a) for a in arrays]),
        Case("symdata encode_pngs", lambda: encode_pngs(batch)),
        Case("Pillow, compress_level=1", lambda: [pillow_png(a, compress_level=1) for a in arrays]),
        Case("Pillow, compress_level=0", lambda: [pillow_png(a, compress_level=0) for a in arrays]),
    ]
    if cv2 is not None:
        cases.append(Case("OpenCV imencode", lambda: [cv2.imencode(".png", a)[1].tobytes() for a in arrays]))
    sizes = [sum(map(len, case.run())) for case in cases]
    named = [
        Case(f"{case.name} ({size / sizes[0]:.2f} of the size)", case.run)
        for case, size in zip(cases, sizes, strict=True)
    ]
    bench.compare(f"PNG encoding, {title}", len(images), named)


def bench_read(bench: Bench, title: str, images: torch.Tensor, target: float) -> None:
    """All images of a finished folder as one uint8 array."""
    folder = Path(tempfile.mkdtemp(dir=_ROOM.name)) / "dataset"
    make(plan_of(images), folder)
    dataset = datasets.Dataset.from_parquet(str(next(folder.glob("*.parquet"))), cache_dir=_ROOM.name)
    as_torch = dataset.with_format("torch")
    cases = [
        Case("datasets, ds[:] with Pillow", lambda: np.stack([np.asarray(image) for image in dataset[:]["image"]])),
        Case("symdata.load(folder).images()", lambda: load(folder).images(), target=target),
        Case("datasets with_format('torch')", lambda: as_torch[:]["image"]),
    ]
    assert np.array_equal(channels_last(cases[1].run()), cases[0].run())
    bench.compare(f"read back, {title}", len(images), cases)


def main() -> None:
    """Every table."""
    bench = Bench("Building and reading datasets: symdata and its peers, one thread, one process")
    scale = 10 if bench.quick else 1
    for title, images, targets, read in (
        ("MNIST digits", mnist(4_000 // scale), (8.0, 20.0), 5.0),
        ("crops of a photograph", photos(400 // scale), (10.0, 12.0), 3.0),
        ("CIFAR-10 mosaics", mosaics(400 // scale), (10.0, 12.0), 3.0),
        ("blood cells", cells(400 // scale), (10.0, 12.0), 3.0),
    ):
        title = f"{title} {size(images)}"
        bench_build(bench, title, images, targets, slow=len(images) // 2)
        bench_png(bench, title, images)
        bench_read(bench, title, images, read)
    bench.finish()


if __name__ == "__main__":
    main()
