"""What guided decoding costs per token, at a vocabulary of 4k and at one of 128k.

- 4k: the bundled engine extracts held-out notices, guided and not; only notices where both write the same tokens count. Alternating, time
  from the first token to the last.
- 128k: the mask code alone, over the replies of those notices: a mask applied to random logits, and the token taken. The tokenizer is made up
  (the demo model's, with pairs of its tokens joined until there are 128,000), since none of that size is at hand; there is no model,
  so the figure is the time that a model's step would grow by. The same is measured at 4k, to compare.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from .guidance import _tokenizer as grown

LARGE = 128_000


def _timed(engine: Any, prompt: Any) -> tuple[list[str], float]:
    """The pieces of a reply, and the seconds from the first token to the last."""
    pieces, first, last = [], 0.0, 0.0
    for chunk in engine.stream(prompt):
        if chunk.tokens:
            last = time.perf_counter()
            first = first or last
            pieces.append(chunk.text)
    return pieces, last - first


def whole_steps(session: Any, items: Sequence[Any], repeats: int) -> None:
    """Guided and unguided decoding of the same tokens."""
    from llm_magics.runner import prepare
    from llm_magics.session import extract_fields, request

    guided, free, used = [], [], 0
    for item in items:
        fields = extract_fields(item.fields["entities"], None)
        prompt = prepare(session.engine, request("extract", item.text, fields, {"lang": item.lang})).prompt
        held = dataclasses.replace(prompt, logprobs=0)
        loose = dataclasses.replace(held, guide=None)
        one, two = _timed(session.engine, held)[0], _timed(session.engine, loose)[0]
        if "".join(one) != "".join(two) or len(one) < 4:
            continue
        used += 1
        # A reply may end one token later where nothing tells that it is complete: time per step, not per reply.
        pairs = [(_timed(session.engine, held), _timed(session.engine, loose)) for _ in range(repeats)]
        guided.append(statistics.median(seconds / (len(pieces) - 1) for (pieces, seconds), _ in pairs))
        free.append(statistics.median(seconds / (len(pieces) - 1) for _, (pieces, seconds) in pairs))
    more = statistics.median(a - b for a, b in zip(guided, free, strict=True))
    with_, without = statistics.median(guided), statistics.median(free)
    print(
        f"4k, demo model, whole steps: guided {with_ * 1000:.2f} ms a token, unguided {without * 1000:.2f}: {more * 1000:+.2f} ms, "
        f"{more / without:+.1%} (median over {used} of {len(items)} notices with the same reply both ways, {repeats} times each)"
    )


def masks(session: Any, items: Sequence[Any], size: int | None, label: str) -> None:
    """The mask code alone, over the right replies of ``items``."""
    from llm_magics.engines.guidance import Guided
    from llm_magics.records import Guide
    from llm_magics.schema import from_entities

    tokenizer, eos = session.engine.tokenizer, session.engine._eos_ids
    vocab_size = session.engine._vocab_size
    if size is not None:
        tokenizer, vocab_size = grown(size), size
    started = time.perf_counter()
    guided = Guided(tokenizer, vocab_size, eos)
    ready = time.perf_counter() - started
    logits = np.random.default_rng(3).standard_normal(vocab_size).astype(np.float32)
    compiled, spent, choosing = [], [], []
    for item in items:
        guide = Guide(json_schema=from_entities(item.fields["entities"]).reply_schema)
        started = time.perf_counter()
        matcher = guided.start(guide)
        compiled.append(time.perf_counter() - started)
        for token in tokenizer.encode(item.reply, add_special_tokens=False):
            before = time.perf_counter()
            allowed = matcher.mask(logits)
            masked = time.perf_counter()
            int(np.argmax(allowed))
            chosen = time.perf_counter()
            matcher.accept(token)
            spent.append(masked - before + time.perf_counter() - chosen)
            choosing.append(chosen - masked)
    quick, slow = statistics.median(spent), float(np.quantile(spent, 0.99))
    print(
        f"{label}, mask code alone: {quick * 1000:.2f} ms a token (median of {len(spent)}; 99 % under {slow * 1000:.2f}), argmax over the logits "
        f"{statistics.median(choosing) * 1000:.2f}; set up once {ready * 1000:.0f} ms, a grammar {statistics.median(compiled) * 1000:.1f} ms"
    )


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench guiding", description=__doc__)
    parser.add_argument("--n", type=int, default=6, help="notices a language")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args(arguments)

    import llm_magics

    from .extraction import LANGS, notices

    items = [item for lang in LANGS for item in notices("A", lang, args.n)]
    with llm_magics.load("demo") as session:
        masks(session, items, None, "4k")
        masks(session, items, LARGE, "128k")
        whole_steps(session, items, args.repeats)


if __name__ == "__main__":
    main(sys.argv[1:])
