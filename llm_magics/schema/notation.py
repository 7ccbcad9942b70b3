"""The ways to write a schema beside a dict of hints: a line of text (``shorthand``), Python types and classes, JSON Schema."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import enum
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import typing_extensions

from .. import values
from ..errors import SchemaError
from ..values.quantities import Quantity
from . import Field, Schema, Type, from_entities, from_fields, from_json_schema, members, parse_hint, records, with_hint
from .shorthand import parse_line

_JSON_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
_PYTHON: dict[Any, Type] = {
    str: "str",
    bool: "bool",
    int: "int",
    float: "float",
    datetime.date: "date",
    datetime.datetime: "datetime",
    Quantity: "quantity",
    Any: "any",
    object: "any",
    dict: "any",
}
_PLAIN: dict[str, Type] = {"string": "str", "boolean": "bool", "integer": "int", "number": "float"}
_LISTS = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Set)
# A schema that refers to itself is followed this far.
_DEEPEST = 6


def schema_of(given: Any) -> Schema:
    """The Schema that ``given`` means.

    A line of text (``shorthand``), a dict of hints, a JSON Schema, a dataclass, a TypedDict, a pydantic model; in a list, or as
    ``list[...]``: a list of such records. SchemaError for anything else.
    """
    if isinstance(given, Schema):
        return given
    if isinstance(given, str):
        return from_fields(parse_line(given))
    if isinstance(given, (list, tuple)) and len(given) == 1:
        return records(schema_of(given[0]))
    if typing.get_origin(given) in _LISTS and typing.get_args(given):
        return records(schema_of(typing.get_args(given)[0]))
    if isinstance(given, Mapping):
        return from_json_schema(given) if _is_json_schema(given) else from_entities(given)
    if isinstance(given, type):
        return _of_class(given)
    raise SchemaError(f"A schema cannot be made of {given!r}.", _WAYS)


_WAYS = "Give a line such as 'name, price float', a dict of hints, a JSON Schema, a dataclass, a TypedDict or a pydantic model."


def _is_json_schema(given: Mapping[str, Any]) -> bool:
    named = isinstance(given.get("type"), str) and given["type"] in _JSON_TYPES
    return named or isinstance(given.get("properties"), Mapping) or any(key in given for key in ("$ref", "$defs", "$schema"))


def _of_class(given: type) -> Schema:
    if hasattr(given, "model_json_schema"):
        return dataclasses.replace(from_json_schema(given.model_json_schema()), made_from=given)
    if dataclasses.is_dataclass(given) or typing_extensions.is_typeddict(given):
        return from_fields(_class_fields(given), made_from=given)
    raise SchemaError(f"A schema cannot be made of the class {given.__name__}.", _WAYS)


# Dicts and Python types.


def field_of(key: Any, given: Any) -> Field:
    """The Field of one entry of a dict: a hint, a Python type, ``(type, hint)``, a dict of further entries, a list of one of these."""
    if not isinstance(key, str) or not key.strip():
        raise SchemaError(f"An entity needs a name, got {key!r}.", "Write 'name: hint'.")
    if given is None or isinstance(given, str):
        return parse_hint(key, given or "")
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], str):
        return with_hint(_bare(key, given[0]), given[1])
    return with_hint(_bare(key, given), "")


def _bare(key: str, given: Any) -> Field:
    if isinstance(given, Mapping) and given:
        return Field(key, "", "object", fields=tuple(field_of(*entry) for entry in given.items()))
    if isinstance(given, list) and len(given) == 1:
        return dataclasses.replace(_bare(key, given[0]), many=True)
    if isinstance(given, str):
        return parse_hint(key, given)
    if isinstance(given, type) or typing.get_origin(given) is not None or given is Any:
        return annotated(key, given)
    raise SchemaError(
        f"The hint of {key!r} must be text, a type, a dict or a list of one of these, got {given!r}.",
        "Write what the value is, in a few words; or int, list[str], {'name': 'a further hint'}.",
    )


def annotated(key: str, annotation: Any) -> Field:  # noqa: C901, PLR0911 - one for each kind of type
    """The Field of a type annotation, still without the hint that the model sees; hints in ``Annotated`` stand in ``hint``."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        made = annotated(key, inner[0])
        for extra in inner[1:]:
            made = _refined(made, extra)
        return made
    if origin in (typing.Union, types.UnionType):
        kinds = [kind for kind in inner if kind is not types.NoneType]
        if len(kinds) == 1:
            return annotated(key, kinds[0])
    elif origin is typing.Literal:
        return Field(key, "", "choice", choices=tuple(choice for choice in inner if choice is not None))
    elif origin in _LISTS or annotation in _LISTS:
        return dataclasses.replace(annotated(key, inner[0] if inner else str), many=True)
    elif origin in (typing_extensions.Required, typing_extensions.NotRequired, typing.ClassVar):
        return annotated(key, inner[0])
    elif origin in (dict, collections.abc.Mapping):
        return Field(key, "", "any")
    elif isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return Field(key, "", "choice", choices=tuple(member.value for member in annotation))
    elif annotation is not Quantity and (dataclasses.is_dataclass(annotation) or typing_extensions.is_typeddict(annotation)):
        return Field(key, "", "object", fields=_class_fields(annotation))
    if isinstance(annotation, collections.abc.Hashable) and annotation in _PYTHON:
        return Field(key, "", _PYTHON[annotation])
    raise SchemaError(
        f"The type of {key!r}, {annotation!r}, is not one that can be extracted.",
        "Use str, bool, int, float, date, Literal, an Enum, Quantity, a dataclass, a list of these, or X | None.",
    )


