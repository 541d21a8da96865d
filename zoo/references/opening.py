"""Any model that a command is given: trained, untrained, or somebody's own network with or without weights."""

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from torch import nn

from zoo.checkpoint.sharded import INDEX, is_index, read_weights
from zoo.checkpoint.tensors import PICKLES, load_strictly
from zoo.errors import CodeNeededError, ModelError
from zoo.exactness.tracer import input_channels
from zoo.files import bundled
from zoo.inference.opened_model import OpenedModel
from zoo.models.code import Arch, code_name, is_code, make_network
from zoo.models.code import foreign as foreign
from zoo.preprocessing import Preprocessing
from zoo.references.adapters import adapt, is_adapted
from zoo.references.loading import network_name, read_trained

Numbers = float | tuple[float, ...]


def open_model(
    ref: str | PathLike[str] | None,
    *,
    weights: str | Path | None = None,
    arch: Arch | None = None,
    size: int | None = None,
    mean: Numbers | None = None,
    std: Numbers | None = None,
    classes: tuple[str, ...] | None = None,
    pretrained: bool = True,
    in_chans: int | None = None,
) -> OpenedModel:
    """Open a model of any kind, in eval mode on the CPU.

    Args:
        ref: a bundled name, a folder, `user/repo[@revision]`, a zoo name (untrained), `hf:user/model`, `timm:name`, or
            `package.module:callable`, which makes a module or is one. The current folder is
            on the path.
        weights: a safetensors file that fits the model exactly, or the `.safetensors.index.json` of several.
        arch: the network that `weights` are for, as a zoo name or as code, instead of `ref`; or the code of a network
            of your own in the folder `ref`. Code is `package.module:callable`, a callable or a module.
        size: side in pixels of the images that the model takes; by default what is known about it.
        mean, std: normalisation of values in [0, 1]: a number for each channel, or one for all; by default what is
            known about it.
        classes: names of the logits.
        pretrained: False gives models of transformers and timm random weights, and downloads none; `,pretrained=no`
            after their reference does the same. Others have the weights that they are named for.
        in_chans: channels of the images, for code in `ref` that has a parameter of this name; by default it is called
            without arguments.

    Raises:
        ModelError: if there is no such model, or the parts do not fit each other.

    Example:
        >>> from zoo import open_model
        >>> open_model("p4cnn_28.mnist-none")
        OpenedModel('p4cnn_28.mnist-none', 24,810 parameters, 28x28 pixels, 10 classes)
        >>> open_model("p4cnn_28").trained
        False
    """
    ref = Path(ref) if isinstance(ref, PathLike) else ref
    network, weights = _network_and_weights(ref, weights, arch)
    facts = {} if in_chans is None else {"in_chans": in_chans}
    opened = _open(network, None if weights else arch, pretrained, facts)
    if weights is not None:
        load_strictly(opened.model, read_weights(Path(weights)), repr(str(weights)))
        opened = replace(opened, trained=True, config={}, name=_stem(Path(weights)))
    size = opened.size if size is None else size
    preprocessing = _for_channels(opened.model, _preprocessing(opened.preprocessing, size, mean, std))
    return replace(opened, size=size, classes=classes or opened.classes, preprocessing=preprocessing)


def _stem(weights: Path) -> str:
    return weights.name.removesuffix(INDEX) if is_index(weights) else weights.stem


def as_opened(model: Any, arch: Arch | None = None) -> OpenedModel:
    """A model by its reference, as `open_model` or `zoo.train` returned it, or a module that knows its preprocessing.

    Args:
        model: one of these.
        arch: the code of a network of your own, if `model` is its reference; see `open_model`.

    Raises:
        ModelError: if there is no such model, or code is given for a model that needs none.

    Example:
        >>> import zoo
        >>> as_opened("p4cnn_28.mnist-none").name == as_opened(zoo.load("p4cnn_28.mnist-none")).name
        True
    """
    if isinstance(model, str | Path):
        return open_model(model, arch=arch)
    if arch is not None:
        what = type(model).__name__
        raise ModelError(f"arch is the code of a model in a folder, and a {what} was given; leave arch out")
    # What a training made is a path too, and knows the code of a network of one's own.
    return OpenedModel.of(model.model if isinstance(model, PathLike) else model)  # type: ignore[attr-defined]


