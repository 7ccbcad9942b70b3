"""Extracted values beside their text: the same facts in HTML and as text, linked both ways, and nothing taken for markup."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_magics.engines.scripted import ScriptedEngine
from llm_magics.grounding import ground
from llm_magics.records import Confidence, Generation, Span
from llm_magics.report import highlight, palette
from llm_magics.report.page import page
from llm_magics.session import Session

TEXT = "Acme Ltd of Lyon made 2 chairs on 12 March 2024."
VALUES = {"maker": {"name": "Acme Ltd", "city": "Lyon"}, "qty": 2, "day": "2024-03-12", "boss": "Jane Roe", "colour": None}
VOID = {"meta", "br"}


class Page(HTMLParser):
    """The elements of a page as a browser would have them: tags, attributes, text by element id and by class."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str]]] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.marks: list[tuple[dict[str, str], str]] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = {name: value or "" for name, value in attrs}
        self.elements.append((tag, held))
        if tag == "mark":
            self.marks.append((held, ""))
        if tag not in VOID:
            self.open.append((tag, held))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self.open]
        if "style" in tags:
            return
        if "mark" in tags and "sup" not in tags:
            self.marks[-1] = (self.marks[-1][0], self.marks[-1][1] + data)
        if "sup" not in tags:
            self.text += data

    @property
    def ids(self) -> list[str]:
        return [attrs["id"] for _, attrs in self.elements if "id" in attrs]

    @property
    def links(self) -> list[str]:
        return [attrs["href"] for tag, attrs in self.elements if tag == "a"]


def extracted(text: str = TEXT, reply: object = VALUES, schema: object = None) -> Generation:
    return Session(ScriptedEngine([json.dumps(reply)])).extract(text, schema or {**VALUES, "qty": "(int)", "day": "(date)", "colour": ""})


def made(data: object, spans: tuple[Span, ...], confidence: dict[str, Confidence] | None = None) -> tuple[highlight.Row, ...]:
    return highlight.rows(data, spans, confidence or {})


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_have_contrast_and_differ() -> None:
    assert len(set(palette.LIGHT)) == len(set(palette.DARK)) >= 12
    assert min(contrast(ground, palette.LIGHT_INK) for ground in palette.LIGHT) >= 7
    assert min(contrast(ground, palette.DARK_INK) for ground in palette.DARK) >= 4.5


def test_every_mark_is_a_piece_of_the_text_and_linked_with_its_row_both_ways() -> None:
    generation = extracted()
    shown = Page(generation._repr_mimebundle_()[0]["text/html"])
    assert [text for _, text in shown.marks] == ["Acme Ltd", "Lyon", "2", "12 March 2024"]
    assert len(shown.ids) == len(set(shown.ids))
    assert all(link[0] == "#" and link[1:] in shown.ids for link in shown.links)
    key = f"llm-{generation.run_id}"
    for number in (1, 2, 3, 4):
        assert f"#{key}-s{number}" in shown.links
        assert f"#{key}-r{number}" in shown.links
    assert TEXT in shown.text
    assert not any(name.startswith("on") for _, attrs in shown.elements for name in attrs)


def test_what_is_not_in_the_text_is_named_in_both_forms() -> None:
    bundle = extracted()._repr_mimebundle_()[0]
    for shown in (bundle["text/plain"], Page(bundle["text/html"]).text):
        assert "Not found in the text: boss." in shown


def test_the_table_as_text() -> None:
    shown = repr(extracted())
    assert re.search(r"^1 +maker\.name +Acme Ltd +str +n/a +exact$", shown, re.MULTILINE)
    assert re.search(r"^4 +day +2024-03-12 +date +n/a +normalised$", shown, re.MULTILINE)
    assert re.search(r"^5 +boss +Jane Roe +str +n/a +absent$", shown, re.MULTILINE)
    assert re.search(r"^6 +colour +none +n/a +n/a$", shown, re.MULTILINE)
    assert "[1: Acme Ltd] of [2: Lyon] made [3: 2] chairs on [4: 12 March 2024]." in shown


