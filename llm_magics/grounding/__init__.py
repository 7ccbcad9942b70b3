"""Values -> where they stand in the source text.

A value is looked for as it is, then folded (case, accents, width, quotes, dashes, spaces), then as the number or the date that it is in
another writing, then with a few edits. A match between words goes before one inside a word.
"""

from __future__ import annotations

import datetime
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..records import Span
from ..values.quantities import Quantity
from . import fuzzy, mentions
from .folding import Source, as_read, cuts_number, folded, is_cut

# As many places of one value are weighed against each other, and as many are told beside the best.
_CANDIDATES, _OTHERS = 200, 20
# Shorter values mean nothing inside another word: "us" in "status". Hebrew, Arabic, Korean and others write particles and words as one.
_SHORTEST_PART, _JOINING = 4, "\u0590"
# A field's name counts when it stands at most so many characters before a value, and then so much as characters of distance.
_LEAD, _NAMED = 20, 100
_AROUND = "\"'`\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb()[]{}.,;:!?\u2026\u3002\u3001\uff0c \u00a0\n\t"
_TRUE = ("true", "yes", "oui", "sí", "si", "ja", "wahr", "vrai", "verdadero", "✓", "✔", "☑", "✅", "はい", "是")
_FALSE = ("false", "no", "non", "nein", "falsch", "faux", "falso", "✗", "✘", "☒", "❌", "いいえ", "否")
_ONE_NUMBER = re.compile(r"(\D*?)\s*([-\u2212]?\d[\d.,'\u2019\u00a0\u202f\u2009 \u066b\u066c]*(?<=\d))\s*(\D*)")


@dataclass(frozen=True)
class _Place:
    """One place where a value may stand."""

    start: int
    end: int
    status: str
    score: float = 1.0


def ground(data: Mapping[str, Any], text: str) -> tuple[Span, ...]:
    """A Span for each value of ``data``: texts, numbers, dates, times, by the path of each (``maker.name``, ``tags[0]``, ``lines[1].qty``).

    What is None or empty has none, and a boolean only where ``text`` states it beside the field's name, as a form does: else it is
    a judgement of the text, and no piece of it. Where a value stands several times, the Span is the place nearest to the values
    around it, since facts of one thing are told together, and best after the field's name; ``others`` has the rest.
    """
    source = _source(text)
    found = [(path, places) for path, value in _leaves(data, "") if (places := _places(path, value, source)) is not None]
    return _chosen(found, text)


@functools.lru_cache(maxsize=4)
def _source(text: str) -> _Indexed:
    return _Indexed(text)


class _Indexed(Source):
    """A Source that also knows the numbers and dates that it mentions."""

    @functools.cached_property
    def numbers(self) -> mentions.Places:
        return mentions.numbers(self.text)

    @functools.cached_property
    def in_words(self) -> mentions.Places:
        return mentions.in_words(self.text)

    @functools.cached_property
    def dated(self) -> mentions.Places:
        return mentions.dated(self.text)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for at, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{at}]")
    else:
        yield path, value


# One value: the places that match it best.


def _places(path: str, value: Any, source: _Indexed) -> list[_Place] | None:
    """The places of one value, all equally good, in the order of the text; None for what is not looked up."""
    if isinstance(value, bool):
        return _of_boolean(path, value, source.text) or None
    if isinstance(value, (int, float)):
        return None if isinstance(value, float) and not math.isfinite(value) else _of_number(value, source)
    if isinstance(value, datetime.datetime):
        return _of_time(value, source)
    if isinstance(value, datetime.date):
        return _of_date(value.isoformat(), source)
    written = value.text if isinstance(value, Quantity) else value
    return _of_text(written.strip(), source) if isinstance(written, str) and written.strip() else None


def _of_text(value: str, source: _Indexed) -> list[_Place]:
    """The first way of looking that finds something; matches inside words come after the other writings of a number or a date."""
    exact, exact_parts = _split(_as_it_is(value, source), source.text)
    if exact:
        return exact
    alike, alike_parts = _split(_folded(value, source), source.text)
    if alike:
        return _closest(alike, value, source.text)
    ways: tuple[Callable[[], list[_Place]], ...] = (
        lambda: _rewritten(value, source),
        lambda: exact_parts,
        lambda: _closest(alike_parts, value, source.text),
        lambda: _of_text(bare, source) if (bare := value.strip(_AROUND)) and bare != value else [],
        lambda: _fuzzy(value, source),
    )
    return next((places for way in ways if (places := way())), [])


