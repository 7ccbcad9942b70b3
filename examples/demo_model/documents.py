"""Texts as people type them, each with what may be asked about it: ``world/documents/*.toml``, for training only.

``Documents(rng, maker, banned, taken).draw(lang)`` fills the slots of one with values, now and then leaves out a sentence (what only that sentence
said is then not said), and words the fields and the questions.

    python documents.py FILE...        checks files, and says what is wrong where
"""

from __future__ import annotations

import random
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from notices import fill  # noqa: E402
from values import Maker, Value  # noqa: E402
from world import LANGS, Line, WorldError, bare  # noqa: E402

from llm_magics import schema  # noqa: E402

FOLDER = HERE / "world" / "documents"
SLOTS = frozenset(
    "person first last org city country street date month year time int money percent mass length area data email url phone code"
    " version thing title score float".split()
)
_SLOT = re.compile(r"\{(\w+)(?::(\d+)-(\d+))?\}")
_NUMBERS = frozenset("int money percent mass length area data year float".split())
_MARK = re.compile(r"\s*\([^)]*\)\s*")
_PIECE = re.compile(r"(?<=[.!?])\s+|\n+")
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Asked:
    """A field (keys and hints) or a question (no keys), and its value: text, number, bool, list, or None where the text does not say."""

    keys: tuple[str, ...]
    wordings: tuple[str, ...]
    value: Any


