"""The one schema that all ways of asking become: fields with types, nested, and the JSON Schema that they make.

A hint is free text for the model; a mark in brackets anywhere in it decides the type of the value:

- ``(bool)``, ``(int)``, ``(float)``, ``(date)``, ``(quantity)``, ``(str)``; no mark means ``(str)``
- ``(a|b|c)`` or ``(one of a, b, c)``: one of these words
- ``(list of)`` before or with any of them, as in ``the (list of) languages``, ``(list of languages)`` or ``(list of int) lap times``

Every value may be ``null``, which becomes None: the text does not say. ``notation`` has the other ways to write a schema, and ``shorthand``
the language of one line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .. import values
from ..errors import SchemaError
from . import replies

Type = Literal["str", "bool", "int", "float", "date", "datetime", "choice", "quantity", "object", "any"]

WORDS: dict[str, Type] = {
    "str": "str",
    "string": "str",
    "text": "str",
    "bool": "bool",
    "boolean": "bool",
    "int": "int",
    "integer": "int",
    "float": "float",
    "number": "float",
    "date": "date",
    "datetime": "datetime",
    "quantity": "quantity",
}
_LIST = re.compile(r"(?:list of|list|liste de|liste von|liste|lista de|lista)\b\s*", re.IGNORECASE)
_AROUND = " \t\r\n.,:;!\"'`*"
_MARK = re.compile(r"\(([^()]*)\)")
# An ISO date, whole or cut to the month or the year; and one with a time.
_DATE = r"^[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$"
_DATETIME = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?(Z|[+-][0-9]{2}:[0-9]{2})?$"
# What the model sees no mark for. A quantity is asked for as it stands in the text, number and unit.
_UNSAID = ("str", "any", "object", "quantity")
_JSON_TYPES = {"str": "string", "bool": "boolean", "int": "integer", "float": "number", "quantity": "string"}


@dataclass(frozen=True)
class Field:
    """One value asked for: its key, the hint as the model sees it, and its type.

    ``many`` makes it a list of that type; ``fields`` are those of an object; ``required`` takes None away.
    """

    key: str
    hint: str
    type: Type = "str"
    many: bool = False
    choices: tuple[Any, ...] = ()
    fields: tuple[Field, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str = ""
    min_items: int | None = None
    max_items: int | None = None
    required: bool = False

    @property
    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the value; null is allowed unless the field is required."""
        whole = {"type": "array", "items": self._single, **_kept(minItems=self.min_items, maxItems=self.max_items)}
        wanted = whole if self.many else self._single
        return wanted if self.required or not wanted else {"anyOf": [wanted, {"type": "null"}]}

    @property
    def _single(self) -> dict[str, Any]:
        if self.type == "choice":
            return {"enum": [*self.choices]}
        if self.type in ("date", "datetime"):
            return {"type": "string", "pattern": _DATE if self.type == "date" else _DATETIME}
        if self.type == "object":
            return object_schema(self.fields)
        if self.type == "any":
            return {}
        limits = _kept(minimum=self.minimum, maximum=self.maximum, pattern=self.pattern or None)
        return {"type": _JSON_TYPES[self.type], **limits}


def _kept(**limits: Any) -> dict[str, Any]:
    return {name: limit for name, limit in limits.items() if limit is not None}


def object_schema(fields: tuple[Field, ...]) -> dict[str, Any]:
    """JSON Schema of an object with exactly these fields."""
    properties = {field.key: field.json_schema for field in fields}
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def with_hint(made: Field, hint: str) -> Field:
    """``made`` with the hint that the model sees: its type as a mark, in the words that hints use, and the text of ``hint``."""
    return replace(made, hint=" ".join(part for part in (*_marks(made), hint.strip()) if part))


