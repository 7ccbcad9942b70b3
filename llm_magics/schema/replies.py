"""A model's reply -> the JSON in it, with the place of every value.

Written for replies that nothing held to a grammar, and for those that were cut: prose and code fences around the JSON are
stepped over, a comma too many and Python's ``True`` and ``None`` are read, and of a cut reply what is complete is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from json import JSONDecoder
from typing import Any

_SPACE = re.compile(r"[\s,]*")
_SCALAR = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[A-Za-z]+")
_STRINGS = JSONDecoder(strict=False)  # line feeds in strings are let pass
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None, "none": None}
# A reply can open brackets as often as it has tokens; nothing that is asked for goes this deep.
_DEEPEST = 50
# How many openings of a reply are tried for being the JSON that was asked for.
_TRIES = 20


@dataclass(frozen=True)
class Node:
    """A JSON value and its place, ``reply[start:end]``; ``whole`` is false where the reply ends or breaks inside it."""

    value: Any
    start: int
    end: int
    whole: bool = True
    members: Mapping[str | int, Node] = field(default_factory=dict)


def find(reply: str, opening: str = "{") -> Node | None:
    """The first complete object (or, with ``"["``, array) of a reply, else the cut one that has most in it; None without any."""
    best: Node | None = None
    for match, _ in zip(re.finditer(re.escape(opening), reply), range(_TRIES), strict=False):
        if best is not None and match.start() < best.end:
            continue
        node = _value(reply, match.start(), 0)
        if node is None:
            continue
        if node.whole and (node.members or reply[match.start() : node.end].strip(opening + "]} \n") == ""):
            return node
        if best is None or len(node.members) > len(best.members):
            best = node
    return best


def places(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Each value below ``node`` with its path: ``maker.name``, ``lines[0].qty``."""
    for key, child in node.members.items():
        inner = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}" if path else key
        yield inner, child
        yield from places(child, inner)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _value(text: str, at: int, depth: int) -> Node | None:
    opening = text[at : at + 1]
    if opening in ("{", "["):
        return _container(text, at, depth) if depth < _DEEPEST else None
    return _string(text, at) if opening == '"' else _scalar(text, at)


def _string(text: str, at: int) -> Node | None:
    try:
        value, end = _STRINGS.raw_decode(text, at)
    except ValueError:
        return None
    return Node(value, at, end)


def _scalar(text: str, at: int) -> Node | None:
    match = _SCALAR.match(text, at)
    if match is None or (match.end() == len(text) and match[0] not in _WORDS):
        return None  # a number at the very end may go on
    word = match[0]
    if word in _WORDS:
        return Node(_WORDS[word], at, match.end())
    if word[0].isalpha() or len(word) > 4000:  # int() refuses longer ones
        return None
    return Node(int(word) if word.lstrip("-").isdigit() else float(word), at, match.end())


def _container(text: str, at: int, depth: int) -> Node:
    """An object or array. What is not complete in it is left out, with all that follows."""
    is_object = text[at] == "{"
    closing = "}" if is_object else "]"
    members: dict[str | int, Node] = {}
    position, whole = at + 1, False
    while True:
        position = _skip(text, position)
        if text[position : position + 1] == closing:
            position, whole = position + 1, True
            break
        key: str | int = len(members)
        if is_object:
            name = _string(text, position) if text[position : position + 1] == '"' else None
            colon = _skip(text, name.end) if name else 0
            if name is None or text[colon : colon + 1] != ":":
                break
            key, position = name.value, _skip(text, colon + 1)
        child = _value(text, position, depth + 1)
        if child is None or not child.whole:
            break
        members[key], position = child, child.end
    value: Any = {key: child.value for key, child in members.items()} if is_object else [child.value for child in members.values()]
    return Node(value, at, position, whole, members)
