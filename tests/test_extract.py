"""Extraction from end to end: copies, grounding, examples, records, what the result gives."""

from __future__ import annotations

import dataclasses
import datetime
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from llm_magics.engines.scripted import ScriptedEngine
from llm_magics.errors import DependencyError, OptionError, SchemaError
from llm_magics.session import Session
from llm_magics.values.quantities import Quantity

NOTICE = "Velmora Systems was founded in 1987 by Mira Holtan. The company is based in Lyon and has 240 employees."
LINE = "founder: who founded the company, year int: the year of foundation, city: where it is based"


def extract(reply: str, line: str, text: str = NOTICE, **options: object) -> object:
    return Session(ScriptedEngine([reply])).extract(text, schema=line, **options)  # type: ignore[arg-type]


def test_a_line_and_hints_ask_the_demo_model_the_same(demo: Session) -> None:
    by_line = demo.extract(NOTICE, schema=LINE)
    by_hints = demo.extract(
        NOTICE, {"founder": "who founded the company", "year": "(int) the year of foundation", "city": "where it is based"}
    )
    assert by_line.prompt == by_hints.prompt
    assert by_line.data == by_hints.data == {"founder": "Mira Holtan", "year": 1987, "city": "Lyon"}
    assert set(by_line.confidence) == {"founder", "year", "city"}
    assert all(sure.raw > 0.5 for sure in by_line.confidence.values())
    assert by_line.timing.asks == 1


def test_a_nested_reply_is_held_to_its_schema(demo: Session) -> None:
    for seed in range(3):
        generation = demo.extract(
            NOTICE,
            schema="company {name, founded int 1900..2000}, people list {name!, role (founder|other)}",
            temperature=1.5,
            seed=seed,
            max_new_tokens=300,
        )
        if generation.finish_reason == "stop":
            read = json.loads(generation.text)
            assert [*read] == ["company", "people"]
            founded = (generation.data["company"] or {}).get("founded")
            assert founded is None or 1900 <= founded <= 2000
            assert all(person["role"] in ("founder", "other", None) for person in generation.data["people"] or [])


def test_copies_are_pieces_of_the_text_at_any_temperature(demo: Session) -> None:
    text = 'Die Firma „Velmora“ (früher "Ünï") sitzt in 東京; café, naïve.\r\nEnde.'
    for seed in range(6):
        generation = demo.extract(text, schema="a, b list, c {d}", copy=True, temperature=3.0, seed=seed, max_new_tokens=200)
        if generation.finish_reason == "stop":
            found = [generation.data["a"], *(generation.data["b"] or []), (generation.data["c"] or {}).get("d")]
            assert all(value is None or value in text for value in found)
            assert generation.dropped == {}


def test_copies_change_nothing_where_the_model_copies_anyway(demo: Session) -> None:
    free, copied = (demo.extract(NOTICE, schema=LINE, copy=copy) for copy in (False, True))
    assert free.data == copied.data


def test_an_engine_that_cannot_be_held_to_copies_is_asked_once_more() -> None:
    engine = ScriptedEngine(
        ['{"city": "Paris", "tags": ["Lyon", "Rome"], "mood": "good"}', '{"city": "Lyon", "tags": ["Lyon", "Rome"], "mood": "good"}']
    )
    generation = Session(engine).extract(NOTICE, schema="city, tags list, mood (good|bad)", copy=True)
    assert engine.prompts[0].guide is not None
    assert engine.prompts[0].guide.copy_from == NOTICE
    assert generation.data == {"city": "Lyon", "tags": ["Lyon"], "mood": "good"}
    assert generation.dropped == {"tags[1]": "Rome"}
    assert "city: 'Paris' is not a piece of the text" in generation.notes[0]


def test_ungrounded_values_are_dropped_where_that_is_asked_for() -> None:
    reply = '{"city": "Paris", "founder": "Mira Holtan", "tags": ["Lyon", "Rome"], "maker": {"name": "Arbex", "size": "240 employees"}}'
    line = "city, founder, tags list, maker {name, size quantity}"
    kept = extract(reply, line)
    assert kept.data["city"] == "Paris"  # type: ignore[attr-defined]
    assert kept.dropped == {}  # type: ignore[attr-defined]
    dropped = extract(reply, line, grounded=True)
    assert dropped.data == {  # type: ignore[attr-defined]
        "city": None, "founder": "Mira Holtan", "tags": ["Lyon"], "maker": {"name": None, "size": Quantity(240, "employees", "240 employees")},
    }  # fmt: skip
    assert dropped.dropped == {"city": "Paris", "tags[1]": "Rome", "maker.name": "Arbex"}  # type: ignore[attr-defined]


EXAMPLES = [
    ("Arbex was founded in 1901 by Jo Ban in Rome.", {"founder": "Jo Ban", "year": 1901, "city": "Rome"}),
    {"text": "Nothing is known of Quill.", "data": {}},
]


