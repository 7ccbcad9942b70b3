"""What the decoder is held to: the part of a schema that it can keep, copies of the text, grammars kept."""

from __future__ import annotations

import json
import time

import pytest

from llm_magics.engines import guidance
from llm_magics.engines.guidance import Guided, copying, enforceable
from llm_magics.errors import SchemaError
from llm_magics.records import Guide, Prompt
from llm_magics.schema import notation
from llm_magics.session import Session

TEXT = 'Velmora was founded in 1987 by Mira "Mi" Holt\\an, near Lyon.\r\n日本語のテキスト, cafe\u0301 au lait 👩‍🚀 İzmir\tend'


@pytest.fixture(scope="module")
def guided(demo: Session) -> Guided:
    engine = demo.engine
    return Guided(engine.tokenizer, engine._vocab_size, engine._eos_ids)  # type: ignore[attr-defined]


def admits(guided: Guided, guide: Guide, reply: str) -> bool:
    matcher = guided.start(guide)._matcher
    tokens = guided._tokenizer.tokenize_str(reply)
    return bool(matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting())


def of(value: dict[str, object]) -> dict[str, object]:
    return {"type": "object", "properties": {"a": value}, "required": ["a"]}


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 9}, ()),
        ({"type": "string", "pattern": "^[a-z]+$", "maxLength": 3}, ()),
        ({"type": "string", "format": "date"}, ()),
        ({"not": {"type": "string"}}, ("$.a: not",)),
        ({"type": "array", "items": {"type": "string", "format": "color"}, "uniqueItems": True}, ("$.a[*]: format", "$.a: uniqueItems")),
        ({"if": {"type": "string"}, "then": {"minLength": 2}}, ("$.a: if", "$.a: then")),
        ({"type": "string", "pattern": "^(?=a)b"}, ("$.a: pattern",)),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, ("$.a: oneOf",)),
        ({"type": "object", "properties": {"b": {"contains": {"type": "integer"}, "type": "array"}}}, ("$.a.b: contains",)),
    ],
)
def test_what_cannot_be_kept_to_is_left_out_and_named(value: dict[str, object], left: tuple[str, ...], guided: Guided) -> None:
    document = of(value)
    kept, found = enforceable(document)
    assert found == left
    assert (kept == document) is (not left)
    guided.start(Guide(kept))


def test_only_the_part_that_cannot_be_kept_to_goes(guided: Guided) -> None:
    kept, _ = enforceable(of({"type": "array", "items": {"type": "integer", "maximum": 5}, "uniqueItems": True, "maxItems": 2}))
    assert admits(guided, Guide(kept), '{"a": [5, 5]}')
    assert not admits(guided, Guide(kept), '{"a": [6]}')
    assert not admits(guided, Guide(kept), '{"a": [1, 2, 3]}')


@pytest.mark.parametrize(
    "value", [{"type": "strange"}, {"$ref": "https://example.org/x"}, {"type": "string", "pattern": "^a$", "format": "date"}]
)
def test_what_is_no_schema_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(SchemaError, match="cannot be turned into a grammar"):
        enforceable(of(value))


def test_no_more_is_written_than_was_asked_for(guided: Guided) -> None:
    part = {"type": "object", "properties": {"b": {"type": "integer"}}}
    document = {"type": "object", "properties": {"a": part, "c": {"anyOf": [part, {"type": "null"}]}, "d": {"type": "object"}}}
    assert admits(guided, Guide(document), '{"a": {"b": 1}, "c": {"b": 2}, "d": {"x": 3}}')
    for reply in ('{"x": 1}', '{"a": {"b": 1, "x": 2}}', '{"c": {"x": 2}}'):
        assert not admits(guided, Guide(document), reply)
    both = {"allOf": [part, {"type": "object", "properties": {"e": {"type": "integer"}}}]}
    assert admits(guided, Guide(both), '{"b": 1, "e": 2}')
    referring = {
        "$defs": {"p": {"type": "object", "properties": {"e": {"type": "integer"}}}},
        "allOf": [{"$ref": "#/$defs/p"}],
        "properties": part["properties"],
    }
    assert admits(guided, Guide(referring), '{"b": 1, "e": 2}') or admits(guided, Guide(referring), '{"e": 2, "b": 1}')
    inner = {"type": "object", "properties": {"a": {"allOf": [{"$ref": "#/$defs/p"}, part]}}, "$defs": referring["$defs"]}
    assert admits(guided, Guide(inner), '{"a": {"e": 2, "b": 1}}')
    opened = {**part, "additionalProperties": {"type": "integer"}}
    assert admits(guided, Guide(opened), '{"b": 1, "x": 2}')


