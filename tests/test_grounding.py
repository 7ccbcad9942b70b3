"""Grounding: text[start:end] is the value, in every script and every writing."""

# ruff: noqa: RUF001

from __future__ import annotations

import datetime
import random
import string
import time
import unicodedata

import pytest
import regex
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from llm_magics.grounding import fuzzy, ground
from llm_magics.grounding.folding import Source, folded
from llm_magics.values.quantities import Quantity


def one(value: object, text: str, name: str = "x") -> tuple[str, str]:
    """The piece of the text and the status of one value."""
    (span,) = ground({name: value}, text)
    return text[span.start : span.end], span.status


@pytest.mark.parametrize(
    ("value", "text", "piece"),
    [
        ("Acme", "Acme is here.", "Acme"),
        ("東京都", "日本の首都は東京都です。", "東京都"),
        ("serif", "ein serif", "serif"),
        ("서울", "서울은 크다", "서울"),
        ("ירושלים", "בירושלים", "ירושלים"),
        ("שלום", "אמר שלום לכולם", "שלום"),
        ("👩‍💻", "the 👩‍💻 writes", "👩‍💻"),
        (12, "of 12 May", "12"),
        (12500, "It cost 12500.", "12500"),
        (datetime.date(2024, 3, 12), "On 2024-03-12.", "2024-03-12"),
        (-5, "At -5 degrees", "-5"),
        (2.5, "2.5 m", "2.5"),
    ],
)
def test_exact(value: object, text: str, piece: str) -> None:
    assert one(value, text) == (piece, "exact")


@pytest.mark.parametrize(
    ("value", "text", "piece"),
    [
        ("acme", "ACME is", "ACME"),
        ("Café", "Cafe\u0301 Noir", "Cafe\u0301"),
        ("Cafe\u0301", "Café Noir", "Café"),
        ("cafe", "Café Noir", "Café"),
        ("Strasse", "die Straße hier", "Straße"),
        ("istanbul", "İstanbul'da", "İstanbul"),
        ("office", "the oﬃce is", "oﬃce"),
        ("ABC", "x ＡＢＣ y", "ＡＢＣ"),
        ("it's", "say it’s so", "it’s"),
        ('"Zoé"', "at “Zoé” now", "“Zoé”"),
        ("2020-2024", "in 2020–2024.", "2020–2024"),
        ("one two", "one \r\n  two", "one \r\n  two"),
        ("東京都", "東京\n都", "東京\n都"),
        ("Donaudampfschiff", "das Donau\u00addampf\u00adschiff", "Donau\u00addampf\u00adschiff"),
        ("שלום", "שָׁלוֹם", "שָׁלוֹם"),
        ("محمد", "قال مُحَمَّد", "مُحَمَّد"),
        ("12,500 euros", "es 12.500 Euros.", "12.500 Euros"),
        ("$ 1,200.50", "costs $1200.50 in all", "$1200.50"),
        ("5kg", "weighs 5 kg", "5 kg"),
        ("KG", "weighs 5kg", "kg"),
        (12500, "kostet 12.500 Euro", "12.500"),
        (12500.5, "coûte 12\u202f500,50 €", "12\u202f500,50"),
        (1200000, "about 1.2 million people", "1.2 million"),
        (0.12, "a share of 12 %", "12 %"),
        (3.5, "٣٫٥ متر", "٣٫٥"),
        (3, "tres ventanas", "tres"),
        (100000, "1,00,000 rupees", "1,00,000"),
        (datetime.date(2024, 3, 12), "on March 12th, 2024 we", "March 12th, 2024"),
        (datetime.date(2024, 3, 12), "le mardi 12 mars 2024.", "12 mars 2024"),
        (datetime.date(2024, 3, 12), "el 12 de marzo de 2024", "12 de marzo de 2024"),
        (datetime.date(2024, 3, 12), "am 12. März\r\n2024", "12. März\r\n2024"),
        (datetime.date(2024, 3, 12), "12/03/2024", "12/03/2024"),
        (datetime.date(2024, 3, 12), "03/12/2024", "03/12/2024"),
        (datetime.date(2024, 3, 12), "2024年3月12日に", "2024年3月12日"),
        ("2024-03", "in March 2024.", "March 2024"),
        ("12 March 2024", "2024-03-12T09:00", "2024-03-12"),
        (datetime.datetime(2024, 3, 12, 9, 30), "12 March 2024, 9:30", "12 March 2024, 9:30"),
        (Quantity(5, "kg", "5 KG"), "it is 5 kg", "5 kg"),
        ("Acme.", "the Acme is", "Acme"),
    ],
)
def test_normalised(value: object, text: str, piece: str) -> None:
    found = one(value, text)
    assert found[0] == piece
    assert found[1] == ("exact" if value == "Acme." else "normalised")


