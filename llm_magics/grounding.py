"""Values -> where they stand in the source text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .records import Span


def ground(data: Mapping[str, Any], text: str) -> tuple[Span, ...]:
    """A Span for each text value of ``data``; a list gives one for each of its items.

    ``exact`` is the first occurrence as written; ``normalised`` is one that differs in case only; an ``absent`` value has
    the empty span (0, 0).
    """
    return tuple(_span(field, value, text) for field, value in _texts(data))


def _texts(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field, value in data.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str) and item:
                yield field, item


def _span(field: str, value: str, text: str) -> Span:
    start = text.find(value)
    if start >= 0:
        return Span(field, start, start + len(value), "exact")
    lowered = text.lower()
    # Lower-casing can change the length of a text (İ); offsets hold only where it did not.
    start = lowered.find(value.lower()) if len(lowered) == len(text) else -1
    if start >= 0:
        return Span(field, start, start + len(value), "normalised")
    return Span(field, 0, 0, "absent")