def test_ranges_patterns_and_choices_are_held_to(guided: Guided) -> None:
    guide = Guide(notation.schema_of("age int 0..120, code /[A-Z]{3}/, mood (good|bad), maker {city!}").json_schema)
    assert admits(guided, guide, '{"age": 120, "code": "ABC", "mood": "bad", "maker": {"city": "x"}}')
    assert admits(guided, guide, '{"age": null, "code": null, "mood": null, "maker": null}')
    for age, code, mood, city in (
        ("121", '"ABC"', '"bad"', '"x"'),
        ("1", '"AB"', '"bad"', '"x"'),
        ("1", '"ABC"', '"odd"', '"x"'),
        ("1", "null", "null", "null"),
    ):
        assert not admits(guided, guide, f'{{"age": {age}, "code": {code}, "mood": {mood}, "maker": {{"city": {city}}}}}')


COPY = notation.schema_of("name, tags list, n int 1..5, born date, mood (a|b), on bool, maker {name, qty float}, lines list {item, n int}")


def reply(**values: object) -> str:
    plain = {"name": None, "tags": None, "n": None, "born": None, "mood": None, "on": None, "maker": None, "lines": None}
    return json.dumps(plain | values, ensure_ascii=False)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": "Velmora"},
        {"name": 'Mira "Mi" Holt\\an'},
        {"name": "Lyon.\r\n日本"},
        {"name": "cafe\u0301 au"},
        {"name": "👩‍🚀 İzmir\tend"},
        {"name": TEXT},
        {"tags": ["Lyon", "語", "1987"], "n": 5, "born": "2024-03-12", "mood": "b", "on": True},
        {"maker": {"name": "near Lyon", "qty": 2.5}, "lines": [{"item": "au lait", "n": 1}, {"item": None, "n": None}], "tags": []},
    ],
)
def test_copies_of_the_text_are_admitted(values: dict[str, object], guided: Guided) -> None:
    assert admits(guided, Guide(COPY.json_schema, copy_from=TEXT), reply(**values))


@pytest.mark.parametrize(
    "values",
    [
        {"name": "Paris"},
        {"name": "velmora"},
        {"name": "Mira Holt"},
        {"name": "Velm"},
        {"name": ""},
        {"name": "Lyon.\n日本"},
        {"tags": ["Lyon", "Paris"]},
        {"maker": {"name": "Paris", "qty": None}},
        {"lines": [{"item": "Paris", "n": 1}]},
        {"n": 6},
        {"mood": "c"},
        {"born": "Lyon"},
    ],
)
def test_nothing_else_is(values: dict[str, object], guided: Guided) -> None:
    assert not admits(guided, Guide(COPY.json_schema, copy_from=TEXT), reply(**values))


