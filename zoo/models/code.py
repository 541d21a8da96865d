"""Networks that the user's own code makes: `package.module:callable`, a function, or a module as it is.

Code is imported only where somebody names it: on the command line, or as an argument. What a file names is never
imported.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from symdata.errors import SymdataError
from symdata.installation.lie_learn import stand_in
from zoo.errors import ModelError, describe_error
from zoo.exactness.model_groups import is_typed
from zoo.exactness.tracer import duplicate

Arch = str | Callable[..., nn.Module] | nn.Module
"""`package.module:callable`, something that makes the network, or the network."""

_CALLABLE = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*(\.[^\W\d]\w*)*)")


class Untyped(nn.Module):
    """A module of escnn, as images (B, C, H, W) to logits (B, classes)."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.net(self.net.in_type(images)).tensor
        return out.flatten(1) if out.shape[2:].numel() == 1 else out


def untyped(module: nn.Module) -> nn.Module:
    """A module of escnn, wrapped so that it takes and returns plain tensors; any other module as it is."""
    return Untyped(module) if is_typed(module) else module


def is_code(text: str) -> bool:
    """Whether a text has the form `package.module:callable`.

    Example:
        >>> is_code("mynet:build"), is_code("p4cnn_28"), is_code("timm:")
        (True, False, False)
    """
    return _CALLABLE.fullmatch(text) is not None


def code_name(arch: Arch) -> str | None:
    """The text `package.module:callable` that names the same thing; None for what has no such name."""
    if isinstance(arch, str):
        return arch
    text = f"{getattr(arch, '__module__', '')}:{getattr(arch, '__qualname__', '')}"
    if isinstance(arch, nn.Module) or not is_code(text) or text.startswith("__main__:"):
        return None
    module, _, path = text.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return text if found is arch else None


def make_network(arch: Arch, **facts: int) -> nn.Module:
    """The network that `arch` makes, or a copy of the one that it is.

    Args:
        arch: a callable gets those of `facts` that it has parameters for, and no other arguments.
        facts: such as `num_classes` and `in_chans`.

    Raises:
        ModelError: if there is no such code, or it fails, or it makes no module.

    Example:
        >>> make_network(lambda num_classes: nn.Linear(4, num_classes), num_classes=3, in_chans=1)
        Linear(in_features=4, out_features=3, bias=True)
    """
    if isinstance(arch, nn.Module):
        return untyped(duplicate(arch).train(arch.training)).cpu()
    if isinstance(arch, str):
        match = _CALLABLE.fullmatch(arch)
        if match is None:
            raise ModelError(f"{arch!r} is no code; write package.module:callable, for example mynet:build")
        return called(arch, **facts)
    what = getattr(arch, "__name__", type(arch).__name__)
    return _network(arch, what, facts)


def called(text: str, **facts: int) -> nn.Module:
    """The network that `package.module:callable` is or makes; see `make_network`."""
    target = find_code(text)
    # A copy: whoever names the module twice has two models.
    return make_network(target) if isinstance(target, nn.Module) else _network(target, text, facts)


def find_code(text: str) -> Any:
    """What `package.module:callable` names, imported; nothing is called."""
    module, _, name = text.partition(":")
    target: Any = _imported(module, text)
    for part in name.split("."):
        if not hasattr(target, part):
            public = ", ".join(
                key for key in vars(target) if not key.startswith("_") and callable(getattr(target, key))
            )
            raise ModelError(f"{text!r}: {module!r} has no {part!r}; it has {public[:200] or 'nothing to call'}")
        target = getattr(target, part)
    return target


def _network(target: Any, text: str, facts: dict[str, int]) -> nn.Module:
    made = _made(target, text, facts)
    if not isinstance(made, nn.Module):
        raise ModelError(f"{text!r} returned {type(made).__name__}, expected a torch.nn.Module; return the network")
    return untyped(made)


def _imported(module: str, text: str) -> Any:
    if find_spec("escnn") is not None:
        stand_in()  # escnn does not import without lie_learn
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


def _made(target: Any, text: str, facts: dict[str, int]) -> Any:
    if not callable(target):
        raise ModelError(f"{text!r} is {type(target).__name__}, expected a torch module or a function that makes one")
    given, guessed = _taken(target, text, facts)
    while True:
        try:
            with _here(), foreign(f"{text!r} failed when it was called", "mend that function"):
                return target(**given)
        except ModelError as error:
            # **kwargs may go to something that takes only some of them, as in torchvision.
            unknown = [name for name in guessed if f"unexpected keyword argument '{name}'" in str(error.__cause__)]
            if not isinstance(error.__cause__, TypeError) or not unknown:
                raise
        given, guessed = {k: v for k, v in given.items() if k not in unknown}, [k for k in guessed if k not in unknown]


def _taken(target: Any, text: str, facts: dict[str, int]) -> tuple[dict[str, int], list[str]]:
    """The facts that a callable takes by name, and those of them that only its `**kwargs` may take."""
    try:
        signature = inspect.signature(target)
    except ValueError:  # some callables have no signature to look at
        return {}, []
    kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    sure = {name: value for name, value in facts.items() if kinds.get(name) in named}
    guessed = [name for name in facts if name not in sure] if inspect.Parameter.VAR_KEYWORD in kinds.values() else []
    try:
        signature.bind(**sure)
    except TypeError as error:
        words = "without arguments" if not facts else f"with {' and '.join(facts)} alone"
        raise ModelError(
            f"{text!r} cannot be called {words} ({error}); name a function that fills them in, "
            "as in def build(): return Net(...)"
        ) from None
    return sure | {name: facts[name] for name in guessed}, guessed


@contextmanager
def foreign(what: str, mend: str) -> Iterator[None]:
    """Run somebody else's code: whatever it raises becomes a ModelError, and what it prints goes to stderr."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except SymdataError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(f"{what}: {describe_error(error)}; {mend}") from error


@contextmanager
def _here() -> Iterator[None]:
    """Put the current folder first on the path, as `python -m` does, while somebody's code is imported and called."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)