def test_confidence_is_shown_with_its_runner_up_and_whether_it_was_calibrated() -> None:
    sure = {"a": Confidence(0.97, 0.9, calibrated=True), "b": Confidence(0.61, 0.61, False, False, 0.3)}
    rows = made({"a": "x", "b": True, "c": 1}, (), sure)
    for shown in (highlight.as_text("x", rows), Page(highlight.as_html("x", rows, "k")).text):
        assert re.search(r"x\s*str\s*0\.97\s*n/a", shown)
        assert "raw 0.61 (or False 0.30)" in shown


def test_no_rounding_makes_a_certainty() -> None:
    sure = {"a": Confidence(0.9999, 0.9999, True, None, 0.0001), "b": Confidence(1.0, 1.0, True), "c": Confidence(0.001, 0.001, True)}
    lines = highlight.as_text("x", made({"a": "x", "b": "x", "c": "x"}, (), sure)).splitlines()
    assert [line.split()[4] for line in lines[1:4]] == [">0.99", "1.00", "<0.01"]
    assert "or none" not in lines[1]


def test_dropped_values_are_shown() -> None:
    rows = made({"a": None}, ())
    for shown in (highlight.as_text("x", rows, {"a": "Jane"}), Page(highlight.as_html("x", rows, "k", {"a": "Jane"})).text):
        assert "Dropped, not in the text or not as the schema asks: a: Jane" in shown


def test_records_share_the_colour_of_a_field() -> None:
    text = "2 chairs, 3 tables"
    data = [{"item": "chairs", "qty": 2}, {"item": "tables", "qty": 3}]
    rows = made(data, ground({f"[{at}]": record for at, record in enumerate(data)}, text))
    assert [(row.path, row.colour) for row in rows] == [("[0].item", 0), ("[0].qty", 1), ("[1].item", 0), ("[1].qty", 1)]
    assert highlight.as_text(text, rows).splitlines()[-2] == "[2: 2] [1: chairs], [4: 3] [3: tables]"


def test_nested_and_crossing_marks() -> None:
    text = "abcdefgh"
    rows = made(
        {"out": "abcdef", "in": "cd", "over": "efgh"}, (Span("out", 0, 6, "exact"), Span("in", 2, 4, "exact"), Span("over", 4, 8, "exact"))
    )
    assert [(text[piece.start : piece.end], piece.rows) for piece in highlight.segments(text, rows)] == [
        ("ab", (1,)),
        ("cd", (2, 1)),
        ("ef", (3, 1)),
        ("gh", (3,)),
    ]
    assert "[1: ab][1,2: cd][1,3: ef][3: gh]" in highlight.as_text(text, rows)
    shown = Page(highlight.as_html(text, rows, "k"))
    assert {"k-s1", "k-s2", "k-s3"} <= set(shown.ids)
    assert all(link[1:] in shown.ids for link in shown.links)


def test_further_places_are_marked_lightly() -> None:
    rows = made({"city": "Lyon"}, ground({"city": "Lyon"}, "Lyon and Lyon and Lyon"))
    source = highlight.as_html("Lyon and Lyon and Lyon", rows, "k")
    assert source.count("1 city: also here") == 2
    assert len(Page(source).marks) == 1


@settings(max_examples=200, deadline=None, database=None)
@given(st.text("ab\n ", min_size=1, max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=8))
def test_segments_are_the_text_whatever_the_spans(text: str, places: list[tuple[int, int]]) -> None:
    spans = tuple(
        Span(f"f{at}", start, min(start + size, len(text)), "exact", 1, ((min(start + 1, len(text)), len(text)),))
        for at, (start, size) in enumerate(places)
        if start < len(text)
    )
    rows = made({span.field: "x" for span in spans}, spans)
    pieces = highlight.segments(text, rows)
    assert "".join(text[piece.start : piece.end] for piece in pieces) == text
    for row, span in zip(rows, spans, strict=True):
        held = [piece for piece in pieces if row.number in piece.rows]
        assert "".join(text[piece.start : piece.end] for piece in held) == text[span.start : span.end]
        assert [piece.start for piece in held if row.number in piece.begins] == [span.start]
        assert [piece.end for piece in held if row.number in piece.ends] == [span.end]
    shown = Page(highlight.as_html(text, rows, "k"))
    assert len(shown.ids) == len(set(shown.ids))
    assert all(link[1:] in shown.ids for link in shown.links)


