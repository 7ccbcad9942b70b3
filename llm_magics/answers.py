"""What a task's reply is held to, and how it becomes data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from . import confidence, grounding, values
from .confidence import Calibration
from .engines.guidance import enforceable
from .records import Confidence, Guide, Request, Span, TokenLogprob
from .results import leaves
from .schema import Reading, Schema, parse_choice


@dataclass(frozen=True)
class Answered:
    """A reply that was read: the data, what is wrong with it, where its values stand, how sure the model was."""

    data: Any = None
    problems: tuple[str, ...] = ()
    dropped: Mapping[str, Any] = field(default_factory=dict)
    spans: tuple[Span, ...] = ()
    confidence: Mapping[str, Confidence] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Answer(Protocol):
    """How one kind of reply is guided and read. ``logprobs`` as in Prompt; ``notes`` are known before the run."""

    @property
    def guide(self) -> Guide | None: ...

    @property
    def logprobs(self) -> int: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def read(self, reply: str, tokens: Sequence[TokenLogprob], scale: Calibration | None) -> Answered: ...


def answer_of(kind: str, request: Request) -> Answer:
    """The Answer of a task whose reply is text, a label or json."""
    labels, schema = request.fields.get("labels"), request.fields.get("entities")
    if kind == "label" and labels:
        return LabelAnswer(tuple(labels))
    if kind == "json" and isinstance(schema, Schema):
        return RecordAnswer.of(schema, request)
    return TextAnswer()


@dataclass(frozen=True)
class TextAnswer:
    """Any text."""

    guide: Guide | None = None
    logprobs: int = 0
    notes: tuple[str, ...] = ()

    def read(self, reply: str, tokens: Sequence[TokenLogprob], scale: Calibration | None) -> Answered:
        return Answered()


@dataclass(frozen=True)
class LabelAnswer:
    """One of a few words."""

    labels: tuple[str, ...]
    logprobs: int = confidence.TOP
    notes: tuple[str, ...] = ()

    @property
    def guide(self) -> Guide:
        return Guide(choices=self.labels)

    def read(self, reply: str, tokens: Sequence[TokenLogprob], scale: Calibration | None) -> Answered:
        label = parse_choice(self.labels)(reply)
        places = [confidence.of_label(self.labels, label, reply)] if label else []
        return Answered(label, confidence=confidence.measure(reply, tokens, places, scale))


@dataclass(frozen=True)
class RecordAnswer:
    """A record, or a list of records, of a schema; ``copy`` and ``grounded`` as in ``Session.extract``."""

    schema: Schema
    guide: Guide
    text: str
    lang: str
    copy: bool = False
    grounded: bool = False
    notes: tuple[str, ...] = ()
    logprobs: int = confidence.TOP

    @classmethod
    def of(cls, schema: Schema, request: Request) -> RecordAnswer:
        """The answer that ``request`` asks for; SchemaError when no grammar can be made of its schema."""
        document, left = enforceable(schema.reply_schema)
        notes = (f"the decoder cannot keep to {', '.join(left)}; the reply is checked against it afterwards.",) if left else ()
        copy = bool(request.fields.get("copy"))
        guide = Guide(document, copy_from=request.text if copy else "")
        return cls(schema, guide, request.text, request.lang, copy, bool(request.fields.get("grounded")), notes)

    def read(self, reply: str, tokens: Sequence[TokenLogprob], scale: Calibration | None) -> Answered:
        reading = self.schema.read(reply, self.lang)
        if self.copy:
            reading = _only_copies(reading, self.schema, self.text)
        if self.grounded:
            reading = _only_grounded(reading, self.text)
        places = confidence.of_records(self.schema, reading.node) if reading.node else []
        return Answered(
            reading.data,
            reading.problems,
            reading.dropped,
            _spans(reading.data, self.text),
            confidence.measure(reply, tokens, places, scale),
        )


def _spans(data: Any, text: str) -> tuple[Span, ...]:
    return grounding.ground({f"[{at}]": record for at, record in enumerate(data)} if isinstance(data, list) else data, text)


def _only_grounded(reading: Reading, text: str) -> Reading:
    """None in place of each value that is nowhere in the text."""
    nowhere = {span.field for span in _spans(reading.data, text) if span.status == "absent"}
    absent = {path: value for path, value in _each(reading.data) if path in nowhere}
    return dataclasses.replace(reading, data=without(reading.data, absent), dropped={**reading.dropped, **absent})


def _only_copies(reading: Reading, schema: Schema, text: str) -> Reading:
    """None in place of each free text that is no piece of the source. A decoder that was held to copies leaves nothing to do."""
    kinds = {place.path: place.kind for place in confidence.of_records(schema, reading.node)} if reading.node else {}
    absent = {
        path: value
        for path, value in _each(values.as_written(reading.data))
        if isinstance(value, str) and kinds.get(path, "text") == "text" and value not in text
    }
    problems = tuple(f"{path}: {value!r} is not a piece of the text" for path, value in absent.items())
    return dataclasses.replace(
        reading,
        data=without(reading.data, absent),
        problems=(*reading.problems, *problems),
        dropped={**reading.dropped, **absent},
    )


def _each(data: Any) -> list[tuple[str, Any]]:
    """All values by path, those in lists one by one."""
    found = []
    for path, value in leaves(data):
        found += [(f"{path}[{at}]", item) for at, item in enumerate(value)] if isinstance(value, list) else [(path, value)]
    return found


def without(data: Any, paths: Mapping[str, Any], at: str = "") -> Any:
    """``data`` with None at each of ``paths``; in a list of plain values such an item is left out."""
    if at in paths:
        return None
    if isinstance(data, dict):
        return {key: without(value, paths, f"{at}.{key}" if at else str(key)) for key, value in data.items()}
    if isinstance(data, list):
        kept = [without(item, paths, f"{at}[{index}]") for index, item in enumerate(data)]
        return [item for item in kept if item is not None] or (None if at else [])
    return data
