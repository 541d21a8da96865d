"""The datasets of the literature: classes of a source, poses with labels, a symmetry, a canvas.

A *pose* is a transformation that decides the label (mnist6-180: was the 6 turned?). A *symmetry* moves the image
afterwards and does not change the label. Splits are made over source images, never over transformed copies. Sizes are
those of the paper if it states them.

To add a recipe, add an entry to `_RECIPES`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from symdata.errors import RecipeError, SymmetryError
from symdata.groups import Element, Group
from symdata.symmetry import Symmetry

MNIST = "hub:ylecun/mnist"
HALF, QUARTER, MIRROR = Element(180.0), Element(90.0), Element(0.0, True)
GRADES = 10
"""Levels of a graded dataset, with weights 0, 1/9, ..., 1."""


@dataclass(frozen=True)
class Pose:
    """A copy of a source image that is moved by `element` and has this label."""

    element: Element
    label: int


@dataclass(frozen=True)
class Recipe:
    """How to make one dataset of the literature from a source of upright images.

    Example:
        >>> from symdata import list_recipes
        >>> recipes = {recipe.name: recipe for recipe in list_recipes()}
        >>> recipes["rotmnist"].symmetry, dict(recipes["rotmnist"].counts)
        ('so2', {'train': 10000, 'validation': 2000, 'test': 50000})
    """

    name: str
    about: str
    """One line on what is special about it."""
    paper: str
    """The paper that it comes from."""
    source: str = MNIST
    """Default source."""
    symmetry: str = "none"
    test_symmetry: str | None = None
    """Of the test split, if it differs."""
    poses: Mapping[str, tuple[Pose, ...]] = field(default_factory=dict)
    """The copies of each image of a source class, by class name; other classes are left out. Empty: one upright copy
    of every image."""
    keep: Mapping[str, float] = field(default_factory=dict)
    """Share of a source class that is used, from the start of the split; by default 1."""
    class_names: tuple[str, ...] = ()
    """Names of the labels; empty: those of the source."""
    canvas: str = "plain"
    """`plain`; `pair`: two images, moved independently, side by side on a doubled canvas, with label 10 a + b;
    `quadrant` or `quadrant-label`: the image in a random quadrant of a doubled canvas, resized to 32x32; with
    `quadrant-label` and n classes, label y in quadrant q becomes y + n q."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Images per split, drawn from all splits together (`pool`) or made by pairing; empty: those of the source."""
    pool: bool = False
    """Whether the source's splits are joined and divided anew."""
    validation: float = 1 / 6
    """Share of the source's training images that become the validation split, if the source has none."""
    resample: str = "auto"
    """`spline` if upright images must be resampled too."""


PLAIN = Recipe("", "", "", source="glyphs", validation=0.0)
"""In place of a recipe if there is none: the images of the source as they are."""

_SSL_SYM = "Urbano and Romero 2023, arXiv 2312.12223"
_PARTIAL = "Romero and Lohit 2022, 'Learning partial equivariances from data', arXiv 2110.10211"
_VARIATIONAL = "Kim et al. 2024, 'Variational partial group convolutions'"
_LAYERWISE = "van der Ouderaa et al. 2023, 'Learning layer-wise equivariances', arXiv 2310.06131"
_DEGREE = "Veefkind and Cesa 2024, 'A probabilistic approach to learning the degree of equivariance', arXiv 2406.03946"


def _rotmnist(name: str, about: str, symmetry: str, paper: str = _SSL_SYM) -> Recipe:
    counts = {"train": 10_000, "validation": 2_000, "test": 50_000}
    return Recipe(name, about, paper, symmetry=symmetry, counts=counts, pool=True)


def _ddmnist(group: str) -> Recipe:
    about = f"two digits side by side, each moved by its own element of {group}; 100 classes"
    counts = {"train": 10_000, "validation": 2_000, "test": 5_000}
    return Recipe(f"ddmnist-{group}", about, _DEGREE, symmetry=group, canvas="pair", counts=counts)


def _quadrant(name: str, label: str, canvas: str) -> Recipe:
    return Recipe(name, f"the digit in a random quadrant; the label is {label}", _LAYERWISE, canvas=canvas)


def _two(element: Element, upright: int, moved: int) -> tuple[Pose, ...]:
    """An upright copy and a moved one, with their labels."""
    return Pose(Element(), upright), Pose(element, moved)


