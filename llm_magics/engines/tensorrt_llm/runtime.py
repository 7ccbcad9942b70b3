"""A TensorRT-LLM model in memory.

A cell runs while the kernel's event loop is alive. A request submitted on that thread would get a queue of that loop, and
reading it without ``await`` blocks the loop and warns; so each request is submitted AND read on a thread of its own, which
has no loop, and what comes is passed on.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...errors import EngineError
from ...records import Chunk, EngineInfo, FinishReason, Guide, Measured, Message, Prompt, TokenLogprob
from ..base import Memory, Note, Progress
from ..local import render_chat
from . import failures

SINGLE_PROCESS = "TLLM_WORKER_USE_SINGLE_PROCESS"
_POLL_S = 0.05  # how often a run that waits for its next token can be cancelled
_ABORT_S = 10.0
_STUCK_S = 120.0


def set_switches(tensor_parallel: int, progress: Progress) -> None:
    """Set what the library reads once, before its first import; say so. A switch that the user has set stays.

    On one GPU the worker stays in the kernel: starting it by MPI can hang in containers, and a cell cannot see why.
    """
    if tensor_parallel == 1 and SINGLE_PROCESS not in os.environ:
        os.environ[SINGLE_PROCESS] = "1"
        progress(
            Note(f"The worker stays in this process: {SINGLE_PROCESS}=1 is set. Set it to 0 before the first load for a worker by MPI.")
        )


@contextmanager
def watched(what: str, progress: Progress) -> Iterator[None]:
    """Say what may be wrong when a start takes very long: a hang in MPI gives no message of its own."""

    def tell() -> None:
        progress(
            Note(
                f"{what[:1].upper()}{what[1:]} has taken {_STUCK_S:.0f} s. If nothing moves, MPI may be stuck: interrupt the kernel, "
                "remove a conda MPI, or set OMPI_MCA_btl_tcp_if_include=lo and restart it."
            )
        )

    timer = threading.Timer(_STUCK_S, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@dataclass(frozen=True)
class _Step:
    """A copy of what the result holds after one response; the object itself changes under its reader's hands."""

    text: str
    token_ids: tuple[int, ...]
    finish_reason: str | None
    stop_reason: object
    cached_tokens: int | None
    logprobs: tuple[Any, ...]
    measured: Measured | None


class TensorRTEngine:
    """A loaded engine, or a loaded checkpoint in the PyTorch era. Mutable: it can be closed."""

    def __init__(
        self, llm: Any, info: EngineInfo, tokenizer: Any, eos_ids: tuple[int, ...], *, memory: Memory, guided: bool, logprobs: bool
    ) -> None:
        self.info = info
        self.memory = memory
        self.tokenizer = tokenizer
        self.guided = guided
        self._llm = llm
        self._eos_ids = eos_ids
        self._logprobs = logprobs

    @property
    def chat_template(self) -> str:
        return getattr(self.tokenizer, "chat_template", None) or ""

    def render(self, messages: Sequence[Message], answer_start: str = "") -> str:
        return render_chat(self.tokenizer, messages) + answer_start

    def count(self, text: str) -> int:
        return len(self._ids(text))

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False, verbose=False)
        return ids

    def stream(self, prompt: Prompt) -> Iterator[Chunk]:
        if self._llm is None:
            raise EngineError(f"The engine of {self.info.model} is closed.", "Load it again: %llm_load, or llm_magics.load().")
        ids = self._ids(prompt.text)
        yield Chunk(input_tokens=len(ids))
        request = _Request(self._llm, ids, self._sampling(prompt), f"generating with {self.info.model}")
        try:
            yield from self._chunks(request, prompt)
        finally:
            request.end()

    def _chunks(self, request: _Request, prompt: Prompt) -> Iterator[Chunk]:
        held, seen, sent = _Held(prompt.sampling.stop), 0, 0
        for step in request:
            if step is None:
                yield Chunk()  # nothing new: a point at which to cancel
                continue
            tokens, seen = step.token_ids[seen:], len(step.token_ids)
            ready, stopped = held.certain(step.text)
            reason = "stop" if stopped else _reason(step.finish_reason)
            if reason and not stopped:
                ready = step.text
            yield Chunk(
                text=ready[sent:],
                tokens=len(tokens),
                cached_tokens=step.cached_tokens,
                finish_reason=reason,
                logprobs=self._told(tokens, step.logprobs) if prompt.logprobs else (),
                measured=step.measured,
            )
            sent = max(sent, len(ready))
            if reason:
                return

    def _sampling(self, prompt: Prompt) -> Any:
        """A fresh SamplingParams: the library writes into the one that it is given."""
        from tensorrt_llm import SamplingParams

        asked = prompt.sampling
        more: dict[str, Any] = {}
        if asked.temperature > 0:
            # Left out, top_p and top_k together mean greedy to the runtime.
            more = {"temperature": asked.temperature, "top_p": asked.top_p, "top_k": asked.top_k, "seed": asked.seed}
        else:
            more = {"top_k": 1}
        if self._eos_ids:  # an engine's folder has no generation_config.json to take them from
            more["stop_token_ids"] = [*self._eos_ids]
        if self.tokenizer.eos_token_id is None and self._eos_ids:
            more["end_id"] = self._eos_ids[0]  # the library then takes no stop strings; _Held sees to them
        elif any(asked.stop):
            more["stop"] = [text for text in asked.stop if text]
        if prompt.guide is not None and self.guided:
            more["guided_decoding"] = _guide(prompt.guide)
        if prompt.logprobs and self._logprobs:
            more["logprobs"] = prompt.logprobs
        return SamplingParams(max_tokens=asked.max_new_tokens, return_perf_metrics=True, **more)

    def _told(self, tokens: Sequence[int], logprobs: Sequence[Any]) -> tuple[TokenLogprob, ...]:
        """The library's log-probabilities of these tokens: a dict of candidates a token, or bare numbers."""
        told = logprobs[len(logprobs) - len(tokens) :] if len(logprobs) >= len(tokens) else ()
        return tuple(self._one(token, entry) for token, entry in zip(tokens, told, strict=False))

    def _one(self, token: int, entry: Any) -> TokenLogprob:
        if not isinstance(entry, dict):
            return TokenLogprob(self._text(token), float(entry))
        top = sorted(((self._text(other), float(value.logprob)) for other, value in entry.items()), key=lambda pair: -pair[1])
        own = entry.get(token)
        return TokenLogprob(self._text(token), float(own.logprob) if own is not None else float("-inf"), tuple(top))

    def _text(self, token: int) -> str:
        return "" if token in self._eos_ids else str(self.tokenizer.decode([token]))

    def close(self) -> None:
        """Shut the runtime down. What a worker in this process leaves behind goes when the kernel ends."""
        llm, self._llm = self._llm, None
        if llm is None:
            return
        llm.shutdown()
        del llm
        import gc
        import sys

        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()