def as_opened_with(model: Any, arch: Arch | None) -> OpenedModel:
    """One of several models, as `as_opened`; the code is for those that need it, and left out for the others."""
    try:
        return as_opened(model)
    except CodeNeededError:
        if arch is None:
            raise
    return as_opened(model, arch)


def _network_and_weights(
    ref: str | Path | None, weights: str | Path | None, arch: Arch | None
) -> tuple[Arch | Path, str | Path | None]:
    """The reference of the network, and the file of its weights."""
    if arch is None:
        if ref is None:
            mend = (
                f"add --arch package.module:build to --weights {weights}" if weights else "`symdata models` lists some"
            )
            raise ModelError(f"no model was given; {mend}")
        return ref, weights
    if ref is not None and weights is None and (is_index(ref) or Path(ref).suffix in (".safetensors", *PICKLES)):
        ref, weights = None, ref
    if weights is None and ref is not None and not is_code(str(ref)) and not is_adapted(str(ref)):
        return ref, None  # the folder of a network of one's own, and its code
    if weights is None:
        code = _named(arch)
        raise ModelError(f"--arch {code} asks for weights; add --weights FILE.safetensors, or give {code} as the model")
    if ref is not None and str(ref) != arch:
        raise ModelError(f"two models were given, {str(ref)!r} and --arch {_named(arch)}; leave one of them out")
    return arch, weights


def _named(arch: Arch) -> str:
    """What a message calls code that was given in any form."""
    return code_name(arch) or str(getattr(arch, "__name__", type(arch).__name__))


def _open(ref: Arch | Path, arch: Arch | None, pretrained: bool, facts: dict[str, int]) -> OpenedModel:
    if not isinstance(ref, str | Path):
        return OpenedModel(make_network(ref, **facts).eval(), name=_named(ref))
    text = str(ref)
    if is_adapted(text):
        with foreign(f"{text!r} cannot be opened", "check the name, or give a folder with safetensors weights"):
            return adapt(text, pretrained)
    if is_code(text):
        return OpenedModel(make_network(text, **facts).eval(), name=text)
    if text not in bundled() and not Path(text).exists():
        if (name := network_name(text)) is not None and name.data is None and arch is None:
            from zoo.models.registry import create

            return OpenedModel(create(text).eval(), name=text, size=name.size)
        if ":" in text:
            raise ModelError(f"{text!r} is no model; write package.module:callable, for example mynet:build")
    if text.endswith(".py") and Path(text).is_file():
        raise ModelError(python_file(Path(text)))
    return read_trained(ref, arch)


def python_file(path: Path) -> str:
    """What to write for a network of one's own, instead of the path of its file."""
    words = path.with_suffix("").parts
    inside = not path.is_absolute() and all(word.isidentifier() for word in words)
    name, where = (".".join(words), "") if inside else (path.stem, f" in the folder {str(path.parent.resolve())!r}")
    return f"{str(path)!r} is code; name the function in it that makes the network, for example {name}:build{where}"


def _preprocessing(
    known: Preprocessing | None, size: int | None, mean: Numbers | None, std: Numbers | None
) -> Preprocessing | None:
    """What is known, with what was given in its place; None if nothing is known and nothing given."""
    given: dict[str, Any] = {"size": size, "mean": mean, "std": std}
    if known is not None:
        return replace(known, **{key: value for key, value in given.items() if value is not None})
    if mean is None and std is None:
        return None
    if missing := [f"--{key}" for key, value in given.items() if value is None]:
        raise ModelError(
            f"the preprocessing is not whole: give {' and '.join(missing)} too, as in --mean 0.5 --std 0.5"
        )
    return Preprocessing(**given)


def _for_channels(model: nn.Module, preprocessing: Preprocessing | None) -> Preprocessing | None:
    """One mean and one deviation, repeated for a network of three channels."""
    if preprocessing is None or preprocessing.channels == 3:
        return preprocessing
    try:
        channels = input_channels(model)
    except ModelError:  # it has no convolution to ask
        return preprocessing
    if channels != 3:
        return preprocessing
    return replace(preprocessing, mean=3 * preprocessing.mean, std=3 * preprocessing.std)
