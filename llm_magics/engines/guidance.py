"""Guided decoding: a JSON Schema or a list of choices -> which tokens may come next (llguidance)."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import SchemaError
from ..records import Guide
from .sampling import Logits

# One line of JSON, written as json.dumps writes it: what models are used to, and no room to wander in white space.
_JSON = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
# Keywords that hold schemas: one, a list of them, a mapping of names to them.
_HOLDS_ONE, _HOLDS_LIST = ("items", "additionalProperties"), ("anyOf", "allOf", "oneOf", "prefixItems")
_HOLDS_MAP = ("properties", "patternProperties", "$defs", "definitions")
# Keywords that either say nothing about the text, or without which nothing of a schema is left.
_KEPT = frozenset(
    ("type", "enum", "const", "required", "title", "description", "default", "examples", "$ref", "$schema", "$id", "$comment")
)
# Scripts that set no spaces between words, or join endings to them: kana, Chinese characters, Hangul, Thai and Lao.
_UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0eff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}_])\w[\u0300-\u036f]*)+|.", re.DOTALL)
# A schema that refers to itself is opened this far where its strings are copied.
_DEEPEST = 8
# A grammar that holds a text is large; those of JSON Schemas are small.
_COPIES, _GRAMMARS = 4, 64


def enforceable(document: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The part of a JSON Schema that a decoder can keep to, and the names of what it cannot, such as ``$.tags: uniqueItems``.

    SchemaError when what is left is no schema that a grammar can be made of.
    """
    text, left = _enforceable(json.dumps(document, ensure_ascii=False))
    return (json.loads(text) if left else document), left


@functools.lru_cache(maxsize=64)
def _enforceable(text: str) -> tuple[str, tuple[str, ...]]:
    if not _refusal(text):
        return text, ()
    left: list[str] = []
    kept = json.dumps(_relaxed(json.loads(text), "$", left), ensure_ascii=False)
    refusal = _refusal(kept)
    if refusal:
        raise _unusable(refusal)
    return kept, tuple(left)


def _unusable(why: object) -> SchemaError:
    return SchemaError(f"The schema cannot be turned into a grammar: {why}", "Simplify the part it names.")


def _refusal(schema: str) -> str:
    """Why llguidance cannot keep to the whole of ``schema``; empty when it can."""
    from llguidance import LLMatcher

    try:
        grammar = LLMatcher.grammar_from_json_schema(schema, overrides=_JSON)
    except ValueError as exc:
        return str(exc)
    is_error, messages = LLMatcher.validate_grammar_with_warnings(grammar)
    return str(messages[0]) if is_error else ""


def _relaxed(schema: Any, path: str, left: list[str]) -> Any:
    """``schema`` without the keywords that llguidance refuses, each named in ``left``."""
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    base = {"type": schema["type"]} if "type" in schema else {}
    for name, value in schema.items():
        if name in _HOLDS_ONE:
            kept[name] = _relaxed(value, f"{path}[*]" if name == "items" else f"{path}.*", left)
        elif name in _HOLDS_LIST and isinstance(value, list):
            parts = [_relaxed(part, path, left) for part in value]
            exact = name != "oneOf" or "$ref" in json.dumps(value) or not _refusal(json.dumps({name: parts}))
            kept[name if exact else "anyOf"] = parts
            left += [] if exact else [f"{path}: oneOf"]
        elif name in _HOLDS_MAP and isinstance(value, dict):
            inner = path if name == "properties" else f"{path}.{name}"
            kept[name] = {key: _relaxed(part, f"{inner}.{key}", left) for key, part in value.items()}
        elif name in _KEPT or not _refusal(json.dumps({**base, name: value})) or _refusal(json.dumps(base)):
            kept[name] = value
        else:
            left.append(f"{path}: {name}")
    return kept


def closed(schema: Any) -> Any:
    """``schema`` with objects that have the properties it names and no others, where it leaves that open: nobody asked for more.

    Not for a document with allOf in it: each of the schemas put together would shut the others' properties out.
    """
    if not isinstance(schema, dict):
        return schema
    kept = {name: closed(value) if name == "items" else value for name, value in schema.items()}
    for name in ("properties", "$defs", "definitions"):
        if isinstance(kept.get(name), dict):
            kept[name] = {key: closed(part) for key, part in kept[name].items()}
    for name in ("anyOf", "oneOf", "prefixItems"):
        if isinstance(kept.get(name), list):
            kept[name] = [closed(part) for part in kept[name]] if "properties" not in kept else kept[name]
    alone = kept.get("properties") and not {"$ref", "anyOf", "oneOf", "patternProperties"} & kept.keys()
    return {**kept, "additionalProperties": kept.get("additionalProperties", False)} if alone else kept


