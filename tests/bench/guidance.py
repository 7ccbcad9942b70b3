"""What guided decoding, copies and probabilities cost: to make ready, and for each token, at 4k and at 128k vocabulary.

The vocabulary of 4k is the demo model's; that of 128k is the same with made-up merges, so its figures are of its size and no model's.
Times are of this process alone, without a model: what they add to each decoding step.
"""

from __future__ import annotations

import functools
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent.parent
ENGINE = ROOT / "llm_magics" / "demo" / "engine"
LARGE = 128_000
NOTICE = "Velmora Systems is a company based in Lyon. It was founded in 1987 by Mira Holtan. The firm employs 240 people in 3 offices. "
LINE = (
    "name, founder, year int 1900..2100, city, staff int, listed bool, mood (good|bad|neutral), tags list, offices list {city, staff int}"
)
REPLY = {
    "name": "Velmora Systems", "founder": "Mira Holtan", "year": 1987, "city": "Lyon", "staff": 240, "listed": None, "mood": "neutral",
    "tags": ["company", "offices"], "offices": [{"city": "Lyon", "staff": 240}, {"city": "Lyon", "staff": None}],
}  # fmt: skip


def _tokenizer(size: int) -> Any:
    """The demo model's tokenizer, grown to ``size`` tokens by merges of pairs of what it has."""
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    stored = json.loads((ENGINE / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary, merges = stored["model"]["vocab"], stored["model"]["merges"]
    special = {token["content"] for token in stored["added_tokens"]}
    chosen, known = random.Random(0), [token for token in vocabulary if token not in special and len(token) < 7]
    last = max(*vocabulary.values(), *(token["id"] for token in stored["added_tokens"]))
    for identifier in range(last + 1, size):
        pair = chosen.choice(known), chosen.choice(known)
        while "".join(pair) in vocabulary:
            pair = chosen.choice(known), chosen.choice(known)
        vocabulary["".join(pair)] = identifier
        merges.append([*pair] if isinstance(merges[0], list) else " ".join(pair))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer.from_str(json.dumps(stored)), eos_token="<|eot_id|>")


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    value = call()
    return (time.perf_counter() - started) * 1000, value


def _row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |")


def _figures(times: Sequence[float]) -> tuple[str, str]:
    return f"{statistics.median(times):.2f}", f"{np.quantile(times, 0.99):.2f}"


def _steps(guided: Any, guide: Any, reply: str, logits: Any) -> Iterator[float]:
    matcher = guided.start(guide)
    for token in guided._tokenizer.tokenize_str(reply):
        took, allowed = _timed(lambda: matcher.mask(logits))
        assert allowed[token] > -np.inf, (reply, token)
        consumed, _ = _timed(lambda token=token: matcher.accept(token))
        yield took + consumed


def _vocabulary(size: int, document: Any, reply: str) -> None:
    """The table of one size."""
    from llm_magics.engines.guidance import Guided
    from llm_magics.engines.sampling import likeliest, log_probability
    from llm_magics.records import Guide

    tokenizer = _tokenizer(size)
    ready, guided = _timed(lambda: Guided(tokenizer, len(tokenizer), (tokenizer.eos_token_id,)))
    logits = np.random.default_rng(0).normal(size=len(tokenizer)).astype(np.float32)
    tokens = len(guided._tokenizer.tokenize_str(reply))
    print(f"vocabulary {len(tokenizer):,}: made ready once in {ready:.0f} ms; a reply of {tokens} tokens\n")
    _row("guide", "compile ms", "again ms", "a token ms, median", "99 %")
    _row(*["---"] * 5)
    window = NOTICE * (4096 // len(tokenizer.encode(NOTICE)))
    guides = {"JSON Schema": Guide(document), "copies of a notice": Guide(document, copy_from=NOTICE)}
    guides[f"copies of a text of 4,096 tokens ({len(window):,} characters)"] = Guide(document, copy_from=window)
    for name, guide in guides.items():
        compiled, again = (_timed(functools.partial(guided.start, guide))[0] for _ in range(2))
        times = [took for _ in range(8) for took in _steps(guided, guide, reply, logits)]
        _row(name, f"{compiled:.1f}", f"{again:.2f}", *_figures(times))
    times = [_timed(lambda: (log_probability(logits, 5), likeliest(logits, 6), log_probability(logits, 5)))[0] for _ in range(300)]
    _row("probabilities, without a guide", "", "", *_figures(times))
    print()


def main(arguments: Sequence[str] = ()) -> None:
    """Print a table a vocabulary."""
    from llm_magics.engines.guidance import enforceable
    from llm_magics.schema import notation

    document = notation.schema_of(LINE).json_schema
    print(f"schema check before the run: {_timed(lambda: enforceable(document))[0]:.1f} ms the first time\n")
    for size in (4096, LARGE):
        _vocabulary(size, document, json.dumps(REPLY))


if __name__ == "__main__":
    main()
