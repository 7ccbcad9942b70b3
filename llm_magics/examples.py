"""Few-shot examples: texts with the data that they should give, checked, as earlier turns of the conversation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from . import grounding, prompts, values
from .errors import OptionError, nearest
from .records import Message, Request
from .results import leaves
from .schema import Schema


@dataclass(frozen=True)
class Example:
    """A text, and the JSON reply that is right for it."""

    text: str
    reply: str


def checked(examples: Iterable[Any], schema: Schema) -> tuple[Example, ...]:
    """Examples given as ``(text, data)`` or ``{'text': ..., 'data': ...}``; OptionError for one that would mislead.

    Data is a record of the schema (a list of them where the schema asks for many); what it leaves out is null. Each text
    value must occur in the example's own text: the model would learn to make values up.
    """
    if isinstance(examples, (str, Mapping)) or not isinstance(examples, Iterable):
        raise OptionError(f"Examples must be a list, got {type(examples).__name__}.", _HOW)
    return tuple(_checked(number, example, schema) for number, example in enumerate(examples, 1))


_HOW = "Write [('a text', {'name': 'a value'}), ...], or [{'text': ..., 'data': ...}, ...]."


def _checked(number: int, example: Any, schema: Schema) -> Example:
    if isinstance(example, Mapping):
        text, data = example.get("text"), example.get("data")
    else:
        text, data = example if isinstance(example, (tuple, list)) and len(example) == 2 else (None, None)
    if not isinstance(text, str) or not isinstance(data, list if schema.many else Mapping):
        raise OptionError(f"Example {number} is not a text with its data: {str(example)[:80]!r}.", _HOW)
    records = [_whole(number, record, schema) for record in (data if isinstance(data, list) else [data])]
    written = json.dumps(records if schema.many else records[0], ensure_ascii=False)
    reading = schema.read(written)
    if reading.problems:
        raise OptionError(f"Example {number} is not as the schema asks: {reading.problems[0]}.", "Correct it, or leave it out.")
    for path, value in leaves(values.as_written(reading.data)):
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str) and not _is_named(schema, item) and _absent(item, text):
                raise OptionError(
                    f"Example {number}: {item!r} ({path}) does not occur in its text.", "Copy values from the text as they stand."
                )
    return Example(text, written)


def _whole(number: int, record: Any, schema: Schema) -> dict[str, Any]:
    """Every field of the schema in its order."""
    if not isinstance(record, Mapping):
        raise OptionError(f"Example {number} holds no record: {str(record)[:80]!r}.", _HOW)
    for key in record:
        if key not in schema.hints:
            raise OptionError(f"Example {number} has a field {key!r} that the schema has not.", nearest(str(key), schema.hints))
    return {key: values.plain(values.as_written(record.get(key))) for key in schema.hints}


def _is_named(schema: Schema, value: str) -> bool:
    """Whether ``value`` is one of the schema's own words, which need not stand in the text."""
    todo = [*schema.fields]
    while todo:
        field = todo.pop()
        if value in field.choices:
            return True
        todo += field.fields
    return False


def _absent(value: str, text: str) -> bool:
    return value not in text and any(span.status == "absent" for span in grounding.ground({"value": value}, text))


def turns(examples: Iterable[Example], request: Request) -> tuple[Message, ...]:
    """The examples as turns in the words of ``request``'s own prompt."""
    made: list[Message] = []
    for example in examples:
        asked = prompts.user_text(replace(request, text=example.text))
        made += [Message("user", asked), Message("assistant", example.reply)]
    return tuple(made)
