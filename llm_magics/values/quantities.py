"""Numbers as people write them, with their units: ``12,500 euros`` -> 12500 and ``euros``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = re.compile(r"[-+\u2212]?\d+(?:[.,\u00a0\u202f' ]\d+)*")
# What a number may be counted in. A billion is a thousand millions in English only.
_SCALES = {
    "thousand": 1e3, "mille": 1e3, "mil": 1e3, "tausend": 1e3, "k": 1e3,
    "million": 1e6, "millions": 1e6, "millón": 1e6, "millones": 1e6, "millionen": 1e6, "mio": 1e6, "mn": 1e6,
    "milliard": 1e9, "milliards": 1e9, "milliarde": 1e9, "milliarden": 1e9, "mrd": 1e9, "md": 1e9, "bn": 1e9,
    "billion": 1e12, "billions": 1e12, "billón": 1e12, "billones": 1e12, "billionen": 1e12, "trillion": 1e18,
}  # fmt: skip
_ENGLISH = {"billion": 1e9, "billions": 1e9, "trillion": 1e12}
_SCALE = re.compile(r"\s*(?:de\s+|d['\u2019]\s*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Quantity:
    """A number with its unit. ``text`` is how it was written; ``value`` is None where no number could be read in it."""

    value: float | None
    unit: str
    text: str

    def __str__(self) -> str:
        return self.text


def read(text: str, lang: str = "en") -> Quantity:
    """The number and the unit of ``text``; the unit is what stands after the number, or before it (``$ 5``)."""
    match = _NUMBER.search(text)
    if match is None:
        return Quantity(None, "", text)
    value = number(match[0], lang)
    before, after = text[: match.start()].strip(), text[match.end() :].strip()
    word = re.match(r"[^\W\d_]+", after)
    scale = _scale(word[0], lang) if word else None
    if value is not None and word and scale:
        value = _plain(value * scale)
        after = _SCALE.sub("", after[word.end() :].lstrip(". "), count=1).strip()
    return Quantity(value, after or before, text)


def _scale(word: str, lang: str) -> float | None:
    word = word.casefold()
    return _ENGLISH.get(word, _SCALES.get(word)) if lang == "en" else _SCALES.get(word)


def number(text: str, lang: str = "en") -> float | None:
    """The number that ``text`` writes and nothing else; None when it is none.

    ``,`` and ``.`` are told apart by which comes last, by groups of three, and, where both readings are left, by ``lang``.
    """
    figures = re.sub(r"[\u00a0\u202f' ]", "", text.strip()).replace("\u2212", "-")
    if len(figures) > 300 or not re.fullmatch(r"[-+]?\d+(?:[.,]\d+)*", figures):
        return None
    point = _decimal_mark(figures, lang)
    grouping = {".": ",", ",": "."}.get(point, ".,")
    plain = "".join(figure for figure in figures if figure not in grouping).replace(",", ".")
    if plain.count(".") > 1:
        return None  # a version, or a date
    return _plain(float(plain)) if "." in plain else int(plain)


def _decimal_mark(figures: str, lang: str) -> str:
    """``.`` or ``,`` or ``""``: the mark before the decimals."""
    marks = [figure for figure in figures if figure in ".,"]
    if not marks:
        return ""
    last = marks[-1]
    if len(set(marks)) == 2:
        return last
    groups = re.split(r"[.,]", figures.lstrip("-+"))
    grouped = 1 <= len(groups[0]) <= 3 and groups[0] != "0" and all(len(group) == 3 for group in groups[1:])
    if len(marks) > 1:
        return "" if grouped else last
    usual = "." if lang == "en" else ","
    return "" if grouped and last != usual else last


def _plain(value: float) -> float:
    return int(value) if value.is_integer() and abs(value) < 1e15 else round(value, 10)
