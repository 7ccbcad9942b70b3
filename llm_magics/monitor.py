"""Who runs on a model, who waits, and how the last runs went.

Forms, magics and Python calls of one session all take their turn here, first come, first served. Listeners are told when a run is
queued, begins and ends, never for a token; what a run has written so far is counted when somebody looks.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .records import FinishReason, Timing

KEPT = 50
"""As many runs that are over are remembered."""
# How soon a run that waits notices that it was cancelled.
_POLL_S = 0.05


@dataclass(frozen=True)
class Run:
    """A run that is over; ``ended`` in seconds since the epoch."""

    task: str
    timing: Timing
    finish_reason: FinishReason
    ended: float


class Turn:
    """One run in the queue. Mutable: it waits, then it is ``granted`` the engine or, when ``cancel`` was set before, is not."""

    def __init__(self, task: str, cancel: threading.Event) -> None:
        self.task = task
        self.cancel = cancel
        self.granted = False
        self.since = time.perf_counter()
        self.thread = threading.get_ident()
        self.count: Callable[[], int] = int
        self.run: Run | None = None

    @property
    def waited_s(self) -> float:
        """Seconds since it was queued or, once it runs, since it began."""
        return time.perf_counter() - self.since

    @property
    def tokens(self) -> int:
        """Output tokens so far."""
        return self.count()

    def ended(self, timing: Timing, finish_reason: FinishReason) -> None:
        """Say how it went: it is then remembered."""
        self.run = Run(self.task, timing, finish_reason, time.time())


class Monitor:
    """The queue of one engine and the runs that are over. Thread-safe; mutable, as runs come and go."""

    def __init__(self, kept: int = KEPT) -> None:
        self._changed = threading.Condition()
        self._queue: deque[Turn] = deque()
        self._runs: deque[Run] = deque(maxlen=kept)
        self._listeners: tuple[Callable[[], None], ...] = ()

    @property
    def running(self) -> Turn | None:
        """The run that has the engine."""
        with self._changed:
            return self._queue[0] if self._queue else None

    @property
    def waiting(self) -> tuple[Turn, ...]:
        """Those that wait for it, the next one first."""
        with self._changed:
            return tuple(self._queue)[1:]

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs that are over, the oldest first."""
        with self._changed:
            return tuple(self._runs)

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have ``listener`` called after each change, on the thread that made it; returns what ends that."""
        with self._changed:
            self._listeners = (*self._listeners, listener)

        def end() -> None:
            with self._changed:
                self._listeners = tuple(other for other in self._listeners if other is not listener)

        return end

    @contextlib.contextmanager
    def turn(self, task: str, cancel: threading.Event) -> Iterator[Turn]:
        """Wait for the engine, and have it within the block."""
        turn = Turn(task, cancel)
        with self._changed:
            self._queue.append(turn)
            self._grant(turn)
        try:
            self._tell()
            if not turn.granted:
                self._wait(turn)
                self._tell()
            yield turn
        finally:
            with self._changed:
                self._queue.remove(turn)
                if turn.run is not None:
                    self._runs.append(turn.run)
                self._changed.notify_all()
            self._tell()

    def _wait(self, turn: Turn) -> None:
        with self._changed:
            self._grant(turn)
            while not turn.granted and not turn.cancel.is_set():
                self._changed.wait(_POLL_S)
                self._grant(turn)

    def _grant(self, turn: Turn) -> None:
        if self._queue[0] is turn:
            turn.granted, turn.since = True, time.perf_counter()

    def stop(self) -> bool:
        """Cancel the run that has the engine; false when none has."""
        running = self.running
        if running is not None:
            running.cancel.set()
        return running is not None

    def drain(self, patience: float = 10.0) -> None:
        """Cancel all runs and wait until they have ended.

        Not for runs of this very thread: suspended in their loop, they cannot go on while it waits. Not longer than ``patience`` seconds.
        """
        here = threading.get_ident()
        with self._changed:
            for turn in self._queue:
                turn.cancel.set()
            self._changed.wait_for(lambda: all(turn.thread == here for turn in self._queue), patience)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
