"""Hints -> types -> values."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from typing import Annotated, Any, Literal, Optional, TypedDict

import jsonschema
import pytest

from llm_magics import schema
from llm_magics.errors import SchemaError
from llm_magics.schema import notation, replies
from llm_magics.values import dates, quantities
from llm_magics.values.quantities import Quantity

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


def test_an_endless_number_is_an_int_and_no_float() -> None:
    """A model that goes on writing figures."""
    asked = schema.from_entities({"whole": "(int) n", "other": "(float) n"})
    assert asked.parse('{"whole": ' + "1" * 400 + ', "other": ' + "1" * 400 + "}") == {"whole": int("1" * 400), "other": None}


def test_an_entity_option_may_leave_the_hint_out() -> None:
    assert schema.parse_entity("name: the name: first and last") == ("name", "the name: first and last")
    assert schema.parse_entity("name") == ("name", "")
    with pytest.raises(SchemaError):
        schema.parse_entity(": hint")


# The line.


def fields(line: str) -> dict[str, schema.Field]:
    return {field.key: field for field in notation.schema_of(line).fields}


def test_a_line_says_names_types_and_hints() -> None:
    made = notation.schema_of("name, released date, price float, tags list[str], tools bool: can it call tools")
    assert made.hints == {"name": "", "released": "(date)", "price": "(float)", "tags": "(list of)", "tools": "(bool) can it call tools"}
    assert [(field.type, field.many) for field in made.fields] == [
        ("str", False), ("date", False), ("float", False), ("str", True), ("bool", False),
    ]  # fmt: skip


def test_a_line_says_the_rest_too() -> None:
    found = fields(
        "mood (good|bad): how they feel, age int 0..120, rate ..0.5, code /[A-Z]{3}/, '# parameters' quantity, "
        "maker {name: who (a firm, a person), city!}, lines list {item, qty int 1..}, days list[date], kind list (a|b), note: 'x, y'"
    )
    assert (found["mood"].type, found["mood"].choices, found["mood"].hint) == ("choice", ("good", "bad"), "(good|bad) how they feel")
    assert (found["age"].type, found["age"].minimum, found["age"].maximum) == ("int", 0, 120)
    assert (found["rate"].type, found["rate"].minimum, found["rate"].maximum) == ("float", None, 0.5)
    assert found["code"].json_schema == {"anyOf": [{"type": "string", "pattern": "^(?:[A-Z]{3})$"}, {"type": "null"}]}
    assert found["# parameters"].type == "quantity"
    name, city = found["maker"].fields
    assert (name.hint, name.required, city.required) == ("who (a firm, a person)", False, True)
    assert (found["lines"].many, found["lines"].type, [field.key for field in found["lines"].fields]) == (True, "object", ["item", "qty"])
    assert found["lines"].hint == "(list of) {item, qty: (int) (1..)}"
    assert (found["days"].many, found["days"].type) == (True, "date")
    assert (found["kind"].many, found["kind"].choices) == (True, ("a", "b"))
    assert found["note"].hint == "x, y"


def test_a_hint_goes_to_the_end_of_the_line_where_there_are_lines() -> None:
    found = fields("name: the name, first and last\nage int: in years, if told\n\nmaker {\n  city: where, if told\n}")
    assert found["name"].hint == "the name, first and last"
    assert found["age"].hint == "(int) in years, if told"
    assert [*found] == ["name", "age", "maker"]


@pytest.mark.parametrize(
    ("line", "message", "place"),
    [
        ("name strr", "'strr' at character 6 is not a type", 5),
        ("name, price flaot", "Did you mean 'float'?", 12),
        ("a list[foo]", "'foo' at character 8", 7),
        ("maker {name, city", "'{' at character 7 is not closed", 6),
        ("a {}", "holds no fields", 2),
        ("a ()", "names no words", 2),
        ("a /[/", "not a regular expression", 2),
        ("a /(/", "not a regular expression", 2),
        ("name int: x, : y", "':' at character 14 is not the name", 13),
        ("{a}", "not the name of a field", 0),
    ],
)
def test_a_slip_in_a_line_is_pointed_at(line: str, message: str, place: int) -> None:
    with pytest.raises(SchemaError) as error:
        notation.schema_of(line)
    assert message in error.value.message
    pointed = error.value.hint.splitlines()
    assert pointed[0] == line
    assert pointed[1].index("^") == place


@pytest.mark.parametrize("line", ["", "  ,\n", "a, b, a"])
def test_lines_that_cannot_be(line: str) -> None:
    with pytest.raises(SchemaError):
        notation.schema_of(line)


# Dicts, types and classes.


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


@dataclasses.dataclass
class Maker:
    name: str
    city: Annotated[Optional[str], "where it is"] = None  # noqa: UP045 - the old way of writing it


@dataclasses.dataclass
class Phone:
    """A phone."""

    name: str
    price: float | None
    released: datetime.date
    mood: Mood
    size: Literal["small", "large"]
    weight: Quantity
    tags: list[str] = dataclasses.field(default_factory=list, metadata={"hint": "what it is for"})
    maker: Maker | None = None
    parts: list[Maker] = dataclasses.field(default_factory=list)
    stars: Annotated[int, {"minimum": 1, "maximum": 5}] = 1
    kind: str = dataclasses.field(default="", metadata={"pattern": "^[a-z]+$"})


class Film(TypedDict):
    title: Annotated[str, "as on the poster"]
    year: int
    cast: list[Maker]


REPLY = (
    '{"name": "P1", "price": 3, "released": "2024-03-12", "mood": "bad", "size": "large", "weight": "1,200 g", "tags": ["work"], '
    '"maker": {"name": "M", "city": null}, "parts": [{"name": "a", "city": "b"}], "stars": 4, "kind": "x"}'
)


def test_a_dataclass_is_a_schema_and_comes_back_as_its_instance() -> None:
    made = notation.schema_of(Phone)
    jsonschema.Draft202012Validator.check_schema(made.json_schema)
    assert made.hints["tags"] == "(list of) what it is for"
    assert made.hints["maker"] == "{name, city: where it is}"
    assert made.hints["stars"] == "(int) (1..5)"
    data = made.parse(REPLY)
    assert data["weight"] == Quantity(1200, "g", "1,200 g")
    assert data["maker"] == {"name": "M", "city": None}
    phone = made.build(data)
    assert phone == Phone(
        "P1", 3.0, datetime.date(2024, 3, 12), Mood.BAD, "large", Quantity(1200, "g", "1,200 g"), ["work"],
        Maker("M", None), [Maker("a", "b")], 4, "x",
    )  # fmt: skip
    nothing = made.build(made.parse("{}"))
    assert all(getattr(nothing, field.name) is None for field in dataclasses.fields(Phone))


def test_a_typed_dict_is_a_schema() -> None:
    made = notation.schema_of(Film)
    assert made.hints == {"title": "as on the poster", "year": "(int)", "cast": "(list of) {name, city: where it is}"}
    data = made.parse('{"title": "X", "year": 1999, "cast": [{"name": "A", "city": null}]}')
    assert made.build(data) == data == {"title": "X", "year": 1999, "cast": [{"name": "A", "city": None}]}


def test_a_pydantic_model_is_a_schema_and_comes_back_as_its_instance() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Part(pydantic.BaseModel):  # type: ignore[name-defined,misc]
        item: str
        qty: int | None = pydantic.Field(None, ge=1)

    class Order(pydantic.BaseModel):  # type: ignore[name-defined,misc]
        buyer: str = pydantic.Field(description="who buys")
        day: datetime.date | None
        parts: list[Part]

    made = notation.schema_of(Order)
    assert made.own
    assert made.hints["buyer"] == "(string) who buys"
    reading = made.read('{"buyer": "B", "day": "2024-03-12", "parts": [{"item": "x", "qty": 0}]}')
    assert reading.problems == ("$.parts[0].qty: 0 is not valid under any of the given schemas",)
    data = made.parse('{"buyer": "B", "day": "2024-03-12", "parts": [{"item": "x", "qty": 2}]}')
    assert data["day"] == datetime.date(2024, 3, 12)
    assert made.build(data) == Order(buyer="B", day=datetime.date(2024, 3, 12), parts=[Part(item="x", qty=2)])
    with pytest.raises(SchemaError, match="does not take"):
        made.build({"buyer": None, "day": None, "parts": []})
    assert made.hints["parts"] == "(list of) {item: (string), qty: (integer)}"
    assert notation.schema_of(list[Order]).many


def test_values_of_a_dict_may_be_types_dicts_and_lists() -> None:
    made = schema.from_entities({
        "name": "the (list of) names", "year": int, "tags": list[str], "on": bool, "mood": Mood, "size": (Literal["s", "l"], "how large"),
        "maker": {"name": "who", "city": ""}, "lines": [{"item": "what", "qty": int}], "years": [int],
    })  # fmt: skip
    types = {field.key: (field.type, field.many) for field in made.fields}
    assert types == {
        "name": ("str", True), "year": ("int", False), "tags": ("str", True), "on": ("bool", False), "mood": ("choice", False),
        "size": ("choice", False), "maker": ("object", False), "lines": ("object", True), "years": ("int", True),
    }  # fmt: skip
    assert made.hints["size"] == "(s|l) how large"
    assert made.hints["lines"] == "(list of) {item: what, qty: (int)}"


@pytest.mark.parametrize(
    "given", [object(), 3, complex, {"a": complex}, {"a": 3}, {"a": [1, 2]}, {"a": int | str}, [], [int, str], {"a": {}}]
)
def test_what_no_schema_can_be_made_of(given: Any) -> None:
    with pytest.raises(SchemaError):
        notation.schema_of(given)


def test_a_list_of_a_schema_asks_for_many() -> None:
    for given in (["name, qty int"], list[Maker], [Maker], {"type": "array", "items": {"type": "object", "properties": {"name": {}}}}):
        assert notation.schema_of(given).many
    made = notation.schema_of(["name, qty int"])
    assert made.reply_schema["type"] == "array"
    assert made.parse('[{"name": "a", "qty": 1}, {"name": "b"}]') == [{"name": "a", "qty": 1}, {"name": "b", "qty": None}]
    assert made.parse('[{"name": "a", "qty": 1}, {"name": "b", "q') == [{"name": "a", "qty": 1}]
    assert made.parse('{"name": "a", "qty": 1}') == [{"name": "a", "qty": 1}]
    assert made.parse("none") == []
    tagged = notation.schema_of(["name, tags list"])
    assert tagged.parse('{"name": "a", "tags": ["x"]}') == [{"name": "a", "tags": ["x"]}]


# JSON Schema.

INVOICE = {
    "$defs": {
        "party": {"type": "object", "properties": {"name": {"type": "string"}, "since": {"type": ["string", "null"], "format": "date"}}}
    },
    "type": "object",
    "properties": {
        "seller": {"$ref": "#/$defs/party"},
        "buyer": {"anyOf": [{"$ref": "#/$defs/party"}, {"type": "null"}]},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"qty": {"type": "integer", "minimum": 1}}}, "minItems": 1},
        "paid": {"type": "boolean"},
        "state": {"enum": ["open", "closed", None]},
        "any": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    },
    "required": ["lines"],
}


def test_a_json_schema_is_followed_into_its_references() -> None:
    made = schema.from_json_schema(INVOICE)
    assert made.hints["seller"] == "{name: (string), since: (string)}"
    assert made.hints["lines"] == "(list of) {qty: (integer)}"
    assert made.hints["state"] == "(open|closed)"
    types = {field.key: (field.type, field.many) for field in made.fields}
    assert types == {
        "seller": ("object", False), "buyer": ("object", False), "lines": ("object", True), "paid": ("bool", False),
        "state": ("choice", False), "any": ("any", False),
    }  # fmt: skip
    reading = made.read('{"seller": {"name": "S", "since": "2024-03-12", "more": 1}, "buyer": null, "lines": [{"qty": 0}], "extra": 3}')
    assert reading.data["seller"] == {"name": "S", "since": datetime.date(2024, 3, 12), "more": 1}
    assert (reading.data["buyer"], reading.data["paid"], reading.data["extra"]) == (None, None, 3)
    assert reading.problems == ("$.lines[0].qty: 0 is less than the minimum of 1",)


def test_a_schema_that_refers_to_itself_ends() -> None:
    document = {
        "$defs": {
            "part": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}}},
            }
        },
        "$ref": "#/$defs/part",
    }
    made = schema.from_json_schema(document)
    assert made.parse('{"name": "a", "parts": [{"name": "b", "parts": []}]}') == {"name": "a", "parts": [{"name": "b", "parts": []}]}


# Replies and values.


def test_values_that_are_not_as_asked_are_named_and_dropped() -> None:
    made = notation.schema_of("age int 0..120, mood (good|bad), code /[A-Z]{3}/, on bool, maker {city, n int}, tags list[int], need!")
    reading = made.read(
        '{"age": 200, "mood": "odd", "code": "ab", "on": "perhaps", "maker": {"city": ["x"], "n": "many"}, "tags": [1, "x", 3]}'
    )
    assert reading.data == {
        "age": None, "mood": None, "code": None, "on": None, "maker": {"city": None, "n": None}, "tags": [1, 3], "need": None,
    }  # fmt: skip
    assert reading.dropped == {
        "age": 200, "mood": "odd", "code": "ab", "on": "perhaps", "maker.city": ["x"], "maker.n": "many", "tags[1]": "x",
    }  # fmt: skip
    assert "age: 200 is not in the range 0..120" in reading.problems
    assert "need: is missing" in reading.problems
    assert len(reading.problems) == 8


def test_what_was_written_otherwise_is_read() -> None:
    made = notation.schema_of("age int, price float, mood (good|bad), on bool, day date, tags list, text")
    reading = made.read(
        '{"age": "1,200", "price": "12.5", "mood": "Good ", "on": "yes", "day": "March 12, 2024", "tags": "one", "text": 5}'
    )
    assert reading.problems == ()
    assert reading.data == {
        "age": 1200, "price": 12.5, "mood": "good", "on": True, "day": datetime.date(2024, 3, 12), "tags": ["one"], "text": "5",
    }  # fmt: skip
    empty = made.read('{"age": "", "tags": [], "text": ""}')
    assert set(empty.data.values()) == {None}


@pytest.mark.parametrize("value", ["1" * 5000, "1e999", "-1e999", "NaN", "Infinity", "[" * 5000, '{"a": ' * 3000, '"\\ud800"'])
def test_endless_and_odd_values_do_no_harm(value: str) -> None:
    made = notation.schema_of("a int, b float, c")
    for key in "abc":
        made.read(f'{{"{key}": {value}}}')
        made.read(f'{{"{key}": {value}')


@pytest.mark.parametrize(
    "reply",
    [
        '{"a": "x, {y}", "n": 1}',
        'Here it is:\n\n```json\n{"a": "x, {y}", "n": 1}\n```\nAnything else?',
        'The {braces} mean nothing. {"a": "x, {y}", "n": 1}',
        '{\n  "a": "x, {y}",\n  "n": 1,\n}',
        '{} and then {"a": "x, {y}", "n": 1}',
    ],
)
def test_json_is_found_in_what_stands_around_it(reply: str) -> None:
    node = replies.find(reply)
    assert node is not None
    assert node.whole
    assert node.value in ({"a": "x, {y}", "n": 1}, {})
    if node.value:
        assert {path: reply[place.start : place.end] for path, place in replies.places(node)} == {"a": '"x, {y}"', "n": "1"}


@pytest.mark.parametrize(
    ("text", "lang", "expected"),
    [
        ("2024-03-12", "en", "2024-03-12"), ("2024-3-2", "en", "2024-03-02"), ("12 March 2024", "en", "2024-03-12"),
        ("March 12th, 2024", "en", "2024-03-12"), ("Tuesday, 12 March 2024", "en", "2024-03-12"), ("1er mars 2024", "fr", "2024-03-01"),
        ("12 de marzo de 2024", "es", "2024-03-12"), ("12. März 2024", "de", "2024-03-12"), ("12.03.2024", "de", "2024-03-12"),
        ("12/03/2024", "fr", "2024-03-12"), ("12/03/2024", "en", None), ("13/03/2024", "en", "2024-03-13"), ("2024/03/12", "en", "2024-03-12"),
        ("Sept. 3, 2024", "en", "2024-09-03"), ("3 juil. 2024", "fr", "2024-07-03"), ("2024-03-12T10:00", "en", "2024-03-12"),
        ("March 2024", "en", "2024-03"), ("2024-03", "en", "2024-03"), ("2024", "en", "2024"), ("marzo de 2024", "es", "2024-03"),
        ("30 February 2024", "en", None), ("2023-02-30", "en", None), ("soon", "en", None), ("ju 2024", "en", None), ("", "en", None),
    ],
)  # fmt: skip
def test_dates(text: str, lang: str, expected: str | None) -> None:
    found = dates.read(text, lang)
    assert (found.isoformat() if isinstance(found, datetime.date) else found) == expected


@pytest.mark.parametrize(
    ("text", "lang", "value", "unit"),
    [
        ("12,500 euros", "en", 12500, "euros"), ("12,5 euros", "en", 12.5, "euros"), ("1.234,56 €", "en", 1234.56, "€"),
        ("1.234 km", "en", 1.234, "km"), ("1.234 km", "de", 1234, "km"), ("1 234,5 kg", "fr", 1234.5, "kg"), ("1,234 kg", "fr", 1.234, "kg"),
        ("$ 5", "en", 5, "$"), ("-3.5 °C", "en", -3.5, "°C"), ("3 million dollars", "en", 3e6, "dollars"), ("2,5 Mio. Euro", "de", 2.5e6, "Euro"),
        ("3 milliards d'euros", "fr", 3e9, "euros"), ("5 billion", "en", 5e9, ""), ("about 40 GB", "en", 40, "GB"), ("twelve", "en", None, ""),
        ("1,234,567", "en", 1234567, ""), ("0.125 l", "de", 0.125, "l"), ("2 millones de pesos", "es", 2e6, "pesos"),
    ],
)  # fmt: skip
def test_quantities(text: str, lang: str, value: float | None, unit: str) -> None:
    assert quantities.read(text, lang) == Quantity(value, unit, text)


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("praise", "praise"),
        (" Praise.\n", "praise"),
        ("**complaint**", "complaint"),
        ('"praise"', "praise"),
        ("no praise", None),
        ("", None),
    ],
)
def test_a_label_is_read_from_engines_that_are_not_held_to_it(reply: str, label: str | None) -> None:
    assert schema.parse_choice(("praise", "complaint"))(reply) == label