def test_examples_become_turns_before_the_real_one() -> None:
    engine = ScriptedEngine(['{"founder": null}'])
    session = Session(engine)
    generation = session.extract(NOTICE, schema=LINE, examples=EXAMPLES)
    assert [message.role for message in generation.messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert generation.messages[2].content == '{"founder": "Jo Ban", "year": 1901, "city": "Rome"}'
    assert generation.messages[4].content == '{"founder": null, "year": null, "city": null}'
    assert generation.messages[1].content == generation.messages[5].content.replace(NOTICE, EXAMPLES[0][0])  # type: ignore[index]
    session.extract(NOTICE, schema=LINE, examples=EXAMPLES, chat="c")
    told = session.extract(NOTICE, schema=LINE, examples=EXAMPLES, chat="c")
    assert sum("Quill" in message.content for message in told.messages) == 1


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        (("Arbex was founded.", {"founder": "Jo Ban"}), "Example 1: 'Jo Ban' (founder) does not occur in its text."),
        (("Arbex was founded.", {"year": "soon"}), "Example 1 is not as the schema asks: year: 'soon' is not a whole number."),
        (("Arbex was founded.", {"foundr": "Arbex"}), "has a field 'foundr' that the schema has not."),
        (("Arbex was founded.", "Arbex"), "is not a text with its data"),
        ("Arbex", "is not a text with its data"),
        ({"text": "x"}, "is not a text with its data"),
    ],
)
def test_examples_that_would_mislead_are_refused(example: object, expected: str) -> None:
    engine = ScriptedEngine(["{}"])
    with pytest.raises(OptionError) as error:
        Session(engine).extract(NOTICE, schema=LINE, examples=[example])
    assert expected in str(error.value)
    assert engine.prompts == []


def test_examples_of_other_types_pass() -> None:
    engine = ScriptedEngine(["{}"])
    data = {"day": datetime.date(2024, 3, 12), "mood": "good", "cost": "250 euros", "lines": [{"item": "pen", "n": 2}]}
    text = "On 12 March 2024 two pens were bought for 250 euros; all went well."
    generation = Session(engine).extract(
        NOTICE, schema="day date, mood (good|bad), cost quantity, lines list {item, n int}", examples=[(text, data)]
    )
    assert json.loads(generation.messages[2].content) == {**data, "day": "2024-03-12"}
    many = Session(engine).extract(NOTICE, schema="item, n int", many=True, examples=[("a pen", [{"item": "pen"}])])
    assert many.messages[2].content == '[{"item": "pen", "n": null}]'


RECORDS = '[{"name": "Velmora Systems", "year": 1987, "at": {"city": "Lyon"}}, {"name": "Arbex", "year": null, "at": null}]'


def test_many_gives_a_list_of_records() -> None:
    engine = ScriptedEngine([RECORDS])
    generation = Session(engine).extract(NOTICE, schema="name, year int, at {city}", many=True)
    assert generation.data == [
        {"name": "Velmora Systems", "year": 1987, "at": {"city": "Lyon"}},
        {"name": "Arbex", "year": None, "at": None},
    ]
    assert engine.prompts[0].guide is not None
    assert (engine.prompts[0].guide.json_schema or {})["type"] == "array"
    assert "JSON array" in engine.prompts[0].text
    grounded = Session(engine).extract(NOTICE, schema="name, year int, at {city}", many=True, grounded=True)
    assert grounded.data[1] == {"name": None, "year": None, "at": None}
    assert grounded.dropped == {"[1].name": "Arbex"}


@pytest.mark.parametrize("lang", ["en", "fr", "es", "de"])
def test_many_is_asked_for_in_every_language(lang: str) -> None:
    engine = ScriptedEngine(["[]"])
    session = Session(engine)
    one = session.extract(NOTICE, schema="name", lang=lang).messages[-1].content
    many = session.extract(NOTICE, schema="name", many=True, lang=lang)
    assert many.data == []
    assert many.messages[-1].content.split("\n")[1:] == one.split("\n")[1:]
    assert many.messages[-1].content != one


@dataclasses.dataclass
class Company:
    """A company."""

    name: str
    founded: datetime.date | None
    size: Quantity | None = None


REPLY = '{"name": "Velmora Systems", "founded": "1987-03-12", "size": "240 employees"}'


def test_a_class_comes_back_as_its_instance() -> None:
    generation = Session(ScriptedEngine([REPLY])).extract(NOTICE, schema=Company)
    assert generation.to_object() == Company("Velmora Systems", datetime.date(1987, 3, 12), Quantity(240, "employees", "240 employees"))
    many = Session(ScriptedEngine([f"[{REPLY}]"])).extract(NOTICE, schema=list[Company])
    assert many.to_object() == [generation.to_object()]
    assert Session(ScriptedEngine(["x"])).answer("hi").to_object() is None


