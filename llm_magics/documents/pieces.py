"""A long text -> pieces that fit: cut at the ends of paragraphs and sentences, each beginning a little before the last one ended.

- Together the pieces hold every character; ``start`` and ``end`` are places in the whole text.
- Where nothing better is in reach a cut falls between words, and in a word without end between characters: never inside what a
  reader sees as one (an accent, an emoji of several parts, CR LF).
- Each unit of the text is counted once, and each piece once more as a whole, so the cost grows with the length of the text.
"""

from __future__ import annotations

import bisect
import itertools
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import OptionError

Counter = Callable[[str], int]


@dataclass(frozen=True)
class Piece:
    """``text[start:end]`` of a long text; what stands before ``fresh`` is in the piece before it too."""

    start: int
    end: int
    fresh: int


@dataclass(frozen=True)
class _Unit:
    """What is cut no further: a sentence or a line, or a part of one that is too long by itself."""

    start: int
    end: int
    tokens: int
    paragraph: bool = False


def split(text: str, count: Counter, room: int, overlap: int = 0, shift: int = 0) -> tuple[Piece, ...]:
    """Pieces of at most ``room`` tokens, each with up to ``overlap`` tokens of the one before.

    ``count`` tells the tokens of a text. ``shift`` makes the first piece shorter by so many tokens, so that a further pass has its
    cuts in other places. A piece is longer than ``room`` only where a single character has more tokens than that.
    OptionError for a room of nothing, and for an overlap of over half a piece.
    """
    if room < 1 or overlap < 0:
        raise OptionError(
            f"Pieces of {room} tokens with {overlap} of overlap cannot be.", "Expected a room over 0 and an overlap of 0 or more."
        )
    if overlap > room // 2:
        raise OptionError(f"An overlap of {overlap} tokens is over half a piece of {room}.", f"Use {room // 2} or less.")
    units = _units(text, count, room)
    pieces: list[Piece] = []
    first = fresh = 0
    while fresh < len(units):
        limit = room - shift if not pieces and 0 < shift < room else room
        last = _filled(text, units, first, fresh, room=limit, count=count)
        pieces.append(Piece(units[first].start, units[last - 1].end, units[fresh].start))
        fresh = last
        first = _back(units, last, min(overlap, room - units[last].tokens)) if last < len(units) else last
    return tuple(pieces)