class _Held:
    """Keeps back the end of a growing text while it may be the beginning of a stop string: the library cuts one when it is whole."""

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._stop = tuple(text for text in stop if text)

    def certain(self, text: str) -> tuple[str, bool]:
        """The part of ``text`` that no stop string can take back, and whether one is in it."""
        cut = [at for stop in self._stop if (at := text.find(stop)) >= 0]
        if cut:
            return text[: min(cut)], True
        keep = max((size for stop in self._stop for size in range(1, len(stop)) if text.endswith(stop[:size])), default=0)
        return text[: len(text) - keep], False


def _reason(reason: str | None) -> FinishReason | None:
    """Our word for the library's. A time-out or a cancellation leaves a partial answer."""
    if reason is None or reason == "not_finished":
        return None
    if reason in ("stop", "length"):
        return "stop" if reason == "stop" else "length"
    return "interrupted"


def _guide(guide: Guide) -> Any:
    from tensorrt_llm.llmapi import GuidedDecodingParams

    if guide.json_schema is not None:
        return GuidedDecodingParams(json=json.dumps(guide.json_schema, ensure_ascii=False))
    return GuidedDecodingParams(grammar="root ::= " + " | ".join(json.dumps(choice, ensure_ascii=False) for choice in guide.choices))


class _Request:
    """One request, submitted and read on a thread of its own. Iterating gives a _Step for each response, None while none comes."""

    def __init__(self, llm: Any, ids: list[int], sampling: Any, doing: str) -> None:
        self._doing = doing
        self._steps: queue.Queue[_Step | BaseException | None] = queue.Queue()
        self._result: Any = None
        self._ended = threading.Event()
        self._cancelled = threading.Event()
        self._needs_abort = True
        threading.Thread(target=self._work, args=(llm, ids, sampling), name="llm_magics request", daemon=True).start()

    def _work(self, llm: Any, ids: list[int], sampling: Any) -> None:
        try:
            self._result = llm.generate_async(ids, sampling, streaming=True)
            if self._cancelled.is_set():
                self._result.abort()
            for result in self._result:
                self._steps.put(_copied(result))
        except BaseException as exc:  # noqa: BLE001 - it is raised again where the request is read
            self._steps.put(exc)
        finally:
            self._steps.put(None)
            self._ended.set()

    def __iter__(self) -> Iterator[_Step | None]:
        while True:
            try:
                step = self._steps.get(timeout=_POLL_S)
            except queue.Empty:
                yield None
                continue
            if step is None:
                return
            if isinstance(step, BaseException):
                raise failures.explained(step, self._doing) from step
            if step.finish_reason in ("stop", "length") and not isinstance(step.stop_reason, str):
                self._needs_abort = False
            yield step

    def end(self) -> None:
        """Free the slot. A stop string that only the client saw ends the result and not the running request: that is aborted too."""
        if self._needs_abort:
            self._cancelled.set()
            if self._result is not None:
                self._result.abort()
        self._ended.wait(_ABORT_S)


def _copied(result: Any) -> _Step:
    output = result.outputs[0]
    return _Step(
        text=output.text,
        token_ids=tuple(output.token_ids or ()),
        finish_reason=output.finish_reason,
        stop_reason=output.stop_reason,
        cached_tokens=getattr(result, "cached_tokens", None),
        logprobs=tuple(output.logprobs or ()),
        measured=_measured(getattr(output, "request_perf_metrics", None)),
    )


def _measured(metrics: Any) -> Measured | None:
    """The library's points on a steady clock, of which only differences mean anything."""
    times = getattr(metrics, "timing_metrics", None)
    if times is None:
        return None
    arrived = times.arrival_time
    points = (times.first_scheduled_time, times.first_token_time, times.last_token_time)
    queued, first, last = ((point - arrived).total_seconds() for point in points)
    return Measured(queued, first, last) if 0 <= queued <= first <= last else None  # points not reached stand at zero