class Guided:
    """Compiles guides for one tokenizer, and keeps what it compiled."""

    def __init__(self, tokenizer: Any, vocab_size: int, eos_ids: tuple[int, ...]) -> None:
        import llguidance

        self._llguidance = llguidance
        self._tokenizer = llguidance.LLTokenizer(tokenizer.backend_tokenizer.to_str(), n_vocab=vocab_size, eos_token=list(eos_ids))
        self._compiled = functools.lru_cache(maxsize=_GRAMMARS)(self._compile)
        self._copying = functools.lru_cache(maxsize=_COPIES)(self._compile)

    def start(self, guide: Guide) -> Matcher:
        """A matcher at the beginning of ``guide``; SchemaError when llguidance cannot take it."""
        schema = None if guide.json_schema is None else json.dumps(guide.json_schema, ensure_ascii=False)
        compiled = self._copying if guide.copy_from else self._compiled
        before = compiled.cache_info().misses
        matcher = compiled(schema, guide.choices, guide.copy_from).deep_copy()
        return Matcher(matcher, cached=compiled.cache_info().misses == before)

    def _compile(self, schema: str | None, choices: tuple[str, ...], copy_from: str) -> Any:
        matcher = self._llguidance.LLMatcher
        try:
            if schema is None:
                grammar = matcher.grammar_from_lark("start: " + " | ".join(map(_literal, choices)))
            elif copy_from:
                grammar = matcher.grammar_from_lark(copying(json.loads(schema), copy_from))
            else:
                written = schema if '"allOf"' in schema else json.dumps(closed(json.loads(schema)), ensure_ascii=False)
                grammar = matcher.grammar_from_json_schema(written, overrides=_JSON)
            compiled = matcher(self._tokenizer, grammar, log_level=0)
        except ValueError as exc:
            raise _unusable(exc) from exc
        if compiled.is_error():
            raise _unusable(compiled.get_error())
        return compiled


class Matcher:
    """Where one reply stands in its guide. ``cached`` tells whether its grammar had been compiled before."""

    def __init__(self, matcher: Any, *, cached: bool = False) -> None:
        self._matcher = matcher
        self.cached = cached

    def mask(self, logits: Logits) -> Logits:
        """``logits`` with -inf where a token would leave the guide."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        allowed = np.unpackbits(bits, count=logits.size, bitorder="little").astype(bool)
        return np.where(allowed, logits, -np.inf).astype(np.float32, copy=False)

    def accept(self, token: int) -> bool:
        """Take ``token``; true when nothing may follow it."""
        self._matcher.consume_token(token)
        return bool(self._matcher.is_stopped())


# Copies.


def copying(schema: Mapping[str, Any], text: str) -> str:
    """The Lark grammar of JSON of ``schema`` in which a free string is a piece of ``text``, from the start of a word to the end of one."""
    body = _expression(schema, schema, 0)
    pieces = json.dumps({"substring_chunks": [json.dumps(word, ensure_ascii=False)[1:-1] for word in _words(text)]}, ensure_ascii=False)
    return f'start: {body}\nCOPY: "\\"" (PIECE & /(?s:.+)/) "\\""\nPIECE: %regex {pieces}\n'


def _words(text: str) -> list[str]:
    """``text`` cut where a copy may begin or end: around words, and around each character of scripts that set no spaces."""
    return _WORD.findall(text)


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _expression(schema: Any, document: Mapping[str, Any], depth: int) -> str:  # noqa: PLR0911 - one for each kind
    """The Lark expression of one schema; %json where no string can be in it, or where it is not understood."""
    part = _opened(schema, document) if depth < _DEEPEST else schema
    if not isinstance(part, Mapping) or depth >= _DEEPEST:
        return _json_rule(schema, document)
    kinds = [part.get("type")] if not isinstance(part.get("type"), list) else part["type"]
    if isinstance(part.get("anyOf"), list):
        rest = {name: value for name, value in part.items() if name != "anyOf"}
        return "(" + " | ".join(_expression({**rest, **each}, document, depth + 1) for each in part["anyOf"]) + ")"
    if len(kinds) > 1:
        return "(" + " | ".join(_expression({**part, "type": kind}, document, depth + 1) for kind in kinds) + ")"
    if kinds == ["object"] and part.get("properties"):
        pairs = [f"{_literal(_literal(key) + ': ')} {_expression(each, document, depth + 1)}" for key, each in part["properties"].items()]
        return " ".join((_literal("{"), f" {_literal(', ')} ".join(pairs), _literal("}")))
    if kinds == ["array"] and isinstance(part.get("items"), Mapping):
        return _array(part, _expression(part["items"], document, depth + 1))
    if kinds == ["string"] and not {"enum", "const", "pattern", "format"} & part.keys():
        return "COPY"
    if "enum" in part or kinds in (["null"], ["boolean"]):
        choices = part.get("enum", [None] if kinds == ["null"] else [True, False])
        return "(" + " | ".join(_literal(json.dumps(choice, ensure_ascii=False)) for choice in choices) + ")"
    return _json_rule(part, document)


def _array(part: Mapping[str, Any], item: str) -> str:
    fewest, most = part.get("minItems", 0), part.get("maxItems")
    if most == 0:
        return _literal("[]")
    repeat = f"{{{max(fewest - 1, 0)},{'' if most is None else most - 1}}}"
    items = f"{item} ({_literal(', ')} {item}){repeat}"
    return f"{_literal('[')} {items if fewest else f'({items})?'} {_literal(']')}"


def _opened(schema: Any, document: Mapping[str, Any]) -> Any:
    """``schema``, or what its reference within ``document`` leads to."""
    for _ in range(_DEEPEST):
        reference = schema.get("$ref") if isinstance(schema, Mapping) else None
        if not isinstance(reference, str) or not reference.startswith("#/"):
            break
        found: Any = document
        for name in reference[2:].split("/"):
            found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        schema = found
    return schema


def _json_rule(schema: Any, document: Mapping[str, Any]) -> str:
    definitions = {name: document[name] for name in ("$defs", "definitions") if name in document}
    whole = {**schema, **definitions, "x-guidance": _JSON} if isinstance(schema, Mapping) else {"x-guidance": _JSON}
    return f"%json {json.dumps(whole, ensure_ascii=False)}"