def test_a_long_text_is_folded_with_the_stretches_around_its_marks_before_it() -> None:
    text = "The opening words. " * 100 + "By Acme Ltd. " + "Filler words here. " * 100 + "In Lyon. " + "The closing words. " * 100
    rows = made({"name": "Acme Ltd", "city": "Lyon"}, ground({"name": "Acme Ltd", "city": "Lyon"}, text))
    plain = highlight.as_text(text, rows)
    assert len(plain) < 900
    assert "By [1: Acme Ltd]. Filler" in plain
    assert "In [2: Lyon]. The closing" in plain
    source = highlight.as_html(text, rows, "k")
    before, fold = source.split("<details>")
    assert before.count("<mark") == fold.count("<mark") == 2
    assert len(re.findall("Filler words", before)) < 15
    assert "2 of 2 values found in the text, 5,722 characters" in fold
    shown = Page(source)
    assert len(shown.ids) == len(set(shown.ids))
    assert "k-s2" in shown.ids


EVIL = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(2)'>",
    "javascript:alert(3)",
    "</style><script>alert(4)</script>",
    "' onmouseover=alert(5) x='",
    "&lt;b&gt;<b>",
    "</mark></a></details></table>",
    "a\u202eb\u2066c",
    "\x1b[31mred\x1b[0m",
    "\u0000\u0085\u007f",
)


@pytest.mark.parametrize("evil", EVIL)
def test_fields_values_and_texts_are_inert(evil: str) -> None:
    text = f"before {evil} after"
    generation = extracted(text, {evil: evil, "list": [evil]}, {evil: evil, "list": ["str"]})
    bundle = generation._repr_mimebundle_()[0]
    for shown in (Page(bundle["text/html"]), Page(page(generation))):
        tags = {tag for tag, _ in shown.elements}
        assert not tags & {"script", "img", "b"}
        assert not any(name.startswith("on") for _, attrs in shown.elements for name in attrs)
        assert all(link.startswith("#llm-") for link in shown.links)
        assert highlight.shown(evil) in shown.text
    table = bundle["text/plain"].split("\n\n", 1)[1]
    for char in ("\u202e", "\u2066", "\x1b", "\x00", "\x85"):
        assert char not in table
        assert char not in bundle["text/html"].split("<table>", 1)[1]


def test_half_a_character_can_be_shown_and_written() -> None:
    rows = made({"a": "\ud800"}, ground({"a": "\ud800"}, "x \ud800 y"))
    assert highlight.as_html("x \ud800 y", rows, "k").encode()
    assert highlight.as_text("x \ud800 y", rows).encode()


def test_a_page_of_many_stands_alone(tmp_path: Path) -> None:
    many = [extracted(), extracted(), Session(ScriptedEngine(["hello"])).answer("hi")]
    source = page(many)
    shown = Page(source)
    assert len(shown.ids) == len(set(shown.ids))
    assert source.startswith("<!DOCTYPE html>")
    assert not re.search(r"""(src|href)=["'](?!#)""", source)
    assert "default-src &#x27;none&#x27;" in source or "default-src 'none'" in source
    many[0].to_html(tmp_path / "one.html")
    assert (tmp_path / "one.html").read_text("utf-8") == page(many[0])


def test_an_answer_that_is_no_extraction_stays_as_it_was() -> None:
    bundle = Session(ScriptedEngine(["hello"])).answer("hi")._repr_mimebundle_()[0]
    assert "<table" not in bundle["text/html"]
    assert bundle["text/plain"].startswith("hello\n\n[scripted]")
