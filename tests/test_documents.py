"""Long texts: cut without loss, read in pieces, merged in places of the whole."""

import dataclasses
import datetime
import itertools
import json
import random

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.error import UsageError
from IPython.utils.capture import capture_output

import llm_magics
from llm_magics import display, schema
from llm_magics.documents import LongStream, extract_document
from llm_magics.documents.merging import Part, merge, same
from llm_magics.documents.pieces import Piece, split, whole_at
from llm_magics.engines.scripted import ScriptedEngine
from llm_magics.errors import OptionError, TooLongError
from llm_magics.grounding import ground
from llm_magics.records import Confidence, EngineInfo, Generation, Request, Sampling, Span, Timing
from llm_magics.session import Session


def words(text):
    return len(text.split())


def letters(text):
    return len(text)


# Cutting.

SCRIPTS = [
    "The firm was founded in 1987. Dr. Mira Holt led it until 2003! Was it sold? Nobody knows.",
    "Die Firma wurde 1987 gegründet. Sie gehört z. B. der Holding.\r\n\r\nUnd nun?",
    "この会社は1987年に設立されました。「東京です。」本社は大阪にあります\uff01従業員は二百人。",
    "تأسست الشركة في عام 1987. يقع مقرها في القاهرة؟ نعم.",
    "יוסדה בשנת 1987. המשרד בחיפה. האם נמכרה? לא.",
    "कंपनी की स्थापना 1987 में हुई थी। यह दिल्ली में है॥ क्षत्रिय",
    "e\u0301te\u0301 n\u0303 a\u0308\u0323 Zalgo\u0336\u0301",
    "👩‍👩‍👧‍👦 went home 🏳️‍🌈. 🇫🇷🇩🇪🇪🇸 👍🏽!",
    "| a | b |\n| 1 | 2 |\n- one\n- two\n\n1. first\r\n2. second\t3",
    "ᄀᆨ각ᆨ 한국어. 회사는 서울에 있다.",
    "x" * 90,
    "\n\n \t\r\n",
]
mixed = st.lists(st.one_of(st.sampled_from(SCRIPTS), st.text(max_size=40)), min_size=1, max_size=8).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(text=mixed, room=st.integers(4, 200), part=st.integers(2, 20), shift=st.integers(0, 150))
def test_pieces_hold_every_character_once_beside_the_overlap(text, room, part, shift):
    pieces = split(text, letters, room, room // part, shift)
    assert "".join(text[piece.fresh : piece.end] for piece in pieces) == text
    clusters = {match.end() for match in regex.finditer(r"\X", text)} | {0}
    for piece in pieces:
        assert piece.start <= piece.fresh < piece.end
        assert {piece.start, piece.end} <= clusters
        assert letters(text[piece.start : piece.end]) <= room or not any(piece.start < cut < piece.end for cut in clusters)
    assert all(after.start <= before.end for before, after in itertools.pairwise(pieces))


@given(text=mixed)
def test_whole_characters_are_those_of_unicode(text):
    clusters = {match.end() for match in regex.finditer(r"\X", text)} | {0}
    assert {at for at in range(len(text) + 1) if whole_at(text, at)} <= clusters


@pytest.mark.parametrize(
    ("text", "room", "first"),
    [
        ("One two three. Four five six. Seven eight nine.", 7, "One two three. Four five six. "),
        ("One two three. Then came Dr. Holt with all of them.", 8, "One two three. "),
        ("Eins zwei drei. Das ist z. B. hier so.", 6, "Eins zwei drei. "),
        ("A first line of this\nB second line of it\nC third", 8, "A first line of this\n"),
        ("One two three four.\n\nFive six. Seven eight nine ten.", 8, "One two three four.\n\n"),
        ("Un deux trois.\r\nQuatre cinq six sept huit.", 5, "Un deux trois.\r\n"),
    ],
)
def test_a_cut_falls_at_the_end_of_a_sentence(text, room, first):
    pieces = split(text, words, room)
    assert text[: pieces[0].end] == first


def test_sentences_of_scripts_without_spaces_end_too():
    text = "この会社は設立されました。「東京です。」本社は大阪にあります\uff01"
    ends = {text[piece.end - 1] for piece in split(text, letters, 14)}
    assert ends <= {"。", "」", "\uff01"}
    arabic = "تأسست الشركة في عام 1987؟ يقع مقرها في القاهرة\u06d4 نعم."
    assert arabic[: split(arabic, words, 5)[0].end].strip().endswith("؟")


def test_overlap_is_whole_sentences_of_the_piece_before():
    text = " ".join(f"Sentence number {number} is here." for number in range(40))
    pieces = split(text, words, 25, 10)
    assert len(pieces) > 5
    for before, after in itertools.pairwise(pieces):
        assert after.start < after.fresh == before.end
        assert text[after.start : after.fresh].startswith("Sentence number")
        assert words(text[after.start : after.fresh]) == 10


def test_counting_grows_with_the_text_and_not_with_its_square():
    counted = []
    for size in (200, 400):
        asked = []

        def count(text, asked=asked):
            asked.append(len(text))
            return words(text)

        split(" ".join(f"Sentence number {number} is here." for number in range(size)), count, 60, 8)
        counted.append(sum(asked))
    assert counted[1] < 2.2 * counted[0]


def test_rooms_and_overlaps_that_cannot_be_are_refused():
    with pytest.raises(OptionError):
        split("text", words, 0)
    with pytest.raises(OptionError, match="over half"):
        split("text", words, 10, 6)


# Merging.


def part(text, piece, data, number=0, *, probability=0.9, reason="stop"):
    """What reading ``piece`` of ``text`` gave, grounded as in a run."""
    written = {f"[{at}]": record for at, record in enumerate(data)} if isinstance(data, list) else data
    spans = ground(written, text[piece.start : piece.end])
    sure = {span.field: Confidence(probability, probability) for span in spans}
    timing = Timing(0.0, 0.1, 0.2, 10, 4, 5)
    request = Request("extract", text[piece.start : piece.end])
    info = EngineInfo("scripted", "1", "scripted", "none", "none", 100)
    made = Generation("", "", (), timing, reason, info, request, Sampling(), "id", data=data, spans=spans, confidence=sure)
    return Part(piece, made, number)


TEXT = (
    "Velmora was founded in 1987 in Lyon. It sells lamps and chairs. Much later: Velmora, founded in 1991, moved to Bern. It sells Lamps."
)
HALVES = (Piece(0, 64, 0), Piece(64, len(TEXT), 64))


def spans_hold(text, merged):
    for span in merged.spans:
        assert span.status != "absent", span
        for start, end in ((span.start, span.end), *span.others):
            assert 0 <= start < end <= len(text)


def test_a_value_of_one_piece_stands_beside_the_null_of_the_other():
    merged = merge(TEXT, [part(TEXT, HALVES[0], {"year": 1987, "city": None}), part(TEXT, HALVES[1], {"year": None, "city": "Bern"})])
    assert merged.data == {"year": 1987, "city": "Bern"}
    assert not merged.conflicts
    assert {span.field: TEXT[span.start : span.end] for span in merged.spans} == {"year": "1987", "city": "Bern"}


def test_the_likelier_of_two_values_wins_and_the_other_is_kept():
    merged = merge(TEXT, [part(TEXT, HALVES[0], {"year": 1987}, probability=0.6), part(TEXT, HALVES[1], {"year": 1991}, probability=0.8)])
    assert merged.data == {"year": 1991}
    assert merged.confidence["year"].probability == 0.8
    (conflict,) = merged.conflicts
    assert (conflict.field, conflict.value, conflict.confidence.probability) == ("year", 1987, 0.6)
    assert TEXT[conflict.spans[0].start : conflict.spans[0].end] == "1987"


def test_equally_likely_values_the_earlier_wins():
    merged = merge(TEXT, [part(TEXT, HALVES[0], {"city": "Lyon"}), part(TEXT, HALVES[1], {"city": "Bern"})])
    assert merged.data == {"city": "Lyon"}
    assert [conflict.value for conflict in merged.conflicts] == ["Bern"]


def test_a_value_of_the_text_goes_before_a_likelier_one_that_is_nowhere():
    merged = merge(
        TEXT, [part(TEXT, HALVES[0], {"city": "Lyon"}, probability=0.5), part(TEXT, HALVES[1], {"city": "Xanthippolis"}, probability=0.99)]
    )
    assert merged.data == {"city": "Lyon"}


def test_alike_values_are_one_with_the_places_of_both():
    merged = merge(TEXT, [part(TEXT, HALVES[0], {"name": "Velmora"}), part(TEXT, HALVES[1], {"name": "VELMORA."})])
    assert not merged.conflicts
    (span,) = merged.spans
    places = sorted([(span.start, span.end), *span.others])
    assert [TEXT[start:end].rstrip(",") for start, end in places] == ["Velmora", "Velmora"]
    assert places[0][0] == 0
    assert places[1][0] > 64


def test_lists_are_joined_in_the_order_of_the_text():
    merged = merge(TEXT, [part(TEXT, HALVES[0], {"goods": ["chairs", "lamps"]}), part(TEXT, HALVES[1], {"goods": ["Lamps"]})])
    assert [good.lower() for good in merged.data["goods"]] == ["lamps", "chairs"]
    assert [span.field for span in merged.spans] == ["goods[0]", "goods[1]"]
    spans_hold(TEXT, merged)


def test_nested_values_are_merged_by_their_paths():
    first = {"maker": {"name": "Velmora", "city": None}}
    merged = merge(TEXT, [part(TEXT, HALVES[0], first), part(TEXT, HALVES[1], {"maker": {"name": None, "city": "Bern"}})])
    assert merged.data == {"maker": {"name": "Velmora", "city": "Bern"}}
    assert {span.field for span in merged.spans} == {"maker.name", "maker.city"}


ORDERS = "Ann bought 3 lamps. Bob bought 5 chairs. Ann bought 3 lamps. Cleo bought 7 desks."
LAPPING = (Piece(0, 41, 0), Piece(20, len(ORDERS), 41))


def test_records_of_an_overlap_are_one_and_repeated_ones_stay():
    ann, bob, cleo = {"who": "Ann", "many": 3}, {"who": "Bob", "many": 5}, {"who": "Cleo", "many": 7}
    merged = merge(ORDERS, [part(ORDERS, LAPPING[0], [ann, bob]), part(ORDERS, LAPPING[1], [bob, ann, cleo])], many=True)
    assert merged.data == [ann, bob, ann, cleo]
    assert [ORDERS[span.start : span.end] for span in merged.spans if span.field.endswith("who")] == ["Ann", "Bob", "Ann", "Cleo"]
    starts = [span.start for span in merged.spans if span.field.endswith("who")]
    assert starts == sorted(set(starts))


def test_a_record_that_an_overlap_cut_is_completed():
    cut, whole = {"who": "Bob", "many": None}, {"who": "Bob", "many": 5}
    merged = merge(ORDERS, [part(ORDERS, LAPPING[0], [cut]), part(ORDERS, LAPPING[1], [whole])], many=True)
    assert merged.data == [whole]


def test_a_record_read_in_two_ways_is_one_with_a_conflict():
    low, high = {"who": "Bob", "many": 3}, {"who": "Bob", "many": 5}
    merged = merge(ORDERS, [part(ORDERS, LAPPING[0], [low], probability=0.3), part(ORDERS, LAPPING[1], [high], probability=0.9)], many=True)
    assert merged.data == [high]
    assert [(conflict.field, conflict.value) for conflict in merged.conflicts] == [("[0].many", 3)]


def test_passes_vote():
    whole = Piece(0, len(TEXT), 0)
    readings = [
        part(TEXT, whole, {"city": city}, number, probability=sure)
        for number, (city, sure) in enumerate([("Lyon", 0.99), ("Bern", 0.6), ("Bern", 0.6)])
    ]
    merged = merge(TEXT, readings)
    assert merged.data == {"city": "Bern"}


def test_that_nothing_is_said_is_as_sure_as_its_least_sure_piece():
    silent = [part(TEXT, piece, {"phone": None}) for piece in HALVES]
    sure = [Confidence(0.7, 0.7, runner_up=1), Confidence(0.99, 0.99)]
    parts = [Part(p.piece, dataclasses.replace(p.generation, confidence={"phone": c})) for p, c in zip(silent, sure, strict=True)]
    merged = merge(TEXT, parts)
    assert merged.data == {"phone": None}
    assert merged.confidence["phone"].probability == 0.7


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Lyon", "lyon.", True),
        ("New  York", "new york", True),
        ("\uff4c\uff59\uff4f\uff4e", "Lyon", True),
        ("Lyon", "Bern", False),
        (True, 1, False),
        (1, 1.0, True),
        (datetime.date(2024, 3, 1), "2024-03-01", True),
        (["a", "B"], ["A", "b"], True),
    ],
)
def test_what_counts_as_the_same(one, other, alike):
    assert (same(one) == same(other)) is alike


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), room=st.integers(14, 60))
def test_no_record_is_lost_or_doubled_by_overlaps(seed, room):
    """A reader that finds every order it sees whole: the merge has each order of the text once, at its own place."""
    rng = random.Random(seed)
    names = ["Ann", "Bob", "Cléo", "東京", "Дана"]
    orders = [(rng.choice(names), rng.randint(2, 99)) for _ in range(rng.randint(1, 25))]
    text = " ".join(f"{who} bought {many} fine lamps." for who, many in orders)
    parts = []
    for piece in split(text, words, room, room // 3):
        seen = text[piece.start : piece.end]
        found = [{"who": match[1], "many": int(match[2])} for match in regex.finditer(r"(\w+) bought (\d+) fine lamps\.", seen)]
        parts.append(part(text, piece, found))
        places = [match.span(1) for match in regex.finditer(r"(\w+) bought (\d+) fine lamps\.", seen)]
        # As the text says it: grounding by value alone cannot tell equal records apart.
        spans = tuple(Span(f"[{at}].who", *place, "exact") for at, place in enumerate(places))
        parts[-1] = Part(piece, dataclasses.replace(parts[-1].generation, spans=spans))
    merged = merge(text, parts, many=True)
    assert [(record["who"], record["many"]) for record in merged.data] == orders
    for span, (who, _) in zip(merged.spans, orders, strict=True):
        assert text[span.start : span.end] == who


# Runs.

SCHEMA = schema.from_entities({"name": "", "year": "(int)"})


def long_stream(engine, text, **options):
    fields = {"entities": options.pop("schema", SCHEMA)}
    sampling = options.pop("sampling", Sampling(max_new_tokens=20))
    return LongStream(engine, Request("extract", text, fields=fields, sampling=sampling), **options)


def test_a_long_text_is_read_in_pieces_and_told_as_one():
    text = " ".join(f"Sentence number {number} says nothing." for number in range(40)) + " Velmora began in 1987."
    replies = ['{"name": null, "year": null}'] * 2 + ['{"name": "Velmora", "year": 1987}']
    engine = ScriptedEngine(replies, max_seq_len=160)
    stream = long_stream(engine, text)
    assert stream.total == 3
    seen = []
    generation = stream.run(seen.append)
    assert generation.data == {"name": "Velmora", "year": 1987}
    assert json.loads(generation.text) == generation.data
    assert [text[span.start : span.end] for span in generation.spans] == ["Velmora", "1987"]
    assert [(step.done, step.total) for step in seen] == [(number, 3) for number in range(1, 4)]
    assert seen[-1].tokens == generation.input_tokens + generation.output_tokens
    assert generation.input_tokens == sum(engine.count(prompt.text) for prompt in engine.prompts)
    assert generation.timing.asks == 3
    assert generation.request.text == text
    assert "3 pieces" in generation.notes[0]
    limit = engine.info.max_seq_len - 20
    assert all(engine.count(prompt.text) <= limit for prompt in engine.prompts)


def test_conflicts_are_told():
    text = " ".join(f"Sentence number {number} says 1987 or 1991." for number in range(40))
    engine = ScriptedEngine(['{"name": null, "year": 1987}', '{"name": null, "year": 1991}'], max_seq_len=160)
    generation = long_stream(engine, text).run()
    assert generation.data["year"] == 1987
    assert any(note.startswith("year: 1987 (characters 23 to 27) was taken; 1991 (characters ") for note in generation.notes)


def test_an_interrupt_keeps_what_was_read():
    text = " ".join(f"Velmora sentence {number}." for number in range(120))
    engine = ScriptedEngine(['{"name": "Velmora", "year": null}'], max_seq_len=160)
    stream = long_stream(engine, text)
    generation = stream.run(lambda step: stream.cancel.set() if step.done == 1 else None)
    assert generation.finish_reason == "interrupted"
    assert generation.data["name"] == "Velmora"
    assert len(engine.prompts) == 2
    assert "read in 2 of" in generation.notes[0]


def test_passes_cut_in_other_places_and_draw_other_seeds():
    text = " ".join(f"Sentence number {number} says nothing." for number in range(60))
    engine = ScriptedEngine(['{"name": null, "year": null}'], max_seq_len=160)
    stream = long_stream(engine, text, passes=2, sampling=Sampling(max_new_tokens=20, temperature=0.5, seed=7))
    generation = stream.run()
    assert {prompt.sampling.seed for prompt in engine.prompts} == {7, 8}
    texts = [prompt.text for prompt in engine.prompts]
    assert len(set(texts)) == len(texts)
    assert "in 2 passes" in generation.notes[0]


def test_a_second_pass_over_one_piece_at_temperature_0_is_not_made():
    engine = ScriptedEngine(['{"name": null, "year": null}'], max_seq_len=400)
    stream = long_stream(engine, "A short text.", passes=3)
    assert stream.total == stream.passes == 1


def test_what_cannot_be_read_in_pieces_is_refused_before_anything_runs():
    engine = ScriptedEngine(["{}"], max_seq_len=60)
    with pytest.raises(TooLongError, match="no room for a piece"):
        long_stream(engine, "text")
    engine = ScriptedEngine(["{}"], max_seq_len=400)
    with pytest.raises(OptionError, match="passes"):
        long_stream(engine, "text", passes=0)
    with pytest.raises(OptionError, match="cannot be read in pieces"):
        LongStream(engine, Request("summarize", "text"))
    with pytest.raises(OptionError, match="over half"):
        long_stream(engine, "text " * 500, overlap=10_000)
    assert engine.prompts == []


def far_apart():
    return " ".join(f"Sentence number {number} says nothing." for number in range(40)) + " Velmora began in 1987."


def test_extract_takes_a_long_text_when_it_is_told_to():
    engine = ScriptedEngine(['{"name": null, "year": null}', '{"name": "Velmora", "year": 1987}'], max_seq_len=160)
    session = Session(engine)
    with pytest.raises(TooLongError, match="in pieces with --long"):
        session.extract(far_apart(), {"name": "", "year": "(int)"})
    with pytest.raises(OptionError, match="read in pieces"):
        session.extract("short", {"name": ""}, passes=2)
    with pytest.raises(OptionError, match="conversation"):
        session.extract(far_apart(), {"name": ""}, long=True, chat="talk")
    assert engine.prompts == []
    seen = []
    entities = {"name": "", "year": "(int)"}
    generation = session.extract(far_apart(), entities, long=True, overlap=5, max_new_tokens=20, progress=seen.append)
    assert generation.data == {"name": "Velmora", "year": 1987}
    assert len(seen) == len(engine.prompts) == generation.timing.asks
    again = extract_document(Session(engine), far_apart(), schema="name, year int", overlap=5, max_new_tokens=20)
    assert again.data == generation.data


def test_conflicts_are_in_the_result():
    text = " ".join(f"Sentence number {number} says 1987 or 1991." for number in range(40))
    engine = ScriptedEngine(['{"year": 1987}', '{"year": 1991}'], max_seq_len=160)
    generation = Session(engine).extract(text, {"year": "(int)"}, long=True, max_new_tokens=20)
    (conflict,) = generation.conflicts
    assert (conflict.field, conflict.value) == ("year", 1991)
    (told,) = json.loads(json.dumps(generation.to_dict()))["conflicts"]
    assert told["value"] == 1991
    assert all(text[start:end] == "1991" for start, end in told["places"])
    assert "1991" in repr(generation).split("Note: year", 1)[1]


def test_the_magic_shows_how_far_it_is(shell, capsys):
    engine = ScriptedEngine(['{"name": null}', '{"name": "Velmora"}'], max_seq_len=160)
    shell.magics_manager.registry["LLMMagics"].session = Session(engine)
    result = shell.run_cell_magic("llm_extract", "-e name --long --overlap 5 --max-new-tokens 20", far_apart())
    assert result.data == {"name": "Velmora"}
    shown = capsys.readouterr().out
    total = len(engine.prompts)
    assert f"piece {total} of {total}" in shown
    assert "Velmora" in shown.split(f"piece {total} of {total}")[1]
    with pytest.raises(UsageError, match="Add --long"):
        shell.run_cell_magic("llm_extract", "-e name --passes 2", "A short text.")


def test_a_notebook_shows_a_bar_that_the_report_replaces(shell):
    engine = ScriptedEngine(['{"name": null, "year": null}', '{"name": "Velmora", "year": 1987}'], max_seq_len=160)
    stream = Session(engine).long_stream(far_apart(), {"entities": SCHEMA}, {"max_new_tokens": 20}, overlap=5)
    with capture_output() as captured:
        generation = display.LongLive(stream, notebook=True).run()
    bars, final = captured.outputs[:-1], captured.outputs[-1]
    assert len(bars) == stream.total
    assert all(f'max="{stream.total}"' in bar.data["text/html"] for bar in bars)
    assert "<progress" not in final.data["text/html"]
    assert final.data["text/plain"] == repr(generation)


@pytest.fixture(scope="module")
def session():
    with llm_magics.load("demo", max_seq_len=512) as loaded:
        yield loaded


def test_the_demo_model_finds_what_stands_far_apart(session):
    filler = "More details will follow next week. " * 30
    text = (
        f"Velmora Systems is a company based in Lyon.\r\n\r\n{filler}\r\n\r\nVelmora Systems was founded in 1987 by Mira Holtan. {filler}"
    )
    assert session.engine.count(text) > 512 - 100
    entities = {"founded": "(int) the year in which Velmora Systems was founded", "city": "the city where Velmora Systems is based"}
    fields = {"entities": schema.from_entities(entities)}
    stream = LongStream(session.engine, Request("extract", text, fields=fields, sampling=Sampling(max_new_tokens=64)))
    generation = stream.run()
    assert generation.data == {"founded": 1987, "city": "Lyon"}
    assert {text[span.start : span.end] for span in generation.spans} == {"1987", "Lyon"}
    assert generation.timing.cached_tokens > 0
