"""Hypothesis strategies for the grammar of symmetry: texts of every form, canonical or not."""

import math

from hypothesis import strategies as st

from symdata import Group

GROUPS = st.sampled_from(
    ["none", "c1", "c2", "c3", "c4", "c7", "c8", "c360", "d1", "d2", "d4", "d5", "d360", "so2", "o2"]
)


@st.composite
def numbers(draw: st.DrawFn, low: float, high: float) -> str:
    """A number between `low` and `high`, in one of the spellings that the grammar accepts."""
    nice = st.integers(int(low), int(high)).map(float)
    value = draw(nice | st.floats(low, high, allow_subnormal=True) | st.sampled_from([low, high]))
    spellings = [repr(value), f"+{value!r}" if math.copysign(1.0, value) > 0 else repr(value)]
    if value == int(value):
        spellings += [
            str(int(value)),
            f"{int(value)}.00",
            f"{value / 10!r}e1" if float(f"{value / 10!r}e1") == value else "0",
        ]
    if value == 0 and low < 0:
        spellings += ["-0", "-0.0"]
    return draw(st.sampled_from(spellings))


@st.composite
def measures(draw: st.DrawFn) -> str:
    """The text of one measure."""
    name = draw(GROUPS)
    group = Group.parse(name)
    form = draw(st.sampled_from(["haar", "partial", "weight", "arc", "gaussian"]))
    if form == "haar":
        return name
    if form == "partial":
        return f"{name}-partial"
    if form == "weight":
        return f"{name}-partial@{draw(numbers(0.0, 1.0))}"
    if form == "gaussian":
        return f"{name}@{draw(numbers(-360.0, 360.0))}~{draw(numbers(0.0, 360.0))}"
    low, high = sorted([draw(numbers(-720.0, 720.0)), draw(numbers(-720.0, 720.0))], key=float)
    if group.is_finite and float(high) - float(low) < 360.0 / (group.rotations or 1):
        low, high = "-1", str(360 // (group.rotations or 1))  # an arc that holds an element
    return f"{name}@{low}..{high}"


@st.composite
def parts(draw: st.DrawFn) -> str:
    """The text of one measure that is no mixture: a group or one of its forms, von Mises, an element."""
    form = draw(st.sampled_from(["group", "von Mises", "element"]))
    if form == "group":
        return draw(measures())
    if form == "von Mises":
        return f"{draw(GROUPS)}@{draw(numbers(-360.0, 360.0))}~k{draw(st.floats(0.0, 1e6))}"
    names = st.sampled_from(["e", "m", "h", "v", "t", "hvt", "r90", "r180m", "r51.42857142857143"])
    return draw(names | st.floats(-720.0, 720.0).map(lambda angle: f"r{angle!r}"))


@st.composite
def mixtures(draw: st.DrawFn) -> str:
    """The text of a mixture of one to five measures."""
    shares = draw(st.lists(st.integers(0, 40), min_size=1, max_size=5).filter(any))
    return "+".join(f"{share / sum(shares)!r}@{draw(parts())}" for share in shares)


@st.composite
def symmetries(draw: st.DrawFn) -> str:
    """The text of a symmetry: one measure, or some for classes in any order, with or without a rest."""
    count = draw(st.integers(0, 5))
    one = parts() | mixtures()
    if count == 0:
        return draw(one)
    bounds = sorted(draw(st.lists(st.integers(0, 40), min_size=2 * count, max_size=2 * count, unique=True)))
    clauses = []
    for first, last in zip(bounds[::2], bounds[1::2], strict=True):
        classes = draw(st.sampled_from([f"{first}", f"{first}-{last}", f"{first:03d}-{last:03d}"]))
        clauses.append(f"{classes}:{draw(one)}")
    for name in draw(
        st.lists(st.sampled_from(["cat", "Cat", "dog one", "\u00e9", "p", "e-5"]), max_size=2, unique=True)
    ):
        clauses.append(f"{name}:{draw(one)}")
    if draw(st.booleans()):
        clauses.append(f"rest:{draw(one)}")
    return ",".join(draw(st.permutations(clauses)))
