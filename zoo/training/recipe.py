"""Training recipes as YAML: `--config` reads them, and a run writes one beside its weights."""

from pathlib import Path, PurePath
from reprlib import repr as short
from typing import Any

import yaml

from zoo.errors import ModelError
from zoo.files import RECIPE as RECIPE
from zoo.models.code import is_code
from zoo.training.config import TrainConfig


class _Loader(yaml.SafeLoader):
    """Reads plain data only; a repeated key is an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys are texts and differ."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen if isinstance(key.value, str) else True:
                raise yaml.constructor.ConstructorError(None, None, f"key {short(key.value)} twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_recipe(path: Path | str, model: str | None = None) -> dict[str, Any]:
    """The fields that a YAML file names, for `TrainConfig.from_dict`.

    Args:
        path: the file.
        model: what stands in the place of its model; code is imported only if it is named here, not in a file.

    Raises:
        ModelError: if the file is not YAML, or not a mapping from fields to values, or names code.

    Example:
        >>> _ = Path("recipe.yaml").write_text("model: p4cnn_28\\nepochs: 3")
        >>> read_recipe("recipe.yaml")
        {'model': 'p4cnn_28', 'epochs': 3}
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ModelError(f"{str(path)!r} is not YAML: {_reason(error)}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ModelError(f"{str(path)!r} holds {short(content)}, expected lines such as `epochs: 10`")
    if model is None and isinstance(code := content.get("model"), str) and is_code(code):
        raise ModelError(
            f"{str(path)!r} names code, {short(code)}, and code is run only if you name it; if it is yours, "
            f"add --model {code}"
        )
    return content | ({} if model is None else {"model": model})


def recipe_text(config: TrainConfig) -> str:
    """The config as YAML, without paths of this machine; `symdata train DATA --config recipe.yaml` repeats the run."""
    return yaml.safe_dump(public_fields(config), sort_keys=False, default_flow_style=False)


def public_fields(config: TrainConfig) -> dict[str, Any]:
    """The fields of a config that may be published: without `out`, and without the paths of other folders."""
    fields = config.to_dict()
    del fields["out"]
    for name in ("data", "init", "start_from"):
        if fields[name] is not None:
            place = PurePath(fields[name])
            fields[name] = place.name if place.is_absolute() or ".." in place.parts else place.as_posix()
    return fields


def _reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark is not None else ""
    return where + (getattr(error, "problem", None) or str(error).splitlines()[0] or type(error).__name__)
