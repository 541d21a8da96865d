"""Hypothesis strategies for the grammar of symmetry: texts of every form, canonical or not."""

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
    spellings = [repr(value), f"+{value!r}" if value >= 0 else repr(value)]
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
def symmetries(draw: st.DrawFn) -> str:
    """The text of a symmetry: one measure, or some for classes in any order, with or without a rest."""
    count = draw(st.integers(0, 5))
    if count == 0:
        return draw(measures())
    bounds = sorted(draw(st.lists(st.integers(0, 40), min_size=2 * count, max_size=2 * count, unique=True)))
    clauses = []
    for first, last in zip(bounds[::2], bounds[1::2], strict=True):
        classes = draw(st.sampled_from([f"{first}", f"{first}-{last}", f"{first:03d}-{last:03d}"]))
        clauses.append(f"{classes}:{draw(measures())}")
    if draw(st.booleans()):
        clauses.append(f"rest:{draw(measures())}")
    return ",".join(draw(st.permutations(clauses)))
