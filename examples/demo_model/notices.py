"""Short notices about made-up things: which facts are said, in what order and layout, and how they read in each language.

A Notice is language-free: the same sentences can be written in any language (translation), with or without slips of the pen
(reformulation). ``stated`` and ``denied`` say what a reader can and cannot find in it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from values import Maker, Value
from world import Kind, Line, Quad, World

Fact = Value | bool
_LAYOUTS = ("line", "paragraphs", "lines", "bullets")
_VOWELS = tuple("aeiouyàâäéèêëîïôöûüáíóúAEIOUÀÂÄÉÈÊËÎÏÔÖÛÜÁÍÓÚ") + ("Hé", "Hel", "Hen", "Hu", "Hip", "Hor", "hô", "hu")
_NO_ELISION = frozenset(
    "int float percent money mass length area data duration count date month year time score version code phone".split()
)
_NOT_NOUNS = frozenset("dans sans depuis más mas pas plus alors después moins tras gracias pesos".split())


@dataclass(slots=True)
class Thing:
    """Something of a kind, with a name and the facts that were needed so far."""

    kind: Kind
    name: Value
    facts: dict[str, Fact]
    stated: dict[str, str] = field(default_factory=dict)  # field -> the slot's form in its first statement
    denied: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Sentence:
    """A quad with its values, and the frames around it."""

    quad: Quad
    values: Mapping[str, Value]
    lead: Quad | None = None
    tail: Quad | None = None


def elide(literal: str, value: Value, text: str) -> str:
    """A French literal before ``text``: "de " and "que " lose their e before a vowel."""
    if value.type in _NO_ELISION or not text.startswith(_VOWELS) or text.startswith(("Y", "y")):
        return literal
    low = literal[-4:].lower()
    if low.endswith("que ") or low in (" de ", "de ", "(de ") or low.endswith((" de ", "(de ", "'de ")):
        return literal[:-2] + "'"
    return literal


def fill(line: Line, values: Mapping[str, Value], lang: str) -> list[tuple[str, bool]]:
    """The pieces of a line and whether each is a value."""
    pieces: list[tuple[str, bool]] = []
    for segment in line.segments:
        if isinstance(segment, str):
            pieces.append((segment, False))
            continue
        value = values[segment.name]
        text = value.located(lang) if segment.form == "in" else value.text(lang)
        if pieces and not pieces[-1][1]:
            before = pieces[-1][0]
            if segment.form == "a":
                pieces[-1] = (before + ("an " if text[:1].lower() in "aeiou" else "a "), False)
            elif lang == "fr" and before.endswith(("de ", "que ", "De ", "Que ")):
                pieces[-1] = (elide(before, value, text), False)
        elif segment.form == "a":
            pieces.append(("An " if text[:1].lower() in "aeiou" else "A ", False))
        pieces.append((text, True))
    if lang in ("fr", "es"):
        _counts(line, values, pieces, lang)
    return pieces


def _counts(line: Line, values: Mapping[str, Value], pieces: list[tuple[str, bool]], lang: str) -> None:
    """A number in words is followed by "de" before its noun, one in digits is not."""
    for segment in line.segments:
        if isinstance(segment, str) or segment.form or values[segment.name].type != "count":
            continue
        text = values[segment.name].text(lang)
        position = next((at for at, piece in enumerate(pieces) if piece[1] and piece[0] == text), None)
        if position is None or position + 1 >= len(pieces):
            continue
        after = pieces[position + 1][0]
        has = " de " if after.startswith(" de ") else " d'" if after.startswith(" d'") else ""
        if has and not values[segment.name].word:
            pieces[position + 1] = (" " + after[len(has) :], False)
        elif not has and values[segment.name].word and after.startswith(" "):
            noun = after[1:].split(" ")[0].rstrip(".,;:!)")
            if len(noun) > 4 and noun.endswith("s") and noun.islower() and noun not in _NOT_NOUNS and not noun.endswith(("ons", "amos")):
                of = " d'" if lang == "fr" and noun[0] in "aeiouéêhâ" else " de "
                pieces[position + 1] = (of + after[1:], False)


def text_of(quad: Quad, values: Mapping[str, Value], lang: str) -> str:
    """A quad's line with its values."""
    return "".join(piece for piece, _ in fill(quad[lang], values, lang))


