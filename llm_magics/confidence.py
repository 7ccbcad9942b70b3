"""How sure the model was of each value of its reply.

The figure is the product of the probabilities of the tokens that hold the value's characters, quotes included, so that it also
counts whether there is a value at all and where it ends. They are the model's own probabilities at temperature 1, before the guide:
a guide that leaves one token gives it probability 1 however unlikely the model held it, and that would hide just the
doubtful values; and servers tell no others. A label of classify is the exception: the question is which of the labels fits, so
there the probability is that among the labels, where the engine knows it. (``python -m tests.bench calibration`` measures both.)

A calibration maps such figures to how often the values were right. It is measured for one model and one build of it.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .records import Confidence, EngineInfo, TokenLogprob
from .schema import Field, Schema, replies

DEMO = Path(__file__).parent / "demo"
# How many of the likeliest tokens an engine is asked for beside each one: true, false, null, and pieces of them.
TOP = 6


@dataclass(frozen=True)
class Place:
    """A value's place in the reply, ``reply[start:end]``, its kind, and the other values of its field with the text of each."""

    path: str
    start: int
    end: int
    kind: str
    others: tuple[tuple[Any, str], ...] = ()


@dataclass(frozen=True)
class Calibration:
    """For each kind of value the slope and the shift that make of the model's log-odds those of being right (Platt's scaling)."""

    scales: Mapping[str, tuple[float, float]]

    def __call__(self, kind: str, raw: float) -> float | None:
        """The calibrated probability; None for a kind that was not measured."""
        if kind not in self.scales:
            return None
        slope, shift = self.scales[kind]
        return 1 / (1 + math.exp(-(slope * log_odds(raw) + shift)))


def log_odds(probability: float) -> float:
    """The logarithm of the odds, between those of one in a million against and for."""
    kept = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(kept / (1 - kept))


def calibration(info: EngineInfo) -> Calibration | None:
    """The calibration that was measured with this very engine; None for all but the bundled one."""
    return _bundled() if (info.model, info.backend) == ("demo", "onnx") else None


