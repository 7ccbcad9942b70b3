"""Extracted values beside the text that they come from: a table, and the text with its places marked, as HTML and as plain text.

Every value has a number, in the table and beside its mark, so that nothing is told by colour alone. In HTML number and mark are
links to each other, which needs no script and no style sheet and works with a mouse and by keyboard; where style sheets are let
through, each also lights up the other under the pointer. Everything from a model or a user is escaped, and what would turn the
direction of the text around it is shown as a code.
"""

from __future__ import annotations

import bisect
import html
import itertools
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import palette

if TYPE_CHECKING:
    from ..records import Confidence, Generation, Span

# Longer texts are folded: shown are the stretches around the marks.
LONG, AROUND, STRETCHES = 1500, 70, 24
# A runner-up that is less likely is not named.
_WORTH = 0.01
_CELL = "text-align:left;vertical-align:top"
_TEXT = "white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.7;margin:.3em 0"
_HEADS = ("", "field", "value", "type", "confidence", "in the text")
# Overrides, embeddings and isolates reach beyond the text that holds them; marks such as LRM do not, and stay.
_TURNS = {code: f"[U+{code:04X}]" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_CONTROLS = {code: chr(0x2400 + code) for code in range(32) if code not in (9, 10, 13)} | {127: "\u2421"}
_SHOWN = {**_TURNS, **_CONTROLS, **dict.fromkeys(range(0x80, 0xA0), "\ufffd")}
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Row:
    """One value of the table. ``spans`` are its places, ``colour`` is shared by the values of one field in all records."""

    number: int
    path: str
    value: Any
    colour: int
    spans: tuple[Span, ...] = ()
    confidence: Confidence | None = None

    @property
    def is_found(self) -> bool:
        """Whether it has a place in the text."""
        return any(span.end for span in self.spans)

    @property
    def is_absent(self) -> bool:
        """Whether it was looked for, and is nowhere in the text."""
        return bool(self.spans) and not self.is_found


@dataclass(frozen=True)
class Segment:
    """A piece of the text under the same marks: the numbers of their rows, the shortest mark first.

    ``begins`` and ``ends`` are those whose mark begins and ends with it; ``further`` the rows that could stand here as well.
    """

    start: int
    end: int
    rows: tuple[int, ...] = ()
    begins: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    further: tuple[int, ...] = ()


def value_text(value: Any) -> str:
    """A typed value as a reader expects it; ``none`` is what the text does not say."""
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(value_text, value))
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict) else str(value)


def shown(text: str) -> str:
    """``text`` with its control characters made visible, and its line ends as one kind."""
    return _SURROGATE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n").translate(_SHOWN))


def rows(data: Any, spans: Iterable[Span], confidence: Mapping[str, Confidence]) -> tuple[Row, ...]:
    """A Row for each value of extracted data; the items of a list have one each."""
    places: dict[str, list[Span]] = {}
    for span in spans:
        places.setdefault(span.field, []).append(span)
    colours: dict[str, int] = {}
    made = []
    for number, (path, value) in enumerate(_leaves(data, ""), 1):
        colour = colours.setdefault(re.sub(r"\[\d+\]", "", path), len(colours) % len(palette.LIGHT))
        made.append(Row(number, path, value, colour, tuple(places.get(path, ())), confidence.get(path)))
    return tuple(made)


def of(generation: Generation) -> tuple[Row, ...]:
    """The rows of an extraction; none for what is no extraction."""
    if not isinstance(generation.data, (dict, list)):
        return ()
    return rows(generation.data, generation.spans, generation.confidence)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for at, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{at}]")
    elif path:
        yield path, value


def segments(text: str, rows: Sequence[Row]) -> list[Segment]:
    """The whole of ``text`` cut where marks begin and end."""
    marks = {_Mark(span.start, span.end, row.number) for row in rows for span in row.spans if span.end > span.start}
    others = {_Mark(*place, row.number, further=True) for row in rows for span in row.spans for place in span.others}
    marks |= _free(others, marks)
    begins: dict[int, list[_Mark]] = {}
    for mark in marks:
        begins.setdefault(mark.start, []).append(mark)
    cuts = sorted({0, len(text), *(at for mark in marks for at in (mark.start, mark.end))})
    over: list[_Mark] = []
    made = []
    for start, end in itertools.pairwise(cuts):
        over = sorted(
            [*(mark for mark in over if mark.end > start), *begins.get(start, ())], key=lambda mark: (mark.end - mark.start, mark.number)
        )
        made.append(_segment(start, end, over))
    return made


