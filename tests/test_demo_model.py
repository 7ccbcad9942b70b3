"""What the demonstration model can do, as the README says it: a sample of sets A and B, all of set C."""

from __future__ import annotations

import importlib
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest

from llm_magics import schema
from llm_magics.session import Session

from .conftest import ROOT

FOLDER = ROOT / "examples" / "demo_model"
SCORES = json.loads((FOLDER / "scores.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder() -> Iterator[None]:
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def evaluate(folder: None) -> ModuleType:
    return importlib.import_module("evaluate")


@pytest.fixture(scope="module")
def world(folder: None) -> ModuleType:
    return importlib.import_module("world")


def test_the_metrics(evaluate: ModuleType) -> None:
    counts = evaluate.count_fields(
        {"a": "X", "b": None, "c": True, "d": 2, "e": None}, {"a": "x.", "b": "y", "c": False, "d": 2.0, "e": None}
    )
    assert (counts.right, counts.given, counts.wanted) == (2, 4, 3)
    assert (counts.nulls, counts.nulls_right, counts.bools, counts.bools_right) == (2, 1, 1, 0)
    assert counts.f1 == pytest.approx(4 / 7)
    assert evaluate.kept(["Lyon", "Mira"], "in Lyon") == 0.5
    assert evaluate.chrf(["abc def"], ["abc def"]) == pytest.approx(100)
    assert evaluate.invented("Lyon 1987", "in Lyon", "in Lyon") is True
    assert evaluate.same_answer(["Yes.", "yes"], "YES") is True
    assert evaluate.same_value(True, 1) is False


def test_a_sample_of_set_a_scores_as_the_table_says(evaluate: ModuleType, demo: Session) -> None:
    """The first items of the table; three standard errors of room."""
    done = [(item, evaluate.ask(demo, item)) for item in evaluate.items("A", 8)]
    for task in evaluate.TASKS:
        group = [pair for pair in done if evaluate.task_of(pair[0]) == task]
        found, expected = evaluate.scores(group), SCORES[f"A.{task}"]["all"]
        metric = next(iter(expected))
        scale = 100 if metric == "chrF" else 1
        rate = min(expected[metric] / scale, 0.99)
        room = 3 * (rate * (1 - rate) / len(group)) ** 0.5
        assert found[metric] / scale >= rate - room, (task, found, expected)


def test_the_hand_typed_notices_score_as_the_readme_says(evaluate: ModuleType, demo: Session) -> None:
    rows = json.loads(evaluate.HAND_TYPED.read_text(encoding="utf-8"))
    assert len(rows) == 30
    found = evaluate.hand_typed(demo, rows)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, score in SCORES["C"].items():
        if name != "n":
            assert found[name] == pytest.approx(score, abs=0.035), name
            assert f"{score:.3f}" in readme, name


@pytest.mark.parametrize(
    ("lang", "hello", "unknown"),
    [
        ("en", "Hello World !", "I don't know."),
        ("fr", "Bonjour !", "Je ne sais pas."),
        ("es", "¡Hola!", "No lo sé."),
        ("de", "Guten Tag!", "Das weiß ich nicht."),
    ],
)
def test_small_talk_and_what_it_does_not_know(lang: str, hello: str, unknown: str, demo: Session) -> None:
    greeting = demo.answer(hello, lang=lang)
    assert greeting.finish_reason == "stop"
    assert greeting.text != unknown
    assert len(greeting.text) > 5
    asked = {
        "en": "What is the capital of Mongolia?",
        "fr": "Quelle est la capitale de la Mongolie ?",
        "es": "¿Cuál es la capital de Mongolia?",
        "de": "Was ist die Hauptstadt der Mongolei?",
    }
    assert demo.answer(asked[lang], lang=lang).text == unknown


def test_no_held_out_sentence_is_trained_on(world: ModuleType) -> None:
    train, held = world.load_all()
    taken = world.sayings(held, train)
    assert len(taken) > 6000
    quads = importlib.import_module("align").corpus(train, taken)
    assert len(quads) > 20_000
    assert not [line.source for _, quad in quads for line in quad.values() if world.bare(line.source) in taken]
    generator = importlib.import_module("generate").training(random.Random(1))
    composed = [generator.general.sentence() for _ in range(300)]
    assert not [line.source for made in composed for line in made.quad.values() if world.bare(line.source) in taken]


def test_a_parallel_file_is_read_strictly(world: ModuleType, tmp_path: Path) -> None:
    parallel = importlib.import_module("parallel")
    good = "en: From {date} to {date}.\nfr: Du {date} au {date}.\nes: Del {date} al {date}.\nde: Vom {date} bis zum {date}.\n"
    path = tmp_path / "some.txt"
    path.write_text(good + "\n" + good, encoding="utf-8")
    first, _ = parallel.read(path)
    assert first["de"].slots == {"date", "date_x"}
    for bad, where in (
        (good.replace("fr:", "pt:"), "some.txt:2"),
        (good + "\nen: A", "some.txt:7"),
        (good.replace("{date} al", "{dato} al"), "some.txt:5"),
        (good.replace("de: Vom {date} bis", "de: Bis"), "some.txt:5"),
    ):
        path.write_text(bad, encoding="utf-8")
        with pytest.raises(world.WorldError, match=where):
            parallel.read(path)


def test_phrases_are_aligned_and_put_into_other_sentences(world: ModuleType, tmp_path: Path) -> None:
    np, align = pytest.importorskip("numpy"), importlib.import_module("align")
    train, held = world.load_all()
    taken = world.sayings(held, train)
    quads = align.corpus(train, taken)
    spans = align.align([quad for _, quad in quads[:1500]])
    assert all(len(part) > 1500 for part in spans.values())
    path = tmp_path / "aligned.npz"
    np.savez(path, corpus=align.digest(quads), **spans)
    maker = importlib.import_module("values").Maker(random.Random(2), train, "train")
    fragments = align.Fragments(random.Random(2), train, maker, taken, path)
    made = [fragments.graft("fr", "en") for _ in range(50)]
    assert len({text for text, _ in made}) == 50
    assert all(text and "{" not in text + reply for text, reply in made)
    np.savez(path, corpus=1, **spans)
    with pytest.raises(SystemExit, match="another corpus"):
        align.Fragments(random.Random(2), train, maker, taken, path)


def test_typed_texts_and_lists_of_records_are_as_they_are_asked(folder: None) -> None:
    """What training draws: each value fits its hint, and each free text stands in its notice, whatever was left out of it."""
    generate = importlib.import_module("generate")
    generator = generate.training(random.Random(4))
    assert sum(map(len, generator.documents.by_lang.values())) > 500
    modes = set()
    for _ in range(60):
        for made in (generator._typed("fr"), generator.records("de"), generator._passage("en")):
            asked = schema.from_entities(made.fields["entities"])
            found = json.loads(made.reply)
            modes.add((type(found), made.meta.get("mode")))
            for record in found if isinstance(found, list) else [found]:
                jsonschema.validate(record, asked.json_schema)
                for field in asked.fields:
                    value = record[field.key]
                    if field.type == "str" and value is not None:
                        assert all(one in made.text for one in (value if field.many else [value]))
    assert modes == {(dict, "typed"), (list, None), (dict, "passage")}


def test_a_text_with_a_slip_is_named_with_its_place(folder: None, tmp_path: Path) -> None:
    documents, world = importlib.import_module("documents"), importlib.import_module("world")
    path = tmp_path / "en_01.toml"
    good = """[[text]]
label = "note"
others = ["recipe", "letter"]
text = "Call {first} about the {int_seats:2-9} seats."
fields = [[["who"], ["whom to call"], "{first}"], [["seats"], ["how many seats (int)"], "{int_seats}"]]
asks = [[["Whom?"], "{first}"]]
"""
    path.write_text(good, encoding="utf-8")
    assert len(documents.read(path)) == 1
    for old, new, told in (
        ('"{first}"], [["seats"]', '"Mira"], [["seats"]', "text 1, field 1: 'Mira'"),
        ("{int_seats:2-9}", "{int_seats}", "text 1: {int_seats} needs a range"),
        ('(int)"], "{int_seats}"', '(bool)"], "{int_seats}"', "text 1, field 2"),
        ("Call {first}", "Call {who}", "text 1: unknown slot {who}"),
    ):
        path.write_text(good.replace(old, new), encoding="utf-8")
        with pytest.raises(world.WorldError) as raised:
            documents.read(path)
        assert told in str(raised.value)