@functools.cache
def _bundled() -> Calibration | None:
    try:
        stored = json.loads((DEMO / "calibration.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if stored["engine"] != digest(DEMO / "engine"):
        return None  # measured with another build
    return Calibration({kind: (slope, shift) for kind, (slope, shift) in stored["scales"].items()})


def digest(folder: Path) -> str:
    """Names the weights of an engine folder."""
    return hashlib.sha256((folder / "model.onnx.data").read_bytes()).hexdigest()[:16]


def measure(reply: str, tokens: Sequence[TokenLogprob], places: Iterable[Place], scale: Calibration | None) -> dict[str, Confidence]:
    """The Confidence of each place in ``reply``; empty when the engine gave no log-probabilities."""
    ends = _ends(reply, tokens)
    made = {}
    for place in places:
        first = bisect.bisect_right(ends, place.start)
        last = bisect.bisect_left(ends, place.end)
        if last < len(ends):
            made[place.path] = _confidence(tokens, ends, place, range(first, last + 1), scale)
    return made


def _ends(reply: str, tokens: Sequence[TokenLogprob]) -> list[int]:
    """Where each token ends in ``reply``; empty when their texts are not those of the reply.

    Engines that decode token by token have no text for a part of a character: such tokens all end where the next readable one
    begins.
    """
    ends: list[int] = []
    at = unread = 0
    for token in tokens:
        if at == len(reply):
            break  # what comes now was cut off: the end-of-text token, or what follows a stop
        found = reply.find(token.text, at, at + unread + len(token.text)) if token.text else -1
        if found >= 0:
            ends += [found] * unread
            at, unread = found + len(token.text), 0
            ends.append(at)
        elif token.text.strip("\ufffd "):
            return []
        else:
            unread += 1
    return ends + [len(reply)] * unread


def _confidence(tokens: Sequence[TokenLogprob], ends: Sequence[int], place: Place, held: range, scale: Calibration | None) -> Confidence:
    raw = math.exp(sum(_logprob(tokens[at], place.kind) for at in held))
    mapped = scale(place.kind, raw) if scale else None
    best: tuple[Any, float | None] = max(_others(tokens, ends, place, held), key=lambda other: other[1] or 0, default=(None, None))
    return Confidence(raw if mapped is None else mapped, raw, mapped is not None, *best)


def _logprob(token: TokenLogprob, kind: str) -> float:
    return token.guided if kind == "label" and token.guided is not None else token.logprob


def _others(tokens: Sequence[TokenLogprob], ends: Sequence[int], place: Place, held: range) -> Iterator[tuple[Any, float]]:
    """The field's other values that were among the likeliest where they part from the one written, with their probabilities."""
    # What a token holds of the text before the value, such as the blank after the colon.
    lead = max(place.start - (ends[held.start - 1] if held.start else 0), 0)
    whole = "".join(tokens[at].text for at in held)
    front, value = whole[:lead], whole[lead:][: place.end - place.start]
    texts = [value, *(text for _, text in place.others)]
    found: dict[int, float] = {}
    before, written = 0.0, ""
    for at in held:
        for text, logprob in tokens[at].top:
            began = written + text
            if text == tokens[at].text or not began.startswith(front) or began == front:
                continue
            alike = [index for index, other in enumerate(texts) if _goes_with(began[lead:], other)]
            if len(alike) == 1 and alike[0]:
                found[alike[0] - 1] = found.get(alike[0] - 1, 0.0) + math.exp(before + logprob)
        before += tokens[at].logprob
        written += tokens[at].text
    yield from ((place.others[index][0], probability) for index, probability in found.items())


def _goes_with(began: str, value: str) -> bool:
    """Whether a reply that began so can be, or already is, ``value`` and what follows it."""
    return value.startswith(began) or (began.startswith(value) and not began[len(value) :].strip(' ,}]"'))


# Where the values are.


def of_records(schema: Schema, node: replies.Node) -> list[Place]:
    """The places of the values of a reply: each plain one, and each list of plain ones as a whole."""
    if schema.many and isinstance(node.value, list):
        return [place for key, child in node.members.items() for place in _of_object(schema.fields, child, f"[{key}]")]
    return _of_object(schema.fields, node, "[0]" if schema.many else "")


def _of_object(fields: Sequence[Field], node: replies.Node, path: str) -> list[Place]:
    known = {field.key: field for field in fields}
    places = []
    for key, child in node.members.items():
        field = known.get(str(key)) or Field(str(key), "", "any")
        places += _of_value(field, child, f"{path}.{key}" if path else str(key))
    return places


def _of_value(field: Field, node: replies.Node, path: str) -> list[Place]:
    if isinstance(node.value, dict):
        return _of_object(field.fields, node, path)
    place = Place(path, node.start, node.end, _kind(field, node.value), _alternatives(field, node.value))
    if not isinstance(node.value, list):
        return [place]
    item = dataclasses.replace(field, many=False, required=True)
    inner = [each for key, child in node.members.items() for each in _of_value(item, child, f"{path}[{key}]")]
    return inner if any(isinstance(each, dict) for each in node.value) else [place, *inner]


def of_label(labels: Sequence[str], label: str, reply: str) -> Place:
    """The place of a classify reply."""
    start = len(reply) - len(reply.lstrip())
    others = tuple((other, other) for other in labels if other != label)
    return Place("label", start, len(reply.rstrip()), "label", others)


def _kind(field: Field, value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return "list"
    return {"str": "text", "quantity": "text", "any": "text", "int": "number", "float": "number", "datetime": "date"}.get(
        field.type, field.type
    )


def _alternatives(field: Field, value: Any) -> tuple[tuple[Any, str], ...]:
    """What else could stand there and can be named: the other choices, true or false, and null."""
    named: tuple[Any, ...] = () if field.many else (True, False) if field.type == "bool" else field.choices
    texts = {json.dumps(each, ensure_ascii=False): each for each in (*named, *(() if field.required else (None,)))}
    texts.pop(json.dumps(value, ensure_ascii=False), None)
    return tuple((each, text) for text, each in texts.items())