@dataclass(frozen=True)
class _Mark:
    start: int
    end: int
    number: int
    further: bool = False


def _free(others: set[_Mark], marks: set[_Mark]) -> set[_Mark]:
    """Those of ``others`` that no mark overlaps."""
    reach = list(
        itertools.accumulate(sorted((mark.start, mark.end) for mark in marks), lambda left, right: (right[0], max(left[1], right[1])))
    )
    free = set()
    for other in others:
        at = bisect.bisect_left(reach, (other.end,))
        if at == 0 or reach[at - 1][1] <= other.start:
            free.add(other)
    return free


def _segment(start: int, end: int, over: Sequence[_Mark]) -> Segment:
    main = [mark for mark in over if not mark.further]
    return Segment(
        start,
        end,
        tuple(mark.number for mark in main),
        tuple(mark.number for mark in main if mark.start == start),
        tuple(mark.number for mark in main if mark.end == end),
        tuple(mark.number for mark in over if mark.further),
    )


def stretches(text: str, pieces: Sequence[Segment]) -> list[tuple[int, int]]:
    """The parts of a long text that are worth showing: around each mark, or the beginning where there is none."""
    made: list[tuple[int, int]] = []
    for piece in pieces:
        if not piece.rows:
            continue
        low, high = _calm(text, max(piece.start - AROUND, 0), -1), _calm(text, min(piece.end + AROUND, len(text)), 1)
        if made and low <= made[-1][1]:
            made[-1] = (made[-1][0], max(high, made[-1][1]))
        else:
            made.append((low, high))
    return made or [(0, _calm(text, min(4 * AROUND, len(text)), 1))]


def _calm(text: str, at: int, step: int) -> int:
    """A cut near ``at`` between two words, if there is one; not between a letter and its accent in any case."""
    for near in range(at, at + 20 * step, step):
        if near <= 0 or near >= len(text) or text[near - (step < 0)].isspace():
            return min(max(near, 0), len(text))
    while 0 < at < len(text) and (unicodedata.combining(text[at]) or "\u200d" in text[at - 1 : at + 1] or text[at] == "\n"):
        at += step
    return at


# Words that both forms use.


def status(row: Row) -> str:
    """How the value stands in the text: ``exact``, ``normalised``, ``fuzzy 0.87``, ``absent``; ``n/a`` where it was not looked for."""
    if not row.spans:
        return "n/a"
    first = row.spans[0]
    return f"fuzzy {first.score:.2f}" if first.status == "fuzzy" else first.status


def _sure(row: Row) -> str:
    """``0.97``; ``raw 0.97`` where it was not calibrated; with the runner-up where it is worth a word."""
    made = row.confidence
    if made is None:
        return "n/a"
    told = f"{'' if made.calibrated else 'raw '}{_probability(made.probability)}"
    if not made.runner_up_probability or made.runner_up_probability < _WORTH:
        return told
    return f"{told} (or {shown(value_text(made.runner_up))} {_probability(made.runner_up_probability)})"


def _probability(value: float) -> str:
    """Two decimals, which never make a certainty of what is none."""
    return ">0.99" if 0.99 < value < 1 else "<0.01" if 0 < value < _WORTH else f"{value:.2f}"


def _cells(row: Row) -> tuple[str, str, str, str, str]:
    kind = "" if row.value is None else type(row.value).__name__
    return shown(row.path), shown(value_text(row.value)), kind, _sure(row), status(row)


def _remarks(rows: Sequence[Row], dropped: Mapping[str, Any]) -> list[str]:
    """What the reader must not overlook: values that are nowhere in the text, and values that were taken out."""
    absent = [shown(row.path) for row in rows if row.is_absent]
    lines = [f"Not found in the text: {', '.join(absent)}."] if absent else []
    if dropped:
        values = "; ".join(f"{shown(str(path))}: {shown(value_text(value))}" for path, value in dropped.items())
        lines.append(f"Dropped, not in the text or not as the schema asks: {values}")
    return lines


