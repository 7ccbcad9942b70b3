"""Guided decoding: a JSON Schema or a list of choices -> which tokens may come next (llguidance)."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np

from ..errors import SchemaError
from ..records import Guide
from .sampling import Logits

# One line of JSON, written as json.dumps writes it: what models are used to, and no room to wander in white space.
_JSON = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Guided:
    """Compiles guides for one tokenizer, and keeps what it compiled."""

    def __init__(self, tokenizer: Any, vocab_size: int, eos_ids: tuple[int, ...]) -> None:
        import llguidance

        self._llguidance = llguidance
        self._tokenizer = llguidance.LLTokenizer(tokenizer.backend_tokenizer.to_str(), n_vocab=vocab_size, eos_token=list(eos_ids))
        self._compiled = functools.lru_cache(maxsize=64)(self._compile)

    def start(self, guide: Guide) -> Matcher:
        """A matcher at the beginning of ``guide``; SchemaError when llguidance cannot take it."""
        schema = None if guide.json_schema is None else json.dumps(guide.json_schema, ensure_ascii=False)
        return Matcher(self._compiled(schema, guide.choices).deep_copy())

    def _compile(self, schema: str | None, choices: tuple[str, ...]) -> Any:
        matcher = self._llguidance.LLMatcher
        try:
            if schema is None:
                grammar = matcher.grammar_from_lark("start: " + " | ".join(json.dumps(choice) for choice in choices))
            else:
                grammar = matcher.grammar_from_json_schema(schema, overrides=_JSON)
            compiled = matcher(self._tokenizer, grammar, log_level=0)
        except ValueError as exc:
            raise SchemaError(f"The schema cannot be turned into a grammar: {exc}", "Simplify the part it names.") from exc
        if compiled.is_error():
            raise SchemaError(f"The schema cannot be turned into a grammar: {compiled.get_error()}", "Simplify the part it names.")
        return compiled


class Matcher:
    """Where one reply stands in its guide."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    def mask(self, logits: Logits) -> Logits:
        """``logits`` with -inf where a token would leave the guide."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        allowed = np.unpackbits(bits, count=logits.size, bitorder="little").astype(bool)
        return np.where(allowed, logits, -np.inf).astype(np.float32, copy=False)

    def accept(self, token: int) -> bool:
        """Take ``token``; true when nothing may follow it."""
        self._matcher.consume_token(token)
        return bool(self._matcher.is_stopped())