def _refined(made: Field, extra: Any) -> Field:
    """A Field with what one item of ``Annotated``, or a dataclass field's metadata, adds: a hint, a range, a pattern."""
    if isinstance(extra, str):
        return dataclasses.replace(made, hint=extra)

    def get(name: str) -> Any:
        return extra.get(name) if isinstance(extra, Mapping) else getattr(extra, name, None)

    limits = {"minimum": _first(get, "minimum", "ge", "gt"), "maximum": _first(get, "maximum", "le", "lt"), "pattern": get("pattern")}
    limits |= {"min_items": get("min_items"), "max_items": get("max_items"), "hint": _first(get, "hint", "description")}
    return dataclasses.replace(made, **{name: limit for name, limit in limits.items() if limit is not None})


def _first(get: Any, *names: str) -> Any:
    return next((found for name in names if (found := get(name)) is not None), None)


def _class_fields(given: type) -> tuple[Field, ...]:
    """The fields of a dataclass or TypedDict, in order."""
    try:
        kinds = typing_extensions.get_type_hints(given, include_extras=True)
    except NameError as exc:
        raise SchemaError(f"A type in {given.__name__} cannot be found: {exc}.", "Define it in the notebook before the class.") from exc
    extras = {each.name: each.metadata for each in dataclasses.fields(given)} if dataclasses.is_dataclass(given) else {}
    made = []
    for name, kind in kinds.items():
        if dataclasses.is_dataclass(given) and name not in extras:
            continue  # a class variable
        field = _refined(annotated(name, kind), extras.get(name, {}))
        made.append(with_hint(field, field.hint))
    return tuple(made)


