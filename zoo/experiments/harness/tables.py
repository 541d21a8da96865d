"""Cells of tables: means with their spread, counts, lists of numbers."""

from collections.abc import Sequence

from zoo.experiments.harness.statistics import Figure


def plus_minus(figure: Figure | None, digits: int = 2) -> str:
    """`97.69±0.17`; without a spread, the mean alone; `-` for nothing."""
    if figure is None:
        return "-"
    spread = "" if figure.sd is None else f"±{figure.sd:.{digits}f}"
    return f"{figure.mean:.{digits}f}{spread}"


def count(n: int, one: str, many: str | None = None) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def joined(values: Sequence[float], digits: int) -> str:
    """`0.0088 0.0115`."""
    return " ".join(f"{value:.{digits}f}" for value in values)
