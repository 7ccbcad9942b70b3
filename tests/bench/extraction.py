"""How well extract finds, places and doubts values: on held-out notices in four languages, and in documents far beyond the window.

The notices are those of ``examples/demo_model/evaluate.py`` (set A: training wordings with names and values kept from training; set B: held-out
wordings too). The documents are made by ``tests/bench/scattered.py``: a few facts about one thing of set A, each said once, spread over
50 times the engine's window of text about others. Everything is seeded.

- F1: over the values that are not null; nulls: how many of those that are null were left so.
- spans: of the right values that stand in the text, how many spans hold exactly what the notice has; wrong: spans that hold something else.
- error: expected calibration error of the stated confidence, over ten groups of like size (``raw``: before the calibration map).
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import random
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from .scattered import Document, document, evaluate

LANGS = ("en", "fr", "es", "de")


@dataclasses.dataclass
class Tally:
    """What came of a group of extractions. Mutable: it counts."""

    fields: Any = dataclasses.field(default_factory=evaluate.FieldCounts)
    texts: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    asks: int = 0
    seconds: float = 0.0
    spans: int = 0
    spans_right: int = 0
    in_place: int = 0
    absent: int = 0
    conflicts: int = 0
    stated: list[float] = dataclasses.field(default_factory=list)
    raw: list[float] = dataclasses.field(default_factory=list)
    right: list[bool] = dataclasses.field(default_factory=list)

    def add(self, generation: Any, expected: dict[str, Any]) -> None:
        """Count one extraction: fields, confidence, tokens."""
        evaluate.count_fields(expected, generation.data, self.fields)
        for key, value in expected.items():
            sure, got = generation.confidence.get(key), generation.data.get(key)
            if sure is not None:
                self.stated.append(sure.probability)
                self.raw.append(sure.raw)
                self.right.append(_right(value, got))
        timing = generation.timing
        self.texts += 1
        self.input_tokens += timing.input_tokens
        self.cached_tokens += timing.cached_tokens or 0
        self.output_tokens += timing.output_tokens
        self.asks += timing.asks

    def place(self, span: Any, text: str, written: str, places: Sequence[tuple[int, int]] = ()) -> None:
        """Count the span of a right value that stands in the text as ``written``."""
        self.spans += 1
        self.absent += span is None or span.status == "absent"
        held = span is not None and text[span.start : span.end].casefold() == written.casefold()
        self.spans_right += held
        self.in_place += held and any(start <= span.start and span.end <= end for start, end in places)

    def pieces(self) -> str:
        """What is told of documents beside the table."""
        return (
            f"{self.asks} pieces, {self.conflicts} conflicts shown; of {self.spans_right} spans as written {self.in_place} are in the sentence "
            f"that says it; {self.cached_tokens / max(1, self.input_tokens):.1%} of the input tokens re-used"
        )

    def row(self, name: str) -> str:
        """A line of the table."""
        from .calibration import error

        nulls = f"{self.fields.nulls_right}/{self.fields.nulls}"
        grounded = f"{self.spans_right}/{self.spans} ({self.spans_right / max(1, self.spans):.3f})"
        errors = f"{error(self.stated, self.right):.3f} | {error(self.raw, self.right):.3f}"
        tokens = f"{self.input_tokens:,} | {self.cached_tokens:,} | {self.output_tokens:,}"
        wanted = f"{self.fields.right}/{self.fields.wanted}"
        return (
            f"| {name} | {self.texts} | {self.fields.f1:.4f} | {wanted} | {nulls} | {grounded} | {errors} | {tokens} | {self.seconds:.1f} |"
        )


HEAD = (
    "| texts | n | F1 | found | nulls | spans as written | error | error raw | input tokens | re-used | output tokens | s |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def _right(expected: Any, got: Any) -> bool:
    return got is None if expected is None else got is not None and bool(evaluate.same_value(expected, got))


def notices(name: str, lang: str, count: int) -> list[Any]:
    """``count`` held-out extract items of a set and language: the first of those that ``evaluate.py`` draws."""
    world, held = evaluate.load_all()
    generator = evaluate.Generator(random.Random(f"20000-{name}-extract-{lang}"), held if name == "B" else world, "held", long=0.01)
    found: list[Any] = []
    while len(found) < count:
        item = generator.sample("extract", lang)
        item.start, item.system, item.lead_in = "", None, True
        if len(item.text) <= evaluate.MAX_CHARS:
            found.append(item)
    return found


def read_notices(session: Any, items: Iterable[Any]) -> Tally:
    """Extract each item as a user would."""
    tally = Tally()
    for item in items:
        expected = evaluate.reading(item, item.reply)
        started = time.perf_counter()
        generation = session.extract(item.text, entities=item.fields["entities"], lang=item.lang)
        tally.seconds += time.perf_counter() - started
        tally.add(generation, expected)
        spans = {span.field: span for span in reversed(generation.spans)}
        kinds = {field.key: field.type for field in generation.schema.fields}
        for key, value in expected.items():
            # Texts only: for typed values and choices the item does not tell how the notice writes them.
            if kinds[key] != "str" or value is None or not _right(value, generation.data.get(key)):
                continue
            for at, one in enumerate(value if isinstance(value, list) else [value]):
                tally.place(spans.get(f"{key}[{at}]" if isinstance(value, list) else key), item.text, one)
    return tally


def read_documents(session: Any, documents: Iterable[Document], passes: int) -> Tally:
    """Extract each document in pieces."""
    tally = Tally()
    for each in documents:
        started = time.perf_counter()
        generation = session.extract(each.text, each.entities, long=True, passes=passes, lang=each.lang, progress=_bar, max_new_tokens=128)
        tally.seconds += time.perf_counter() - started
        tally.add(generation, each.expected)
        tally.conflicts += len(generation.conflicts)
        spans = {span.field: span for span in reversed(generation.spans)}
        for key, written in each.written.items():
            if _right(each.expected[key], generation.data.get(key)):
                tally.place(spans.get(key), each.text, written, each.places[key])
    return tally


def _bar(step: Any) -> None:
    if sys.stderr.isatty():
        print(
            f"\r  piece {step.done} of {step.total}, {step.tokens:,} tokens", end="\n" if step.done == step.total else "", file=sys.stderr
        )


def joined(tallies: Sequence[Tally]) -> Tally:
    """The sum of several groups."""
    whole = Tally()
    for tally in tallies:
        for field in dataclasses.fields(tally.fields):
            setattr(whole.fields, field.name, getattr(whole.fields, field.name) + getattr(tally.fields, field.name))
        for field in dataclasses.fields(tally)[1:]:
            setattr(whole, field.name, getattr(whole, field.name) + getattr(tally, field.name))
    return whole


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench extraction", description=__doc__)
    parser.add_argument("--n", type=int, default=6, help="notices a set and language")
    parser.add_argument("--documents", type=int, default=1, help="long documents of each kind, in the languages in turn")
    parser.add_argument("--window", type=int, default=768, help="tokens of the engine's window for the documents")
    parser.add_argument("--times", type=int, default=50, help="how many windows a document has")
    parser.add_argument("--passes", type=int, default=1)
    args = parser.parse_args(arguments)

    import llm_magics

    print(HEAD, flush=True)
    if args.n:
        with llm_magics.load("demo") as session:
            whole = []
            for name in ("A", "B"):
                for lang in LANGS:
                    tally = read_notices(session, notices(name, lang, args.n))
                    print(tally.row(f"set {name}, {lang}"), flush=True)
                    whole.append(tally)
            print(joined(whole).row("all notices"), flush=True)
    if args.documents:
        with llm_magics.load("demo", max_seq_len=args.window) as session:
            size, beside = args.window * args.times, []
            for kind, others in (("among filler", 0.0), ("among notices of other things", 0.5)):
                drawn = enumerate(itertools.islice(itertools.cycle(LANGS), args.documents))
                made = [document(f"long-{n}", lang, size, session.engine.count, facts=4, absent=1, others=others) for n, lang in drawn]
                tally = read_documents(session, made, args.passes)
                print(tally.row(f"{size:,} tokens, window {args.window:,}, {kind}"), flush=True)
                beside.append(f"{kind}: {tally.pieces()}")
        print("", *beside, sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