def pieces_of(sentence: Sentence, lang: str) -> list[tuple[str, bool]]:
    """A sentence's pieces, frames included."""
    pieces = fill(sentence.quad[lang], sentence.values, lang)
    if sentence.lead is not None:
        pieces.insert(0, (sentence.lead[lang].source.strip() + " ", False))
    if sentence.tail is not None and not pieces[-1][1] and pieces[-1][0].endswith("."):
        tail = sentence.tail[lang].source
        pieces[-1] = (pieces[-1][0][:-1] + (tail if tail.startswith(",") else " " + tail) + ".", False)
    return pieces


class Slips:
    """Careless writing: typos, lost accents, lower case, doubled spaces, chat words. Values stay as they are."""

    CHAT = {
        "en": {"you": "u", "are": "r", "and": "n", "please": "pls", "with": "w/", "because": "cuz", "for": "4", "to": "2", "about": "abt", "the": "teh", "people": "ppl", "between": "btw", "before": "b4"},
        "fr": {"est": "é", "que": "q", "pour": "pr", "dans": "ds", "avec": "ac", "vous": "vs", "nous": "ns", "c'est": "c", "quand": "qd", "beaucoup": "bcp", "les": "lé", "plus": "+", "tout": "tt"},
        "es": {"que": "q", "por": "x", "para": "pa", "con": "cn", "también": "tb", "porque": "xq", "más": "+", "está": "ta", "de": "d", "bien": "bn", "cuando": "cdo", "mucho": "mxo"},
        "de": {"und": "u", "nicht": "nich", "ist": "is", "ein": "n", "eine": "ne", "auch": "au", "mit": "m", "wird": "wirt", "das": "dass", "für": "f", "aber": "aba", "haben": "ham", "zum Beispiel": "zb"},
    }  # fmt: skip
    FILLERS = {
        "en": ("basically", "like", "you know", "so", "um", "well", "actually", "kind of", "I mean"),
        "fr": ("du coup", "genre", "en fait", "bon", "euh", "quoi", "voilà", "bah", "tu vois"),
        "es": ("o sea", "pues", "bueno", "eh", "en plan", "vamos", "a ver", "digamos", "sabes"),
        "de": ("halt", "also", "eben", "sozusagen", "ähm", "irgendwie", "naja", "quasi", "ja"),
    }
    PLAIN = str.maketrans("áàâäéèêëíîïóôöúùûüñçßÁÀÂÉÈÊÍÎÓÔÚÛÑÇ", "aaaaeeeeiiiooouuuuncsAAAEEEIIOOUUNC")

    def __init__(self, rng: random.Random, lang: str, heavy: bool) -> None:
        self.rng = rng
        self.lang = lang
        light = 0.35 if heavy else 0.3
        self.lower = rng.random() < (0.7 if heavy else 0.3)
        self.plain = rng.random() < (0.6 if heavy else 0.4)
        self.unstopped = heavy and rng.random() < 0.6
        self.chat = 0.5 if heavy and rng.random() < 0.5 else 0.0
        self.chatter = 0.12 if heavy and rng.random() < 0.6 else 0.0
        self.doubled = 0.04 if heavy and rng.random() < 0.5 else 0.0
        self.typo = (0.10 if heavy else 0.04) if rng.random() < 0.75 else 0.0
        self.spaces = 0.05 if rng.random() < light else 0.0

    def apply(self, pieces: list[tuple[str, bool]], last: bool) -> str:
        """The sentence, written carelessly."""
        out = []
        for text, is_value in pieces:
            out.append(text if is_value else self._literal(text))
        whole = "".join(out)
        if self.unstopped and not last:
            whole = whole.rstrip(".!?")
            mark = self.rng.choice((",", "", "", " " + {"en": "and", "fr": "et", "es": "y", "de": "und"}[self.lang]))
            whole += mark
        elif self.unstopped:
            whole = whole.rstrip(".")
        return whole

    def _literal(self, text: str) -> str:
        rng = self.rng
        if self.lower:
            text = text.lower()
        if self.plain:
            text = text.translate(self.PLAIN)
        words = text.split(" ")
        chat = self.CHAT[self.lang]
        for index, word in enumerate(words):
            if not word:
                continue
            if self.chat and word in chat and rng.random() < self.chat:
                words[index] = word = chat[word]
            if self.typo and len(word) > 3 and word.isalpha() and rng.random() < self.typo:
                words[index] = word = self._typo(word)
            if self.doubled and word.isalpha() and rng.random() < self.doubled:
                words[index] = word = f"{word} {word}"
            if self.chatter and index and word.isalpha() and rng.random() < self.chatter:
                words[index] = word = f"{rng.choice(self.FILLERS[self.lang])} {word}"
            if self.spaces and rng.random() < self.spaces:
                words[index] = word + " "
        return " ".join(words)

    def _typo(self, word: str) -> str:
        rng = self.rng
        at = rng.randrange(1, len(word) - 1)
        roll = rng.random()
        if roll < 0.35:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        if roll < 0.65:
            return word[:at] + word[at + 1 :]
        if roll < 0.85:
            return word[:at] + word[at] + word[at:]
        return word[:at] + rng.choice("aeioursntlm") + word[at + 1 :]