def _marks(made: Field) -> list[str]:
    kind = {"choice": "|".join(map(str, made.choices))}.get(made.type, "" if made.type in _UNSAID else made.type)
    marks = [f"(list of {kind})" if kind else "(list of)"] if made.many else [f"({kind})"] if kind else []
    if made.minimum is not None or made.maximum is not None:
        marks.append(f"({_end(made.minimum)}..{_end(made.maximum)})")
    if made.pattern:
        marks.append(f"(/{made.pattern.removeprefix('^(?:').removesuffix(')$')}/)")
    return [*marks, *members(made)]


def members(made: Field) -> list[str]:
    """The members of an object as the model sees them, in one item; none for other fields."""
    listed = ", ".join(f"{each.key}: {each.hint}" if each.hint else each.key for each in made.fields)
    return [f"{{{listed}}}"] if listed else []


def _end(limit: float | None) -> str:
    return "" if limit is None else str(limit)


@dataclass(frozen=True)
class Reading:
    """What a reply says. ``problems`` is empty when it is as the schema asks; ``dropped`` are values that could not stay, by path."""

    data: Any
    node: replies.Node | None
    problems: tuple[str, ...] = ()
    dropped: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Schema:
    """What extract asks for. ``many`` asks for a list of such records.

    ``json_schema`` is that of one record. ``own`` is true where it is the user's own document: then replies are validated
    against it, and ``fields`` only tell its structure and dates. ``made_from`` is the class that was given, if one was.
    """

    json_schema: Mapping[str, Any]
    hints: Mapping[str, str]
    fields: tuple[Field, ...] = ()
    many: bool = False
    own: bool = False
    made_from: type | None = None

    @property
    def reply_schema(self) -> Mapping[str, Any]:
        """JSON Schema of the whole reply."""
        if not self.many:
            return self.json_schema
        definitions = {name: self.json_schema[name] for name in ("$defs", "definitions") if name in self.json_schema}
        return {"type": "array", "items": self.json_schema, **definitions}

    def parse(self, text: str) -> Any:
        """The typed values in a reply. A reply that was cut gives its whole values; the rest is None."""
        return self.read(text).data

    def read(self, text: str, lang: str = "en") -> Reading:
        """The typed values in a reply, and all that is wrong with them. ``lang`` decides how numbers and dates in words are read."""
        node = replies.find(text, "[") if self.many else replies.find(text)
        if self.many and (node is None or (node.value and not any(isinstance(each, dict) for each in node.value))):
            node = replies.find(text) or node  # one record in place of a list of them
        found = values.Findings(lang)
        if node is None:
            found.problems.append("the reply holds no JSON " + ("array" if self.many else "object"))
        raw = node.value if node else ([] if self.many else {})
        if self.own:
            found.problems += self.problems(raw)
        records = raw if isinstance(raw, list) else [raw]
        if self.many:
            whole = [(at, each) for at, each in enumerate(records) if isinstance(each, dict)]
            data: Any = [self._record(each, f"[{at}]", found) for at, each in whole]
        else:
            data = self._record(raw if isinstance(raw, dict) else {}, "", found)
        return Reading(data, node, tuple(found.problems), found.dropped)

    def _record(self, raw: Mapping[str, Any], path: str, found: values.Findings) -> dict[str, Any]:
        if not self.own:
            return values.record(self.fields, raw, path, found)
        return values.dated(self.fields, raw, found.lang)

    def problems(self, data: Any) -> list[str]:
        """Where JSON ``data`` breaks the user's own JSON Schema; empty when it is valid."""
        if not self.own:
            return []
        import jsonschema  # slow to import where JupyterLab's extras are installed, and seldom needed

        kind = jsonschema.validators.validator_for(self.reply_schema)
        validator = kind(self.reply_schema, format_checker=kind.FORMAT_CHECKER)
        try:
            return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(data)]
        except Exception as exc:  # noqa: BLE001 - a reference that leads nowhere, or a pattern that is no regular expression of Python's
            return [f"$: cannot be checked: {type(exc).__name__}"]

    def build(self, data: Any) -> Any:
        """``data`` as instances of the class that the schema was made from; unchanged without one."""
        if self.made_from is None:
            return data
        from .notation import instance

        return [instance(self.made_from, each) for each in data] if self.many else instance(self.made_from, data)


