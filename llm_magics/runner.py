"""Runs a Request on an engine: renders and checks the prompt, owns the clock, ends as a Generation."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import signal
import threading
import time
import uuid
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from . import confidence, examples, prompts
from .answers import Answer, Answered, RecordAnswer, answer_of
from .engines.base import Engine
from .errors import OptionError, TooLongError
from .monitor import Monitor
from .records import Chunk, FinishReason, Generation, Measured, Message, Prompt, Request, Timing, TokenLogprob
from .schema import Schema
from .tasks import find

# Compiling a grammar in less than this is not worth a word.
_NOTICED_S = 0.02


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A Request with everything decided: what will be sent, and how the reply will be read."""

    request: Request
    messages: tuple[Message, ...]
    prompt: Prompt
    answer_start: str
    answer: Answer
    notes: tuple[str, ...] = ()


def prepare(engine: Engine, request: Request) -> Prepared:
    """Render, count and check; InputError when it cannot be run. Nothing has been sent to the model yet."""
    task = find(request.task)
    if not request.text.strip():
        raise OptionError("The text is empty: there is nothing to send.", "Write it in the cell, under the line of the magic.")
    if request.answer_start and task.answer != "text":
        raise OptionError(f"{task.name} decides how its reply begins.", "Leave --answer-start out.")
    sampling = request.sampling
    if sampling.seed is None and sampling.temperature > 0:
        sampling = dataclasses.replace(sampling, seed=secrets.randbelow(2**31))
    shown, notes = _fitted(engine, _as_shown(request))
    answer = answer_of(task.answer, dataclasses.replace(shown, fields=request.fields))
    messages = prompts.messages(shown)
    start = prompts.lead_in(shown) or shown.answer_start or ""
    prompt = Prompt(engine.render(messages, start), sampling, answer.guide, answer.logprobs)
    return Prepared(shown, messages, prompt, start, answer, (*notes, *answer.notes))


def _as_shown(request: Request) -> Request:
    """The request as the template sees it: entities as ``{key: hint}``, examples as earlier turns."""
    schema = request.fields.get("entities")
    if not isinstance(schema, Schema):
        return request
    shown = dataclasses.replace(request, fields={**request.fields, "entities": schema.hints, "many": schema.many})
    turns = examples.turns(request.fields.get("examples") or (), shown)
    told = request.history[: len(turns)] == turns  # by an earlier turn of the same conversation
    return dataclasses.replace(shown, history=request.history if told else (*turns, *request.history))


def _rendered_tokens(engine: Engine, request: Request) -> int:
    return engine.count(engine.render(prompts.messages(request), prompts.lead_in(request) or request.answer_start or ""))


def _fitted(engine: Engine, request: Request) -> tuple[Request, tuple[str, ...]]:
    """The request as it is when it fits; cut where the caller set ``max_input_len``; else TooLongError."""
    tokens = _rendered_tokens(engine, request)
    window = min(engine.info.max_seq_len - 1, engine.info.max_input_len or engine.info.max_seq_len)  # one new token at least
    limit = min(request.max_input_len or window, window)
    if tokens <= limit:
        return request, ()
    counts = {part: engine.count(text) for part, text in prompts.parts(request).items()}
    counts["chat markup"] = max(0, tokens - sum(counts.values()))
    listed = ", ".join(f"{part} {count:,}" for part, count in counts.items() if count)
    kept, left = _cut(engine, request, limit)
    if kept is None:
        raise TooLongError(
            f"The prompt has {tokens:,} tokens ({listed}); the limit is {limit:,}, too little for all but the text.", _longer(request)
        )
    if request.max_input_len is None:
        cut = (
            f"--max-input-len {limit} would leave out the last {left:,} tokens of the text, from {_quoted(request.text[len(kept.text) :])}."
        )
        raise TooLongError(f"The prompt has {tokens:,} tokens ({listed}); this engine takes {limit:,}.", f"{cut} {_longer(request)}")
    return kept, (f"the text was cut to fit {limit:,} input tokens; its last {left:,} tokens were left out.",)


def _longer(request: Request) -> str:
    split = "read it in pieces with --long" if request.task == "extract" else "split it"
    return f"Shorten the text, {split}, or load the model with a larger --max-seq-len."