def _filled(text: str, units: Sequence[_Unit], first: int, fresh: int, *, room: int, count: Counter) -> int:
    """The index after the last unit of the piece that begins with ``first``; it holds one more than the overlap at least."""
    tokens, last = 0, first
    while last < len(units) and (tokens + units[last].tokens <= room or last <= fresh):
        tokens += units[last].tokens
        last += 1
    if last < len(units):
        last = _paragraph_end(units, fresh, last, room // 4)
    # Tokens of neighbours are not quite those of both together, so the whole is counted too.
    while last > fresh + 1 and count(text[units[first].start : units[last - 1].end]) > room:
        last -= 1
    return last


def _paragraph_end(units: Sequence[_Unit], fresh: int, last: int, reach: int) -> int:
    """The end of a paragraph within ``reach`` tokens before ``last``, if there is one; else ``last``."""
    given = 0
    for at in range(last, fresh, -1):
        if units[at - 1].paragraph:
            return at
        given += units[at - 1].tokens
        if given > reach:
            break
    return last


def _back(units: Sequence[_Unit], last: int, overlap: int) -> int:
    """Where the next piece begins: as many whole units back as the overlap allows."""
    first, tokens = last, 0
    while first > 0 and tokens + units[first - 1].tokens <= overlap:
        first -= 1
        tokens += units[first].tokens
    return first


# Units.

# Marks that end a sentence before a space, with what may close after them; and those that end one anywhere.
_SPACED = r"[.!?\u2026\u061f\u06d4\u0964\u0965\u0589\u1362\u166e\u203c\u2047\u2048\u2049]+[\"'\u201d\u2019\u00bb)\]\u203a\u201c]*(?=\s)"
_UNSPACED = r"[\u3002\uff01\uff1f\uff61]+[\u300d\u300f\u201d\u2019\uff09\u3011\u300b\u3009]*"
_END = re.compile(rf"(?P<spaced>{_SPACED})|{_UNSPACED}|(?P<line>\r\n|[\n\r\x85\u2028\u2029])")
_SPACE = re.compile(r"\s*")
_ABBREVIATED = re.compile(
    r"(?:^|[\s(\"'\u00ab\u201c])(?:\w|\w\.\w|\w\. ?\w|dr|mr|mrs|ms|prof|st|no|nr|vs|ca|bzw|sr|sra|dra|mme|mlle|art|fig|vol|pp|approx)\.$",
    re.IGNORECASE,
)
_ROW = re.compile(r"[ \t]*(?:[-*+\u2022\u2023\u25e6\u2013\u2014|#>]|\(?\w{1,3}[.)][ \t])")
# A line of this many characters that ends without a mark was most likely wrapped.
_WRAPPED = 55


def _units(text: str, count: Counter, room: int) -> list[_Unit]:
    units = []
    for start, end in itertools.pairwise([0, *_ends(text)]):
        tokens = count(text[start:end])
        closing = text[start:end][len(text[start:end].rstrip()) :]
        paragraph = len(re.findall(r"\r\n|[\n\r\x85\u2028\u2029]", closing)) > 1 or end == len(text)
        if tokens <= room:
            units.append(_Unit(start, end, tokens, paragraph))
        else:
            part = _Unit(start, end, tokens, paragraph)
            units += _parts(text, part, count, max(room // 8, 1))
    return units


def _ends(text: str) -> list[int]:
    """Where sentences, rows and paragraphs end, with the space after them; the end of the text last."""
    ends: list[int] = []
    at = 0
    while found := _END.search(text, at):
        at = found.end()
        following = _SPACE.match(text, at)
        assert following is not None
        after = following.end()
        if found["line"]:
            after = at if "\n" not in following[0] and "\r" not in following[0] else after
            if not _line_ends(text, found.start(), at, after):
                continue
        elif found["spaced"] and not _sentence_ends(text, found, after):
            continue
        at = after
        if whole_at(text, after):
            ends.append(after)
    return [*ends, len(text)] if text and (not ends or ends[-1] < len(text)) else ends


def _sentence_ends(text: str, found: re.Match[str], after: int) -> bool:
    """Whether a mark before a space ends a sentence: not in ``Dr. Holt``, ``z. B.`` or before a word in lower case."""
    if after >= len(text) or "\n" in text[found.end() : after]:
        return True
    before = text[max(0, found.start() - 8) : found.end()]
    return not text[after].islower() and not _ABBREVIATED.search(before)


def _line_ends(text: str, start: int, end: int, after: int) -> bool:
    """Whether a line break ends a row or a paragraph: not where a sentence goes on in the next line."""
    if after > end or end >= len(text):
        return True
    line = text[max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1 : start]
    if "\t" in line or "|" in line or _ROW.match(text, end):
        return True
    return not text[end].islower() and (len(line) < _WRAPPED or not line[-1:].isalnum())


def _parts(text: str, unit: _Unit, count: Counter, most: int) -> list[_Unit]:
    """A sentence that fits nowhere, as parts of at most ``most`` tokens; small ones, so that the cuts in it overlap as well."""
    start, end = unit.start, unit.end
    if unit.tokens <= most or end - start < 2:
        return [unit]
    words = (start + word.end() for word in re.finditer(r"\S+\s*", text[start:end]))
    cuts = [cut for cut in words if cut < end and whole_at(text, cut)]
    number = -(-unit.tokens // most)
    reach = (end - start) // number // 2
    targets = (start + (end - start) * part // number for part in range(1, number))
    edges = sorted({_near(cuts, target, reach) or _whole(text, target, unit) for target in targets} - {start, end})
    if not edges:
        return [unit]
    ends = itertools.pairwise([start, *edges, end])
    parts = [_Unit(low, high, count(text[low:high]), unit.paragraph and high == end) for low, high in ends]
    return [each for part in parts for each in _parts(text, part, count, most)]


def _near(cuts: Sequence[int], target: int, reach: int) -> int | None:
    """The cut next to ``target``, within ``reach``."""
    at = bisect.bisect_left(cuts, target)
    near = [cut for cut in cuts[max(at - 1, 0) : at + 1] if abs(cut - target) <= reach]
    return min(near, key=lambda cut: abs(cut - target), default=None)


def _whole(text: str, target: int, unit: _Unit) -> int:
    """The end of a whole character next to ``target``; the end of the unit when there is none in it."""
    return next((cut for cut in _outwards(target, unit.start, unit.end) if whole_at(text, cut)), unit.end)


def _outwards(target: int, start: int, end: int) -> Iterator[int]:
    for step in range(max(target - start, end - target)):
        yield from (at for at in dict.fromkeys((target - step, target + step)) if start < at < end)


# Characters as a reader sees them.

_JOINER = "\u200d"
_VIRAMA = 9  # the combining class of signs that join two consonants
_SPACING = frozenset("\u0e33\u0eb3\u200c\uff9e\uff9f")  # letters and signs that belong to the one before, by their use


def whole_at(text: str, at: int) -> bool:
    """Whether a cut before ``text[at]`` leaves whole what a reader sees as one character on either side."""
    if not 0 < at < len(text):
        return True
    before, after = text[at - 1], text[at]
    if (before, after) == ("\r", "\n") or _JOINER in (before, after) or _joins(after):
        return False
    if _is_flag(after):
        return _run(text, at, _is_flag) % 2 == 0
    if unicodedata.combining(before) == _VIRAMA and unicodedata.category(after) == "Lo":
        return False
    return not (_is_hangul(before) and _is_jamo(after))


def _joins(char: str) -> bool:
    """Whether a character stands on the one before it: accents, vowel signs, skin tones, variation selectors, tags."""
    code = ord(char)
    marks = unicodedata.category(char) in ("Mn", "Mc", "Me") or char in _SPACING
    return marks or 0x1F3FB <= code <= 0x1F3FF or 0xE0020 <= code <= 0xE007F


def _is_flag(char: str) -> bool:
    return 0x1F1E6 <= ord(char) <= 0x1F1FF


def _is_hangul(char: str) -> bool:
    return _is_jamo(char) or 0xAC00 <= ord(char) <= 0xD7A3


def _is_jamo(char: str) -> bool:
    return 0x1100 <= ord(char) <= 0x11FF or 0xA960 <= ord(char) <= 0xA97C or 0xD7B0 <= ord(char) <= 0xD7FB


def _run(text: str, at: int, kind: Callable[[str], bool]) -> int:
    """How many characters of a kind stand directly before ``at``."""
    length = 0
    while length < at and kind(text[at - 1 - length]):
        length += 1
    return length
