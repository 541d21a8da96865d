"""Any model that a command is given: trained, untrained, or somebody's own network with or without weights."""

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from symdata.errors import SymdataError
from symdata.installation.lie_learn import stand_in
from zoo.checkpoint.tensors import PICKLES, load_strictly, read_tensors
from zoo.errors import ModelError, describe_error
from zoo.files import bundled
from zoo.preprocessing import Preprocessing
from zoo.references.adapters import adapt, is_adapted, untyped
from zoo.references.loading import checkpoint, find

_CALLABLE = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*(\.[^\W\d]\w*)*)")


@dataclass(frozen=True)
class Opened:
    """A model and what is known about it."""

    model: nn.Module
    """In eval mode, on the CPU."""
    name: str
    preprocessing: Preprocessing | None
    """None where nobody said how images become its input."""
    classes: tuple[str, ...] | None
    """A name for every logit, where they are known."""
    config: dict[str, Any] | None
    """config.json, of a model that has one."""
    trained: bool
    """Whether its weights were read from a file."""
    size: int | None = None
    """Side in pixels of the images that it takes, where it is known."""


def open_model(
    ref: str | Path | None,
    *,
    weights: str | Path | None = None,
    arch: str | None = None,
    size: int | None = None,
    mean: float | tuple[float, ...] | None = None,
    std: float | tuple[float, ...] | None = None,
    classes: tuple[str, ...] | None = None,
) -> Opened:
    """Open a model of any kind.

    Args:
        ref: a bundled name, a folder, `user/repo[@revision]`, a zoo name (untrained), `hf:user/model`, `timm:name`, or
            `package.module:callable`, which is called without arguments, or is a module itself. The current folder is
            on the path.
        weights: a safetensors file that fits the model exactly.
        arch: the network that `weights` are for, as a zoo name or `package.module:callable`; instead of `ref`.
        size: side in pixels of the images that the model takes; by default what is known about it.
        mean, std: normalisation of values in [0, 1], a number per channel; by default what is known about it.
        classes: names of the logits.

    Raises:
        ModelError: if it leads to no model, or the parts do not fit each other.
    """
    ref, weights = _sorted_out(ref, weights, arch)
    opened = _open(ref)
    if weights is not None:
        load_strictly(opened.model, read_tensors(Path(weights)), repr(str(weights)))
        opened = replace(opened, trained=True, config=None, name=Path(weights).stem)
    size = size if size is not None else opened.size
    named = opened.classes if classes is None else classes
    return replace(
        opened, size=size, classes=named, preprocessing=_preprocessing(opened.preprocessing, size, mean, std)
    )


def _sorted_out(
    ref: str | Path | None, weights: str | Path | None, arch: str | None
) -> tuple[str | Path, str | Path | None]:
    """The reference of the network, and the file of its weights."""
    if arch is None:
        if ref is None:
            mend = (
                f"add --arch package.module:build to --weights {weights}" if weights else "`symdata models` lists some"
            )
            raise ModelError(f"no model was given; {mend}")
        return ref, weights
    if ref is not None and weights is None and Path(ref).suffix in (".safetensors", *PICKLES):
        ref, weights = None, ref
    if weights is None:
        raise ModelError(f"--arch {arch} asks for weights; add --weights FILE.safetensors, or give {arch} as the model")
    if ref is not None and str(ref) != arch:
        raise ModelError(f"two models were given, {str(ref)!r} and --arch {arch}; leave one of them out")
    return arch, weights


def _open(ref: str | Path) -> Opened:
    text = str(ref)
    if is_adapted(text):
        return _adapted(text)
    if match := _CALLABLE.fullmatch(text):
        return Opened(_called(match["module"], match["name"], text).eval(), text, None, None, None, False)
    if text not in bundled() and not Path(text).exists() and (name := _zoo_name(text)) is not None:
        from zoo.models.registry import create

        return Opened(create(text).eval(), text, None, None, None, False, name.size)
    if ":" in text and not Path(text).exists():
        raise ModelError(f"{text!r} is no model; write package.module:callable, for example mynet:build")
    if text.endswith(".py") and Path(text).is_file():
        raise ModelError(_is_python(Path(text)))
    find(ref)
    read = checkpoint(ref)
    return Opened(read.model, read.name, read.preprocessing, read.classes, read.config, True, read.preprocessing.size)


