"""Entities with hints -> JSON Schema -> typed values.

A hint is free text for the model; a mark in brackets anywhere in it decides the type of the value:

- ``(bool)``, ``(int)``, ``(float)``, ``(date)``, ``(str)``; no mark means ``(str)``
- ``(a|b|c)`` or ``(one of a, b, c)``: one of these words
- ``(list of)`` before or with any of them, as in ``the (list of) languages``, ``(list of languages)`` or ``(list of int) lap times``

Every value may be ``null``, which becomes None: the text does not say.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .errors import SchemaError

Type = Literal["str", "bool", "int", "float", "date", "choice"]

_WORDS: dict[str, Type] = {
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
}
_LIST = re.compile(r"(?:list of|list|liste de|liste von|liste|lista de|lista)\b\s*", re.IGNORECASE)
_MARK = re.compile(r"\(([^()]*)\)")
# An ISO date, whole or cut to the month or the year.
_DATE = r"^[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$"


@dataclass(frozen=True)
class Field:
    """One value asked for: its key, the user's hint, and the type that the hint's mark gives."""

    key: str
    hint: str
    type: Type = "str"
    many: bool = False
    choices: tuple[str, ...] = ()

    @property
    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the value; null is always allowed."""
        single: dict[str, Any]
        if self.type == "choice":
            single = {"enum": [*self.choices]}
        elif self.type == "date":
            single = {"type": "string", "pattern": _DATE}
        else:
            single = {"type": {"str": "string", "bool": "boolean", "int": "integer", "float": "number"}[self.type]}
        return {"anyOf": [{"type": "array", "items": single} if self.many else single, {"type": "null"}]}

    def typed(self, value: Any) -> Any:
        """The Python value of a JSON ``value``."""
        if value is None:
            return None
        if self.many:
            return [self._single(item) for item in value] or None
        return self._single(value)

    def _single(self, value: Any) -> Any:
        if self.type == "float":
            return float(value)
        if self.type == "date" and len(value) == 10:
            try:
                return datetime.date.fromisoformat(value)
            except ValueError:  # 30 February: what the model wrote is kept
                return value
        return value


@dataclass(frozen=True)
class Schema:
    """What extract asks for. ``fields`` is empty where the user gave a JSON Schema of their own."""

    json_schema: Mapping[str, Any]
    hints: Mapping[str, str]
    fields: tuple[Field, ...] = ()

    def parse(self, text: str) -> dict[str, Any]:
        """The typed values in a reply. A reply that was cut gives its whole values; the rest is None."""
        values = _whole_members(text)
        if not self.fields:
            return {key: values.get(key) for key in self.hints} | values
        return {field.key: field.typed(values.get(field.key)) for field in self.fields}

    def problems(self, data: Mapping[str, Any]) -> list[str]:
        """Where ``data`` breaks the user's own JSON Schema; empty when it is valid."""
        if self.fields:
            return []
        import jsonschema  # slow to import where JupyterLab's extras are installed, and seldom needed

        validator = jsonschema.validators.validator_for(self.json_schema)(self.json_schema)
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(data)]


def _whole_members(text: str) -> dict[str, Any]:
    """The members of a JSON object that are complete in ``text``."""
    whole = text[max(text.find("{"), 0) :].rstrip()
    # A cut inside a string or a nested value leaves something open, which one brace does not close.
    ends = [len(whole), *(match.start() for match in reversed(list(re.finditer(",", whole))))]
    for end in ends:
        for closing in ("", "}"):
            with contextlib.suppress(ValueError):
                value = json.loads(whole[:end] + closing)
                return value if isinstance(value, dict) else {}
    return {}


def _mark(content: str) -> tuple[Type | None, bool, tuple[str, ...]]:
    """Type, many and choices that the words inside one pair of brackets give; (None, False, ()) when it is no mark."""
    rest = content.strip()
    listed = _LIST.match(rest)
    if listed:
        rest = rest[listed.end() :].strip()
        if not rest:
            return None, True, ()
    if rest.lower() in _WORDS:
        return _WORDS[rest.lower()], bool(listed), ()
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


def from_entities(entities: Mapping[str, str]) -> Schema:
    """The Schema of ``{key: hint}``; a hint may be empty."""
    if not isinstance(entities, Mapping) or not entities:
        raise SchemaError(f"Entities must be a mapping of names to hints, got {entities!r}.", "Write {'name': 'the company name'}.")
    fields = []
    for key, hint in entities.items():
        if not isinstance(key, str) or not key.strip():
            raise SchemaError(f"An entity needs a name, got {key!r}.", "Write 'name: hint'.")
        if not isinstance(hint, (str, type(None))):
            raise SchemaError(f"The hint of {key!r} must be text, got {hint!r}.", "Write what the value is, in a few words.")
        fields.append(parse_hint(key, hint or ""))
    properties = {field.key: field.json_schema for field in fields}
    document = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    return Schema(document, {field.key: field.hint for field in fields}, tuple(fields))


def from_json_schema(document: Mapping[str, Any]) -> Schema:
    """The Schema of a user's own JSON Schema, which must describe an object."""
    if not isinstance(document, Mapping) or not isinstance(document.get("properties"), Mapping) or not document["properties"]:
        raise SchemaError("The JSON Schema must describe an object with properties.", 'Write {"type": "object", "properties": {...}}.')
    return Schema(document, {key: _described(value) for key, value in document["properties"].items()})


def _described(value: Any) -> str:
    if not isinstance(value, Mapping):
        return ""
    kind = "|".join(map(str, value["enum"])) if "enum" in value else value.get("type", "")
    if kind in ("object", "array"):
        kind = json.dumps({key: value[key] for key in ("type", "properties", "items") if key in value}, ensure_ascii=False)
    return " ".join(part for part in (f"({kind})" if kind else "", str(value.get("description", ""))) if part)


def parse_entity(option: str) -> tuple[str, str]:
    """``'name: hint'`` as typed after ``-e``; the hint may be missing."""
    key, _, hint = option.partition(":")
    if not key.strip():
        raise SchemaError(f"-e {option!r} has no name.", "Write -e 'name: hint'.")
    return key.strip(), hint.strip()


def parse_choice(labels: tuple[str, ...]) -> Callable[[str], str | None]:
    """How a classify reply is read: the label that it is, else None."""
    return lambda reply: reply.strip() if reply.strip() in labels else None