def test_a_result_is_plain_data_a_line_and_a_page(tmp_path: Path) -> None:
    generation = Session(ScriptedEngine([REPLY])).extract(NOTICE + " <b>&", schema=Company, lang="en")
    made = generation.to_dict()
    assert made["data"] == {
        "name": "Velmora Systems",
        "founded": "1987-03-12",
        "size": {"value": 240, "unit": "employees", "text": "240 employees"},
    }
    rows = {row["field"]: row for row in made["fields"]}
    assert [*rows] == ["name", "founded", "size"]
    name = rows["name"]
    assert (name["type"], name["status"], NOTICE[name["start"] : name["end"]]) == ("str", "exact", "Velmora Systems")
    assert name["confidence"] is None
    for _ in range(2):
        generation.to_jsonl(tmp_path / "made.jsonl")
    lines = (tmp_path / "made.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [made, made]
    generation.to_html(tmp_path / "made.html")
    page = (tmp_path / "made.html").read_text(encoding="utf-8")
    assert "<b>" not in page.replace("<body", "")
    HTMLParser().feed(page)


def test_tables(demo: Session) -> None:
    pandas = pytest.importorskip("pandas")
    generation = Session(ScriptedEngine([RECORDS])).extract(NOTICE, schema="name, year int, at {city}", many=True)
    frame = generation.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["name"].tolist() == ["Velmora Systems", "Arbex"]
    assert frame["at.city"].tolist()[0] == "Lyon"
    by_field = demo.extract(NOTICE, schema=LINE).to_frame(by="field")
    assert by_field["field"].tolist() == ["founder", "year", "city"]
    assert (by_field["confidence"] > 0).all()
    with pytest.raises(OptionError, match="by 'word'"):
        generation.to_frame(by="word")  # type: ignore[arg-type]


def test_a_table_without_pandas_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    generation = Session(ScriptedEngine(["{}"])).extract(NOTICE, schema="name")
    with pytest.raises(DependencyError) as error:
        generation.to_frame()
    assert "pip install 'llm_magics[frames]'" in error.value.hint


# The magic.


def test_the_magic_takes_a_line_a_variable_or_a_class(shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    scripted._replies = ['{"name": "Velmora", "price": 3}']
    result = shell.run_cell_magic("llm_extract", "--schema 'name, price float: in euros' --grounded", "Velmora costs 3 euros.")
    assert result.data == {"name": "Velmora", "price": 3.0}
    shell.user_ns.update(line="name, price float", kind=Company, hints={"name": "", "price": float})
    for name in ("line", "kind", "hints"):
        assert shell.run_cell_magic("llm_extract", f"--schema {name}", "Velmora.").data["name"] == "Velmora"
    shell.user_ns["told"] = [("Arbex is dear.", {"name": "Arbex"})]
    result = shell.run_cell_magic("llm_extract", "--schema line --examples told --copy", "Velmora costs 3 euros.")
    assert "Arbex is dear." in scripted.prompts[-1].text
    assert scripted.prompts[-1].guide.copy_from == "Velmora costs 3 euros."  # type: ignore[union-attr]
    scripted._replies = ['[{"name": "Velmora"}]']
    assert shell.run_cell_magic("llm_extract", "--schema 'name str' --many", "Velmora.").data == [{"name": "Velmora"}]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--schema kindd", "'kind'"),
        ("--schema 'name, price flaot'", "Did you mean 'float'"),
        ("--schema 'name str' -e 'x: y'", "not both"),
        ("--schema name", "write 'name str'"),
        ("--schema 'name str' --examples tolld", "'told'"),
        ("--schema 'name str' --examples told", "does not occur in its text"),
        ("--schema number", "cannot be made of 3"),
    ],
)
def test_slips_of_the_magic(line: str, expected: str, shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    shell.user_ns.update(kind=Company, told=[("x", {"name": "Arbex"})], number=3)
    with pytest.raises(UsageError) as error:
        shell.run_cell_magic("llm_extract", line, "Velmora.")
    assert expected in str(error.value)
    assert scripted.prompts == []


def test_help_tells_how_to_write_a_schema(shell: InteractiveShell) -> None:
    document = shell.find_magic("llm_extract", "cell").__doc__
    for word in ("--many", "--copy", "--grounded", "--examples", "quantity", "lines list {item, qty int 1..99}"):
        assert word in document


def test_the_decoder_s_limits_are_told_before_the_run(
    shell: InteractiveShell, scripted: ScriptedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted._replies = ['{"a": ["x"]}']
    shell.user_ns["document"] = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    shell.run_cell_magic("llm_extract", "--schema document", "x")
    told = "the decoder cannot keep to $.a: uniqueItems"
    shown = capsys.readouterr().out
    assert told in shown
    assert shown.index(told) < shown.index('{"a"')


def test_schemas_that_cannot_be_used_are_refused_before_the_run() -> None:
    engine = ScriptedEngine(["x"])
    for schema in ({"type": "object", "properties": {"a": {"type": "strange"}}}, "a b c", 3):
        with pytest.raises(SchemaError):
            Session(engine).extract("x", schema=schema)
    assert engine.prompts == []