def _split(places: list[_Place], text: str) -> tuple[list[_Place], list[_Place]]:
    """The places between words, and those inside words; what is inside a number, or short and inside a word, is none."""
    between = [place for place in places if not is_cut(text, place.start) and not is_cut(text, place.end)]
    return between, [] if between else [place for place in places if _is_part(text, place)]


def _is_part(text: str, place: _Place) -> bool:
    if cuts_number(text, place.start) or cuts_number(text, place.end):
        return False
    return place.end - place.start >= _SHORTEST_PART or any(char >= _JOINING for char in text[place.start : place.end])


def _finds(piece: str, text: str) -> Iterator[int]:
    at, left = text.find(piece), 10 * _CANDIDATES
    while at >= 0 and left:
        yield at
        left -= 1
        at = text.find(piece, at + 1)


def _as_it_is(value: str, source: _Indexed) -> list[_Place]:
    size = len(value)
    return [_Place(at, at + size, "exact") for at in _finds(value, source.text) if source.is_whole(at, at + size)]


def _folded(value: str, source: _Indexed) -> list[_Place]:
    piece = folded(value)
    if not piece:
        return []
    ends = ((at, at + len(piece)) for at in _finds(piece, source.folded))
    return [_Place(*source.original(*place), "normalised") for place in ends if source.is_whole_folded(*place)]


def _closest(places: list[_Place], value: str, text: str) -> list[_Place]:
    """Those that differ in case and spaces only, if there are any."""
    wanted = as_read(value)
    return [place for place in places if as_read(text[place.start : place.end]) == wanted] or places


def _marked(places: list[tuple[int, int]], written: str, source: _Indexed) -> list[_Place]:
    """Places of a number or a date: the ones that are written just so, or else all."""
    whole = [place for place in places if source.is_whole(*place)]
    exact = [place for place in whole if source.text[slice(*place)] == written]
    return [_Place(*place, "exact" if exact else "normalised") for place in exact or whole]


def _of_number(value: float, source: _Indexed) -> list[_Place]:
    number = mentions.key(value)
    if number is None:
        return []
    places = source.numbers.get(number, [])
    apart = [place for place in places if not is_cut(source.text, place[0])]
    written = f"{value:.0f}" if float(value).is_integer() else repr(value)
    return _marked(apart or places or source.in_words.get(number, []), written, source)


def _of_date(iso: str, source: _Indexed) -> list[_Place]:
    return _marked(source.dated.get(iso, []), iso, source)


def _of_time(value: datetime.datetime, source: _Indexed) -> list[_Place]:
    """A date with its time of day; the date alone is not all of it, and counts as fuzzy."""
    isoformat = value.isoformat()
    for written in (isoformat, isoformat.replace("T", " "), isoformat[:16], isoformat[:16].replace("T", " ")):
        places = _as_it_is(written, source)
        if places:
            return places
    days = _of_date(value.date().isoformat(), source)
    clock = re.compile(rf"\D{{1,12}}0?{value.hour}\s?[:h.]\s?{value.minute:02}(?:\s?Uhr|\s?h)?")
    timed = [_Place(day.start, match.end(), "normalised") for day in days if (match := clock.match(source.text, day.end))]
    return timed or [_Place(day.start, day.end, "fuzzy", 0.5) for day in days]


def _rewritten(value: str, source: _Indexed) -> list[_Place]:
    """A text that is a date, or a number with or without a unit, in another writing."""
    if len(value) > 60 or not any(char.isdecimal() for char in value):
        return []
    days = [place for iso in mentions.date_readings(value) if len(iso) > 4 for place in source.dated.get(iso, [])]
    if days:
        return _marked(sorted(days), value, source)
    parts = _ONE_NUMBER.fullmatch(value)
    if parts is None:
        return []
    before, figures, after = folded(parts[1]), parts[2], folded(parts[3])
    minus, digits = (figures[:1] in "-\u2212"), figures.lstrip("-\u2212")
    numbers = [-number if minus else number for number in mentions.readings(digits)]
    spots = [
        spot for number in numbers for place in source.numbers.get(number, []) if (spot := _between(place, before, after, source.text))
    ]
    return _marked(sorted(set(spots)), value, source)


