"""The extractions of a text's pieces -> one, with what they disagree on kept beside it.

- A single value: those that are alike (but for case, spaces and signs at its end) are one, with the spans of all. Of different ones
  that wins which more passes found, then the one that the text has, then the likelier, then the earlier; the others are Conflicts.
- A list of plain values: all of them in the order of the text, each once.
- Records: all of them in the order of the text. Two are one where both were read from the same place: that is what an overlap
  gives twice. Records of other places stay apart, alike or not.
- None is what no piece has a value for.
"""

from __future__ import annotations

import datetime
import functools
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..records import Confidence, Conflict, Generation, Span
from ..results import leaves
from ..values import as_written
from ..values.quantities import Quantity
from .pieces import Piece

_STATUSES = ("absent", "fuzzy", "normalised", "exact")


@dataclass(frozen=True)
class Part:
    """What one pass made of one piece. ``text`` is the whole one."""

    piece: Piece
    generation: Generation
    number: int = 0

    @functools.cached_property
    def spans(self) -> Mapping[str, tuple[Span, ...]]:
        """The places in the whole text, by the path of the value in the piece."""
        found: dict[str, tuple[Span, ...]] = {}
        for span in self.generation.spans:
            found[span.field] = (*found.get(span.field, ()), _moved(span, self.piece.start) if span.end else span)
        return found


@dataclass
class Merged:
    """The extraction of the whole, by the paths of its values. Mutable: it collects."""

    data: Any = None
    spans: list[Span] = field(default_factory=list)
    confidence: dict[str, Confidence] = field(default_factory=dict)
    dropped: dict[str, Any] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)


@dataclass(frozen=True)
class _Value:
    """A value that a part gave, and its path there."""

    part: Part
    path: str
    value: Any

    @property
    def spans(self) -> tuple[Span, ...]:
        """Where it stands in the whole text."""
        return self.part.spans.get(self.path, ())

    @property
    def confidence(self) -> Confidence | None:
        return self.part.generation.confidence.get(self.path)

    @property
    def rank(self) -> tuple[bool, float, int, int]:
        """The better one has the higher rank."""
        best = max((_STATUSES.index(span.status) for span in self.spans if span.status in _STATUSES), default=len(_STATUSES))
        sure = self.confidence.probability if self.confidence else 0.0
        return best > 0, round(sure, 6), best, -min((span.start for span in self.spans if span.end), default=self.part.piece.start)

    @functools.cached_property
    def known(self) -> dict[str, Any]:
        """What a record has, by path."""
        return {path: value for path, value in leaves(self.value) if value is not None}

    def child(self, path: str, value: Any) -> _Value:
        return _Value(self.part, path, value)


def _moved(span: Span, by: int) -> Span:
    others = tuple((start + by, end + by) for start, end in span.others)
    return replace(span, start=span.start + by, end=span.end + by, others=others)


def merge(text: str, parts: Sequence[Part], *, many: bool = False) -> Merged:
    """One extraction of ``text`` from those of its pieces. ``many``: each is a list of records."""
    merged = Merged()
    whole = [_Value(part, "", part.generation.data) for part in parts if part.generation.data is not None]
    merged.data = _merged(text, "", whole, merged) if whole else None
    if merged.data is None:
        merged.data = [] if many else {}
    for part in parts:
        for path, value in part.generation.dropped.items():
            merged.dropped.setdefault(path, value)
    return merged


def same(value: Any) -> Hashable:
    """What alike values have in common."""
    if isinstance(value, str):
        folded = " ".join(unicodedata.normalize("NFKC", value).casefold().split())
        return folded.strip(" .,;:!?\"'\u00ab\u00bb\u201e\u201c\u201d\u2018\u2019") or folded
    if isinstance(value, Quantity):
        return same(value.text) if value.value is None else (value.value, same(value.unit or ""))
    if isinstance(value, (bool, type(None))):
        return ("", value)  # True is not the number 1
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, Mapping):
        value = sorted([str(key), item] for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(same, value))
    return value if isinstance(value, Hashable) else repr(value)


def _merged(text: str, path: str, values: Sequence[_Value], out: Merged) -> Any:
    """The value at ``path`` of the whole; its spans, confidence and conflicts go to ``out``."""
    given = [each for each in values if each.value is not None and each.value != []]
    objects = [each for each in given if isinstance(each.value, Mapping)]
    lists = [each for each in given if isinstance(each.value, list)]
    if objects:
        return _object(text, path, objects, out)
    if lists:
        whole = any(isinstance(item, Mapping) for each in lists for item in each.value)
        return _records(text, path, lists, out) if whole else _list(path, lists, out)
    if given:
        return _single(path, given, out)
    _note_null(path, values, out)
    return [] if any(each.value == [] for each in values) else None


def _note_null(path: str, values: Sequence[_Value], out: Merged) -> None:
    """That the whole does not say is as sure as the least sure of its parts."""
    sure = [each.confidence for each in values if each.confidence is not None]
    if sure:
        out.confidence[path] = min(sure, key=lambda each: each.probability)


def _object(text: str, path: str, values: Sequence[_Value], out: Merged) -> dict[str, Any]:
    keys = dict.fromkeys(key for each in values for key in each.value)
    made = {}
    for key in keys:
        inner = [each.child(f"{each.path}.{key}" if each.path else str(key), each.value.get(key)) for each in values]
        made[key] = _merged(text, f"{path}.{key}" if path else str(key), inner, out)
    return made


