"""The comm ``llm_magics.status``: what a front end shows of the engine in its status bar.

The front end opens it once the extension is loaded. The kernel then sends the state, and again whenever a part of it has changed::

    {"model": "demo" | null, "backend": "onnx" | null, "quantization": "int8" | null,
     "memory_mb": 94.6 | null,     # MiB of weights and KV cache, as far as the engine tells
     "tokens_per_s": 512.3 | null, # of the last run
     "busy": true | false,         # a run has the engine
     "waiting": 0,                 # runs that wait for it
     "stage": ""}                  # of the load under way: "demo: Loading demo"

The kernel may also send ``{"insert": {"number": 3, "source": "%%llm_answer ...", "beside": "llm-twin-form-12ab"}}``: a cell with that
source is to go in below the one whose output holds an element of that class. The front end that shows it does so and sends
``{"inserted": 3}``.

The front end may send ``{"do": "stop"}``, which cancels the run that has the engine. While a cell runs, only a front end that sends comm
messages over a subshell is heard at once (JupyterLab 4.4 does, where the kernel is ipykernel 7); others have the kernel's interrupt.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .subshells import heard_at_once

if TYPE_CHECKING:
    from .current import Current

TARGET = "llm_magics.status"


class StatusBoard:
    """The front ends that watch, and what they were told last. Mutable: they come and go."""

    def __init__(self, kernel: Any, current: Current) -> None:
        self._manager = kernel.comm_manager
        self._current = current
        self._comms: list[Any] = []
        self._told: dict[str, Any] = {}
        self._inserted: dict[int, threading.Event] = {}
        self._numbers = itertools.count()
        self._lock = threading.RLock()
        self._end: Callable[[], None] | None = None
        self._manager.register_target(TARGET, self._opened)

    def _opened(self, comm: Any, message: Any) -> None:
        with self._lock:
            self._comms.append(comm)
            if self._end is None:
                self._end = self._current.subscribe(self._changed)
            self._told = self._state()
            comm.on_msg(self._asked)
            comm.on_close(lambda _: self._gone(comm))
            self._send(comm, self._told)

    def _gone(self, comm: Any) -> None:
        with self._lock:
            self._comms = [other for other in self._comms if other is not comm]
            if not self._comms and self._end is not None:
                self._end()
                self._end = None

    def _asked(self, message: Any) -> None:
        data, session = message["content"]["data"], self._current.session
        if data.get("do") == "stop" and session is not None:
            session.monitor.stop()
        for number, inserted in [*self._inserted.items()]:
            if number == data.get("inserted"):
                inserted.set()

    def insert(self, source: str, beside: str, wait_s: float = 2.0) -> bool:
        """Have a front end put a cell with ``source`` below the one that shows the element of class ``beside``; whether one did."""
        number, done = next(self._numbers), threading.Event()
        self._inserted[number] = done
        try:
            with self._lock, contextlib.suppress(OSError, RuntimeError):
                for comm in self._comms:
                    self._send(comm, {"insert": {"number": number, "source": source, "beside": beside}})
            return bool(self._comms) and done.wait(wait_s)
        finally:
            del self._inserted[number]

    def _state(self) -> dict[str, Any]:
        from . import facts  # late, as all that %load_ext does not need

        return facts.as_json(facts.read(self._current))

    def _changed(self) -> None:
        with self._lock, contextlib.suppress(OSError, RuntimeError):  # a front end that is gone must not end a run
            state = self._state()
            if state == self._told:
                return
            self._told = state
            for comm in self._comms:
                self._send(comm, state)

    def _send(self, comm: Any, data: dict[str, Any]) -> None:
        comm.send(data)
        heard_at_once(comm)

    def close(self) -> None:
        """Take the target away, and end the comms."""
        self._manager.unregister_target(TARGET, self._opened)
        with self._lock:
            for comm in list(self._comms):
                comm.close()
                self._gone(comm)
