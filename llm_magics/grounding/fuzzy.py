"""A piece of a text that differs from a value in a few characters.

Pieces of three characters of the value are looked up in the text; where many of them stand in about the right order, the edit distance is
measured (Myers' bit-parallel form: one step for each character of the text, however long the value).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from .folding import is_cut

# One edit for five characters; one for four in long values, where a word more or less is still the same value.
_STRICT, _LOOSE, _LONG = 5, 4, 20
_SHORTEST, _LONGEST = 5, 2000
_PIECE, _PIECES, _HITS, _PLACES = 3, 40, 2000, 40
_WORD = 60
_FIGURES = re.compile(r"\d+")


def find(value: str, text: str) -> tuple[int, int, float] | None:
    """The start and the end of the piece of ``text`` that is most like ``value``, and how alike (1 - edits / length); both are folded.

    None when nothing is near enough. Figures must be the same: another number is another value.
    """
    if not _SHORTEST <= len(value) <= _LONGEST or not any(char.isalpha() for char in value):
        return None
    allowed = len(value) // (_STRICT if len(value) < _LONG else _LOOSE)
    best: tuple[int, int, float] | None = None
    for low, high in _windows(value, text, allowed):
        found = _nearest(value, text, low, high, allowed)
        if found and (best is None or found[2] > best[2]):
            best = found
    return best


def _windows(value: str, text: str, allowed: int) -> Iterator[tuple[int, int]]:
    """The places of ``text`` with the most pieces of ``value``, best first."""
    offsets = range(len(value) - _PIECE + 1)
    offsets = offsets[:: max(1, len(offsets) // _PIECES)]
    width = max(8, len(value) // 2)
    counts: Counter[int] = Counter()
    for offset in offsets:
        at, hits = text.find(value[offset : offset + _PIECE]), 0
        while at >= 0 and hits < _HITS:
            counts[(at - offset) // width] += 1
            hits += 1
            at = text.find(value[offset : offset + _PIECE], at + 1)
    for bucket, _ in counts.most_common(_PLACES):
        low = bucket * width
        yield max(low - allowed, 0), min(low + width + len(value) + allowed, len(text))


def _nearest(value: str, text: str, low: int, high: int, allowed: int) -> tuple[int, int, float] | None:
    distance, length = _ending(value, text[low:high])
    if distance > allowed:
        return None
    end = low + length
    start = end - _ending(value[::-1], text[low:end][::-1])[1]
    start, end = _to_words(text, start, end)
    piece = text[start:end]
    if not piece or _FIGURES.findall(piece) != _FIGURES.findall(value):
        return None
    distance = edits(value, piece)
    score = 1 - distance / max(len(value), len(piece))
    return (start, end, score) if distance <= allowed else None


def _to_words(text: str, start: int, end: int) -> tuple[int, int]:
    """Whole words: a word that is half inside stays when more of it is."""
    left, right = _edges(text, start)
    start = left if start - left <= right - start else right
    left, right = _edges(text, end)
    end = right if right - end <= end - left else left
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, max(start, end)


def _edges(text: str, at: int) -> tuple[int, int]:
    """Where the word that ``at`` is inside begins and ends; no further than a long word is."""
    left = right = at
    while is_cut(text, left) and at - left < _WORD:
        left -= 1
    while is_cut(text, right) and right - at < _WORD:
        right += 1
    return left, right


def edits(value: str, text: str) -> int:
    """Insertions, deletions and replacements from ``value`` to the whole of ``text``."""
    return _distances(value, text, anchored=True)[-1]


def _ending(value: str, text: str) -> tuple[int, int]:
    """The fewest edits from ``value`` to any piece of ``text``, and where the shortest such piece ends."""
    distances = _distances(value, text, anchored=False)
    fewest = min(distances)
    return fewest, distances.index(fewest)


def _distances(value: str, text: str, *, anchored: bool) -> list[int]:
    """For each prefix of ``text``: the edits from ``value`` to it, or, not ``anchored``, to the nearest piece that ends there."""
    size = len(value)
    where: dict[str, int] = {}
    for at, char in enumerate(value):
        where[char] = where.get(char, 0) | (1 << at)
    mask, top = (1 << size) - 1, 1 << (size - 1)
    plus, minus, distance = mask, 0, size
    distances = [size]
    for char in text:
        equal = where.get(char, 0)
        across = (((equal & plus) + plus) ^ plus) | equal
        down = equal | minus
        up = minus | (mask & ~(across | plus))
        same = plus & across
        distance += bool(up & top) - bool(same & top)
        up = ((up << 1) | anchored) & mask
        same = (same << 1) & mask
        plus = same | (mask & ~(down | up))
        minus = up & down
        distances.append(distance)
    return distances