@pytest.mark.parametrize(
    ("value", "text", "piece"),
    [
        ("Jon Smithe", "by John Smith of", "John Smith"),
        ("Harbor Bridge", "the Harbour Bridge is", "Harbour Bridge"),
        ("the quick brown fox jumps over", "a quick brown foxes jumps over it", "quick brown foxes jumps over"),
    ],
)
def test_fuzzy(value: str, text: str, piece: str) -> None:
    (span,) = ground({"x": value}, text)
    assert (text[span.start : span.end], span.status) == (piece, "fuzzy")
    assert 0.7 < span.score < 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Jane", "by John Smith"),
        ("version 3.1", "it is version 3.2 now"),  # other figures are another value
        ("5", "in 2015 and 3.5"),
        ("us", "the status"),  # a short word inside another
        ("👩", "the 👩‍💻 writes"),  # a part of a character
        ("e", "Cafe\u0301"),
        ("か", "がく"),  # a mark makes another letter
        (7, "in 1970 and 2.7"),
        (5, "below -5 today"),
        (datetime.date(2024, 3, 12), "12 March 2023"),
        ("5 kg", "5 km"),
        ("5 m", "5 miles"),
        (float("1e300"), "none"),
        (10**400, "none"),
        ("12,50012,500", "1,234.567,890.5"),
    ],
)
def test_absent(value: object, text: str) -> None:
    (span,) = ground({"x": value}, text)
    assert (span.start, span.end, span.status, span.score) == (0, 0, "absent", 0.0)


def test_what_is_not_looked_up_has_no_span() -> None:
    assert ground({"a": None, "b": "", "c": "  ", "d": float("nan"), "e": [], "f": {}}, "a b c") == ()


def test_a_boolean_is_found_where_a_form_states_it() -> None:
    text = "No dogs. Night work: oui | parking = no"
    spans = ground({"night_work": True, "parking": False, "dogs": False}, text)
    assert [(span.field, text[span.start : span.end]) for span in spans] == [("night_work", "oui"), ("parking", "no")]
    assert one(True, "tools: true", "tools") == ("true", "exact")


def test_paths_of_nested_values() -> None:
    text = "Made by Acme in Lyon: 2 chairs, 3 tables. red, blue"
    data = {
        "maker": {"name": "Acme", "city": "Lyon"},
        "lines": [{"item": "chairs", "qty": 2}, {"item": "tables", "qty": 3}],
        "tags": ["red", "blue"],
    }
    found = {span.field: text[span.start : span.end] for span in ground(data, text)}
    assert found == {
        "maker.name": "Acme",
        "maker.city": "Lyon",
        "lines[0].item": "chairs",
        "lines[0].qty": "2",
        "lines[1].item": "tables",
        "lines[1].qty": "3",
        "tags[0]": "red",
        "tags[1]": "blue",
    }
    assert [span.field for span in ground({"[0]": {"name": "Acme"}}, text)] == ["[0].name"]


def test_a_word_goes_before_a_part_of_a_word() -> None:
    assert one("art", "a party of Art") == ("Art", "normalised")
    assert one("house", "the household") == ("house", "exact")
    text = "Berliner, Berlin"
    assert ground({"x": "Berlin"}, text)[0].start == 10


def test_of_several_places_the_one_near_the_other_values_is_taken() -> None:
    text = "Paris is far. " * 3 + "x " * 300 + "Ann Lee was born in Paris in 1980. " + "x " * 300 + "Paris again."
    name, city, born = ground({"name": "Ann Lee", "city": "Paris", "born": 1980}, text)
    assert name.start < city.start < born.start
    assert len(city.others) == 4
    assert all(text[start:end] == "Paris" for start, end in city.others)


