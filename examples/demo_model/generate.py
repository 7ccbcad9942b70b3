"""Draws training and test samples of the seven tasks from a world.

``Generator(rng, world, split).sample()`` gives a Sample; ``encode`` turns it into token ids and a loss mask. Prompts are those of
``llm_magics.prompts``. Run as a script to see some: ``python generate.py --show 20``, or to check many: ``--check 20000``.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from align import Fragments  # noqa: E402
from documents import Documents  # noqa: E402
from notices import Fact, Notice, Sentence, Slips, Thing, Writer, text_of  # noqa: E402
from parallel import Parallel  # noqa: E402
from values import Maker, Split, Value, join  # noqa: E402
from world import LANGS, YES_NO, Field, Kind, Quad, World, load_all, sayings  # noqa: E402

from llm_magics import prompts, schema  # noqa: E402
from llm_magics.records import Message, Request  # noqa: E402

RATES = {"extract": 42, "translate": 46, "answer": 18, "summarize": 7, "describe": 3, "classify": 9, "reformulate": 6}
PATCHED = 0.12  # the share of translations made of phrases put together anew
YES_NO_REPLY = {"en": ("Yes.", "No."), "fr": ("Oui.", "Non."), "es": ("Sí.", "No."), "de": ("Ja.", "Nein.")}
_SYSTEMS = {
    "en": ("You are a helpful assistant.", "Answer briefly.", "You are an expert in reading texts."),
    "fr": ("Tu es un assistant utile.", "Réponds brièvement.", "Tu es expert en lecture de textes."),
    "es": ("Eres un asistente útil.", "Responde brevemente.", "Eres experto en leer textos."),
    "de": ("Du bist ein hilfreicher Assistent.", "Antworte kurz.", "Du bist Experte im Lesen von Texten."),
}
_LIST_MARKS = {
    "en": ("list of", "list"),
    "fr": ("list of", "liste de", "liste"),
    "es": ("list of", "lista de", "lista"),
    "de": ("list of", "liste", "list"),
}
_UNMARKED = re.compile(r"\([^)]*\)")
_NUMERIC = frozenset(("int", "float", "percent", "money", "mass", "length", "area", "data", "count", "year", "duration"))
_APART = frozenset(("bool", "int", "float", "percent", "year"))  # types that do not answer for one another


@dataclass(slots=True)
class Sample:
    """One exchange. ``meta`` holds what an evaluation needs (the language of the text, the facts)."""

    task: str
    lang: str
    text: str
    fields: dict[str, Any]
    reply: str
    history: tuple[Message, ...] = ()
    meta: dict[str, Any] = field(default_factory=dict)
    system: str | None = None
    start: str = ""  # the reply's first characters, put into the prompt
    lead_in: bool = True

    def request(self) -> Request:
        """The Request that a user would make."""
        return Request(self.task, self.text, self.lang, self.fields, system=self.system, history=self.history)


@functools.cache
def _template(lang: str, name: str) -> Any:
    return prompts._templates.from_string(prompts.source(lang, name))


def messages(sample: Sample) -> list[Message]:
    """As ``prompts.messages(sample.request())``, with each template compiled once."""
    values = dict(sample.fields)
    if "to" in values:
        values["to"] = prompts.language_name(values["to"], sample.lang)
    system = prompts.source(sample.lang, "system") if sample.system is None else sample.system
    head = [Message("system", system)] if system else []
    return [*head, *sample.history, Message("user", _template(sample.lang, sample.task).render(text=sample.text, **values))]


@functools.cache
def _lead_in(task: str, lang: str) -> str:
    return prompts.lead_in(Request(task, "", lang, {"to": lang}))


def chat(turns: Sequence[Message]) -> str:
    """The prompt of the chat template (Llama 3.1's form), open for the assistant's reply."""
    body = "".join(f"<|start_header_id|>{turn.role}<|end_header_id|>\n\n{turn.content.strip()}<|eot_id|>" for turn in turns)
    return f"<|begin_of_text|>{body}<|start_header_id|>assistant<|end_header_id|>\n\n"


def pair(sample: Sample) -> tuple[str, str]:
    """The prompt, lead-in and answer start included, and the rest of the reply."""
    lead = _lead_in(sample.task, sample.lang) if sample.lead_in else ""
    return chat(messages(sample)) + lead + sample.start, sample.reply[len(sample.start) :]


def encode(sample: Sample, tokenizer: Any, reader: Any = None) -> tuple[list[int], list[int]]:
    """Token ids and the loss mask: 1 on the reply and its end. ``reader`` is a tokenizer of the prompt's own."""
    prompt, reply = pair(sample)
    before = (reader or tokenizer).encode(prompt, add_special_tokens=False).ids
    after = tokenizer.encode(reply + "<|eot_id|>", add_special_tokens=False).ids
    return before + after, [0] * len(before) + [1] * len(after)


def without_article(noun: str) -> str:
    """``a company`` -> ``company``."""
    head, _, rest = noun.partition(" ")
    return rest if rest and head.lower() in _ARTICLES else noun


_ARTICLES = frozenset("a an un une des una uno unos unas ein eine einen the".split())


def words_of(key: str) -> list[str]:
    """The longer words of a key, in lower case."""
    return [word.lower() for word in re.split(r"[\s_\-'’]+|(?<=[a-zà-ÿ])(?=[A-Z])", key) if len(word) > 2]


def restyle(words: str, rng: random.Random) -> str:
    """A key in another spelling: snake, camel, upper, kebab, spaced."""
    split = [word for word in re.split(r"[\s_\-'’]+|(?<=[a-zà-ÿ])(?=[A-Z])", words) if word]
    if not split:
        return words
    style = rng.randrange(7)
    low = [word.lower() for word in split]
    if style == 0:
        return "_".join(low)
    if style == 1:
        return low[0] + "".join(word.capitalize() for word in low[1:])
    if style == 2:
        return "".join(word.capitalize() for word in low)
    if style == 3:
        return "_".join(low).upper()
    if style == 4:
        return "-".join(low)
    if style == 5:
        return " ".join(low)
    return " ".join(split).capitalize()


def abbreviated(words: str, rng: random.Random) -> str:
    """A short form of a key."""
    split = [word for word in re.split(r"[\s_\-'’]+", words.lower()) if word]
    style = rng.randrange(3)
    if style == 0:
        return "_".join(word[:3] for word in split)
    if style == 1:
        return "".join(char for char in "".join(split) if char not in "aeiouàâäéèêëîïôöûüáíóú")[:5] or split[0][:4]
    return "".join(word[0] for word in split) if len(split) > 1 else split[0][:4]


class Generator:
    """Draws samples. ``banned`` are wordings never to be used; ``long`` is the share of long texts.

    For training only: ``taken`` (the held-out sayings) adds the general sentences that are not among them, and ``hard`` is the
    share of samples from crowded notices with more that is absent.
    """

    def __init__(
        self,
        rng: random.Random,
        world: World,
        split: Split = "train",
        banned: frozenset[str] = frozenset(),
        long: float = 0.03,
        taken: frozenset[str] | None = None,
        hard: float = 0.0,
    ) -> None:
        self.rng = rng
        self.world = world
        self.maker = Maker(rng, world, split)
        self.general = None if taken is None else Parallel(rng, self.maker, taken)
        self.writer = Writer(rng, world, self.maker, banned, self.general)
        self.fragments: Fragments | None = None
        self.documents: Documents | None = None
        self.hard = hard
        self.crowded = False  # whether this sample is a hard one
        self.banned = banned
        self.long = long
        self.frames = world.frames
        self._tasks, self._weights = [*RATES], [*RATES.values()]
        self._kinds = [*world.kinds.values()]
        self._foreign = [(kind, made) for kind in self._kinds for made in kind.fields.values()]

    # shared parts

    def sample(self, task: str | None = None, lang: str | None = None) -> Sample:
        """One sample."""
        rng = self.rng
        task = task or rng.choices(self._tasks, self._weights)[0]
        self.crowded = task in ("extract", "answer") and rng.random() < self.hard
        made: Sample = getattr(self, task)(lang or rng.choice(LANGS))
        roll = rng.random()
        if roll < 0.07:
            made.system = ""
        elif roll < 0.12:
            made.system = rng.choice(_SYSTEMS[made.lang])
        if task == "translate" and rng.random() < 0.1:
            made.lead_in = False
        if rng.random() < 0.06 and task not in ("classify",):
            self._start(made)
        return made

    def _start(self, made: Sample) -> None:
        """Moves the reply's first words into the prompt."""
        words = [match.end() for match in re.finditer(r"\S+", made.reply)]
        if made.task == "extract":
            made.start = made.reply[: made.reply.find('"') + 1] if self.rng.random() < 0.5 else made.reply[0]
        elif len(words) > 2:
            made.start = made.reply[: words[self.rng.randrange(min(6, len(words) - 1))]]
        made.lead_in = made.lead_in and not made.start

    def _other(self, lang: str) -> str:
        return lang if self.rng.random() < 0.85 else self.rng.choice(LANGS)

    def _notice(self, reach: int = 18, **options: Any) -> Notice:
        rng = self.rng
        blocks = rng.randint(2, reach) if rng.random() < self.long else 0
        return self.writer.notice(blocks=blocks, crowd=0.75 if self.crowded else 0.22, **options)

    def _written(self, notice: Notice, lang: str) -> str:
        slips = Slips(self.rng, lang, heavy=False) if self.rng.random() < 0.12 else None
        return notice.render(lang, slips)

    def _line(self, quad: Quad, lang: str, thing: Thing | None = None, **values: str) -> str:
        given = {name: Value("text", text) for name, text in values.items()}
        if thing is not None:
            given["name"] = thing.name
        return text_of(quad, given, lang)

    def _title(self, made: Field, lang: str) -> str:
        return self.rng.choice(made.titles)[lang].source

    def _frame(self, name: str, lang: str, /, **values: str) -> str:
        text = self._line(self.rng.choice(self.frames[name]), lang, None, **values)
        return text

    # extract

    def _key(self, made: Field, lang: str) -> tuple[str, bool]:
        """A key for a field, and whether it tells what is meant."""
        rng = self.rng
        roll = rng.random()
        if roll < 0.07:
            return rng.choice(
                (
                    f"x{rng.randint(1, 9)}",
                    rng.choice("abcdefgkmnpqrstvwxyz"),
                    f"field_{rng.randint(1, 20)}",
                    f"q{rng.randint(1, 12)}",
                    f"v{rng.randint(1, 30)}",
                    f"col{rng.randint(1, 9)}",
                    f"?{rng.randint(1, 9)}",
                )
            ), False
        where = rng.choice(LANGS) if roll < 0.13 else lang
        pool = made.keys[where] or tuple(title[where].source for title in made.titles)
        key = rng.choice(pool) if rng.random() < 0.8 else self._title(made, where)
        if roll < 0.18:
            return abbreviated(key, rng), False
        if roll < 0.24 and made.type in ("int", "count"):
            return rng.choice(("# ", "nb_", "num_", "n_", "#", "no. of ")) + key, True
        if rng.random() < 0.35:
            key = restyle(key, rng)
        return key, where == lang

    def _words(self, made: Field, lang: str, thing: Thing | None) -> str:
        """The wording of a hint, without mark."""
        rng = self.rng
        roll = rng.random()
        own = [quad for quad in made.hints if not quad["en"].slots - {"name"}] if roll < 0.6 else []
        if own:
            quad = rng.choice(own)
            if thing is not None or not quad["en"].slots:
                return self._line(quad, lang, thing)
        if roll < 0.74:
            quad = rng.choice(made.asks)
            if not quad["en"].slots - ({"name"} if thing is not None else set()):
                return self._line(quad, lang, thing)
        return self._frame("hint", lang, title=self._title(made, lang))

    def _hint(self, made: Field, lang: str, thing: Thing | None, named: bool) -> str:
        rng = self.rng
        hint = self._words(made, lang, thing)
        while hint in self.banned:
            hint = self._frame("hint", lang, title=self._title(made, lang))
        if rng.random() < 0.1:
            note = rng.choice(self.frames["note"])[lang].source
            hint += note if note.startswith(",") else " " + note
        if thing is not None and (named or rng.random() < 0.04):
            hint = self._frame("of", lang, name=thing.name.text(lang), hint=hint)
        if rng.random() < 0.08:
            hint = hint[:1].upper() + hint[1:]
        elif rng.random() < 0.04:
            hint = hint.lower() if thing is None else hint
        return hint

    def _marked(self, hint: str, mark: str) -> str:
        rng = self.rng
        if not hint:
            return f"({mark})"
        roll = rng.random()
        spaces = [match.start() for match in re.finditer(" ", hint)]
        if roll < 0.45 or (roll > 0.8 and not spaces):
            return f"({mark}) {hint}"
        if roll < 0.8:
            return f"{hint} ({mark})"
        at = rng.choice(spaces)
        return f"{hint[:at]} ({mark}){hint[at:]}"

    def _asked(self, made: Field, fact: Fact | None, written: str | None, lang: str, text_lang: str, kind: str) -> tuple[str, Any]:
        """The type mark ("" for none) and the JSON value. ``fact`` None: the text does not say."""
        rng = self.rng
        roll = rng.random()
        kind_of = made.type
        if kind_of == "bool":
            if roll < 0.87:
                return rng.choice(("bool", "bool", "bool", "boolean")), fact
            yes, no = YES_NO[lang]
            mark = f"{yes}|{no}" if rng.random() < 0.7 else f"one of {yes}, {no}"
            return mark, None if fact is None else yes if fact else no
        value = fact if isinstance(fact, Value) else None
        if kind_of.startswith("list:"):
            mark = rng.choice(_LIST_MARKS[lang]) if rng.random() < 0.6 else "list of"
            if roll < 0.12:
                mark = "list of str"
            return mark, None if value is None else [part.text(text_lang) for part in value.parts]
        if kind_of in ("date", "month") and roll < 0.42:
            return "date", value.typed if value else None
        if kind_of == "year" and roll < 0.06:
            return "date", str(value.typed) if value else None
        if kind_of in _NUMERIC:
            typed = value.typed if value else None
            whole = typed is None or isinstance(typed, int)
            integral = kind_of in ("int", "count", "year", "duration")
            if integral and roll < 0.36:
                return rng.choice(("int", "int", "int", "integer")), typed
            if (integral and roll < 0.41) or (not integral and roll < 0.32):
                return rng.choice(("float", "float", "number")), typed
            if not integral and whole and roll < 0.42:
                return "int", typed
        if kind_of.startswith("choice:") and roll < 0.32 or roll > 0.97:
            return self._choices(made, value, lang, text_lang, kind)
        if roll > 0.90:
            return rng.choice(("str", "str", "text", "string")), written
        return "", written

    def _choices(self, made: Field, value: Value | None, lang: str, text_lang: str, kind: str) -> tuple[str, Any]:
        rng = self.rng
        listed = made.type.startswith("choice:")
        where = lang if listed else text_lang
        right = value.text(where) if value else None
        options = [right] if right else []
        for _ in range(rng.randint(1, 5) + (right is None)):
            other = self.maker.value(made.type, f"{kind}.{made.name}").text(where)
            if other not in options and not any(mark in other for mark in "|,()"):
                options.append(other)
        if any(mark in option for option in options for mark in "|,()") or len(options) < 2:
            return "", value.text(text_lang) if value and not listed else ("" if value is None else value.text(text_lang)) or None
        rng.shuffle(options)
        mark = "|".join(options) if rng.random() < 0.75 else " | ".join(options) if rng.random() < 0.5 else "one of " + ", ".join(options)
        return mark, right

    def _entity(
        self, made: Field, kind: str, fact: Fact | None, written: str | None, lang: str, text_lang: str, thing: Thing | None, named: bool
    ) -> tuple[str, str, Any]:
        rng = self.rng
        key, telling = self._key(made, lang)
        while key in self.banned:
            key, telling = self._key(made, lang) if rng.random() < 0.8 else (f"x{rng.randint(1, 99)}", False)
        mark, value = self._asked(made, fact, written, lang, text_lang, kind)
        if telling and not named and rng.random() < 0.2:
            hint = ""
        else:
            hint = self._hint(made, lang, thing, named)
        plain = schema.parse_hint(key, hint)
        if plain.type != "str" or plain.many:  # the wording holds a mark of its own
            hint = self._title(made, lang) if not named or thing is None else f"{thing.name.text(lang)}: {self._title(made, lang)}"
        return key, self._marked(hint, mark) if mark else hint, value

    def extract(self, lang: str, notice: Notice | None = None) -> Sample:
        """Several values of a notice, as JSON."""
        rng = self.rng
        if self.documents is not None and notice is None:
            roll = rng.random()
            if roll < 0.22:
                return self._typed(lang)
            if roll < 0.30:
                return self.records(lang)
            if roll < 0.36:
                return self._passage(lang)
        text_lang = self._other(lang)
        notice = notice or self._notice()
        text = self._written(notice, text_lang)
        thing = notice.things[0] if len(notice.things) == 1 or rng.random() < 0.7 else rng.choice(notice.things)
        present = [*thing.stated]
        rng.shuffle(present)
        count = min(14, 1 + int(rng.expovariate(1 / 3.8)), 2 * len(present) + 1)
        rows: list[tuple[str, str, Any]] = []
        facts: list[tuple[str, str]] = []
        for name in present[: max(1, round(count * rng.uniform(0.3 if self.crowded else 0.6, 1.15)))]:
            made = thing.kind.fields[name]
            fact = thing.facts[name]
            written = None if isinstance(fact, bool) else notice.as_written(thing, name, text_lang)
            rows.append(self._entity(made, thing.kind.name, fact, written, lang, text_lang, thing, self._ambiguous(notice, thing, made)))
            facts.append((name, made.type))
        absent = [made for made in thing.kind.fields.values() if made.name not in thing.stated]
        rng.shuffle(absent)
        absent.sort(key=lambda made: made.name not in thing.denied)
        while len(rows) < count:
            roll = rng.random()
            if roll < 0.62 and absent:
                made = absent.pop(0) if rng.random() < 0.5 else absent.pop()
                rows.append(self._entity(made, thing.kind.name, None, None, lang, text_lang, thing, self._ambiguous(notice, thing, made)))
            elif roll < 0.84:
                row = self._foreign_row(notice, lang, text_lang)
                if row:
                    rows.append(row)
            elif roll < 0.92 and self.documents is not None:
                rows.append(self._stranger_row(notice, thing, lang, text_lang))
            else:
                rows.append(self._nothing(lang, thing))
        if len(notice.things) == 1 and self._place(notice, thing) < 999 and rng.random() < 0.22:
            rows.append(self._name_row(lang, thing))
        rng.shuffle(rows)
        entities: dict[str, str] = {}
        values: dict[str, Any] = {}
        for key, hint, value in rows:
            if key not in entities:
                entities[key], values[key] = hint, value
        return Sample(
            "extract",
            lang,
            text,
            {"entities": entities},
            json.dumps(values, ensure_ascii=False),
            meta={"text_lang": text_lang, "values": values},
        )

    def _typed(self, lang: str) -> Sample:
        """Some of what may be asked about a text as people type them."""
        rng = self.rng
        assert self.documents is not None
        drawn = self.documents.draw(lang)
        while not drawn.fields:
            drawn = self.documents.draw(lang)
        entities: dict[str, str] = {}
        values: dict[str, Any] = {}
        for key, hint, value in rng.sample(drawn.fields, rng.randint(1, len(drawn.fields))):
            roll = rng.random()
            key = restyle(key, rng) if roll < 0.25 else f"x{rng.randint(1, 40)}" if roll < 0.3 else key
            if key not in entities and key not in self.banned:
                entities[key], values[key] = hint, value
        if not entities:
            return self._typed(lang)
        reply = json.dumps(values, ensure_ascii=False)
        meta = {"text_lang": lang, "values": values, "mode": "typed"}
        return Sample("extract", lang, self._amid(drawn.text, lang), {"entities": entities}, reply, meta=meta)

    def _amid(self, text: str, lang: str) -> str:
        """The text, now and then with general sentences before or after it: there are few such texts, and many passes over them."""
        rng = self.rng
        if self.general is None or rng.random() < 0.7:
            return text
        said = Notice([], [self.general.sentence(plain=True) for _ in range(rng.randint(1, 4))]).render(lang)
        return text + "\n\n" + said if rng.random() < 0.6 else said + "\n\n" + text

    def _passage(self, lang: str) -> Sample:
        """A passage of a long text: fields of a thing that it mentions in a few sentences, or not at all, among notices of others."""
        rng = self.rng
        thing = self.writer.thing()
        names = rng.sample([*thing.kind.fields], rng.randint(2, 7))
        told = []
        for name in names[: rng.choice((0, 0, 1, 1, 2, 3))]:
            before = dict(thing.stated)
            one = self.writer._state(thing, name, "", True)
            if one is not None and "name" in one.quad["en"].slots:
                told.append(one)
            else:
                thing.stated = before
        paragraphs = [self.writer.notice(size=rng.randint(1, 6)).render(lang) for _ in range(rng.randint(1, 6))]
        for one in told:
            at = rng.randrange(len(paragraphs))
            paragraphs[at] = Notice([thing], [one]).render(lang) + rng.choice((" ", "\n\n")) + paragraphs[at]
        notice = Notice([thing], [])
        rows = []
        for name in names:
            fact = thing.facts[name] if name in thing.stated else None
            written = notice.as_written(thing, name, lang) if isinstance(fact, Value) else None
            rows.append(self._entity(thing.kind.fields[name], thing.kind.name, fact, written, lang, lang, thing, True))
        values = {key: value for key, _, value in reversed(rows)}
        entities = {key: hint for key, hint, _ in reversed(rows)}
        reply = json.dumps(values, ensure_ascii=False)
        text = "\n\n".join(paragraphs)
        return Sample("extract", lang, text, {"entities": entities}, reply, meta={"text_lang": lang, "values": values, "mode": "passage"})

    def records(self, lang: str) -> Sample:
        """A list of records: the same fields of every thing of one kind that a text is about; none of another kind."""
        rng = self.rng
        kind = rng.choice(self._kinds)
        things = [self.writer.thing(kind) for _ in range(rng.choices((0, 1, 2, 3, 4, 5, 6), (5, 12, 26, 25, 16, 10, 6))[0])]
        names = rng.sample([*kind.fields], rng.randint(1, 4))
        notice = self._table(things, names, lang) if len(things) > 1 and rng.random() < 0.2 else self._many(things, names)
        text = notice if isinstance(notice, str) else self._written(notice, lang)
        rows = [(None, *self._name_row(lang, things[0] if things else self.writer.thing(kind)))]
        for name in names:
            rows.append((name, *self._column(kind, name, [thing.facts[name] for thing in things if name in thing.stated], lang)))
        rows = [row for at, row in enumerate(rows) if row[1] not in [other[1] for other in rows[:at]]]
        found = []
        for thing in things:
            record: dict[str, Any] = {}
            for name, key, hint, _ in rows:
                if name is None:
                    record[key] = thing.name.text(lang)
                elif name not in thing.stated:
                    record[key] = None
                else:
                    record[key] = self._as_asked(schema.parse_hint(key, hint), thing, name, notice, lang)
            found.append(record)
        entities = {key: hint for _, key, hint, _ in rows}
        fields = {"entities": entities, "many": True}
        return Sample("extract", lang, text, fields, json.dumps(found, ensure_ascii=False), meta={"text_lang": lang, "values": found})

    def _column(self, kind: Kind, name: str, facts: Sequence[Fact], lang: str) -> tuple[str, str, Any]:
        """A field asked of several things, with a mark that fits each one's value."""
        whole = [isinstance(fact, Value) and isinstance(fact.typed, int) for fact in facts]
        fact = facts[whole.index(False)] if False in whole else facts[0] if facts else None
        written = fact.text(lang) if isinstance(fact, Value) else None
        while True:
            row = self._entity(kind.fields[name], kind.name, fact, written, lang, lang, None, False)
            if schema.parse_hint(row[0], row[1]).type != "choice":  # its options would be made from one thing's value
                return row

    def _many(self, things: Sequence[Thing], names: Sequence[str]) -> Notice:
        """A notice about several things of a kind, or about something else."""
        rng = self.rng
        if not things:
            return self.writer.notice(others=False)
        style = "label" if rng.random() < 0.15 else ""
        groups = []
        for thing in things:
            opening = bool(style) or rng.random() < 0.5
            groups.append(self.writer.facts(thing, rng.randint(1, 5), named=not opening, style=style, opening=opening, first=names))
            if not any("name" in sentence.quad["en"].slots for sentence in groups[-1]):
                groups[-1].insert(0, Sentence(rng.choice(thing.kind.opens), {"name": thing.name}))
        notice = Notice([*things], [sentence for group in groups for sentence in group])
        self.writer.lay_out(notice, style, [len(group) for group in groups])
        return notice

    def _table(self, things: Sequence[Thing], names: Sequence[str], lang: str) -> str:
        """A table: a line of titles, a line for each thing."""
        rng = self.rng
        mark = rng.choice((" | ", "\t", "; ", ",  "))
        empty = rng.choice(("-", "", "?", "n/a"))
        yes_no = YES_NO[lang]
        noun = self._noun(things[0].kind, lang)
        lines = [mark.join([noun[:1].upper() + noun[1:], *(self._title(things[0].kind.fields[name], lang) for name in names)])]
        for thing in things:
            cells = [thing.name.text(lang)]
            for name in names:
                if rng.random() < 0.15:
                    cells.append(empty)
                    continue
                fact = self.writer.fact(thing, name)
                thing.stated[name] = ""
                cells.append(fact.text(lang) if isinstance(fact, Value) else yes_no[0] if fact else yes_no[1])
            lines.append(mark.join(cells))
        return "\n".join(lines)

    def _as_asked(self, asked: schema.Field, thing: Thing, name: str, notice: Notice | str, lang: str) -> Any:
        """A thing's value in the type that a hint's mark asks for."""
        fact = thing.facts[name]
        if isinstance(fact, bool):
            return fact if asked.type == "bool" else YES_NO[lang][0 if fact else 1]
        if asked.many:
            return [part.text(lang) for part in fact.parts]
        if asked.type in ("int", "float"):
            return fact.typed
        if asked.type == "date":
            return str(fact.typed)
        return fact.text(lang) if isinstance(notice, str) else notice.as_written(thing, name, lang)

    def _name_row(self, lang: str, thing: Thing) -> tuple[str, str, Any]:
        """The subject's own name asked for."""
        rng = self.rng
        noun = self._noun(thing.kind, lang)
        form = rng.choice(self.frames["name_key"])
        key = self._line(form, lang, None, noun=noun) if rng.random() < 0.85 else f"x{rng.randint(1, 9)}"
        telling = "name" in form["en"].source  # "title" or "identifier" alone could mean another fact
        hint = self._frame("name_hint", lang, noun=noun) if rng.random() < 0.7 or not telling or key[1:].isdigit() else ""
        if rng.random() < 0.35:
            key = restyle(key, rng)
        if key in self.banned:
            key = f"x{rng.randint(1, 99)}"
            hint = hint or self._frame("name_hint", lang, noun=noun)
        return key, hint, thing.name.text(lang)

    def _ambiguous(self, notice: Notice, thing: Thing, made: Field) -> bool:
        """Whether another thing of the notice says something that could pass for this field."""
        for other in notice.things:
            if other is thing:
                continue
            for name in (*other.stated, *sorted(other.denied)):
                theirs = other.kind.fields[name]
                if name == made.name or (theirs.type == made.type and made.type not in _APART) or other.kind is thing.kind:
                    return True
        return False

    def _foreign_row(self, notice: Notice, lang: str, text_lang: str) -> tuple[str, str, Any] | None:
        """A field of another kind that nothing in the notice could answer."""
        kind, made = self.rng.choice(self._foreign)
        said: set[str] = set()
        for thing in notice.things:
            if thing.kind is kind:
                return None
            for name in thing.stated:
                theirs = thing.kind.fields[name]
                if name == made.name or (theirs.type == made.type and made.type not in _APART):
                    return None
                said.update(word for key in theirs.keys[lang] for word in words_of(key))
        key, hint, value = self._entity(made, kind.name, None, None, lang, text_lang, None, False)
        if not _UNMARKED.sub("", hint).strip() and said.intersection(words_of(key)):
            return None  # the bare key could pass for a stated fact: "address" where an e-mail address is given
        return key, hint, value

    def _stranger_row(self, notice: Notice, thing: Thing, lang: str, text_lang: str) -> tuple[str, str, Any]:
        """What the text says of its thing, asked about another of the same kind, which it does not name."""
        stranger = self.writer.thing(thing.kind)
        made = thing.kind.fields[self.rng.choice([*thing.stated] or [*thing.kind.fields])]
        return self._entity(made, thing.kind.name, None, None, lang, text_lang, stranger, True)

    def _nothing(self, lang: str, thing: Thing) -> tuple[str, str, Any]:
        """A hint that no notice answers."""
        rng = self.rng
        quad = rng.choice(self.world.none_hints)
        hint = self._line(quad, lang, thing)
        key = rng.choice((restyle(hint if "name" not in quad["en"].slots else "other", rng), f"x{rng.randint(10, 99)}", hint.split(" ")[0]))
        mark = rng.choice(("", "", "", "", "bool", "int", "date", "list of", "float"))
        plain = schema.parse_hint(key, hint)
        if plain.type != "str" or plain.many:
            mark = ""
        if not key or key in self.banned:
            key = f"x{rng.randint(10, 99)}"
        return key, self._marked(hint, mark) if mark else hint, None

    # answer

    def _question(self, made: Field, lang: str, thing: Thing, named: bool) -> str:
        question = self._asked_how(made, lang, thing, named)
        while question in self.banned:
            question = self._asked_how(made, lang, thing, named)
        if self.rng.random() < 0.16:
            question = self._frame("ask", lang, ask=question)
        if self.rng.random() < 0.05:
            question = question.rstrip("?. ").strip("¿")
        return question

    def _asked_how(self, made: Field, lang: str, thing: Thing, named: bool) -> str:
        rng = self.rng
        if rng.random() < 0.8 or made.type == "bool":
            pool = [quad for quad in made.asks if not quad["en"].slots - {"name"} and (not named or quad["en"].slots)]
            question = (
                self._line(rng.choice(pool), lang, thing)
                if pool
                else self._line(self.frames["what"][1], lang, thing, title=self._title(made, lang))
            )
        else:
            pool = [quad for quad in self.frames["what"] if not named or "name" in quad["en"].slots]
            question = self._line(rng.choice(pool), lang, thing, title=self._title(made, lang))
            question = question[:1].upper() + question[1:]
        return question

    def _asking(self, text: str, question: str, lang: str) -> str:
        """Text and question in one of many layouts."""
        rng = self.rng
        roll = rng.random()
        if roll < 0.1:
            question = self._frame("over", lang, ask=question)
        label = self._frame("text", lang) if rng.random() < 0.18 else ""
        if label:
            text = label + rng.choice((" ", "\n", "\n\n")) + text
        if rng.random() < 0.05:
            text = rng.choice(('"""\n{}\n"""', "```\n{}\n```", '"{}"', "---\n{}\n---", "« {} »")).format(text)
        gap = rng.choices(("\n\n", "\n", " ", "\n\n\n"), (62, 24, 10, 4))[0]
        whole = f"{text}{gap}{question}" if rng.random() < 0.62 else f"{question}{gap if gap != ' ' else chr(10)}{text}"
        if rng.random() < 0.08:
            whole += "\n" + rng.choice(("", "\n")) + self._frame("answer", lang)
        return whole

    def _reply(self, notice: Notice, thing: Thing, made: Field, lang: str, text_lang: str) -> str:
        fact = thing.facts[made.name]
        if isinstance(fact, bool):
            return YES_NO_REPLY[lang][0 if fact else 1]
        return notice.as_written(thing, made.name, text_lang)

    def answer(self, lang: str) -> Sample:
        """A question about a text, or small talk, or a question that nothing here answers."""
        rng = self.rng
        unknown = self.world.unknown_reply[lang].source
        roll = rng.random()
        if roll < 0.09:
            talk = rng.choice(self.world.talks)
            return Sample(
                "answer", lang, self._casual(rng.choice(talk.asks)[lang].source), {}, talk.reply[lang].source, meta={"mode": "talk"}
            )
        if roll < 0.15:
            return Sample(
                "answer", lang, self._casual(rng.choice(self.world.unknown_asks)[lang].source), {}, unknown, meta={"mode": "unknown"}
            )
        if roll < 0.19:
            thing = self.writer.thing()
            made = rng.choice([*thing.kind.fields.values()])
            return Sample("answer", lang, self._casual(self._question(made, lang, thing, True)), {}, unknown, meta={"mode": "unknown"})
        if self.documents is not None and rng.random() < 0.22:
            return self._typed_answer(self.documents, lang)
        text_lang = self._other(lang)
        notice = self._notice()
        text = self._written(notice, text_lang)
        thing = notice.things[0] if rng.random() < 0.7 else rng.choice(notice.things)
        first, reply, mode = self._turn(notice, thing, lang, text_lang)
        if rng.random() < 0.14:
            second, answer, mode = self._turn(notice, thing, lang, text_lang)
            history: list[Message] = []
            if rng.random() < 0.7:
                history = [Message("user", self._asking(text, first, lang)), Message("assistant", reply)]
            else:
                earlier = (
                    self._summary_sample(notice, text, lang, text_lang)
                    if rng.random() < 0.5
                    else self._description(notice, text, lang, text_lang)
                )
                history = [messages(earlier)[-1], Message("assistant", earlier.reply)]
            return Sample("answer", lang, second, {}, answer, tuple(history), {"mode": mode, "text_lang": text_lang, "turns": 2})
        return Sample("answer", lang, self._asking(text, first, lang), {}, reply, meta={"mode": mode, "text_lang": text_lang})

    def _typed_answer(self, documents: Documents, lang: str) -> Sample:
        """A question about a text as people type them."""
        drawn = documents.draw(lang)
        while not drawn.asks:
            drawn = documents.draw(lang)
        question, answer = self.rng.choice(drawn.asks)
        if answer is None:
            reply = self.world.unknown_reply[lang].source
        else:
            reply = answer if isinstance(answer, str) else YES_NO_REPLY[lang][0 if answer else 1]
        text = self._asking(self._amid(drawn.text, lang), question, lang)
        return Sample("answer", lang, text, {}, reply, meta={"mode": "typed", "text_lang": lang})

    def _turn(self, notice: Notice, thing: Thing, lang: str, text_lang: str) -> tuple[str, str, str]:
        """A question, its reply and its sort."""
        rng = self.rng
        unknown = self.world.unknown_reply[lang].source
        roll = rng.random()
        if roll < 0.04 and len(notice.things) == 1 and self._place(notice, thing) < 999:
            return self._frame("name_ask", lang, noun=self._noun(thing.kind, lang)), thing.name.text(text_lang), "value"
        if roll < 0.76 and thing.stated:
            made = thing.kind.fields[rng.choice([*thing.stated])]
            named = self._ambiguous(notice, thing, made)
            return (
                self._question(made, lang, thing, named),
                self._reply(notice, thing, made, lang, text_lang),
                "bool" if made.type == "bool" else "value",
            )
        absent = (
            sorted(thing.denied)
            if thing.denied and rng.random() < 0.4
            else [name for name in thing.kind.fields if name not in thing.stated]
        )
        if absent and roll < 0.95:
            made = thing.kind.fields[rng.choice(absent)]
            return self._question(made, lang, thing, self._ambiguous(notice, thing, made)), unknown, "unknown"
        return self._line(rng.choice(self.world.none_asks), lang, thing), unknown, "unknown"

    def _casual(self, text: str) -> str:
        roll = self.rng.random()
        if roll < 0.08:
            return text.lower()
        if roll < 0.18:
            return text.rstrip("?!. ")
        return text

    # translate

    def _pieces(self) -> tuple[Sentence, ...]:
        """A few sentences, or one short phrase."""
        rng = self.rng
        roll = rng.random()
        kind = rng.choice(self._kinds)
        made = rng.choice([*kind.fields.values()])
        if roll < 0.34:
            thing = self.writer.thing(kind)
            return tuple(self.writer.facts(thing, 1, opening=rng.random() < 0.2)[:2])
        if roll < 0.52:
            return tuple(self.writer.filler(rng.choice([*self.world.fillers])) for _ in range(rng.choice((1, 1, 2, 3))))
        if roll < 0.62:
            return (Sentence(rng.choice(rng.choice((made.titles, kind.nouns))), {}),)
        if roll < 0.70:
            talk = rng.choice(self.world.talks)
            return (Sentence(rng.choice((rng.choice(talk.asks), talk.reply, rng.choice(self.world.unknown_asks))), {}),)
        if roll < 0.76:
            group = rng.choice([*self.world.choices.values()])
            return (Sentence(rng.choice(group), {}),)
        thing = self.writer.thing(kind)
        quad = rng.choice(rng.choice((made.hints, made.asks, made.asks, made.denies)))
        return (
            Sentence(quad, {name: thing.name if name == "name" else self.writer.fact(thing, name) for name in sorted(quad["en"].slots)}),
        )  # type: ignore[misc]

    def _talk(self) -> Notice:
        """General sentences, one or several, in any layout."""
        rng = self.rng
        assert self.general is not None
        count = rng.choices((1, 2, 3, 4, 6), (50, 24, 14, 8, 4))[0]
        notice = Notice([], [self.writer.framed(self.general.sentence()) for _ in range(count)])
        if count > 1:
            self.writer.lay_out(notice, "", [count])
        return notice

    def _patched(self, lang: str, source: str, to: str) -> Sample:
        """Phrases, or sentences with phrases of others."""
        rng = self.rng
        assert self.fragments is not None
        if rng.random() < 0.3:
            text, reply = self.fragments.pair(source, to)
        else:
            pairs = [self.fragments.graft(source, to) for _ in range(rng.choices((1, 2, 3), (60, 25, 15))[0])]
            gap = rng.choice((" ", " ", "\n"))
            text, reply = gap.join(a for a, _ in pairs), gap.join(b for _, b in pairs)
        return Sample("translate", lang, text, {"to": to}, reply, meta={"text_lang": source, "mode": "patched"})

    def translate(self, lang: str, to: str | None = None, whole: bool = False) -> Sample:
        """The same sentences in another language."""
        rng = self.rng
        roll = rng.random()
        source = lang if roll < 0.5 else rng.choice(LANGS)
        to = to or (rng.choice([code for code in LANGS if code != source]) if rng.random() < 0.95 else source)
        if self.fragments is not None and not whole and source != to and rng.random() < PATCHED:
            return self._patched(lang, source, to)
        if self.general is not None and not whole and rng.random() < 0.42:
            notice = self._talk()
            pieces: tuple[Sentence, ...] = tuple(notice.sentences)
        else:
            pieces = () if whole or rng.random() < 0.6 else self._pieces()
            notice = Notice([], [*pieces]) if pieces else self._notice(reach=6)
        text, reply = notice.render(source), notice.render(to)
        if rng.random() < (0.06 if self.general is None else 0.12):
            text = notice.render(source, Slips(rng, source, heavy=False))
        return Sample(
            "translate",
            lang,
            text,
            {"to": to},
            reply,
            meta={
                "text_lang": source,
                "sentences": len(notice.sentences),
                "mode": "copy" if source == to else "piece" if pieces else "notice",
            },
        )

    # reformulate, summarize, describe

    def reformulate(self, lang: str) -> Sample:
        """A careless text and the clean one."""
        rng = self.rng
        text_lang = lang if rng.random() < 0.93 else rng.choice(LANGS)
        if self.general is not None and rng.random() < 0.3:
            notice = self._talk()
        else:
            notice = self.writer.notice(size=min(9, 1 + int(rng.expovariate(1 / 3))), plain=True)
        notice.header = None
        if rng.random() < 0.75:
            notice.layout = "line"
        return Sample(
            "reformulate",
            lang,
            notice.render(text_lang, Slips(rng, text_lang, heavy=True)),
            {},
            notice.render(text_lang),
            meta={"text_lang": text_lang},
        )

    def summary(self, thing: Thing, lang: str) -> tuple[str, list[str]]:
        """A sentence with the thing's key facts, and the values that it must hold."""
        briefs, values = [], []
        for made in thing.kind.fields.values():
            if not made.key or made.name not in thing.stated:
                continue
            fact = thing.facts[made.name]
            if isinstance(fact, bool):
                pool = made.briefs_yes if fact else made.briefs_no
                briefs.append(pool[0][lang].source)
                continue
            quad = next((quad for quad in made.briefs if quad["en"].slots <= {made.name}), None)
            if quad is not None:
                briefs.append(text_of(quad, {made.name: fact}, lang))
                values.append(fact.text(lang))
        head = text_of(self.frames["summary"][0], {"name": thing.name, "noun": Value("text", thing.kind.nouns[0][lang].source)}, lang)
        if not briefs:
            return head + ".", values
        return f"{head}{' : ' if lang == 'fr' else ': '}{join(briefs, lang, 'and', self.world.joins[lang])}.", values

    def _summary_sample(self, notice: Notice, text: str, lang: str, text_lang: str) -> Sample:
        sentences, values = [], []
        for thing in notice.things:
            sentence, kept = self.summary(thing, text_lang)
            sentences.append(sentence)
            values += kept
        return Sample("summarize", lang, text, {}, " ".join(sentences), meta={"text_lang": text_lang, "required": values})

    def summarize(self, lang: str) -> Sample:
        """The key facts in one sentence a thing."""
        text_lang = self._other(lang)
        notice = self._notice(reach=4, size=min(14, 2 + int(self.rng.expovariate(1 / 5))))
        notice.things.sort(key=lambda thing: self._place(notice, thing))
        return self._summary_sample(notice, self._written(notice, text_lang), lang, text_lang)

    def _place(self, notice: Notice, thing: Thing) -> int:
        """The index of the first sentence that names the thing."""
        return next((at for at, sentence in enumerate(notice.sentences) if sentence.values.get("name") is thing.name), 999)

    def _description(self, notice: Notice, text: str, lang: str, text_lang: str) -> Sample:
        thing = min(notice.things, key=lambda thing: self._place(notice, thing))
        noun = Value("text", thing.kind.nouns[0][lang].source)
        reply = text_of(self.frames["about"][0], {"name": thing.name, "noun": noun}, lang)
        titles = [thing.kind.fields[name].titles[0][lang].source for name in thing.stated][:6]
        if titles:
            reply += " " + self._line(self.frames["gives"][0], lang, titles=join(titles, lang, "and", self.world.joins[lang]))
        return Sample("describe", lang, text, {}, reply, meta={"text_lang": text_lang})

    def describe(self, lang: str) -> Sample:
        """What the text is about and which facts it gives."""
        rng = self.rng
        text_lang = self._other(lang)
        if rng.random() < 0.04:
            text = " ".join(text_of(rng.choice(self.world.fillers["filler"]), {}, text_lang) for _ in range(rng.randint(1, 4)))
            return Sample("describe", lang, text, {}, self.frames["general"][0][lang].source, meta={"text_lang": text_lang})
        notice = self._notice(reach=4, size=min(12, 1 + int(rng.expovariate(1 / 4))))
        return self._description(notice, self._written(notice, text_lang), lang, text_lang)

    # classify

    def _noun(self, kind: Kind, lang: str) -> str:
        return without_article(self.rng.choice(kind.nouns)[lang].source)

    def _styled(self, labels: Sequence[str]) -> list[str]:
        style = self.rng.randrange(10)
        if style < 6:
            return [*labels]
        if style < 8:
            return [label[:1].upper() + label[1:] for label in labels]
        return [label.upper() for label in labels] if style == 8 else [label.lower() for label in labels]

    def classify(self, lang: str) -> Sample:
        """The label that fits: the kind of thing, the language, the mood, the urgency."""
        rng = self.rng
        mode = rng.choices(("kind", "language", "mood", "urgency", "other"), (46, 14, 22, 11, 7))[0]
        if self.documents is not None and rng.random() < 0.15:
            drawn = self.documents.draw(lang)
            labels = self._styled([drawn.label, *rng.sample(drawn.others, rng.randint(1, len(drawn.others)))])
            right = labels[0]
            rng.shuffle(labels)
            return Sample("classify", lang, drawn.text, {"labels": labels}, right, meta={"text_lang": lang, "mode": "typed"})
        text_lang = self._other(lang) if mode != "language" else rng.choice(LANGS)
        where = lang if rng.random() < 0.9 else rng.choice(LANGS)
        named = self.world.labels
        pick = lambda name: rng.choice(named[name])[where].source  # noqa: E731
        if mode in ("mood", "urgency"):
            return self._mood(mode, lang, text_lang, where)
        notice = self._notice(others=False, reach=2)
        if len(notice.things) > 1:
            notice = self.writer.notice(others=False)
        if mode == "language":
            codes = [code for code in LANGS if code != text_lang]
            labels = [pick(f"language_{code}") for code in rng.sample(codes, rng.randint(1, 3))]
            right = pick(f"language_{text_lang}")
        else:
            kind = notice.things[0].kind
            rest = [other for other in self._kinds if other is not kind]
            labels = [self._noun(other, where) for other in rng.sample(rest, rng.randint(1, min(7, len(rest))))]
            right = self._noun(kind, where)
            if mode == "other":
                right = self._line(rng.choice(named.get("other") or self.frames["other"]), where)
                if rng.random() < 0.5:
                    notice = Notice([], [self.writer.filler() for _ in range(rng.randint(1, 4))])
                    labels.append(self._noun(kind, where))
            elif rng.random() < 0.1:
                labels.append(self._line(rng.choice(named.get("other") or self.frames["other"]), where))
        return self._labelled(notice, lang, text_lang, right, labels, mode)

    def _mood(self, mode: str, lang: str, text_lang: str, where: str) -> Sample:
        rng = self.rng
        named = self.world.labels
        notice = self.writer.notice(others=False, size=rng.randint(0, 5), plain=True) if rng.random() < 0.75 else Notice([], [])
        names = ("good", "bad", "neutral") if mode == "mood" else ("urgent", "not_urgent")
        right = rng.choice(names)
        group = right if right in self.world.fillers else None
        if group is None and not notice.sentences:
            group = "filler"
        for _ in range(rng.choice((1, 1, 2, 3)) if group else 0):
            notice.sentences.insert(rng.randint(0, len(notice.sentences)), self.writer.filler(group))
        at = rng.randrange(99)
        label = lambda name: named[name][at % len(named[name])][where].source  # noqa: E731
        wrong = [name for name in names if name != right]
        if len(wrong) > 1 and rng.random() < 0.4:
            wrong = [rng.choice(wrong)]
        return self._labelled(notice, lang, text_lang, label(right), [label(name) for name in wrong], mode)

    def _labelled(self, notice: Notice, lang: str, text_lang: str, right: str, wrong: Sequence[str], mode: str) -> Sample:
        labels = [right, *dict.fromkeys(label for label in wrong if label.casefold() != right.casefold())]
        labels = list(dict.fromkeys(self._styled(labels)))
        right = labels[0]
        self.rng.shuffle(labels)
        return Sample(
            "classify", lang, self._written(notice, text_lang), {"labels": labels}, right, meta={"text_lang": text_lang, "mode": mode}
        )


def wordings(held: World) -> frozenset[str]:
    """Keys, hints, questions and sentences of the held-out world, for ``Generator(banned=)``."""
    found: set[str] = set()
    for kind in held.kinds.values():
        for made in kind.fields.values():
            for lang in LANGS:
                found.update(made.keys[lang])
                found.update(quad[lang].source for quad in (*made.hints, *made.asks, *made.says, *made.yes, *made.no))
    return frozenset(found)


def training(rng: random.Random, root: Path = HERE, aligned: Path | None = None) -> Generator:
    """The generator that training draws from. ``aligned`` (align.py writes it) adds texts made of phrases."""
    world, held = load_all(root)
    banned, taken = (wordings(held), sayings(held, world)) if held else (frozenset[str](), frozenset[str]())
    made = Generator(rng, world, "train", banned, taken=taken, hard=0.4)
    documents = Documents(rng, made.maker, banned, taken)
    if all(documents.by_lang.values()):
        made.documents = documents
    if aligned is not None:
        made.fragments = Fragments(rng, world, made.maker, taken, aligned)
    return made


def _shown(made: Sample) -> str:
    turns = [f"[{turn.role}] {turn.content}" for turn in messages(made)[1:] if turn.role != "system"]
    return (
        f"=== {made.task} {made.lang} {made.meta}\n"
        + "\n".join(turns)
        + f"\n[reply] {made.start and made.start + ' ‖ '}{made.reply[len(made.start) :]}\n"
    )


def check(generator: Generator, count: int) -> dict[str, Any]:
    """Asserts what must hold of ``count`` samples; rates, sizes and speed."""
    import jsonschema

    rates: Counter[str] = Counter()
    facts: Counter[str] = Counter()
    chars, began = 0, time.perf_counter()
    drawn = [generator.sample() for _ in range(count)]
    seconds = time.perf_counter() - began
    for made in drawn:
        rates[made.task] += 1
        chars += len(made.text)
        assert tuple(messages(made)) == prompts.messages(made.request()) if rates[made.task] < 200 else True, made
        assert made.reply and made.reply.startswith(made.start), made
        if made.task == "extract":
            document = schema.from_entities(made.fields["entities"])
            found = json.loads(made.reply)
            for values, one in [(values, one) for values in (found if made.fields.get("many") else [found]) for one in document.fields]:
                jsonschema.validate(values, document.json_schema)
                value = values[one.key]
                facts["null" if value is None else one.type + ("[]" if one.many else "")] += 1
                if one.type == "str" and value is not None:
                    for item in value if one.many else [value]:
                        assert item in made.text, (item, made)
        elif made.task == "translate":
            assert made.text.count("\n") == made.reply.count("\n"), made
        elif made.task == "classify":
            assert made.reply in made.fields["labels"] and len(made.fields["labels"]) > 1, made
    return {"rates": dict(rates), "extract values": dict(facts), "mean chars": chars / count, "samples/s": count / seconds}


def main() -> None:
    """Show or check samples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", type=int, default=0)
    parser.add_argument("--check", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--task", default=None)
    parser.add_argument("--lang", default=None)
    parser.add_argument("--set", choices=("train", "A", "B"), default="train")
    parser.add_argument("--aligned", type=Path, help="of align.py; for the training set")
    parser.add_argument("--root", type=Path, default=HERE, help="where world/ and heldout/ are")
    args = parser.parse_args()
    if args.set == "train":
        generator = training(random.Random(args.seed), args.root, args.aligned)
    else:
        world, held = load_all(args.root)
        assert held is not None, "heldout/ is empty"
        generator = Generator(random.Random(args.seed), held if args.set == "B" else world, "held")
    for _ in range(args.show):
        print(_shown(generator.sample(args.task, args.lang)))
    if args.check:
        print(json.dumps(check(generator, args.check), indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