def test_a_json_schema_is_copied_from_too(guided: Guided) -> None:
    document = {
        "$defs": {"party": {"type": "object", "properties": {"name": {"type": ["string", "null"]}, "kind": {"enum": ["x", 'y"']}}}},
        "type": "object",
        "properties": {
            "parties": {"type": "array", "items": {"$ref": "#/$defs/party"}, "minItems": 1, "maxItems": 2},
            "free": {"type": "string", "pattern": "^[a-z]+$"},
            "any": {"anyOf": [{"type": "integer", "minimum": 3}, {"type": "string"}]},
        },
    }
    guide = Guide(document, copy_from=TEXT)
    one = {"name": "Lyon", "kind": 'y"'}
    for parties, free, any_, expected in (
        ([one], "paris", 3, True),
        ([one, {"name": None, "kind": "x"}], "a", "Lyon", True),
        ([], "a", 3, False),
        ([one] * 3, "a", 3, False),
        ([{"name": "Paris", "kind": "x"}], "a", 3, False),
        ([one], "A", 3, False),
        ([one], "a", 2, False),
        ([one], "a", "Paris", False),
    ):
        assert admits(guided, guide, json.dumps({"parties": parties, "free": free, "any": any_})) is expected


def test_a_schema_that_refers_to_itself_can_be_copied_from(guided: Guided) -> None:
    document = {
        "$defs": {
            "part": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}}},
            }
        },
        "$ref": "#/$defs/part",
    }
    guide = Guide(document, copy_from=TEXT)
    assert admits(guided, guide, '{"name": "Lyon", "parts": [{"name": "Velmora", "parts": []}]}')
    assert not admits(guided, guide, '{"name": "Lyon", "parts": [{"name": "Paris", "parts": []}]}')


@pytest.mark.parametrize("text", ["", " ", "\x00", '"', "\\", "a" * 20000])
def test_odd_texts_make_a_grammar(text: str, guided: Guided) -> None:
    guided.start(Guide(COPY.json_schema, copy_from=text or "x"))
    assert "COPY" in copying(COPY.json_schema, text)


def test_a_grammar_is_compiled_once_and_copies_are_few(guided: Guided) -> None:
    guide = Guide(notation.schema_of("a_name, b_name int").json_schema)
    assert [guided.start(guide).cached for _ in range(2)] == [False, True]
    for number in range(guidance._COPIES + 1):
        guided.start(Guide(COPY.json_schema, copy_from=f"text {number}"))
    assert guided.start(Guide(COPY.json_schema, copy_from=f"text {number}")).cached
    assert not guided.start(Guide(COPY.json_schema, copy_from="text 0")).cached


def test_the_time_of_the_grammar_is_told(demo: Session) -> None:
    schema = "never_asked_before int, nor_this (x|y)"
    first, second = (demo.extract("Velmora has 240 employees.", schema=schema) for _ in range(2))
    assert first.timing.grammar_s is not None
    assert second.timing.grammar_s is not None
    assert (first.timing.grammar_cached, second.timing.grammar_cached) == (False, True)
    assert second.timing.grammar_s < 0.02
    assert not any("grammar" in note for note in second.notes)
    assert demo.answer("Hello World !", max_new_tokens=2).timing.grammar_s is None


def test_a_text_as_long_as_the_window_is_copied_from_in_good_time(demo: Session, guided: Guided) -> None:
    words = "Velmora was founded near Lyon by Mira Holt in 1987. "
    text = words * (demo.engine.info.max_seq_len // demo.engine.count(words))
    guide = Guide(COPY.json_schema, copy_from=text)
    started = time.perf_counter()
    guided.start(guide)
    assert time.perf_counter() - started < 2  # measured: some 20 ms; CI machines are slow and shared


def test_endless_replies_are_bounded_by_tokens(demo: Session) -> None:
    """A number has no end in a grammar, so it is cut by the count of tokens, and what is cut is no value."""
    prompt = Prompt("The digits:", demo.extract("x y", schema="a int").sampling, Guide(notation.schema_of("a int!").json_schema))
    assert sum(chunk.tokens for chunk in demo.engine.stream(prompt)) <= 1024
    cut = demo.extract("The price is 123456 euros.", schema="price int!", max_new_tokens=6)
    assert cut.finish_reason == "length"
    assert cut.data == {"price": None}
