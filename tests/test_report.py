"""The report: same facts as text and HTML, and nothing in it is taken for markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from llm_magics import report
from llm_magics.engines.scripted import ScriptedEngine
from llm_magics.records import Timing
from llm_magics.session import Session

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)> & \"quoted\" 'text' </div></details>"


class Tags(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    return tags


def test_what_comes_from_outside_is_escaped() -> None:
    session = Session(ScriptedEngine([EVIL]))
    page = parsed(report.as_html(session.answer(EVIL)))
    assert not {"script", "img"} & set(page.tags)
    assert page.text.count(EVIL) == 2
    assert not {"script", "img"} & set(parsed(report.live_html(EVIL, 3)).tags)


def test_extracted_keys_and_values_are_escaped() -> None:
    key = "<b>name</b>"
    session = Session(ScriptedEngine(['{"<b>name</b>": "<i>x</i>"}']))
    page = parsed(report.as_html(session.extract("t", {key: "<u>hint</u>"})))
    assert "table" in page.tags
    assert not {"b", "i", "u"} & set(page.tags)


@pytest.mark.parametrize(("view", "fold", "is_open"), [("folded", True, False), ("open", True, True), ("none", False, False)])
def test_the_prompt_is_folded_open_or_left_out(view: report.PromptView, fold: bool, is_open: bool) -> None:
    generation = Session(ScriptedEngine(["a"])).answer("THE QUESTION")
    page = report.as_html(generation, view)
    assert ("<details" in page) is fold
    assert ("<details open" in page) is is_open
    assert ("THE QUESTION" in page) is fold
    assert ("THE QUESTION" in report.plain(generation, view)) is is_open


def test_the_line_of_timing() -> None:
    timing = Timing(queue_s=0, first_token_s=0.021, total_s=0.491, input_tokens=56, cached_tokens=40, output_tokens=25)
    assert report.timing_line("onnx", timing) == (
        "[onnx] 25 tokens generated in 491 ms (50.916 tokens/sec) · first token 21 ms · 56 input tokens, 40 cached"
    )
    nothing = Timing(queue_s=0.5, first_token_s=None, total_s=2, input_tokens=5, cached_tokens=None, output_tokens=0)
    assert report.timing_line("x", nothing) == "[x] 0 tokens generated in 1.500 sec · 5 input tokens · waited 500 ms"
    assert nothing.tokens_per_s is None


def test_html_names_no_colour_so_it_follows_the_theme() -> None:
    page = report.as_html(Session(ScriptedEngine(['{"a": 1}'])).extract("t", {"a": "(int)"}))
    assert "color:" not in page
    assert "background" not in page


def test_a_mark_names_its_ground_together_with_its_letters() -> None:
    page = report.as_html(Session(ScriptedEngine(['{"a": "Acme"}'])).extract("by Acme", {"a": ""}))
    styles = re.findall(r'<mark[^>]* style="([^"]*)"', page)
    assert len(styles) == 1
    assert re.fullmatch("background-color:#[0-9a-f]{6};color:#[0-9a-f]{6}", styles[0])