@dataclass(slots=True)
class Notice:
    """Sentences about one or more things, and their layout."""

    things: list[Thing]
    sentences: list[Sentence]
    layout: str = "line"
    mark: str = "- "
    breaks: frozenset[int] = frozenset()
    header: Value | None = None

    def render(self, lang: str, slips: Slips | None = None) -> str:
        """The text in ``lang``."""
        last = len(self.sentences) - 1
        if slips is None:
            texts = ["".join(piece for piece, _ in pieces_of(sentence, lang)) for sentence in self.sentences]
        else:
            texts = [slips.apply(pieces_of(sentence, lang), index == last) for index, sentence in enumerate(self.sentences)]
        return self.arrange(texts, lang)

    def arrange(self, texts: list[str], lang: str) -> str:
        """Sentences put into the layout."""
        if self.layout == "line":
            body = " ".join(texts)
        elif self.layout == "lines":
            body = "\n".join(texts)
        elif self.layout == "bullets":
            if self.mark == "1":
                body = "\n".join([f"{number}. {text}" for number, text in enumerate(texts, 1)])
            else:
                body = "\n".join([texts[0], *(self.mark + text for text in texts[1:])]) if len(texts) > 1 else texts[0]
        else:
            body = texts[0]
            for index, text in enumerate(texts[1:], 1):
                body += ("\n\n" if index in self.breaks else " ") + text
        return f"{self.header.text(lang)}\n\n{body}" if self.header else body

    def as_written(self, thing: Thing, name: str, lang: str) -> str:
        """How the value of a stated field stands in the text."""
        value = thing.facts[name]
        assert isinstance(value, Value)
        text = value.text(lang)
        if thing.stated.get(name) == "in":
            located = value.located(lang)
            if text not in located:
                return located.split(" ", 2)[-1] if located.split(" ", 1)[0] == "in" and lang == "de" else located.split(" ", 1)[-1]
        return text


class Sentences(Protocol):
    """Something that draws sentences about nothing in the world."""

    def sentence(self, plain: bool = False) -> Sentence: ...


