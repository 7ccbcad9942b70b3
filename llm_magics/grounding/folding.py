"""A text folded for comparison, with the way back: each folded character knows the whole characters that it came from.

What a reader takes for one character (a letter and its accents, CR and LF, a family of emoji) is one *cluster*. Folding goes cluster by
cluster, so that whatever is found in the folded text is some number of whole clusters of the original.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from array import array

_SPACE_LESS = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
# Scripts that are written without blanks between words.
SPACE_LESS = re.compile(f"[{_SPACE_LESS}]")
_ALIKE = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc\u0060\u00b4\u2039\u203a", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\u300c\u300d\u300e\u300f", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d", "-"),
        "\u2044": "/",
        "\u0640": "",  # the stroke that stretches Arabic words
    }
)


@functools.lru_cache(maxsize=1 << 14)
def fold(cluster: str) -> str:
    """One cluster without case, width, accents, points and invisible characters; a blank for every kind of space."""
    if cluster.isspace():
        return " "
    kept = "".join(char for char in unicodedata.normalize("NFKD", cluster) if not _is_dropped(char))
    folded = unicodedata.normalize("NFC", kept.casefold()).translate(_ALIKE)
    return "".join(str(unicodedata.digit(char)) if char.isdecimal() else char for char in folded)


def _is_dropped(char: str) -> bool:
    """Accents of Latin, Greek and Cyrillic and points of Hebrew and Arabic; in other scripts a mark makes another letter."""
    if "\u0300" <= char <= "\u036f" or 10 <= unicodedata.combining(char) <= 35:
        return True
    return unicodedata.category(char) in ("Cf", "Cc", "Cs")


def as_read(text: str) -> str:
    """``text`` in one normal form, without case, with single blanks: what two writings of the same letters agree in."""
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).split())


class Source:
    """A text to look things up in. Its indexes are made when they are first needed.

    ``folded`` is the text for comparison; ``starts[i]`` and ``ends[i]`` are the place in ``text`` of the cluster that its character ``i``
    comes from.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @functools.cached_property
    def clusters(self) -> list[str]:
        """The text cut into what a reader takes for characters."""
        import regex  # type: ignore[import-untyped,unused-ignore]

        # A pair of surrogates can stand in a str; half of it is nothing.
        found: list[str] = regex.findall(r"[\ud800-\udbff][\udc00-\udfff]|\X", self.text)
        return found

    @functools.cached_property
    def _inner(self) -> frozenset[int]:
        """The offsets inside clusters, where nothing may begin or end."""
        if self.text.isascii() and "\r" not in self.text:
            return frozenset()
        inner: set[int] = set()
        at = 0
        for cluster in self.clusters:
            if len(cluster) > 1:
                inner.update(range(at + 1, at + len(cluster)))
            at += len(cluster)
        return frozenset(inner)

    def is_whole(self, start: int, end: int) -> bool:
        """Whether ``text[start:end]`` is made of whole clusters."""
        return start not in self._inner and end not in self._inner

    @functools.cached_property
    def _index(self) -> tuple[str, array[int], array[int]]:
        parts: list[str] = []
        starts, ends = array("q"), array("q")
        at = 0
        blank = False
        for cluster in self.clusters:
            after = at + len(cluster)
            folded = fold(cluster)
            if folded == " " and blank:
                ends[-1] = after
            elif folded:
                parts.append(folded)
                starts.extend([at] * len(folded))
                ends.extend([after] * len(folded))
            blank = folded == " " or (blank and not folded)
            at = after
        return _without_blanks("".join(parts), starts, ends)

    @property
    def folded(self) -> str:
        """The text for comparison."""
        return self._index[0]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The whole clusters that ``folded[start:end]`` came from."""
        return self._index[1][start], self._index[2][end - 1]

    def is_whole_folded(self, start: int, end: int) -> bool:
        """Whether ``folded[start:end]`` holds all of the clusters that it came from."""
        _, starts, _ = self._index
        return (start == 0 or starts[start - 1] != starts[start]) and (end == len(starts) or starts[end - 1] != starts[end])


_WRAPPED = re.compile(f"(?<=[{_SPACE_LESS}]) (?=[{_SPACE_LESS}])")


def _without_blanks(folded: str, starts: array[int], ends: array[int]) -> tuple[str, array[int], array[int]]:
    """Between two characters of a script without blanks a line break is none; such blanks go."""
    kept, last = array("q"), 0
    kept_ends = array("q")
    parts = []
    for gap in _WRAPPED.finditer(folded):
        at = gap.start()
        parts.append(folded[last:at])
        kept.extend(starts[last:at])
        kept_ends.extend(ends[last:at])
        last = at + 1
    if not parts:
        return folded, starts, ends
    return "".join([*parts, folded[last:]]), kept + starts[last:], kept_ends + ends[last:]


def folded(text: str) -> str:
    """``text`` for comparison, without blanks around it."""
    return Source(text).folded.strip(" ")


def _is_wordy(char: str) -> bool:
    return (char.isalnum() or unicodedata.category(char)[0] == "M") and not SPACE_LESS.match(char)


def is_cut(text: str, at: int) -> bool:
    """Whether the offset ``at`` is inside a word or a number. A unit right after its number (``5kg``) is a word of its own."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if before.isdecimal() and after.isalpha():
        return False
    return (_is_wordy(before) and _is_wordy(after)) or cuts_number(text, at)


def cuts_number(text: str, at: int) -> bool:
    """Whether there are figures of one number on both sides of the offset ``at``."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if before.isdecimal():
        return after.isdecimal() or (after in ".,\u066b\u066c" and text[at + 1 : at + 2].isdecimal())
    return after.isdecimal() and before in ".,\u066b\u066c" and text[max(at - 2, 0) : at - 1].isdecimal()