def from_fields(fields: tuple[Field, ...], made_from: type | None = None) -> Schema:
    """The Schema of a record of these fields."""
    if not fields:
        raise SchemaError("The schema has no fields.", "Write one or more, such as 'name, price float'.")
    seen: set[str] = set()
    for each in fields:
        if each.key in seen:
            raise SchemaError(f"The field {each.key!r} is there twice.", "Give each field a name of its own.")
        seen.add(each.key)
    return Schema(object_schema(fields), {each.key: each.hint for each in fields}, fields, made_from=made_from)


def records(schema: Schema) -> Schema:
    """The same, asked for as a list of records."""
    return replace(schema, many=True)


def _mark(content: str) -> tuple[Type | None, bool, tuple[str, ...]]:
    """Type, many and choices that the words inside one pair of brackets give; (None, False, ()) when it is no mark."""
    rest = content.strip()
    listed = _LIST.match(rest)
    if listed:
        rest = rest[listed.end() :].strip()
        if not rest:
            return None, True, ()
    if rest.lower() in WORDS:
        return WORDS[rest.lower()], bool(listed), ()
    if rest.lower().startswith("one of "):
        return "choice", bool(listed), tuple(part.strip() for part in rest[7:].split(",") if part.strip())
    if "|" in rest:
        return "choice", bool(listed), tuple(part.strip() for part in rest.split("|") if part.strip())
    return None, bool(listed), ()  # (list of languages): the words are the reader's


def parse_hint(key: str, hint: str) -> Field:
    """The Field that a hint describes."""
    kind: Type = "str"
    many = False
    choices: tuple[str, ...] = ()
    for content in _MARK.findall(hint):
        found, listed, words = _mark(content)
        many = many or listed
        if found:
            kind, choices = found, words
    return Field(key, hint, kind, many, choices)


def from_entities(entities: Mapping[str, Any]) -> Schema:
    """The Schema of ``{key: hint}``; a hint may be empty, or a Python type, a dict of further hints, or a list of one dict."""
    if not isinstance(entities, Mapping) or not entities:
        raise SchemaError(f"Entities must be a mapping of names to hints, got {entities!r}.", "Write {'name': 'the company name'}.")
    from .notation import field_of

    return from_fields(tuple(field_of(key, hint) for key, hint in entities.items()))


def from_json_schema(document: Mapping[str, Any]) -> Schema:
    """The Schema of a user's own JSON Schema: an object with properties, or an array of such."""
    from .notation import json_fields, resolved

    root = resolved(document, document) if isinstance(document, Mapping) else {}
    if root.get("type") == "array" and isinstance(root.get("items"), Mapping):
        definitions = {name: document[name] for name in ("$defs", "definitions") if name in document}
        return records(from_json_schema({**root["items"], **definitions}))
    if not isinstance(root.get("properties"), Mapping) or not root["properties"]:
        raise SchemaError("The JSON Schema must describe an object with properties.", 'Write {"type": "object", "properties": {...}}.')
    fields = json_fields(root, document)
    return Schema(document, {field.key: field.hint for field in fields}, fields, own=True)


def parse_entity(option: str) -> tuple[str, str]:
    """``'name: hint'`` as typed after ``-e``; the hint may be missing."""
    key, _, hint = option.partition(":")
    if not key.strip():
        raise SchemaError(f"-e {option!r} has no name.", "Write -e 'name: hint'.")
    return key.strip(), hint.strip()


def parse_choice(labels: tuple[str, ...]) -> Callable[[str], str | None]:
    """How a classify reply is read: the label that it is, else None. Case and what stands around it do not count."""
    bare = {label.strip(_AROUND).casefold(): label for label in labels}

    def read(reply: str) -> str | None:
        return reply.strip() if reply.strip() in labels else bare.get(reply.strip(_AROUND).casefold())

    return read
