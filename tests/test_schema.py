"""Hints -> types -> values."""

from __future__ import annotations

import datetime

import jsonschema
import pytest

from llm_magics import schema
from llm_magics.errors import SchemaError

SEED = {
    "name": "the name of the model",
    "creator": "who made it",
    "release": "the release date",
    "tools": "(bool) whether it can call tools",
    "languages": "the (list of) languages it knows",
    "# parameters": "its size (number of parameters)",
    "memory": "memory it takes (in Gb)",
}


@pytest.mark.parametrize(
    ("hint", "type_", "many", "choices"),
    [
        ("the name", "str", False, ()),
        ("its size (in Gb)", "str", False, ()),
        ("(bool) whether", "bool", False, ()),
        ("whether it is so (Boolean)", "bool", False, ()),
        ("(int) the year", "int", False, ()),
        ("(float) price", "float", False, ()),
        ("(number)", "float", False, ()),
        ("day (date)", "date", False, ()),
        ("the (list of) languages", "str", True, ()),
        ("(list of int) laps", "int", True, ()),
        ("(list of) (date) days", "date", True, ()),
        ("what it speaks (list of languages)", "str", True, ()),
        ("la (liste de) langues", "str", True, ()),
        ("die (Liste von) Sprachen", "str", True, ()),
        ("(new|used) state", "choice", False, ("new", "used")),
        ("state (one of new, used, as good as new)", "choice", False, ("new", "used", "as good as new")),
        ("(list of red|blue) colours", "choice", True, ("red", "blue")),
        ("", "str", False, ()),
    ],
)
def test_a_mark_decides_the_type(hint: str, type_: str, many: bool, choices: tuple[str, ...]) -> None:
    field = schema.parse_hint("key", hint)
    assert (field.type, field.many, field.choices) == (type_, many, choices)


def test_the_seeds_entities_make_a_valid_schema() -> None:
    made = schema.from_entities(SEED)
    jsonschema.Draft202012Validator.check_schema(made.json_schema)
    assert made.json_schema["required"] == [*SEED]
    jsonschema.validate(dict.fromkeys(SEED), made.json_schema)


def test_values_are_typed() -> None:
    made = schema.from_entities(
        {"a": "(date)", "b": "(float)", "c": "(list of date)", "d": "(list of)", "e": "(date)", "f": "(bool)", "g": "(date)"}
    )
    data = made.parse('{"a": "2024-03-12", "b": 3, "c": ["2024-01-01"], "d": [], "e": "2024-03", "f": null, "g": "2023-02-30"}')
    day = datetime.date(2024, 3, 12)
    assert data == {"a": day, "b": 3.0, "c": [datetime.date(2024, 1, 1)], "d": None, "e": "2024-03", "f": None, "g": "2023-02-30"}
    assert isinstance(data["b"], float)


@pytest.mark.parametrize("cut", range(len('{"a": "x, {y}", "b": {"c": [1, 2]}, "d": 3}') + 1))
def test_a_cut_reply_gives_its_whole_values(cut: int) -> None:
    reply = '{"a": "x, {y}", "b": {"c": [1, 2]}, "d": 3}'
    whole = {"a": "x, {y}", "b": {"c": [1, 2]}, "d": 3}
    data = schema.from_json_schema({"properties": dict.fromkeys("abd", {})}).parse(reply[:cut])
    assert set(data) == {"a", "b", "d"}
    assert all(value is None or value == whole[key] for key, value in data.items())
    if cut == len(reply):
        assert data == whole
    if cut >= len('{"a": "x, {y}",'):
        assert data["a"] == "x, {y}"


@pytest.mark.parametrize("entities", [{}, {"": "x"}, {1: "x"}, {"a": 3}, ["a"], None])
def test_entities_that_cannot_be_used(entities: object) -> None:
    with pytest.raises(SchemaError):
        schema.from_entities(entities)  # type: ignore[arg-type]


def test_a_json_schema_must_describe_an_object() -> None:
    with pytest.raises(SchemaError):
        schema.from_json_schema({"type": "array"})
    made = schema.from_json_schema(
        {"type": "object", "properties": {"n": {"type": "integer", "description": "how many"}, "k": {"enum": ["a", "b"]}}}
    )
    assert made.hints == {"n": "(integer) how many", "k": "(a|b)"}
    assert made.problems({"n": 1}) == []
    assert made.problems({"n": "x"}) == ["$.n: 'x' is not of type 'integer'"]


def test_an_entity_option_may_leave_the_hint_out() -> None:
    assert schema.parse_entity("name: the name: first and last") == ("name", "the name: first and last")
    assert schema.parse_entity("name") == ("name", "")
    with pytest.raises(SchemaError):
        schema.parse_entity(": hint")