@dataclass(frozen=True, slots=True)
class Document:
    """A text with slots, what it is, and what may be asked."""

    lang: str
    text: str
    label: str
    others: tuple[str, ...]
    ranges: Mapping[str, tuple[int, int]]
    fields: tuple[Asked, ...]
    asks: tuple[Asked, ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A document written out. ``fields`` are key, hint, value; ``asks`` question and answer, None where the text does not say."""

    text: str
    label: str
    others: tuple[str, ...]
    fields: tuple[tuple[str, str, Any], ...]
    asks: tuple[tuple[str, str | bool | None], ...]


def slot_of(value: Any) -> str | None:
    """The name of the slot that a value is, or None."""
    match = re.fullmatch(r"\{(\w+)\}", value) if isinstance(value, str) else None
    return match[1] if match else None


def type_of(slot: str) -> str:
    """``money_rent`` -> ``money``."""
    return slot.partition("_")[0]


def read(path: Path) -> tuple[Document, ...]:
    """The documents of a file, the language being the first two letters of its name; WorldError names what is wrong."""
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8"))["text"]
    except (tomllib.TOMLDecodeError, KeyError) as exc:
        raise WorldError(f"{path.name}: {exc}") from exc
    return tuple(_document(row, path.name[:2], f"{path.name}, text {number}") for number, row in enumerate(rows, 1))


def _document(row: Mapping[str, Any], lang: str, where: str) -> Document:
    text, ranges = row["text"].strip(), {}
    for name, low, high in _SLOT.findall(text):
        if type_of(name) not in SLOTS:
            raise WorldError(f"{where}: unknown slot {{{name}}}.")
        if low:
            ranges[name] = (int(low), int(high))
        elif type_of(name) == "int" and name not in ranges:
            raise WorldError(f"{where}: {{{name}}} needs a range, as {{{name}:2-90}}.")
    text = _SLOT.sub(lambda match: f"{{{match[1]}}}", text)
    if set(re.sub(r"\{\w+\}", "", text)) & set("{}"):
        raise WorldError(f"{where}: a brace that belongs to no slot.")
    others = tuple(row["others"])
    if not row["label"] or len(others) < 2 or row["label"] in others:
        raise WorldError(f"{where}: a label and two others are needed.")
    fields = tuple(_field(one, text, f"{where}, field {number}") for number, one in enumerate(row["fields"], 1))
    asks = tuple(_ask(one, text, f"{where}, ask {number}") for number, one in enumerate(row["asks"], 1))
    return Document(lang, text, row["label"], others, ranges, fields, asks)


def _field(row: Sequence[Any], text: str, where: str) -> Asked:
    try:
        keys, hints, value = row
    except ValueError:
        raise WorldError(f"{where}: must be [[keys], [hints], value], got {row!r}.") from None
    value = None if value == "null" else value
    if not keys or not hints or isinstance(keys, str) or isinstance(hints, str):
        raise WorldError(f"{where}: keys and hints must be lists that are not empty.")
    for hint in hints:
        _fits(schema.parse_hint(keys[0], hint), value, text, where)
    return Asked(tuple(keys), tuple(hints), value)


def _fits(asked: schema.Field, value: Any, text: str, where: str) -> None:
    """Raises where a value is not what the hint's mark promises, or not in the text."""
    if value is None:
        return
    if asked.many != isinstance(value, list):
        raise WorldError(f"{where}: {asked.hint!r} and {value!r} must both be of a list, or neither.")
    for one in value if isinstance(value, list) else [value]:
        slot = slot_of(one)
        if slot and f"{{{slot}}}" not in text:
            raise WorldError(f"{where}: {{{slot}}} is not in the text.")
        if asked.type == "bool":
            good = isinstance(one, bool)
        elif asked.type in ("int", "float"):
            good = type_of(slot) in _NUMBERS if slot else type(one) is int or (asked.type == "float" and type(one) is float)
        elif asked.type == "date":
            good = type_of(slot) in ("date", "month", "year") if slot else bool(re.fullmatch(r"\d{4}(-\d\d){0,2}", str(one)))
        elif asked.type == "choice":
            good = one in asked.choices
        else:
            good = isinstance(one, str) and one != "" and one in text
        if not good:
            raise WorldError(f"{where}: {one!r} is not what {asked.hint!r} asks for, or is not in the text.")


def _ask(row: Sequence[Any], text: str, where: str) -> Asked:
    questions, answer = row
    answer = None if answer == "null" else answer
    if not questions or isinstance(questions, str):
        raise WorldError(f"{where}: questions must be a list that is not empty.")
    if isinstance(answer, str) and answer not in text or not isinstance(answer, (str, bool, type(None))):
        raise WorldError(f"{where}: the answer {answer!r} is not in the text.")
    return Asked((), tuple(questions), answer)


class Documents:
    """Draws documents. ``banned`` are keys, hints and questions never to be used; ``taken`` are bare sayings, likewise."""

    def __init__(self, rng: random.Random, maker: Maker, banned: frozenset[str], taken: frozenset[str], folder: Path = FOLDER) -> None:
        self.rng, self.maker = rng, maker
        self.banned, self.taken = banned, taken
        self.by_lang: dict[str, list[Document]] = {lang: [] for lang in LANGS}
        for path in sorted(folder.glob("*.toml")):
            for one in read(path):
                if not any(bare(piece) in taken for piece in _PIECE.split(one.text)):
                    self.by_lang[one.lang].append(one)

    def draw(self, lang: str) -> Drawn:
        """One of that language's, every one as likely."""
        rng = self.rng
        made = rng.choice(self.by_lang[lang])
        text = self._shortened(made) if rng.random() < 0.35 else made.text
        values = {name: self._value(name, made.ranges) for name in sorted({match[0] for match in _SLOT.findall(made.text)})}
        written = "".join(piece for piece, _ in fill(Line.of(text), values, lang))
        fields = []
        for one in made.fields:
            keys = [key for key in one.keys if key not in self.banned]
            hints = self._allowed(one.wordings)
            if not keys or not hints:
                continue
            key, hint = rng.choice(keys), rng.choice(hints)
            value = self._read(schema.parse_hint(key, hint).type, one.value, made.text, text, values, lang)
            if value is not _MISSING:
                fields.append((key, hint, value))
        asks = []
        for one in made.asks:
            questions = self._allowed(one.wordings)
            answer = self._read("str", one.value, made.text, text, values, lang)
            if questions and answer is not _MISSING:
                asks.append((rng.choice(questions), answer))
        return Drawn(written, made.label, made.others, tuple(fields), tuple(asks))

    def _allowed(self, wordings: Sequence[str]) -> list[str]:
        return [one for one in wordings if one not in self.banned and bare(_MARK.sub("", one)) not in self.taken]

    def _shortened(self, made: Document) -> str:
        """The text without one or two of its sentences or lines."""
        ends = [0, *(match.end() for match in _PIECE.finditer(made.text)), len(made.text)]
        pieces = [made.text[a:b] for a, b in zip(ends, ends[1:], strict=False) if b > a]
        if len(pieces) < 4:
            return made.text
        out = set(self.rng.sample(range(len(pieces)), self.rng.choice((1, 1, 2))))
        return "".join(piece for at, piece in enumerate(pieces) if at not in out).strip()

    def _value(self, name: str, ranges: Mapping[str, tuple[int, int]]) -> Value:
        kind, rng = type_of(name), self.rng
        if kind == "int":
            low, high = ranges[name]
            number = rng.randint(low, high)
            return Value("int", str(number), number)
        if kind in ("first", "last"):
            return Value("person", self.maker.name(lambda: self.maker.person_part(kind)))
        return self.maker.value(kind)

    def _read(self, asked: str, value: Any, whole: str, text: str, values: Mapping[str, Value], lang: str) -> Any:
        """The value as JSON holds it; None where the sentences left do not say it, ``_MISSING`` where that is not sure."""
        if value is None:
            return None
        if isinstance(value, list):
            read = [self._read(asked, one, whole, text, values, lang) for one in value]
            return read if text == whole or all(one is not None and one is not _MISSING for one in read) else _MISSING
        slot = slot_of(value)
        if slot:
            if f"{{{slot}}}" not in text:
                return None
            made = values[slot]
            if asked == "float" or (asked == "int" and isinstance(made.typed, int)):
                return made.typed
            if asked == "date":
                return str(made.typed)
            return _MISSING if asked in ("int", "bool") else made.text(lang)
        if isinstance(value, str) and asked == "str":
            if value not in text:
                return None
            return "".join(piece for piece, _ in fill(Line.of(value), values, lang)) if "{" in value else value
        return value if text == whole else _MISSING


def main() -> None:
    """Check files."""
    paths = [Path(name) for name in sys.argv[1:]] or sorted(FOLDER.glob("*.toml"))
    count = 0
    for path in paths:
        try:
            count += len(read(path))
        except (WorldError, KeyError, TypeError) as exc:
            print(exc if isinstance(exc, WorldError) else f"{path.name}: {type(exc).__name__} {exc}")
    print(f"{count} texts are good.")


if __name__ == "__main__":
    main()