def _quoted(text: str) -> str:
    start = " ".join(text.split())
    return repr(start[:40] + ("…" if len(start) > 40 else ""))


def _cut(engine: Engine, request: Request, limit: int) -> tuple[Request | None, int]:
    """The request with the longest beginning of its text that fits, ending between words, and how many tokens that leaves out."""

    def shortened(length: int) -> Request:
        head = request.text[:length]
        if length < len(request.text) and " " in head:
            head = head[: head.rindex(" ")]
        return dataclasses.replace(request, text=head)

    low, high = 0, len(request.text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _rendered_tokens(engine, shortened(middle)) <= limit else (low, middle - 1)
    kept = shortened(low)
    return (kept if low else None), engine.count(request.text) - engine.count(kept.text)


@contextlib.contextmanager
def interrupts_set(event: threading.Event) -> Iterator[None]:
    """Ctrl-C and the stop button set ``event`` in place of raising, so no engine is stopped in the middle of a step.

    A second one raises KeyboardInterrupt as usual. Outside the main thread, where no signal arrives, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.getsignal(signal.SIGINT)

    def interrupted(number: int, frame: Any) -> None:
        if event.is_set() and callable(previous):
            previous(number, frame)
        event.set()

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@dataclasses.dataclass
class _Reply:
    """What came of one prompt. Mutable: it collects."""

    started: float
    text: str = ""
    tokens: list[TokenLogprob] = dataclasses.field(default_factory=list)
    first_s: float | None = None
    grammar_s: float | None = None
    grammar_cached: bool = False
    input_tokens: int = 0
    cached_tokens: int | None = None
    output_tokens: int = 0
    measured: Measured | None = None
    reason: FinishReason = "interrupted"

    def add(self, chunk: Chunk) -> None:
        """Take one chunk, at the moment it came."""
        now = time.perf_counter() - self.started
        if chunk.grammar:
            self.grammar_s, self.grammar_cached = now, chunk.grammar == "cached"
        if chunk.tokens and self.first_s is None:
            self.first_s = now
        self.input_tokens = self.input_tokens if chunk.input_tokens is None else chunk.input_tokens
        self.cached_tokens = self.cached_tokens if chunk.cached_tokens is None else chunk.cached_tokens
        self.measured = chunk.measured or self.measured
        self.output_tokens += chunk.tokens
        self.tokens += chunk.logprobs
        self.text += chunk.text
        self.reason = chunk.finish_reason or self.reason


class Stream:
    """One run: iterate it for the pieces of text as they come; ``generation`` is complete at the end.

    Where a reply is not as its schema asks, the model is told so and asked once more; the pieces of that reply come after a
    line feed, and the better of the two is kept.

    Mutable: it collects what comes. Setting ``cancel`` ends the run at the next chunk, or its wait for the engine, and keeps what came.
    """

    def __init__(self, engine: Engine, prepared: Prepared, monitor: Monitor | None = None) -> None:
        self.prepared = prepared
        self.cancel = threading.Event()
        self.input_tokens: int | None = None
        self.generation: Generation | None = None
        self._engine = engine
        self._monitor = monitor or Monitor()

    def __iter__(self) -> Iterator[str]:
        submitted = time.perf_counter()
        with self._monitor.turn(self.prepared.request.task, self.cancel) as turn:
            started = turn.since if turn.granted else time.perf_counter()
            prepared, replies = self.prepared, [_Reply(started)]
            turn.count = lambda: sum(reply.output_tokens for reply in replies)
            if turn.granted:
                yield from self._ask(prepared.prompt, replies[0])
            answered = self._read(prepared, replies[0])
            notes = answered.notes
            if replies[0].reason == "stop" and answered.problems:
                prepared, answered, notes = yield from self._asked_again(answered, replies)
            timing = _timing(replies, queue_s=started - submitted, total_s=time.perf_counter() - submitted)
            self.generation = self._ended(prepared, answered, replies, timing, notes)
            if turn.granted:
                turn.ended(timing, self.generation.finish_reason)

    def run(self) -> Generation:
        """Iterate to the end, interrupts included."""
        with interrupts_set(self.cancel):
            for _ in self:
                pass
        assert self.generation is not None
        return self.generation

    def _ask(self, prompt: Prompt, reply: _Reply) -> Iterator[str]:
        chunks = self._engine.stream(prompt)
        try:
            for chunk in chunks:
                reply.add(chunk)
                self.input_tokens = reply.input_tokens if chunk.input_tokens is not None else self.input_tokens
                if chunk.text:
                    yield chunk.text
                if not chunk.finish_reason and self.cancel.is_set():
                    break
        finally:
            close = getattr(chunks, "close", None)
            if close:
                close()

    def _read(self, prepared: Prepared, reply: _Reply) -> Answered:
        return prepared.answer.read(reply.text, reply.tokens, confidence.calibration(self._engine.info))

    def _asked_again(self, first: Answered, replies: list[_Reply]) -> Generator[str, None, tuple[Prepared, Answered, tuple[str, ...]]]:
        """Ask once more, the problems told; the better reply is the last of ``replies`` that is kept, and comes with its prompt."""
        wrong = tuple(f"not as the schema asks: {problem}" for problem in first.problems)
        again = _correction(self._engine, self.prepared, replies[0].text, first.problems)
        if again is None:
            return self.prepared, first, (*wrong, "there was no room to ask for a correction.")
        replies.append(_Reply(time.perf_counter()))
        yield "\n"
        yield from self._ask(again.prompt, replies[1])
        second = self._read(again, replies[1])
        asked = f"asked again, since the first reply was not as the schema asks: {'; '.join(first.problems)}"
        if replies[1].reason != "stop" or len(second.problems) >= len(first.problems):
            replies.reverse()  # the first stands
            return self.prepared, first, (*wrong, "asked again, without a better reply.")
        return again, second, (asked, *(f"not as the schema asks: {problem}" for problem in second.problems))

    def _ended(self, prepared: Prepared, answered: Answered, replies: list[_Reply], timing: Timing, notes: tuple[str, ...]) -> Generation:
        kept = replies[-1]
        schema = self.prepared.answer.schema if isinstance(self.prepared.answer, RecordAnswer) else None
        slow = timing.grammar_s is not None and timing.grammar_s > _NOTICED_S and not timing.grammar_cached
        compiled = (f"the grammar was compiled in {(timing.grammar_s or 0) * 1000:.0f} ms, and is kept.",) if slow else ()
        return Generation(
            text=(prepared.request.answer_start or "") + kept.text,
            prompt=prepared.prompt.text,
            messages=prepared.messages,
            timing=timing,
            finish_reason="interrupted" if self.cancel.is_set() and replies[0].reason == "interrupted" else kept.reason,
            engine=self._engine.info,
            request=prepared.request,
            sampling=prepared.prompt.sampling,
            run_id=uuid.uuid4().hex[:12],
            answer_start=prepared.answer_start,
            data=answered.data,
            spans=answered.spans,
            notes=(*prepared.notes, *notes, *compiled),
            schema=schema,
            confidence=answered.confidence,
            dropped=answered.dropped,
        )


def _timing(replies: Sequence[_Reply], *, queue_s: float, total_s: float) -> Timing:
    asked = sorted(replies, key=lambda reply: reply.started)
    cached = [reply.cached_tokens for reply in asked if reply.cached_tokens is not None]
    return Timing(
        queue_s=queue_s,
        first_token_s=asked[0].first_s,
        total_s=total_s,
        input_tokens=sum(reply.input_tokens for reply in asked),
        cached_tokens=sum(cached) if cached else None,
        output_tokens=sum(reply.output_tokens for reply in asked),
        grammar_s=asked[0].grammar_s,
        grammar_cached=asked[0].grammar_cached,
        asks=len(asked),
        measured=asked[0].measured,
    )


def _correction(engine: Engine, prepared: Prepared, reply: str, problems: Sequence[str]) -> Prepared | None:
    """The same request with the reply and its problems as further turns; None when that does not fit the engine."""
    told = prompts.correction(prepared.request.lang, problems)
    messages = (*prepared.messages, Message("assistant", reply), Message("user", told))
    text = engine.render(messages, prepared.answer_start)
    room = min(engine.info.max_seq_len - 1, engine.info.max_input_len or engine.info.max_seq_len)
    if engine.count(text) > room:
        return None
    return dataclasses.replace(prepared, messages=messages, prompt=dataclasses.replace(prepared.prompt, text=text))