_RECIPES = {
    recipe.name: recipe
    for recipe in (
        _rotmnist(
            "rotmnist",
            "every image turned by its own uniform angle",
            "so2",
            "Larochelle et al. 2007, 'An empirical evaluation of deep architectures'",
        ),
        _rotmnist("rotmnist-60", "angles within 60 degrees", "so2@-60..60"),
        _rotmnist("rotmnist-60-90", "classes 0-4 within 60 degrees, 5-9 within 90", "0-4:so2@-60..60,5-9:so2@-90..90"),
        _rotmnist(
            "mnist-multiple",
            "class c within 18 c degrees: 0 upright, 9 within 162",
            ",".join(["0:none"] + [f"{c}:so2@-{18 * c}..{18 * c}" for c in range(1, 10)]),
        ),
        _rotmnist("mnist-c2c4", "classes 0-4 turned by 0 or 180, 5-9 by 0, 90, 180 or 270", "0-4:c2,5-9:c4"),
        Recipe(
            "mnist6-180",
            "every 6 upright and turned by 180; the label says which: an invariant network stays at 50%",
            _PARTIAL,
            poses={"6": _two(HALF, 0, 1)},
            class_names=("6 upright", "6 turned"),
        ),
        Recipe(
            "mnist6-m",
            "every 6 upright and mirrored; the label says which",
            _PARTIAL,
            poses={"6": _two(MIRROR, 0, 1)},
            class_names=("6 upright", "6 mirrored"),
        ),
        Recipe(
            "mnist67-180",
            "6 and 6 turned are two classes; 7 and 7 turned are one",
            _VARIATIONAL,
            poses={"6": _two(HALF, 0, 1), "7": _two(HALF, 2, 2)},
            keep={"7": 0.5},
            class_names=("6 upright", "6 turned", "7"),
        ),
        Recipe(
            "mnist678-180",
            "as mnist67-180, and 8 and 8 turned by 90 are two classes",
            _VARIATIONAL,
            poses={"6": _two(HALF, 0, 1), "7": _two(HALF, 2, 2), "8": _two(QUARTER, 3, 4)},
            keep={"7": 0.5},
            class_names=("6 upright", "6 turned", "7", "8 upright", "8 lying"),
        ),
        Recipe(
            "mnist-180",
            "a quarter of every class, upright and turned by 180; turned 6 is 9 and turned 9 is 6",
            _VARIATIONAL,
            poses={str(c): _two(HALF, c, {6: 9, 9: 6}.get(c, c)) for c in range(10)},
            keep={str(c): 0.25 for c in range(10)},
            class_names=tuple("0123456789"),
        ),
        Recipe(
            "updown45",
            "two letters, each upright or upside down and within 45 degrees of that: the invariance to learn is +-45",
            "Benton et al. 2020, 'Learning invariances in neural networks', arXiv 2010.11882 (its Mario and Iggy task)",
            source="glyphs:AF",
            symmetry="so2@-45..45",
            poses={"A": _two(HALF, 0, 1), "F": _two(HALF, 2, 3)},
            class_names=("A up", "A down", "F up", "F down"),
        ),
        _quadrant("digit-quadrant", "the digit", "quadrant"),
        _quadrant("quadrant", "digit + 10 quadrant, 40 classes", "quadrant-label"),
        *map(_ddmnist, ("c1", "c3", "c4", "so2", "d1", "d3", "d4", "o2")),
    )
}


def list_recipes() -> list[Recipe]:
    """Every recipe; `graded-<group>` stands for ten levels with any group.

    Example:
        >>> from symdata import list_recipes
        >>> [recipe.name for recipe in list_recipes() if recipe.name.startswith("mnist6")]
        ['mnist6-180', 'mnist6-m', 'mnist67-180', 'mnist678-180']
    """
    about = "ten levels of partial symmetry, graded-c4-0 to graded-c4-9"
    graded = replace(_graded("graded-c4-0", "c4", 0), name="graded-<group>", about=about)
    return [*_RECIPES.values(), graded]


def is_recipe(name: str) -> bool:
    """Whether this is the name of a recipe, or begins like that of a graded one."""
    return name.startswith("graded-") or name in _RECIPES


def find_recipe(name: str) -> Recipe:
    """The recipe of this name; raises RecipeError, with all names, if there is none."""
    if name.startswith("graded-"):
        match = re.fullmatch("graded-(.+)-([0-9]{1,3})", name)
        if not match or int(match[2]) >= GRADES:
            form = f"graded-<group>-<level>, level 0 to {GRADES - 1}, as in graded-c4-3"
            raise RecipeError(f"recipe {name!r} is not {form}")
        return _graded(name, match[1], int(match[2]))
    if name not in _RECIPES:
        raise RecipeError(f"no recipe {name!r}; there are {', '.join(r.name for r in list_recipes())}")
    return _RECIPES[name]


def levels(name: str) -> list[str]:
    """The names of all levels if `name` is `graded-<group>`, else `name` alone."""
    family = name.startswith("graded-") and not name.rpartition("-")[2].isdigit()
    return [f"{name}-{level}" for level in range(GRADES)] if family else [name]


def _graded(name: str, group: str, level: int) -> Recipe:
    try:
        lattice = Group.parse(group).is_lattice
    except SymmetryError as error:
        raise RecipeError(f"recipe {name!r}: {error}") from None
    # The repr of a float is the same on every machine, so the text of the symmetry is too.
    symmetry = Symmetry.parse(f"{group}-partial@{level / (GRADES - 1)!r}")
    return Recipe(
        f"graded-{group}-{level}",
        f"with probability {level}/9 an element of {group}, else upright",
        "after the graded equivariance errors of Wang et al. 2022, arXiv 2201.11969",
        source="glyphs",
        symmetry=str(symmetry),
        resample="auto" if lattice else "spline",
    )