def _summary(text: str, rows: Sequence[Row]) -> str:
    found, looked = sum(row.is_found for row in rows), sum(bool(row.spans) for row in rows)
    return f"{found} of {looked} values found in the text, {len(text):,} characters"


# HTML.


def as_html(text: str, rows: Sequence[Row], key: str, dropped: Mapping[str, Any] | None = None) -> str:
    """The table, what is missing, and the text with its marks. ``key`` makes the ids unique on a page: letters, figures, ``-``."""
    key = re.sub(r"[^\w-]", "", key, flags=re.ASCII)
    parts = [_style(rows, key), _table(rows, key)]
    parts += [f"<div><strong>{html.escape(line)}</strong></div>" for line in _remarks(rows, dropped or {})]
    if any(row.is_found for row in rows):
        parts.append(_text(text, rows, key))
    return f'<div id="{key}">{"".join(parts)}</div>'


def _table(rows: Sequence[Row], key: str) -> str:
    head = "".join(f'<th scope="col" style="{_CELL}">{head}</th>' for head in ("#", *_HEADS[1:]))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(_row(row, key) for row in rows)}</tbody></table>"


def _row(row: Row, key: str) -> str:
    path, *others = (f"<bdi>{html.escape(cell)}</bdi>" for cell in _cells(row))
    number = f'<span style="padding:0 .4em">{row.number}</span>'
    if row.is_found:
        style = f"{palette.ground(row.colour)};text-decoration:none;padding:0 .4em"
        title = html.escape(f"{shown(row.path)}: go to its place in the text")
        number = f'<a class="llm-c{row.colour}" href="#{key}-s{row.number}" title="{title}" style="{style}">{row.number}</a>'
    cells = "".join(f'<td style="{_CELL};white-space:pre-wrap">{cell}</td>' for cell in others)
    return (
        f'<tr id="{key}-r{row.number}" class="llm-n{row.number}"><td style="{_CELL}">{number}</td>'
        f'<th scope="row" style="{_CELL}">{path}</th>{cells}</tr>'
    )


def _text(text: str, rows: Sequence[Row], key: str) -> str:
    pieces = segments(text, rows)
    known = {row.number: row for row in rows}
    whole = "".join(_piece(text, piece, known, key, with_id=len(text) <= LONG) for piece in pieces)
    summary = f'<summary style="cursor:pointer">{_summary(text, rows)}</summary>'
    if len(text) <= LONG:
        return f'<details open>{summary}<div dir="auto" style="{_TEXT}">{whole}</div></details>'
    near = stretches(text, pieces)
    lines = [
        "".join(_piece(text, piece, known, key, with_id=True) for piece in _within(pieces, low, high)) for low, high in near[:STRETCHES]
    ]
    shown_lines = "".join(f'<div dir="auto" style="{_TEXT}">… {line} …</div>' for line in lines)
    more = f"<div>{len(near) - STRETCHES} more places in the whole text</div>" if len(near) > STRETCHES else ""
    return f'{shown_lines}{more}<details>{summary}<div dir="auto" style="{_TEXT}">{whole}</div></details>'


def _within(pieces: Sequence[Segment], low: int, high: int) -> Iterator[Segment]:
    """The pieces between two offsets; those without marks are cut there."""
    for piece in pieces:
        if piece.start < high and low < piece.end:
            plain = not piece.rows and not piece.further
            yield Segment(max(piece.start, low), min(piece.end, high)) if plain else piece


