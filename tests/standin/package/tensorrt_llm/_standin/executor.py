"""The runtime: a thread that takes turns among the active requests, a token each, and a fixed number of slots."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import itertools
import pickle
import threading
import time
from types import SimpleNamespace
from typing import Any

from .device import Device, Sequence, Step
from .queues import AsyncQueue
from .scenario import log


@dataclasses.dataclass
class Response:
    """What the runtime sends back of one sequence of a request."""

    sequence: int
    token_ids: list[int]
    logprobs: list[Any] | None = None
    finish: str | None = None
    final: bool = False
    cached_tokens: int = 0
    iteration: int = 0
    metrics: Any = None
    error: str | BaseException | None = None


@dataclasses.dataclass
class Request:
    """One request in the runtime. Mutable: it advances with every token."""

    id: int
    prompt_token_ids: list[int]
    sampling: Any
    streaming: bool
    device: Device
    limit: int
    eos_counts: bool
    result: Any = None
    cancelled: bool = False
    times: dict[str, float] = dataclasses.field(default_factory=dict)
    runs: list[_Run] = dataclasses.field(default_factory=list)
    iterations: int = 0
    cached_tokens: int = 0

    def start(self) -> None:
        self.times["first_scheduled_time"] = time.monotonic()
        seeds = itertools.count(self.sampling.seed) if self.sampling.seed is not None else itertools.repeat(None)
        self.runs = [_Run(index, self.device.start(self, next(seeds))) for index in range(self.sampling.best_of)]

    @property
    def done(self) -> bool:
        return all(run.finish for run in self.runs)

    @property
    def interval(self) -> int:
        return self.sampling._stream_interval or 1

    def metrics(self) -> Any:
        if not self.sampling.return_perf_metrics:
            return None
        zero = datetime.timedelta(0)
        names = ("arrival_time", "first_scheduled_time", "first_token_time", "last_token_time")
        timing = {name: datetime.timedelta(seconds=self.times[name]) if name in self.times else zero for name in names}
        transfer = {"kv_cache_transfer_start": zero, "kv_cache_transfer_end": zero, "kv_cache_size": 0}
        total, reused = -(-len(self.prompt_token_ids) // 32), self.cached_tokens // 32
        cache = SimpleNamespace(
            num_total_allocated_blocks=total,
            num_new_allocated_blocks=total - reused,
            num_reused_blocks=reused,
            num_missed_blocks=total - reused,
            kv_cache_hit_rate=reused / total,
        )
        return SimpleNamespace(timing_metrics=SimpleNamespace(**timing, **transfer), kv_cache_metrics=cache)


@dataclasses.dataclass
class _Run:
    """One sequence of a request."""

    index: int
    sequence: Sequence
    token_ids: list[int] = dataclasses.field(default_factory=list)
    unsent: list[int] = dataclasses.field(default_factory=list)
    unsent_logprobs: list[Any] = dataclasses.field(default_factory=list)
    finish: str | None = None


class Executor:
    """Requests in, responses out. ``slots`` requests run at once; the rest wait."""

    def __init__(self, device: Device, slots: int, worker: str) -> None:
        self._device = device
        self._slots = slots
        self._worker = worker
        self._ids = itertools.count(1)
        self._waiting: list[Request] = []
        self._active: list[Request] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._stats: collections.deque[dict[str, Any]] = collections.deque(maxlen=1000)
        self._iterations = 0
        self.background_error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="standin-runtime", daemon=True)
        self._thread.start()

    def is_shutdown(self) -> bool:
        return self._stopping

    def busy(self) -> int:
        """Requests that hold a slot."""
        with self._changed:
            return len(self._active)

    def next_id(self) -> int:
        return next(self._ids)

    def submit(self, request: Request) -> None:
        if self.background_error is not None:
            raise self.background_error
        if self._worker == "process":
            pickle.dumps(request.sampling)  # it would cross to another process
        request.times["arrival_time"] = time.monotonic()
        with self._changed:
            self._waiting.append(request)
            self._changed.notify()

    def abort(self, request_id: int) -> None:
        with self._changed:
            for request in [*self._waiting, *self._active]:
                if request.id == request_id:
                    request.cancelled = True
            self._changed.notify()
        log("abort", id=request_id)

    def stats(self) -> list[dict[str, Any]]:
        return [self._stats.popleft() for _ in range(len(self._stats))]

    def shutdown(self) -> None:
        with self._changed:
            if self._stopping:
                return
            self._stopping = True
            for request in [*self._waiting, *self._active]:
                request.cancelled = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._device.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._waiting or self._active or self._stopping):
                    self._changed.wait()
                if self._stopping and not (self._waiting or self._active):
                    return
                room = self._slots - len(self._active)
                admitted, self._waiting = self._waiting[:room], self._waiting[room:]
                self._active += admitted
                waiting_cancelled = [request for request in self._waiting if request.cancelled]
                self._waiting = [request for request in self._waiting if not request.cancelled]
            for request in waiting_cancelled:
                self._send(request, Response(0, [], finish="cancelled", final=True))
                log("finish", id=request.id, reason="cancelled", tokens=0)
            self._turn(admitted)

    def _turn(self, admitted: list[Request]) -> None:
        waits, moves = [0.0], False
        for request in list(self._active):
            try:
                if request in admitted and not request.cancelled:
                    request.start()
                done, moved = self._step(request)
            except Exception as exc:  # noqa: BLE001 - whatever goes wrong belongs to this request
                done, moved = True, True
                self._send(request, Response(0, [], final=True, error=f"{exc}" if not isinstance(exc, NotImplementedError) else exc))
                log("finish", id=request.id, reason=f"error: {exc}", tokens=0)
            if done:
                for run in request.runs:
                    run.sequence.close()
                with self._changed:
                    self._active.remove(request)
            waits += [run.sequence.token_s for run in request.runs]
            moves = moves or moved
        self._count_iteration()
        pause = max(waits) or (0.0 if moves else 0.001)
        if pause:
            with self._changed:
                self._changed.wait(pause)

    def _count_iteration(self) -> None:
        self._iterations += 1
        entry = {"iter": self._iterations, "numActiveRequests": len(self._active), "numQueuedRequests": len(self._waiting)}
        self._stats.append(entry)

    def _step(self, request: Request) -> tuple[bool, bool]:
        """One token of each sequence: (whether the request is done, whether anything moved)."""
        if request.cancelled:
            log("finish", id=request.id, reason="cancelled", tokens=sum(len(run.token_ids) for run in request.runs))
            for run in [run for run in request.runs if run.finish is None] or [_Run(0, Sequence(iter(())))]:
                self._send(request, Response(run.index, run.unsent, finish="cancelled", final=True, metrics=request.metrics()))
            return True, True
        request.iterations += 1
        moved = False
        for run in [run for run in request.runs if run.finish is None]:
            step = next(run.sequence.steps)
            if step is None:
                continue
            moved = True
            self._take(request, run, step)
            if not request.sampling.use_beam_search and (run.finish or (request.streaming and len(run.unsent) >= request.interval)):
                self._respond(request, run, run.index, run.unsent, final=request.done)
        if request.sampling.use_beam_search and moved and (request.streaming or request.done):
            self._respond_beams(request)
        done = request.done
        if done:
            log("finish", id=request.id, reason=request.runs[0].finish, tokens=sum(len(run.token_ids) for run in request.runs))
        return done, moved

    def _take(self, request: Request, run: _Run, step: Step) -> None:
        now = time.monotonic()
        request.times.setdefault("first_token_time", now)
        request.times["last_token_time"] = now
        request.cached_tokens = run.sequence.cached_tokens
        sampling = request.sampling
        ends = step.token == sampling.end_id and not sampling.ignore_eos
        if not ends or request.eos_counts:
            run.token_ids.append(step.token)
            run.unsent.append(step.token)
            run.unsent_logprobs.append(step.logprobs)
        if ends:
            run.finish = "stop"
        elif any(run.token_ids[-len(words) :] == words for _, words in sampling._stops() if words) and len(run.token_ids) >= (
            sampling.min_tokens or 0
        ):
            run.finish = "stop_words"
        elif len(run.token_ids) >= request.limit:
            run.finish = "length"
        elif step.finish:
            run.finish = step.finish

    def _respond_beams(self, request: Request) -> None:
        """All beams, each as a whole; they change places while they grow."""
        shift = 0 if request.done else request.iterations
        for run in request.runs:
            place = (run.index + shift) % len(request.runs)
            self._respond(request, run, place, list(run.token_ids), final=request.done and run is request.runs[-1])

    def _respond(self, request: Request, run: _Run, place: int, token_ids: list[int], *, final: bool) -> None:
        ended = run.finish if not request.sampling.use_beam_search or request.done else None
        response = Response(
            place,
            token_ids,
            run.unsent_logprobs if request.sampling.logprobs is not None else None,
            finish=ended,
            final=final,
            cached_tokens=request.cached_tokens,
            iteration=request.iterations,
            metrics=request.metrics() if ended else None,
        )
        run.unsent, run.unsent_logprobs = [], []
        self._send(request, response)

    def _send(self, request: Request, response: Response) -> None:
        try:
            request.result.queue.put(response)
        except AsyncQueue.EventLoopShutdownError as exc:
            self.background_error = exc