def instance(kind: Any, data: Any) -> Any:  # noqa: PLR0911 - one for each kind of type
    """``data``, as extracted, as an instance of the class or type ``kind``; SchemaError when a pydantic model refuses it."""
    if data is None:
        return None
    if hasattr(kind, "model_validate"):
        try:
            return kind.model_validate(values.plain(data))
        except ValueError as exc:
            raise SchemaError(f"{kind.__name__} does not take what was extracted: {exc}", "See .data for it as it is.") from exc
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return instance(inner[0], data)
    if origin in (typing.Union, types.UnionType):
        return instance(next(each for each in inner if each is not types.NoneType), data)
    if isinstance(data, list):
        made = [instance(inner[0] if inner else Any, item) for item in data]
        return tuple(made) if (origin or kind) is tuple else set(made) if (origin or kind) in (set, frozenset) else made
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        member: Any = kind(data)
        return member
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and isinstance(data, Mapping):
        kinds = typing_extensions.get_type_hints(kind, include_extras=True)
        taken = [each.name for each in dataclasses.fields(kind) if each.init]
        return kind(**{name: instance(kinds[name], data.get(name)) for name in taken})
    return data


# JSON Schema.


def resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """``schema`` with a reference within ``document`` followed, ``null`` taken out of its ``anyOf``, and a lone ``allOf`` opened."""
    for _ in range(_DEEPEST):
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/"):
            found: Any = document
            for part in reference[2:].split("/"):
                found = found.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, Mapping) else {}
            schema = {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
            continue
        for key in ("anyOf", "oneOf", "allOf"):
            parts = schema.get(key)
            if isinstance(parts, Sequence):
                some = [part for part in parts if isinstance(part, Mapping) and part.get("type") != "null"]
                if len(some) == 1:
                    schema = {**some[0], **{name: value for name, value in schema.items() if name != key}}
                    break
        else:
            return schema
    return schema


def json_fields(schema: Mapping[str, Any], document: Mapping[str, Any], depth: int = 0) -> tuple[Field, ...]:
    """The structure of an object's JSON Schema as fields; what they cannot say is of type ``any``."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or depth > _DEEPEST:
        return ()
    return tuple(_json_field(key, value, document, depth) for key, value in properties.items())


def _json_field(key: str, value: Any, document: Mapping[str, Any], depth: int) -> Field:
    if not isinstance(value, Mapping):
        return Field(key, "", "any")
    part = resolved(value, document)
    made = _json_type(key, part, document, depth)
    return dataclasses.replace(made, hint=_json_hint(part, made, document))


def _json_type(key: str, part: Mapping[str, Any], document: Mapping[str, Any], depth: int) -> Field:
    kind = _json_kind(part)
    if kind == "array":
        items = part.get("items")
        return dataclasses.replace(_json_field(key, items if isinstance(items, Mapping) else {}, document, depth + 1), many=True)
    if isinstance(part.get("enum"), list) or "const" in part:
        choices = part["enum"] if "enum" in part else [part["const"]]
        return Field(key, "", "choice", choices=tuple(choice for choice in choices if choice is not None))
    if kind == "object":
        fields = json_fields(part, document, depth + 1)
        return Field(key, "", "object" if fields else "any", fields=fields)
    dated: dict[str, Type] = {"date": "date", "date-time": "datetime"}
    if kind == "string" and part.get("format") in dated:
        return Field(key, "", dated[part["format"]])
    return Field(key, "", _PLAIN.get(kind, "any"))


def _json_kind(part: Mapping[str, Any]) -> str:
    """The one type of a schema beside null; empty when it has several or none."""
    kind = part.get("type")
    kinds = [name for name in kind if name != "null"] if isinstance(kind, list) else [kind]
    return str(kinds[0]) if len(kinds) == 1 and kinds[0] else ""


def _json_hint(part: Mapping[str, Any], made: Field, document: Mapping[str, Any]) -> str:
    """A property as the model sees it: its JSON type or its members, and its description."""
    single = resolved(part["items"], document) if made.many and isinstance(part.get("items"), Mapping) else part
    kind = "|".join(map(str, made.choices)) or ("" if made.fields else _json_kind(single))
    marks = [f"(list of {kind})" if kind else "(list of)"] if made.many else [f"({kind})"] if kind else []
    return " ".join((*marks, *members(made), *([str(part["description"])] if part.get("description") else [])))