class Writer:
    """Makes things and notices about them."""

    def __init__(
        self, rng: random.Random, world: World, maker: Maker, banned: frozenset[str] = frozenset(), general: Sentences | None = None
    ) -> None:
        self.rng = rng
        self.world = world
        self.maker = maker
        self.banned = banned
        self.general = general  # sentences to put between those about a thing, besides the world's own fillers
        self.frames = world.frames
        self.kinds = [*world.kinds.values()]
        self._labels: dict[tuple[str, str, bool | None, str], tuple[Quad, ...]] = {}

    def thing(self, kind: Kind | None = None) -> Thing:
        """A fresh thing."""
        kind = kind or self.rng.choice(self.kinds)
        return Thing(kind, self.maker.subject(kind.name), {})

    def fact(self, thing: Thing, name: str) -> Fact:
        """The thing's value of a field, made when first needed and unlike its other values."""
        found = thing.facts.get(name)
        if found is None:
            made = thing.kind.fields[name]
            if made.type == "bool":
                found = self.rng.random() < 0.5
            else:
                taken = {other.text("en") for other in thing.facts.values() if isinstance(other, Value) and not isinstance(other, bool)}
                for _ in range(5):
                    found = self.maker.value(made.type, f"{thing.kind.name}.{name}")
                    if found.text("en") not in taken:
                        break
            thing.facts[name] = found
        return found

    def labels(self, thing: Thing, name: str, stop: str) -> tuple[Quad, ...]:
        """Label lines of a field, made once."""
        fact = thing.facts[name]
        value = fact if isinstance(fact, bool) else None
        key = (thing.kind.name, name, value, stop)
        if key not in self._labels:
            quads = thing.kind.fields[name].labels(value, stop)
            self._labels[key] = tuple(quad for quad in quads if not any(line.source in self.banned for line in quad.values()))
        return self._labels[key]

    def _values(self, thing: Thing, quad: Quad) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for name in sorted(quad["en"].slots):
            values[name] = thing.name if name == "name" else self.fact(thing, name)  # type: ignore[assignment]
        return values

    def _state(self, thing: Thing, name: str, style: str, named: bool) -> Sentence | None:
        """A sentence that states the field (and maybe others), or None where the wordings would break a denial."""
        rng = self.rng
        fact = self.fact(thing, name)
        value = fact if isinstance(fact, bool) else None
        if style in ("label", "labelled"):
            quads = self.labels(thing, name, "" if style == "label" else ".")
            at = rng.randrange(len(quads)) if rng.random() < 0.3 else 0
            quad = quads[at]
        else:
            pool = thing.kind.fields[name].stating(value)
            for _ in range(12):
                quad = rng.choice(pool)
                slots = quad["en"].slots
                if (not named or "name" in slots) and not (slots & thing.denied):
                    break
            else:
                return None
        sentence = Sentence(quad, self._values(thing, quad))
        for segment in quad["en"].segments:
            if not isinstance(segment, str) and segment.name != "name":
                thing.stated.setdefault(segment.name, segment.form)
        if value is not None:
            thing.stated.setdefault(name, "")
        return sentence

    def framed(self, sentence: Sentence) -> Sentence:
        """The sentence, now and then with something before or after it."""
        rng = self.rng
        roll = rng.random()
        if roll < 0.06:
            sentence.lead = rng.choice(self.frames["lead"])
        elif roll < 0.13:
            sentence.tail = rng.choice(self.frames["tail"])
        return sentence

    def facts(
        self, thing: Thing, count: int, named: bool = False, style: str = "", opening: bool = True, first: Sequence[str] = ()
    ) -> list[Sentence]:
        """An opening and about ``count`` sentences on the thing, some of which deny. ``first`` are fields that are likelier than others."""
        rng = self.rng
        names = [*thing.kind.fields]
        rng.shuffle(names)
        if first:
            names.sort(key=lambda name: name not in first or rng.random() < 0.25)
        chosen = names[:count]
        if rng.random() < 0.35 and len(chosen) > 1:
            thing.denied.update(chosen[-rng.choice((1, 1, 2, 3)) :][: len(chosen) - 1])
        sentences: list[Sentence] = []
        if opening:
            opens = thing.kind.opens
            quad = rng.choice(opens)
            sentences.append(Sentence(quad, {"name": thing.name}))
        for name in chosen:
            if name in thing.denied:
                denies = thing.kind.fields[name].denies
                pool = [quad for quad in denies if "name" in quad["en"].slots] if named else denies
                if pool:
                    quad = rng.choice(pool)
                    if not (quad["en"].slots - {"name"}):
                        sentences.append(Sentence(quad, self._values(thing, quad)))
                continue
            if name in thing.stated and rng.random() < 0.85:
                continue
            how = style or ("labelled" if rng.random() < 0.06 and not named else "")
            sentence = self._state(thing, name, how, named)
            if sentence:
                sentences.append(sentence if how else self.framed(sentence))
        return sentences

    def filler(self, group: str = "filler") -> Sentence:
        """A sentence about nothing in the world."""
        return self.framed(Sentence(self.rng.choice(self.world.fillers[group]), {}))

    def aside(self, plain: bool) -> Sentence:
        """A filler between the sentences of a notice; a ``plain`` notice has only those whose mood is known."""
        if self.general is None or plain or self.rng.random() < 0.5:
            return self.filler()
        return self.framed(self.general.sentence(plain=True))

    def notice(
        self,
        kind: Kind | None = None,
        size: int | None = None,
        others: bool = True,
        plain: bool = False,
        blocks: int = 0,
        crowd: float = 0.22,
    ) -> Notice:
        """A notice. ``size`` facts; ``others`` allows further things, at the rate ``crowd``; ``blocks`` appends further notices."""
        rng = self.rng
        thing = self.thing(kind)
        if size is None:
            size = min(14, 1 + int(rng.expovariate(1 / 4.2)))
        style = "label" if rng.random() < 0.12 and not plain else ""
        opening = size == 0 or rng.random() < 0.8
        groups = [self.facts(thing, size, named=not opening and rng.random() < 0.5, style=style, opening=opening)]
        if not opening and not any("name" in sentence.quad["en"].slots for sentence in groups[0]):
            groups[0].insert(0, Sentence(rng.choice(thing.kind.opens), {"name": thing.name}))
        things = [thing]
        if others and rng.random() < crowd:
            same = rng.random() < 0.5
            other = self.thing(thing.kind if same else None)
            things.append(other)
            groups.append(self.facts(other, rng.randint(1, 5), named=True, opening=rng.random() < 0.6))
        for _ in range(blocks):
            other = self.thing()
            things.append(other)
            block = self.facts(other, rng.randint(1, 9), named=True)
            while rng.random() < 0.5:
                block.insert(rng.randint(0, len(block)), self.aside(plain))
            groups.append(block)
        if blocks:
            rng.shuffle(groups)
        if rng.random() < 0.4 and style != "label":
            for _ in range(rng.choice((1, 1, 2, 3))):
                groups[0].insert(rng.randint(0, len(groups[0])), self.aside(plain))
        sentences = [sentence for group in groups for sentence in group] or [self.filler()]
        notice = Notice(things, sentences)
        self.lay_out(notice, style, [len(group) for group in groups])
        return notice

    def lay_out(self, notice: Notice, style: str, lengths: list[int]) -> None:
        """Choose a layout. ``lengths`` are the sentences of each thing."""
        rng = self.rng
        if style == "label":
            notice.layout = rng.choices(("lines", "bullets"), (75, 25))[0]
        else:
            notice.layout = rng.choices(_LAYOUTS, (60, 22, 9, 9))[0]
        if len(lengths) > 2:
            notice.layout = "paragraphs"
        notice.mark = rng.choice(("- ", "- ", "* ", "• ", "1"))
        if notice.layout == "paragraphs":
            ends, at = set(), 0
            for length in lengths:
                at += length
                ends.add(at)
            extra = {index for index in range(1, len(notice.sentences)) if rng.random() < 0.2}
            notice.breaks = frozenset(ends | extra)
        if notice.things and rng.random() < 0.06:
            notice.header = notice.things[0].name
