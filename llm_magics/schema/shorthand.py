"""A schema in one line.

::

    name, released date, price float, tags list[str], tools bool: can it call tools

    schema = field {("," | newline) field}
    field  = name {mark} [":" hint]
    name   = a word, or anything in quotes: '# parameters'
    mark   = type | "list" | "list[" type "]"     str bool int float date datetime quantity; str when none is given
           | "(" word {"|" word} ")"              one of these words: mood (good|bad)
           | [number] ".." [number]               a range: age int 0..120
           | "/" regular expression "/"           a pattern: code /[A-Z]{3}/
           | "{" schema "}"                       an object: maker {name, city}; lines list {item, qty int} is a list of records
           | "!" | "?"                            must be there; may be missing (as all may)

A hint ends at the next comma that is not in brackets, or goes to the end of its line in a schema of several lines, or stands in quotes.
"""

from __future__ import annotations

import dataclasses
import re

from ..errors import SchemaError, nearest
from . import WORDS, Field, Type, with_hint


def parse_line(text: str) -> tuple[Field, ...]:
    """The fields that a line of text describes; SchemaError that points at the place where it goes wrong."""
    return _Line(text).fields()


class _Line:
    """Reads one line. Mutable: it knows how far it has read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fields(self, opened: int | None = None) -> tuple[Field, ...]:
        made: list[Field] = []
        ends = self._ends(opened)
        while True:
            self._match(r"[\s,]*")
            if self.at == len(self.text):
                if opened is not None:
                    raise self._error("is not closed", opened)
                return tuple(made)
            if opened is not None and self._match(r"\}"):
                if not made:
                    raise self._error("holds no fields", opened)
                return tuple(made)
            made.append(self._field(ends))

    def _ends(self, opened: int | None) -> str:
        """What ends a hint: a comma, but not in a schema, or an object, that is written over several lines."""
        if opened is None:
            return "\n" if "\n" in self.text.strip() else ",\n"
        depth = 1
        for character in self.text[opened + 1 :]:
            depth += (character == "{") - (character == "}")
            if character == "\n" or depth == 0:
                return "\n}" if character == "\n" else ",\n}"
        return ",\n}"

    def _field(self, ends: str) -> Field:
        start = self.at
        name = self._match(r"""'[^'\n]+'|"[^"\n]+"|[^\s,:{}()|'"!?]+""")
        if not name:
            raise self._error("is not the name of a field", start)
        made = Field(name.strip("'\""), "")
        while not self._match(r"[ \t]*(?=[,\n}]|$)", nothing=True):
            self._match(r"[ \t]+")
            if self._match(":"):
                return with_hint(made, self._hint(ends))
            made = self._marked(made)
        return with_hint(made, "")

    def _marked(self, made: Field) -> Field:  # noqa: PLR0911 - one for each kind of mark
        start = self.at
        if self._match(r"\{"):
            return dataclasses.replace(made, type="object", fields=self.fields(opened=start))
        if self._match("!"):
            return dataclasses.replace(made, required=True)
        if self._match(r"\?"):
            return made
        bounds = self._match(r"(?:-?\d+(?:\.\d+)?)?\.\.(?:-?\d+(?:\.\d+)?)?")
        if bounds:
            low, high = (_figure(part) for part in bounds.split("..", 1))
            return dataclasses.replace(made, minimum=low, maximum=high, type=_ranged(made, low, high))
        pattern = self._match(r"/(?:\\.|[^/\\\n])+/")
        if pattern:
            return dataclasses.replace(made, pattern=self._pattern(pattern[1:-1].replace(r"\/", "/"), start))
        words = self._match(r"\([^()\n]*\)")
        if words:
            return self._words(made, words[1:-1], start)
        return self._type(made, start)

    def _words(self, made: Field, content: str, start: int) -> Field:
        if content.strip().lower() in WORDS:
            return dataclasses.replace(made, type=WORDS[content.strip().lower()])
        choices = tuple(word.strip() for word in re.split(r"[|,]", content) if word.strip())
        if not choices:
            raise self._error("names no words to choose from", start)
        return dataclasses.replace(made, type="choice", choices=choices)

    def _type(self, made: Field, start: int) -> Field:
        listed = self._match(r"list(?:\[\s*\w*\s*\])?(?!\w)")
        if listed:
            word = listed[4:].strip("[] ").lower()
            if word and word not in WORDS:
                raise self._error(f"is not a type. {_types(word)}", start + 5, word)
            return dataclasses.replace(made, many=True, type=WORDS.get(word, made.type))
        word = self._match(r"[^\s,:{}()|!?]+") or self.text[self.at : self.at + 1]
        if word.lower() not in WORDS:
            raise self._error(f"is not a type. {_types(word)}", start, word)
        return dataclasses.replace(made, type=WORDS[word.lower()])

    def _pattern(self, pattern: str, start: int) -> str:
        try:
            re.compile(pattern)
        except re.error as exc:
            raise self._error(f"is not a regular expression: {exc}", start) from exc
        return pattern if pattern.startswith("^") or pattern.endswith("$") else f"^(?:{pattern})$"

    def _hint(self, ends: str) -> str:
        self._match(r"[ \t]*")
        quoted = self._match(r"""'[^'\n]*'(?=\s*(?:[,\n}]|$))|"[^"\n]*"(?=\s*(?:[,\n}]|$))""")
        if quoted:
            return quoted[1:-1]
        start, depth = self.at, 0
        while self.at < len(self.text):
            character = self.text[self.at]
            if depth == 0 and character in ends:
                break
            depth += (character in "([{") - (character in ")]}" and depth > 0)
            self.at += 1
        return self.text[start : self.at].strip()

    def _match(self, pattern: str, *, nothing: bool = False) -> str:
        """The text that ``pattern`` matches here, stepped over; with ``nothing`` a match of no text counts as ``" "``."""
        match = re.compile(pattern).match(self.text, self.at)
        if match is None:
            return ""
        self.at = match.end()
        return match[0] or (" " if nothing else "")

    def _error(self, what: str, at: int, word: str = "") -> SchemaError:
        met = word or self.text[at : at + 1]
        start, end = max(0, at - 25), at + 25
        line = " ".join(self.text[start:end].splitlines())
        return SchemaError(f"In the schema, {met!r} at character {at + 1} {what}", f"{line}\n{' ' * (at - start)}^")


def _types(word: str) -> str:
    known = [*dict.fromkeys(WORDS.values()), "list"]
    return f"{nearest(word, [*WORDS, 'list'])} Types: {', '.join(known)}.".strip()


def _figure(text: str) -> float | None:
    return None if not text else float(text) if "." in text else int(text)


def _ranged(made: Field, low: float | None, high: float | None) -> Type:
    """A range makes a number of what has no type yet."""
    if made.type != "str":
        return made.type
    return "float" if isinstance(low, float) or isinstance(high, float) else "int"
