"""Runs a Request on an engine: renders and checks the prompt, owns the clock, ends as a Generation."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from . import grounding, prompts
from . import schema as schemas
from .engines.base import Engine
from .errors import OptionError, TooLongError
from .records import FinishReason, Generation, Guide, Message, Prompt, Request, Timing
from .tasks import find


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A Request with everything decided: what will be sent, and how the reply will be read."""

    request: Request
    messages: tuple[Message, ...]
    prompt: Prompt
    answer_start: str
    read: Callable[[str], Any]
    check: Callable[[Any], list[str]]
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
    guide, read, check = _reading(task.answer, request)
    request, notes = _fitted(engine, _with_hints(request))
    messages = prompts.messages(request)
    lead_in = prompts.lead_in(request)
    text = engine.render(messages, lead_in or request.answer_start or "")
    return Prepared(request, messages, Prompt(text, sampling, guide), lead_in or request.answer_start or "", read, check, notes)


def _reading(answer: str, request: Request) -> tuple[Guide | None, Callable[[str], Any], Callable[[Any], list[str]]]:
    """What the decoder is held to, how the reply becomes ``data``, and what may still be wrong with that."""
    if answer == "label":
        labels = tuple(request.fields.get("labels") or ())
        if labels:
            return Guide(choices=labels), schemas.parse_choice(labels), _fine
    if answer == "json":
        schema = request.fields.get("entities")
        if schema is not None:
            return Guide(json_schema=schema.json_schema), schema.parse, schema.problems
    return None, lambda reply: None, _fine


def _fine(_: Any) -> list[str]:
    return []


def _with_hints(request: Request) -> Request:
    """The template sees an extraction's entities as ``{key: hint}``."""
    schema = request.fields.get("entities")
    if not isinstance(schema, schemas.Schema):
        return request
    return dataclasses.replace(request, fields={**request.fields, "entities": schema.hints})


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
            f"The prompt has {tokens:,} tokens ({listed}); the limit is {limit:,}, too little for all but the text.", _LONGER
        )
    if request.max_input_len is None:
        cut = (
            f"--max-input-len {limit} would leave out the last {left:,} tokens of the text, from {_quoted(request.text[len(kept.text) :])}."
        )
        raise TooLongError(f"The prompt has {tokens:,} tokens ({listed}); this engine takes {limit:,}.", f"{cut} {_LONGER}")
    return kept, (f"the text was cut to fit {limit:,} input tokens; its last {left:,} tokens were left out.",)


_LONGER = "Shorten the text, split it, or load the model with a larger --max-seq-len."


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


class Stream:
    """One run: iterate it for the pieces of text as they come; ``generation`` is complete at the end.

    Mutable: it collects what comes. Setting ``cancel`` ends the run at the next chunk and keeps what came.
    """

    def __init__(self, engine: Engine, prepared: Prepared, lock: threading.Lock | None = None) -> None:
        self.prepared = prepared
        self.cancel = threading.Event()
        self.input_tokens: int | None = None
        self.generation: Generation | None = None
        self._engine = engine
        self._lock = lock or threading.Lock()

    def __iter__(self) -> Iterator[str]:
        submitted = time.perf_counter()
        with self._lock:
            started = time.perf_counter()
            first: float | None = None
            pieces: list[str] = []
            output_tokens, cached = 0, None
            reason: FinishReason = "interrupted"
            chunks = self._engine.stream(self.prepared.prompt)
            try:
                for chunk in chunks:
                    self.input_tokens = self.input_tokens if chunk.input_tokens is None else chunk.input_tokens
                    cached = cached if chunk.cached_tokens is None else chunk.cached_tokens
                    if chunk.tokens and first is None:
                        first = time.perf_counter() - started
                    output_tokens += chunk.tokens
                    if chunk.text:
                        pieces.append(chunk.text)
                        yield chunk.text
                    if chunk.finish_reason:
                        reason = chunk.finish_reason
                    elif self.cancel.is_set():
                        break
            finally:
                close = getattr(chunks, "close", None)
                if close:
                    close()
            ended = time.perf_counter()
        timing = Timing(
            queue_s=started - submitted,
            first_token_s=first,
            total_s=ended - submitted,
            input_tokens=self.input_tokens or 0,
            cached_tokens=cached,
            output_tokens=output_tokens,
        )
        self.generation = self._ended("".join(pieces), timing, reason)

    def run(self) -> Generation:
        """Iterate to the end, interrupts included."""
        with interrupts_set(self.cancel):
            for _ in self:
                pass
        assert self.generation is not None
        return self.generation

    def _ended(self, reply: str, timing: Timing, reason: FinishReason) -> Generation:
        prepared = self.prepared
        data = prepared.read(reply)
        problems = prepared.check(data) if reason == "stop" else []
        return Generation(
            text=(prepared.request.answer_start or "") + reply,
            prompt=prepared.prompt.text,
            messages=prepared.messages,
            timing=timing,
            finish_reason=reason,
            engine=self._engine.info,
            request=prepared.request,
            sampling=prepared.prompt.sampling,
            run_id=uuid.uuid4().hex[:12],
            answer_start=prepared.answer_start,
            data=data,
            spans=grounding.ground(data, prepared.request.text) if isinstance(data, dict) else (),
            notes=(*prepared.notes, *(f"not as the schema asks: {problem}" for problem in problems)),
        )
