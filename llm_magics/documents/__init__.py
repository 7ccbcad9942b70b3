"""Extraction from texts of any length: read in pieces that fit the engine, one after the other, and merged.

The pieces share the start of their prompt (system, examples, instruction), which an engine that keeps its KV cache computes once;
``Generation.timing`` counts the tokens that were re-used.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..engines.base import Engine
from ..errors import OptionError, TooLongError
from ..monitor import Monitor
from ..records import Conflict, Generation, Request, Span, Timing
from ..runner import Stream, interrupts_set, prepare
from ..schema import Schema
from ..values import plain
from .merging import Merged, Part, merge
from .pieces import Piece, split

if TYPE_CHECKING:
    from ..session import Session

Advance = Callable[["Progress"], None]
# A piece with less room than this is all instruction and no text.
_LEAST_ROOM = 16
# The part of a piece that it shares with the one before: what a sentence says of another two sentences back is still together.
_OVERLAP = 8
# As many conflicts are told in the notes; all of them are in ``conflicts``.
_TOLD = 10


@dataclass(frozen=True)
class Progress:
    """How far a long extraction is: requests done of all, and tokens read and written so far."""

    done: int
    total: int
    tokens: int


@dataclass(frozen=True)
class _Job:
    """One request of a long extraction."""

    number: int
    piece: Piece


class LongStream:
    """The extraction of a long text: iterate it for the Progress after each piece; ``generation`` is complete at the end.

    ``overlap`` is in tokens (an eighth of a piece by default). ``passes`` reads the text as often, each time cut in other places and,
    above temperature 0, with another seed. A request's ``max_input_len`` bounds the prompt of one piece; ``prepared`` is the first.
    Mutable: it collects what comes. Setting ``cancel`` ends it at the next token and keeps what was read.
    """

    def __init__(
        self, engine: Engine, request: Request, monitor: Monitor | None = None, *, overlap: int | None = None, passes: int = 1
    ) -> None:
        if passes < 1:
            raise OptionError(f"passes is {passes!r}.", "Expected 1 or more.")
        if request.task != "extract" or not isinstance(request.fields.get("entities"), Schema):
            raise OptionError(f"{request.task} cannot be read in pieces.", "Only extract can: its results can be merged.")
        sampling = request.sampling
        if sampling.seed is None and sampling.temperature > 0:
            sampling = dataclasses.replace(sampling, seed=secrets.randbelow(2**31))
        self.request = dataclasses.replace(request, sampling=sampling)
        self.cancel = threading.Event()
        self.generation: Generation | None = None
        self._engine = engine
        self._monitor = monitor or Monitor()
        self.room = _room(engine, self.request)
        self.overlap = self.room // _OVERLAP if overlap is None else overlap
        self._jobs, self.passes = self._planned(passes)
        self.prepared = prepare(engine, self._asked(self._jobs[0]))

    @property
    def total(self) -> int:
        """How many requests it takes."""
        return len(self._jobs)

    def __iter__(self) -> Iterator[Progress]:
        started, parts, tokens = time.perf_counter(), list[Part](), 0
        for done, job in enumerate(self._jobs, 1):
            stream = Stream(self._engine, prepare(self._engine, self._asked(job)), self._monitor)
            stream.cancel = self.cancel
            for _ in stream:
                pass
            assert stream.generation is not None
            parts.append(Part(job.piece, stream.generation, job.number))
            tokens += stream.generation.input_tokens + stream.generation.output_tokens
            if self.cancel.is_set():
                break
            yield Progress(done, self.total, tokens)
        self.generation = self._ended(parts, time.perf_counter() - started)

    def run(self, progress: Advance | None = None) -> Generation:
        """Iterate to the end, interrupts included; ``progress`` is called after each piece."""
        with interrupts_set(self.cancel):
            for step in self:
                if progress:
                    progress(step)
        assert self.generation is not None
        return self.generation

    def _planned(self, passes: int) -> tuple[list[_Job], int]:
        """The requests in the order in which they are made, and how many passes say more than one would."""
        text, count = self.request.text, self._engine.count
        first = split(text, count, self.room, self.overlap)
        if len(first) == 1 and self.request.sampling.temperature == 0:
            passes = 1  # nothing could be cut or drawn otherwise
        shifts = [self.room * number // passes for number in range(1, passes)]
        cut = [first, *(split(text, count, self.room, self.overlap, shift) for shift in shifts)]
        jobs = [_Job(number, piece) for number, pieces in enumerate(cut) for piece in pieces if text[piece.start : piece.end].strip()]
        if not jobs:
            raise OptionError("The text is empty: there is nothing to send.", "Write it in the cell, under the line of the magic.")
        return jobs, passes

    def _asked(self, job: _Job) -> Request:
        """The request of one piece."""
        sampling = self.request.sampling
        seeded = sampling if sampling.seed is None else dataclasses.replace(sampling, seed=(sampling.seed + job.number) % 2**31)
        text = self.request.text[job.piece.start : job.piece.end]
        return dataclasses.replace(self.request, text=text, sampling=seeded, max_input_len=None)

    def _ended(self, parts: Sequence[Part], total_s: float) -> Generation:
        """The Generation of the whole, from those of its pieces."""
        made = [part.generation for part in parts]
        schema = self.request.fields["entities"]
        merged = merge(self.request.text, parts, many=schema.many)
        return dataclasses.replace(
            made[0],
            text=json.dumps(plain(merged.data), ensure_ascii=False, default=str),
            timing=_timing(made, total_s),
            finish_reason=_reason(made),
            request=self.request,
            sampling=self.request.sampling,
            run_id=uuid.uuid4().hex[:12],
            data=merged.data,
            spans=tuple(merged.spans),
            notes=self._notes(parts, merged),
            confidence=merged.confidence,
            dropped=merged.dropped,
            conflicts=tuple(merged.conflicts),
        )

    def _notes(self, parts: Sequence[Part], merged: Merged) -> tuple[str, ...]:
        done = f"{len(parts)} of {self.total}" if len(parts) < self.total else f"{self.total}"
        passes = f", in {self.passes} passes" if self.passes > 1 else ""
        read = f"read in {done} pieces of up to {self.room:,} tokens, {self.overlap:,} shared with the piece before{passes}"
        cut = [str(at) for at, part in enumerate(parts, 1) if part.generation.finish_reason == "length"]
        notes = [f"{read}; the prompt shown is that of the first."]
        if cut:
            notes.append(f"the reply to piece {', '.join(cut)} was cut: --max-new-tokens allows more.")
        told = [_conflict(conflict, merged.data, merged.spans) for conflict in merged.conflicts[:_TOLD]]
        left = len(merged.conflicts) - len(told)
        more = (f"{left:,} further values were not taken; they are in .conflicts.",) if left else ()
        common = dict.fromkeys(note for part in parts for note in part.generation.notes)
        return (*notes, *told, *more, *common)


def extract_document(
    session: Session,
    text: str,
    entities: Any = None,
    *,
    schema: Any = None,
    overlap: int | None = None,
    passes: int = 1,
    progress: Advance | None = None,
    **options: Any,
) -> Generation:
    """``Session.extract`` for a text of any length; the other options are the same. What stands in several pieces is merged.

    Spans are places in the whole text. ``timing`` has the sums over the pieces (tokens, re-used tokens, how often the model was asked) and
    the time of the whole; ``conflicts`` has the values that other parts of the text give for a field, ``notes`` tell the first of them.
    """
    return session.extract(text, entities, schema=schema, long=True, overlap=overlap, passes=passes, progress=progress, **options)


def _room(engine: Engine, request: Request) -> int:
    """Tokens of text that one piece may have: what instructions and reply leave of the engine's window."""
    info = engine.info
    around = engine.count(prepare(engine, dataclasses.replace(request, text="x", max_input_len=None)).prompt.text)
    # A reply is seldom as long as it may be; a quarter of the window is kept for it.
    reply = min(request.sampling.max_new_tokens, max(info.max_seq_len // 4, 1))
    limit = min(info.max_seq_len - reply, info.max_input_len or info.max_seq_len, request.max_input_len or info.max_seq_len)
    room = limit - around
    if room < _LEAST_ROOM:
        raise TooLongError(
            f"Instructions and examples have {around:,} tokens; of {limit:,} that leaves no room for a piece of the text.",
            "Ask for fewer fields, give fewer examples, or load the model with a larger --max-seq-len.",
        )
    return room


def _reason(made: Sequence[Generation]) -> Any:
    reasons = {each.finish_reason for each in made}
    return next((reason for reason in ("interrupted", "length") if reason in reasons), "stop")


def _timing(made: Sequence[Generation], total_s: float) -> Timing:
    """The sums; the first token is the first piece's, and ``total_s`` is the whole by the clock."""
    each = [generation.timing for generation in made]
    cached = [timing.cached_tokens for timing in each if timing.cached_tokens is not None]
    return Timing(
        queue_s=sum(timing.queue_s for timing in each),
        first_token_s=each[0].first_token_s,
        total_s=total_s,
        input_tokens=sum(timing.input_tokens for timing in each),
        cached_tokens=sum(cached) if cached else None,
        output_tokens=sum(timing.output_tokens for timing in each),
        grammar_s=each[0].grammar_s,
        grammar_cached=each[0].grammar_cached,
        asks=sum(timing.asks for timing in each),
    )


def _conflict(conflict: Conflict, data: Any, spans: Sequence[Span]) -> str:
    """``founded: 1987 (characters 120 to 124) was taken; 1991 (characters 5,020 to 5,024) is said too``."""
    taken = value_at(data, conflict.field)
    places = [span for span in spans if span.field == conflict.field]
    return f"{conflict.field}: {_said(taken, places)} was taken; {_said(conflict.value, conflict.spans)} is said too."


def _said(value: Any, spans: Sequence[Span]) -> str:
    shown = repr(value) if isinstance(value, str) else str(plain(value))
    found = [span for span in spans if span.end]
    return f"{shown} (characters {found[0].start:,} to {found[0].end:,})" if found else shown


def value_at(data: Any, path: str) -> Any:
    """The value of extracted data at a path such as ``lines[0].qty``; None where there is none."""
    from ..results import leaves

    return dict(leaves(data)).get(path)