def _is_python(path: Path) -> str:
    """What to write for a network of one's own, instead of the path of its file."""
    words = path.with_suffix("").parts
    inside = not path.is_absolute() and all(word.isidentifier() for word in words)
    name, where = (".".join(words), "") if inside else (path.stem, f" in the folder {str(path.parent.resolve())!r}")
    return f"{str(path)!r} is code; name the function in it that makes the network, for example {name}:build{where}"


def _adapted(text: str) -> Opened:
    with foreign(f"{text!r} cannot be opened", "check the name, or give a folder with safetensors weights"):
        found = adapt(text)
    return Opened(found.model, text, found.preprocessing, found.classes, None, True, found.preprocessing.size)


def _zoo_name(text: str) -> Any:
    """The parsed name of a network that can be created, or None."""
    from zoo.models.names import ModelName

    try:
        name = ModelName.parse(text)
    except ModelError:
        return None
    return name if name.data is None else None


def _preprocessing(known: Preprocessing | None, size: int | None, mean: Any, std: Any) -> Preprocessing | None:
    """What is known, with what was given in its place; None if nothing is known and nothing given."""
    if known is not None:
        given = {"size": size, "mean": mean, "std": std}
        return replace(known, **{key: value for key, value in given.items() if value is not None})
    if mean is None and std is None:
        return None
    missing = [f"--{key}" for key, value in (("size", size), ("mean", mean), ("std", std)) if value is None]
    if missing or size is None:
        raise ModelError(
            f"the preprocessing is not whole: give {' and '.join(missing)} too, as in --mean 0.5 --std 0.5"
        )
    return Preprocessing(size, mean, std)


def _called(module: str, name: str, text: str) -> nn.Module:
    """The network that `module:name` is or makes."""
    target: Any = _imported(module, text)
    for part in name.split("."):
        if not hasattr(target, part):
            public = ", ".join(
                key for key in vars(target) if not key.startswith("_") and callable(getattr(target, key))
            )
            raise ModelError(f"{text!r}: {module!r} has no {part!r}; it has {public[:200] or 'nothing to call'}")
        target = getattr(target, part)
    if isinstance(target, nn.Module):
        return untyped(target)
    if not callable(target):
        raise ModelError(f"{text!r} is {type(target).__name__}, expected a torch module or a function that makes one")
    made = _made(target, text)
    if not isinstance(made, nn.Module):
        raise ModelError(f"{text!r} returned {type(made).__name__}, expected a torch.nn.Module; return the network")
    return untyped(made)


def _imported(module: str, text: str) -> Any:
    if find_spec("escnn") is not None:
        stand_in()  # escnn does not import without
    try:
        with _here(), foreign(f"{text!r} cannot be imported", f"mend {module.replace('.', '/')}.py"):
            return importlib.import_module(module)
    except ModelError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            raise ModelError(_absent(module, cause.name, text)) from cause
        raise


def _absent(module: str, missing: str, text: str) -> str:
    if module != missing and not module.startswith(f"{missing}."):
        return f"{text!r} cannot be imported: it needs {missing!r}; pip install {missing}"
    return (
        f"{text!r}: there is no module {missing!r} in {str(Path.cwd())!r} or among the installed packages; "
        "run the command in the folder of the file, or install the package"
    )


def _made(target: Any, text: str) -> Any:
    try:
        inspect.signature(target).bind()
    except TypeError as error:
        raise ModelError(
            f"{text!r} cannot be called without arguments ({error}); name a function that fills them in, "
            "as in def build(): return Net(...)"
        ) from None
    except ValueError:  # some callables have no signature to look at
        pass
    with _here(), foreign(f"{text!r} failed when it was called", "mend that function"):
        return target()


@contextmanager
def foreign(what: str, mend: str) -> Iterator[None]:
    """Somebody else's code runs here and may raise anything: it becomes a ModelError, and `what` it prints a log."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except SymdataError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(f"{what}: {describe_error(error)}; {mend}") from error


@contextmanager
def _here() -> Iterator[None]:
    """The current folder first on the path, as in `python -m`, while somebody's code is imported and called."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)
