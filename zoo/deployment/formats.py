"""Write a model with its preprocessing as a file that runs without this project, and check what the file answers."""

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from symdata import __version__
from symdata.display import Result
from symdata.installation.hints import install_line
from zoo.checkpoint.atomic_write import write_files
from zoo.deployment.pipeline import Pipeline, pipeline
from zoo.errors import ModelError, describe_error
from zoo.inference.opened_model import OpenedModel
from zoo.models.averaged import InvarianceAverage
from zoo.models.code import Arch
from zoo.preprocessing import Preprocessing
from zoo.references.processors import Processed

TOLERANCE = 1e-5
"""Largest difference between the logits of the file and those of the model, as a fraction of the largest logit."""
OLDEST = "2.13"
"""The oldest torch on which exporting is known to work: in 2.6 its ONNX exporter fails on batch norms."""
MOST = 1 << 16
"""Images in a batch of the file, at most."""


@dataclass(frozen=True)
class Exported(Result):
    """A file that was written, and how far its logits are from those of the model.

    Example:
        >>> import zoo
        >>> made = zoo.export_pipeline("z2cnn_28.mnist-none", "digits.pt2")
        >>> made.format, made.input, made.error < 1e-5
        ('pt2', 'uint8 (batch, 1, 28, 28)', True)
    """

    file: Path
    format: str
    """onnx or pt2."""
    input: str
    """Type and shape; the batch is free."""
    output: str
    classes: tuple[str, ...] | None
    error: float
    """Largest difference on noise, as a fraction of the largest logit; at most `TOLERANCE`."""

    def parts(self) -> Iterable[str]:
        yield f"{self.file}: {self.format}, {self.input} -> {self.output}; logits agree to {self.error:.1e}"


def export_pipeline(
    model: OpenedModel | nn.Module | str | Path, out: str | Path, *, to: str | None = None, arch: Arch | None = None
) -> Exported:
    """Write a model with its preprocessing inside: uint8 images of its size to logits, in batches of any number.

    The file is run on noise, in batches of one and of several images, and compared with the model before it gets its
    name. Class names and the version of symdata are stored in it.

    Args:
        model: as for `zoo.pipeline`.
        out: the file; one that is there is replaced.
        to: `onnx` (runs in onnxruntime) or `pt2` (`torch.export.load`); by default the suffix of `out`.
        arch: the code of a network of your own, if `model` is its folder, as for `zoo.load`.

    Raises:
        ModelError: for an unknown format, a model that cannot be exported, and a file whose logits differ.
        ImportError: for `onnx` without onnxruntime and onnxscript.

    Example:
        >>> import torch, zoo
        >>> _ = zoo.export_pipeline("z2cnn_28.mnist-none", "digits.pt2")
        >>> digits = torch.export.load("digits.pt2").module()
        >>> digits(torch.zeros(3, 1, 28, 28, dtype=torch.uint8)).shape
        torch.Size([3, 10])
    """
    out = Path(out)
    kind = out.suffix.removeprefix(".") if to is None else to
    if kind not in FORMATS:
        mend = f"name one of {', '.join(FORMATS)}, as in {out.with_suffix('.onnx')}"
        raise ModelError(f"the format {kind!r} of {str(out)!r} is not known; {mend}")
    whole = pipeline(model, arch=arch)
    if isinstance(whole.network, InvarianceAverage):
        whole.network = whole.network.fixed()
    known = whole.preprocessing = _alone(whole)
    shape = (known.channels, known.size, known.size)
    images = torch.randint(0, 256, (5, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    device = next((p.device for p in whole.parameters()), torch.device("cpu"))
    with torch.no_grad(), _quiet():
        wanted = whole(images.to(device)).cpu()
        try:
            program = torch.export.export(whole, (images.to(device),), dynamic_shapes=({0: _BATCH},))
            data, run = FORMATS[kind](program, whole)
            found = [run(images), torch.cat([run(image[None]) for image in images])]
        except (RuntimeError, ValueError, TypeError, torch._dynamo.exc.TorchDynamoException) as error:
            older = f"; exporting needs torch {OLDEST}, this is {torch.__version__}" if _is_older() else ""
            raise ModelError(
                f"{whole.name!r} cannot be exported to {kind}: {describe_error(error)[:300]}{older}"
            ) from error
    apart = float(max((logits - wanted).abs().max() for logits in found) / wanted.abs().max().clamp(min=1e-6))
    if not apart <= TOLERANCE:  # also catches NaN
        raise ModelError(
            f"the logits of {kind} differ from those of {whole.name!r} by {apart:.1e} of their size, at most "
            f"{TOLERANCE:g} passes; nothing is written"
        )
    write_files(out.resolve().parent, {out.name: data})
    given, made = (f"(batch, {', '.join(map(str, sides))})" for sides in (shape, wanted.shape[1:]))
    return Exported(out, kind, f"uint8 {given}", f"float32 {made}", whole.classes, apart)


def _alone(whole: Pipeline) -> Preprocessing:
    """Its preprocessing for images of its size, without the image processor of another library."""
    known = whole.preprocessing
    if not isinstance(known, Processed):
        return known
    if (alone := known.at_its_size) is None:
        raise ModelError(
            f"{whole.name!r} cannot be exported: its image processor changes images of {known.size}x{known.size} "
            "pixels too, and no file can hold it; export zoo.OpenedModel(model, zoo.Preprocessing(size, mean, std))"
        )
    return alone


_BATCH = torch.export.Dim("batch", min=1, max=MOST)
_Run = Callable[[Tensor], Tensor]


def _facts(whole: Pipeline) -> dict[str, str]:
    """What the file says about itself."""
    return {"symdata": __version__, "model": whole.name, "classes": json.dumps(whole.classes)}


def _pt2(program: torch.export.ExportedProgram, whole: Pipeline) -> tuple[bytes, _Run]:
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files=_facts(whole))
    again = torch.export.load(io.BytesIO(buffer.getvalue())).module()
    device = next((p.device for p in whole.parameters()), torch.device("cpu"))
    return buffer.getvalue(), lambda images: again(images.to(device)).cpu()


def _onnx(program: torch.export.ExportedProgram, whole: Pipeline) -> tuple[bytes, _Run]:
    if missing := [name for name in ("onnxscript", "onnxruntime") if find_spec(name) is None]:
        raise ImportError(f"export to onnx needs {' and '.join(missing)}: {install_line('onnx')}")
    import onnxruntime

    made = torch.onnx.export(program, input_names=["images"], output_names=["logits"], dynamo=True, verbose=False)
    assert made is not None
    made.model.metadata_props.update(_facts(whole))
    data: bytes = made.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return data, lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


FORMATS: dict[str, Callable[[torch.export.ExportedProgram, Pipeline], tuple[bytes, _Run]]] = {
    "onnx": _onnx,
    "pt2": _pt2,
}


def _is_older() -> bool:
    return bool(torch.__version__ < OLDEST)  # a TorchVersion, which compares numbers


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's exporters warn and log about themselves."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
