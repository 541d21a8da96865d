"""Which keypoints exchange their names in a mirror: the option `,swap=` of a source."""

import re

from symdata.sources.base import Ref, refusal

SWAP = "swap"


def swaps_of(ref: Ref, keypoints: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Pairs of keypoints, from `,swap=left_eye:right_eye+...`, or `,swap=left:right` for all names with these words.

    Raises:
        SourceError: for a name or word that no keypoint has, and for a keypoint without its partner or in two pairs.

    Example:
        >>> from symdata.sources.base import Ref
        >>> from symdata.sources.swaps import swaps_of
        >>> swaps_of(Ref.parse("data/pose,swap=left:right"), ("nose", "left_eye", "right_eye"))
        (('left_eye', 'right_eye'),)
    """
    if (text := ref.options.get(SWAP)) is None:
        return ()
    if not keypoints:
        raise refusal(ref.text, f"{SWAP}= is for keypoints, and there are none; leave it out")
    pairs: list[tuple[str, str]] = []
    for piece in text.split("+"):
        first, colon, second = piece.partition(":")
        found = [(first, second)] if {first, second} <= set(keypoints) else _by_word(ref, keypoints, first, second)
        if not (colon and first and second and first != second and found):
            problem = f"{SWAP}={text}: {piece!r} fits no two of its keypoints, {', '.join(keypoints)}"
            raise refusal(ref.text, f"{problem}; expected pairs of names or words, as in ,{SWAP}=left:right")
        pairs += found
    names = [name for pair in pairs for name in pair]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise refusal(ref.text, f"{SWAP}={text}: keypoint {twice!r} is in two pairs; give it one partner")
    return tuple(pairs)


def _by_word(ref: Ref, keypoints: tuple[str, ...], first: str, second: str) -> list[tuple[str, str]]:
    """Pairs of keypoints whose names differ by one word: `left_eye` and `right_eye`."""
    if not (first and second):
        return []
    pairs = []
    for word, other in ((first, second), (second, first)):
        whole = re.compile(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])")
        for name in keypoints:
            partner = other.join(whole.split(name, maxsplit=1))
            if partner != name and partner not in keypoints:
                problem = f"{SWAP}={first}:{second}: keypoint {name!r} has no partner {partner!r}"
                raise refusal(
                    ref.text, f"{problem}; write the pairs, as in ,{SWAP}=left_eye:right_eye+left_ear:right_ear"
                )
            if partner != name and word == first:
                pairs.append((name, partner))
    return pairs