def _between(place: tuple[int, int], before: str, after: str, text: str) -> tuple[int, int] | None:
    """The place of a number grown by the words that must stand around it; None where they do not."""
    start, end = place
    if before:
        # Folding can shorten and lengthen; the words are looked for in a stretch that has room for both.
        near = text[max(start - 2 * len(before) - 3, 0) : start].rstrip()
        at = next((at for at in range(len(near) - 1, -1, -1) if folded(near[at:]) == before), None)
        if at is None:
            return None
        start = max(place[0] - 2 * len(before) - 3, 0) + at
    if after:
        lead = len(text[end : end + 2]) - len(text[end : end + 2].lstrip())
        size = next((size for size in range(1, 2 * len(after) + 2) if folded(text[end + lead : end + lead + size]) == after), None)
        if size is None or is_cut(text, end + lead + size):
            return None
        end += lead + size
    return start, end


def _fuzzy(value: str, source: _Indexed) -> list[_Place]:
    found = fuzzy.find(folded(value), source.folded)
    if found is None:
        return []
    start, end, score = found
    return [_Place(*source.original(start, end), "fuzzy", round(score, 3))]


def _of_boolean(path: str, value: bool, text: str) -> list[_Place]:
    """``tools: yes``, as forms and tables write it."""
    words = [re.escape(word) for word in re.split(r"[\W_]+", _name(path)) if word]
    if not words:
        return []
    stated = "|".join(map(re.escape, _TRUE if value else _FALSE))
    form = re.compile(r"(?<!\w)" + r"[\s_-]+".join(words) + rf"\s*\??\s*[:=|\t\uff1a]+\s*({stated})(?!\w)", re.IGNORECASE)
    return [_Place(*match.span(1), "exact" if match[1] == str(value).lower() else "normalised") for match in form.finditer(text)]


# All values: which of its places each one takes.


def _name(path: str) -> str:
    """The field's own name: ``qty`` of ``lines[0].qty``."""
    return re.sub(r"\[\d+\]", "", path).rpartition(".")[2]


def _record(path: str) -> str:
    """What the value is a part of: ``lines[0]`` of ``lines[0].qty``."""
    return path[: max(path.rfind("."), path.rfind("["), 0)]


def _chosen(found: list[tuple[str, list[_Place]]], text: str) -> tuple[Span, ...]:
    """A Span for each value. Those with the fewest places choose first, and the others go near to them."""
    spans: dict[int, Span] = {}
    taken: dict[str, list[_Place]] = {}
    latest: list[_Place] = []
    for at in sorted(range(len(found)), key=lambda at: len(found[at][1])):
        path, places = found[at]
        if not places:
            spans[at] = Span(path, 0, 0, "absent", 0.0)
            continue
        places = places[:_CANDIDATES]
        near = taken.get(_record(path)) or latest[-8:]
        held = {place.start for place in (*near, *latest[-50:])}
        name = _name(path).replace("_", " ").casefold()
        best = min(places, key=lambda place: (_cost(place, near, name, text) + 200 * (place.start in held), place.start))
        others = tuple((place.start, place.end) for place in places if place != best)[:_OTHERS]
        spans[at] = Span(path, best.start, best.end, best.status, best.score, others)
        taken.setdefault(_record(path), []).append(best)
        latest.append(best)
    return tuple(spans[at] for at in range(len(found)))


def _cost(place: _Place, near: list[_Place], name: str, text: str) -> float:
    """The mean distance to the values around, in characters; less where the field's name leads up to it."""
    far = sum(min(max(other.start - place.end, place.start - other.end, 0), 1000) for other in near[-16:])
    before = text[max(place.start - len(name) - _LEAD, 0) : place.start].casefold()
    at = before.rfind(name) if name else -1
    lead = _NAMED - _NAMED // _LEAD * (len(before) - at - len(name)) if at >= 0 else 0
    return far / max(len(near[-16:]), 1) - lead