def _single(path: str, values: Sequence[_Value], out: Merged) -> Any:
    alike: dict[Hashable, list[_Value]] = {}
    for each in values:
        alike.setdefault(same(each.value), []).append(each)
    ranked = sorted(alike.values(), key=lambda group: (len({each.part.number for each in group}), max(e.rank for e in group)), reverse=True)
    best = max(ranked[0], key=lambda each: each.rank)
    if best.confidence:
        out.confidence[path] = best.confidence
    out.spans += _places(path, ranked[0])
    for group in ranked[1:]:
        other = max(group, key=lambda each: each.rank)
        out.conflicts.append(Conflict(path, other.value, _places(path, group), other.confidence))
    return best.value


def _places(path: str, group: Iterable[_Value]) -> tuple[Span, ...]:
    """The best place of alike values, with all others; nothing for a value that has no places, such as a judgement."""
    spans = [span for each in sorted(group, key=lambda each: each.rank, reverse=True) for span in each.spans]
    found = [span for span in spans if span.status != "absent"]
    if not found:
        return tuple(replace(span, field=path) for span in spans[:1])
    best = found[0]
    places = {place for span in found for place in ((span.start, span.end), *span.others)}
    return (replace(best, field=path, others=tuple(sorted(places - {(best.start, best.end)}))),)


def _list(path: str, values: Sequence[_Value], out: Merged) -> list[Any]:
    alike: dict[Hashable, list[_Value]] = {}
    for each in values:
        for at, item in enumerate(each.value):
            alike.setdefault(same(item), []).append(each.child(f"{each.path}[{at}]", item))
    groups = sorted(alike.values(), key=_begins)
    for at, group in enumerate(groups):
        best = max(group, key=lambda each: each.rank)
        if best.confidence:
            out.confidence[f"{path}[{at}]"] = best.confidence
        out.spans += _places(f"{path}[{at}]", group)
    _note_null(path, values, out)
    return [max(group, key=lambda each: each.rank).value for group in groups]


def _begins(group: Sequence[_Value]) -> tuple[int, int]:
    """Where in the text a group stands first."""
    starts = [span.start for each in group for span in _inner_spans(each) if span.status != "absent"]
    piece = min(each.part.piece.start for each in group)
    return (min(starts, default=piece), piece)


def _inner_spans(value: _Value) -> list[Span]:
    """The spans of a value and of all in it."""
    if not isinstance(value.value, (Mapping, list)):
        return [*value.spans]
    inner = [value.child(value.path + (path if path[:1] == "[" else f".{path}"), leaf) for path, leaf in leaves(value.value)]
    return [span for each in inner for span in each.spans]


# Records.


def _records(text: str, path: str, values: Sequence[_Value], out: Merged) -> list[Any]:
    groups: list[list[_Value]] = []
    for each in values:
        found = [each.child(f"{each.path}[{at}]", item) for at, item in enumerate(each.value) if isinstance(item, Mapping)]
        left, open_groups = found, [group for group in groups if any(_overlap(member, each) for member in group)]
        # One part gives each record once: what it has twice is there twice.
        for twice in (_met, _might_meet):
            left = _joined(text, left, open_groups, twice)
        groups += [[record] for record in left]
    groups.sort(key=_begins)
    return [_object(text, f"{path}[{at}]", group, out) for at, group in enumerate(groups)]


def _joined(text: str, records: Sequence[_Value], groups: list[list[_Value]], twice: Callable[[str, _Value, _Value], bool]) -> list[_Value]:
    """Put each record into a group that has it already, which closes that group; those that no group has."""
    left = []
    for record in records:
        group = next((group for group in groups if any(_alike(member, record) and twice(text, member, record) for member in group)), None)
        if group is None:
            left.append(record)
        else:
            group.append(record)
            groups[:] = [other for other in groups if other is not group]
    return left


def _alike(one: _Value, other: _Value) -> bool:
    """Whether the pieces of two records overlap, and the records have the same name: the first field that both have."""
    path = _name(one, other)
    return path is not None and _overlap(one, other) and same(one.known[path]) == same(other.known[path])


def _met(text: str, one: _Value, other: _Value) -> bool:  # noqa: ARG001 - as _might_meet
    """Whether two records have their name from the same place."""
    left, right = _names(one, other)
    return any(a.start < b.end and b.start < a.end for a in left.spans for b in right.spans if a.end and b.end)


def _might_meet(text: str, one: _Value, other: _Value) -> bool:
    """Whether two records that agree in all may be from the same place, where it is not known or is one of several."""
    if any(same(value) != same(other.known[path]) for path, value in one.known.items() if path in other.known):
        return False
    names = _names(one, other)
    known = [span for name in names for span in name.spans if span.status != "absent"]
    if len(known) == 2 and not any(span.others for span in known):
        return False
    start, end = _shared(one, other)
    written = as_written(names[0].value)
    return not isinstance(written, str) or written in text[start:end]


def _shared(one: _Value, other: _Value) -> tuple[int, int]:
    """What the pieces of two values both hold of the text."""
    return max(one.part.piece.start, other.part.piece.start), min(one.part.piece.end, other.part.piece.end)


def _overlap(one: _Value, other: _Value) -> bool:
    start, end = _shared(one, other)
    return start < end


def _name(one: _Value, other: _Value) -> str | None:
    """The path of what names two records: the first field that both have."""
    return next((path for path in one.known if path in other.known), None)


def _names(one: _Value, other: _Value) -> tuple[_Value, _Value]:
    path = _name(one, other)
    assert path is not None
    return one.child(f"{one.path}.{path}", one.known[path]), other.child(f"{other.path}.{path}", other.known[path])