def test_of_several_places_the_one_after_the_name_of_the_field_is_taken() -> None:
    text = "length 20, width 20, weight 20"
    assert [span.start for span in ground({"weight": 20, "length": 20, "width": 20}, text)] == [28, 7, 17]


def test_records_take_their_places_in_turn() -> None:
    text = "2 apples from Rome; 2 pears from Rome; 2 plums from Rome"
    data = {"lines": [{"qty": 2, "item": item, "city": "Rome"} for item in ("apples", "pears", "plums")]}
    starts = [span.start for span in ground(data, text)]
    assert starts == [0, 2, 14, 20, 22, 33, 39, 41, 52]


# Properties.

WORDS = (
    "Acme", "straße", "STRASSE", "İstanbul", "ﬁnance", "oﬃce", "Café", "Cafe\u0301", "naïve", "東京都", "大阪", "ｱｲｳ", "がくせい", "か\u3099",
    "서울", "ᄒ\u1161ᆫ", "नमस्ते", "हिन्दी", "สวัสดี", "مُحَمَّد", "محمد", "שָׁלוֹם", "שלום", "👩‍💻", "👩‍👩‍👧", "🇫🇷", "👍🏽", "5️⃣", "½", "㎏", "ﷺ", "Ω", "\u2126", "ς",
    "12,500", "12.500", "3.5", "-4", "2024-03-12", "12 März 2024", "“q”", "it’s", "a–b", "\u00ad", "\u200b", "\u202e", "\ud83d\ude00", "\ud800",
    "\r\n", "\n", "\t", "\u3000", "\u00a0", "x\x00y", "e\u0301\u0327", "e\u0327\u0301", "z" + "\u0301" * 30,
)  # fmt: skip
words = (
    st.sampled_from(WORDS)
    | st.text(max_size=6)
    | st.text(st.characters(codec=None, categories=["Cs", "Mn", "Lo", "So", "Cf", "Nd"]), max_size=5)
)
texts = st.lists(st.tuples(words, st.sampled_from(["", " ", "\r\n", ", "])), max_size=12).map(
    lambda pairs: "".join(a + b for a, b in pairs)
)
values = st.one_of(
    words,
    texts,
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.dates(),
    st.datetimes(),
    st.builds(Quantity, st.floats(), words, words),
)
data = st.dictionaries(
    st.text(max_size=5),
    st.recursive(values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=6),
    max_size=4,
)
quick = settings(max_examples=250, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def bounds(text: str) -> set[int]:
    """Where a reader's characters begin and end."""
    cuts, at = {0}, 0
    for cluster in regex.findall(r"[\ud800-\udbff][\udc00-\udfff]|\X", text):
        at += len(cluster)
        cuts.add(at)
    return cuts


@quick
@given(data, texts)
def test_spans_are_whole_characters_of_the_text_whatever_comes(data: dict[str, object], text: str) -> None:
    cuts = bounds(text)
    for span in ground(data, text):
        assert span.status in ("exact", "normalised", "fuzzy", "absent")
        assert (span.start, span.end) == (0, 0) if span.status == "absent" else 0 <= span.start < span.end <= len(text)
        for start, end in ((span.start, span.end), *span.others):
            assert start in cuts
            assert end in cuts


@quick
@given(texts, words.filter(lambda word: bool(word.strip())), texts)
@example("", "a", "\u0301")
@example("1", "2", "")
def test_a_value_between_blanks_is_found_as_it_is(before: str, value: str, after: str) -> None:
    text = f"{before} | {value} | {after}"
    wanted = value.strip()
    (span,) = ground({"x": value}, text)
    place = len(before) + 3 + value.index(wanted)
    if {place, place + len(wanted)} <= bounds(text):
        assert span.status == "exact"
        assert text[span.start : span.end] == wanted


FORMS = (
    lambda value: unicodedata.normalize("NFD", value),
    lambda value: unicodedata.normalize("NFC", value),
    lambda value: unicodedata.normalize("NFKC", value),
    str.upper,
    str.casefold,
    lambda value: value.replace(" ", "\r\n  "),
    lambda value: value.replace("'", "\u2019").replace('"', "\u201d"),
)


@quick
@given(
    texts,
    st.lists(st.sampled_from([word for word in WORDS if len(word) > 1 and any(map(str.isalpha, word))]), min_size=1, max_size=3),
    st.sampled_from(range(len(FORMS))),
    texts,
)
def test_another_form_of_a_value_is_found(before: str, parts: list[str], form: int, after: str) -> None:
    value = " ".join(parts)
    written = FORMS[form](value)
    text = f"{before} | {written} | {after}"
    (span,) = ground({"x": value}, text)
    assert span.status in ("exact", "normalised")
    assert folded(text[span.start : span.end]) == folded(value)
    if span.status == "exact":
        assert text[span.start : span.end] == value


@quick
@given(texts)
def test_the_folded_text_knows_its_way_back(text: str) -> None:
    source = Source(text)
    places = [source.original(at, at + 1) for at in range(len(source.folded))]
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert places == sorted(places)
    assert folded(folded(text)) == folded(text) or not text.isascii()


@quick
@given(st.text("abc ", min_size=1, max_size=12), st.text("abc ", max_size=14))
def test_edits_are_the_edit_distance(value: str, text: str) -> None:
    row = list(range(len(text) + 1))
    for at, char in enumerate(value, 1):
        last, row = row, [at]
        for column, other in enumerate(text, 1):
            row.append(min(last[column] + 1, row[-1] + 1, last[column - 1] + (char != other)))
    assert fuzzy.edits(value, text) == row[-1]


@quick
@given(
    st.floats(min_value=-1e9, max_value=1e9).map(lambda number: round(number, 2)),
    st.sampled_from([(",", "."), (".", ","), (" ", ","), ("\u202f", ","), ("'", ".")]),
)
def test_a_number_is_found_in_every_way_to_group_it(number: float, marks: tuple[str, str]) -> None:
    written = f"{number:,.2f}".translate({44: marks[0], 46: marks[1]})
    text = f"the sum of {written} here"
    (span,) = ground({"x": number}, text)
    if number != 0:
        assert text[span.start : span.end] == written
        assert span.status in ("exact", "normalised")


@quick
@given(st.dates(min_value=datetime.date(1900, 1, 1)), st.sampled_from(["en", "fr", "es", "de"]))
def test_a_date_is_found_in_words(day: datetime.date, lang: str) -> None:
    months = {
        "en": "January February March April May June July August September October November December",
        "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    }
    month = months[lang].split()[day.month - 1]
    written = {
        "en": f"{month} {day.day}, {day.year}",
        "fr": f"{day.day} {month} {day.year}",
        "es": f"{day.day} de {month} de {day.year}",
        "de": f"{day.day}. {month} {day.year}",
    }[lang]
    assert one(day, f"Before {written} it was.") == (written, "normalised")
    assert one(day.isoformat(), f"Before {written} it was.") == (written, "normalised")


@pytest.mark.parametrize("accent", ["e", "é", "漢"])
def test_twenty_values_in_a_long_text_take_less_than_a_second(accent: str) -> None:
    """100,000 characters. All 20 values are in it with an edit or nowhere, so that every way of looking is gone."""
    draw = random.Random(0)
    vocabulary = ["".join(draw.choices(string.ascii_lowercase, k=draw.randint(2, 9))) for _ in range(4000)]
    text = " ".join(draw.choices(vocabulary, k=18_000))[:100_000].replace("e", accent)
    values = {}
    for at in range(20):
        start = draw.randrange(len(text) - 200)
        piece = text[start : start + 8 + 6 * at]
        values[f"f{at}"] = piece[:3] + "Q" + piece[3:] if at % 2 else "".join(draw.choices(string.ascii_lowercase + " ", k=8 + 6 * at))
    began = time.process_time()
    spans = ground(values, text)
    assert time.process_time() - began < 1
    assert {span.status for span in spans} >= {"fuzzy", "absent"}