def _piece(text: str, piece: Segment, known: Mapping[int, Row], key: str, *, with_id: bool) -> str:
    inner = html.escape(shown(text[piece.start : piece.end]))
    if not piece.rows:
        return _further(inner, known[piece.further[0]]) if piece.further else inner
    first = known[piece.rows[0]]
    ids = [f'<span id="{key}-s{number}"></span>' for number in piece.begins[1:] if with_id]
    own = f' id="{key}-s{piece.begins[0]}"' if piece.begins and with_id else ""
    classes = " ".join([f"llm-c{first.colour}", *(f"llm-n{number}" for number in piece.rows)])
    title = html.escape(" · ".join(f"{number} {shown(known[number].path)}, {status(known[number])}" for number in piece.rows))
    style = palette.ground(first.colour)
    line = "underline double" if len(piece.rows) > 1 else "underline"
    # The marks that end here have their numbers here; the link of the innermost holds the words too.
    ends = piece.ends if first.number in piece.ends else (first.number, *piece.ends)
    links = "".join(
        _link(number, key, inner if number == first.number else "", piece.ends, line) for number in dict.fromkeys((first.number, *ends))
    )
    return f'{"".join(ids)}<mark{own} class="{classes}" title="{title}" style="{style}">{links}</mark>'


def _link(number: int, key: str, inner: str, ends: tuple[int, ...], line: str) -> str:
    """A link to the row, with its number where the mark ends; without one it is no stop for the keyboard, the end is."""
    label = f"<sup>{'' if inner else ','}{number}</sup>" if number in ends else ""
    silent = "" if label else ' tabindex="-1"'
    # The colour is said again: JupyterLab takes "inherit" out of notebooks that it does not trust.
    return f'<a href="#{key}-r{number}"{silent} style="color:{palette.LIGHT_INK};text-decoration:{line}">{inner}{label}</a>'


def _further(inner: str, row: Row) -> str:
    title = html.escape(f"{row.number} {shown(row.path)}: also here")
    return f'<span class="llm-n{row.number}" title="{title}" style="text-decoration:underline dotted">{inner}</span>'


def _style(rows: Sequence[Row], key: str) -> str:
    """What lights up a row and its marks together, and the colours for dark pages; without it the links still work."""
    found = [row for row in rows if row.is_found]
    if not found:
        return ""
    both = "".join(
        f"#{key}:has(.llm-n{row.number}:hover,.llm-n{row.number}:focus-within,.llm-n{row.number}:target) .llm-n{row.number}"
        "{outline:2px solid;outline-offset:1px}"
        for row in found
    )
    colours = {row.colour for row in found}
    dark = palette.dark_rules(colours, f'[data-jp-theme-light="false"] #{key}') + palette.dark_rules(colours, f".vscode-dark #{key}")
    page = palette.dark_rules(colours, f".llm-page #{key}")
    # JupyterLab's own ground for the row under the pointer leaves too little contrast on dark pages.
    rest = f"#{key} tbody tr:hover{{background:none}}"
    return f"<style>{both}{rest}{dark}@media (prefers-color-scheme:dark){{{page}}}</style>"


# Plain text.


def as_text(text: str, rows: Sequence[Row], dropped: Mapping[str, Any] | None = None) -> str:
    """The same for a terminal: an aligned table, and the text with ``[1: value]`` at each place."""
    lines = [_aligned([_HEADS, *((str(row.number), *_cells(row)) for row in rows)]), *_remarks(rows, dropped or {})]
    if any(row.is_found for row in rows):
        pieces = segments(text, rows)
        near = stretches(text, pieces) if len(text) > LONG else [(0, len(text))]
        marked = ["".join(_marked(text, piece) for piece in _within(pieces, low, high)) for low, high in near[:STRETCHES]]
        lines += ["", *(f"… {line.strip()} …" if len(text) > LONG else line for line in marked), f"({_summary(text, rows)})"]
    return "\n".join(lines)


def _marked(text: str, piece: Segment) -> str:
    inner = shown(text[piece.start : piece.end])
    return f"[{','.join(map(str, sorted(piece.rows)))}: {inner}]" if piece.rows else inner


def _aligned(table: Sequence[Sequence[str]]) -> str:
    clean = [[_short(" ".join(cell.split())) for cell in row] for row in table]
    widths = [max(_width(row[column]) for row in clean) for column in range(len(clean[0]))]
    return "\n".join(
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip() for row in clean
    )


def _short(cell: str) -> str:
    return cell if len(cell) <= 60 else cell[:59] + "…"


def _width(cell: str) -> int:
    """Columns of a terminal: Chinese, Japanese and Korean letters take two, accents none."""
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in cell)
