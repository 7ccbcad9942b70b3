"""The numbers and the dates that a text mentions, however written: value -> the places where it stands."""

from __future__ import annotations

import datetime
import functools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ..values import dates, quantities
from .folding import cuts_number

Places = Mapping[Any, list[tuple[int, int]]]

_GROUP = "[ \u00a0\u2009\u202f'\u2019.,\u066c]"
_DECIMALS = r"(?:[.,\u066b]\d+)?"
_NUMBER = re.compile(rf"(?:\d{{1,3}}(?:{_GROUP}\d{{3}})+(?!\d)|\d{{1,2}}(?:,\d{{2}})+,\d{{3}}(?!\d)|\d+){_DECIMALS}")
_INDIAN = re.compile(r"\d{1,2}(?:,\d{2})+,\d{3}(?!\d)")
_AFTER = re.compile(r"\s?([^\W\d_]{1,10}\b|%|\u066a|\uff05)(\s(?:de\b|d['\u2019]))?")
# The small numbers as words; one is left out, since it is the article in French, Spanish and German.
_WORDS = (
    "zero zéro cero null",
    "",
    "two deux dos zwei",
    "three trois tres drei",
    "four quatre cuatro vier",
    "five cinq cinco fünf",
    "six seis sechs",
    "seven sept siete sieben",
    "eight huit ocho acht",
    "nine neuf nueve neun",
    "ten dix diez zehn",
    "eleven onze once elf",
    "twelve douze doce zwölf",
)
_SMALL = {word: number for number, words in enumerate(_WORDS) for word in words.split()}
_SMALL_WORD = re.compile(r"\b(?:" + "|".join(_SMALL) + r")\b", re.IGNORECASE)

_MONTH = r"[^\W\d_]{3,12}\.?"
_LINK = r"(?:\s+(?:of|de|del))?"
_DATE = re.compile(
    r"(?<!\d)(?:"
    r"\d{4}-\d{1,2}(?:-\d{1,2})?"
    r"|\d{1,4}[./-]\d{1,2}[./-]\d{2,4}"
    r"|\d{4}\s?[年년]\s?\d{1,2}\s?[月월](?:\s?\d{1,2}\s?[日일])?"
    rf"|\d{{1,2}}(?:st|nd|rd|th|er|º|\.)?{_LINK}\s+{_MONTH},?{_LINK}\s+\d{{4}}"
    rf"|\b{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}}"
    rf"|\b{_MONTH}{_LINK}\s+\d{{4}}"
    r")(?!\d)"
)
_SWAPPED = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{2,4})")


def plain_figures(text: str) -> str:
    """Any script's figures as 0 to 9, Arabic marks as ``.`` and ``,``."""
    if text.isascii():
        return text
    text = text.replace("\u066b", ".").replace("\u066c", ",")
    return "".join(str(unicodedata.digit(char)) if char.isdecimal() else char for char in text)


def key(number: float) -> float | None:
    """What equal numbers share; None for one that is none."""
    try:
        return round(float(number), 9)
    except OverflowError:
        return None


@functools.lru_cache(maxsize=4096)
def readings(written: str) -> frozenset[float]:
    """What a written number can mean: ``1.234`` is 1234 or 1.234."""
    figures = plain_figures(written).replace("\u2009", " ").replace("\u2019", "'")
    if _INDIAN.match(figures):
        figures = figures.replace(",", "")
    read = (_number(figures, lang) for lang in ("en", "fr"))
    return frozenset(made for number in read if number is not None and (made := key(number)) is not None)


def _number(figures: str, lang: str) -> float | None:
    try:
        return quantities.number(figures, lang)
    except ValueError:  # marks in an order that no number has: 12,50012,500
        return None


def _numbers(text: str) -> Iterator[tuple[float, int, int]]:
    for match in _NUMBER.finditer(text):
        start, end = match.span()
        if cuts_number(text, start):
            continue
        after = _AFTER.match(text, end)
        for number in readings(match[0]):
            minus = start > 0 and text[start - 1] in "-\u2212\u2013" and not text[max(start - 2, 0) : start - 1].isalnum()
            yield (-number, start - 1, end) if minus else (number, start, end)
            if after and (scaled := _scaled(number, after[1])) is not None:
                yield scaled, start, after.end(1)


def _scaled(number: float, word: str) -> float | None:
    """The number with the ``%`` or the ``million`` after it; None where the word says no such thing."""
    factor = _factor(word)
    return None if factor == 1 else key(number * factor)


@functools.lru_cache(maxsize=4096)
def _factor(word: str) -> float:
    return (quantities.read(f"1 {word}", "en").value or 1) if word[0].isalpha() else 0.01


def numbers(text: str) -> Places:
    """The places of every number in figures, by ``key``."""
    places: defaultdict[Any, list[tuple[int, int]]] = defaultdict(list)
    for number, start, end in _numbers(text):
        places[number].append((start, end))
    return places


def in_words(text: str) -> Places:
    """The places of the small numbers in words, by ``key``."""
    places: defaultdict[Any, list[tuple[int, int]]] = defaultdict(list)
    for match in _SMALL_WORD.finditer(text):
        places[float(_SMALL[match[0].casefold()])].append(match.span())
    return places


@functools.lru_cache(maxsize=4096)
def date_readings(written: str) -> frozenset[str]:
    """The ISO dates, or parts of dates, that ``written`` can mean."""
    figures = " ".join(plain_figures(written).split())
    figures = re.sub(r"\s?[年월月년]\s?", "-", figures).rstrip("日일- ")
    made = {dates.read(figures, lang) for lang in ("en", "fr")}
    swapped = _SWAPPED.fullmatch(figures)
    if swapped:
        made.add(dates.read("{2}{1}{0}{1}{3}".format(*swapped.groups()), "fr"))
    return frozenset(each.isoformat() if isinstance(each, datetime.date) else each for each in made if each)


def dated(text: str) -> Places:
    """The places of every date, by its ISO text (``2024-03`` where no day is told)."""
    places: defaultdict[Any, list[tuple[int, int]]] = defaultdict(list)
    for match in _DATE.finditer(text):
        for iso in date_readings(match[0]):
            places[iso].append(match.span())
    return places
