"""How upright does an image look, among its own versions? Scores, ranks, and the images in which it is plain to see."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from symdata.inspection.asymmetry.two_sample import Halves, directions, score_table
from symdata.keys import split_keys, uniforms


@dataclass(frozen=True)
class Ranking:
    """The versions of some images, ranked by a score that was fitted on other images."""

    ranks: np.ndarray
    """(m,) rank of the version that came, 0 (the most upright) to |G| - 1; versions that tie are ranked by lot."""
    gaps: np.ndarray
    """(m, |G|): by how much the best score exceeds the k-th best. It is the same whichever version came."""
    labels: np.ndarray
    """(m,) classes."""

    def of(self, label: int) -> "Ranking":
        """The images of one class."""
        rows = self.labels == label
        return Ranking(self.ranks[rows], self.gaps[rows], self.labels[rows])


@dataclass(frozen=True)
class Round:
    """A score on one half of the images: as cross-fitted there, and on the other half."""

    inside: Ranking
    """Of the half that the score was fitted on, each quarter ranked by a score of the other."""
    outside: Ranking
    """Of the other half, by a score of the whole first half."""


def rounds(versions: np.ndarray, labels: np.ndarray, splits: Sequence[Halves]) -> Iterator[Round]:
    """Two rounds for each split into halves: each half is ranked by the score of the other.

    Args:
        versions: (n, |G|, d) of one view, from `views.orbits`.
        labels: (n,) classes.
        splits: rows of either half.
    """
    for halves in splits:
        quarters = [part for half in halves for part in (half[::2], half[1::2])]
        moments = [second_moments(versions[part]) for part in quarters]
        for first in (0, 2):
            a, b, c, d = (*quarters[first : first + 2], *quarters[2 - first : 4 - first])
            ma, mb = moments[first : first + 2]
            inner = [_rank(versions, labels, x, m, y) for x, m, y in ((a, ma, b), (b, mb, a))]
            inside = Ranking(*(np.concatenate(parts) for parts in zip(*map(_parts, inner), strict=True)))
            both = np.concatenate([a, b])
            moment = (len(a) * ma + len(b) * mb) / len(both)
            yield Round(inside, _rank(versions, labels, both, moment, np.concatenate([c, d])))


def second_moments(versions: np.ndarray) -> np.ndarray:
    """(d, d): the mean of y y^T over all versions y of all images."""
    flat = versions.reshape(versions.shape[0] * versions.shape[1], versions.shape[2])
    return np.asarray(flat.T @ flat / max(1, len(flat)))


def _parts(ranking: Ranking) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return ranking.ranks, ranking.gaps, ranking.labels


def _rank(versions: np.ndarray, labels: np.ndarray, fit: np.ndarray, moments: np.ndarray, test: np.ndarray) -> Ranking:
    score = directions(moments, versions[fit, 0], labels[fit])
    return rank(score_table(versions[test], score, labels[test]), labels[test], test)


def rank(values: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> Ranking:
    """Rank the versions of each image by their scores, (m, |G|), of which column 0 is the version that came.

    Args:
        values: equal scores are equal numbers, as `score_table` rounds them.
        labels: (m,) classes.
        rows: (m,) numbers of the images; they decide how ties are drawn, so that the same image has the same lot.
    """
    above = (values[:, 1:] > values[:, :1]).sum(1)
    tied = (values[:, 1:] == values[:, :1]).sum(1)
    (lots,) = uniforms(split_keys(0, "audit", "ties", rows), 1)
    ordered = -np.sort(-values, axis=1)
    return Ranking(above + np.floor(lots * (tied + 1)).astype(np.int64), ordered[:, :1] - ordered, labels)
