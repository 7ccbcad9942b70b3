"""The model that is loaded in a shell, and the load under way: what all magics, forms and the panel act on.

A load from the panel goes on a thread of its own, so the kernel stays free. A task that is started meanwhile runs on the model that is
there, as long as it is there; where there is none, or it has been closed to make room, the task waits for the one that comes.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import display
from .errors import EngineError, OptionError
from .report import duration

if TYPE_CHECKING:
    from .engines.base import Progress
    from .loading import Loading
    from .monitor import Monitor

_DEMO_NOTE = "\nThis is the small demonstration model; %llm_load MODEL loads a real one, such as Qwen/Qwen2.5-0.5B-Instruct."
_POLL_S = 0.1


class Current:
    """The model that is loaded in this shell; mutable. ``notebook`` says how its stages are shown.

    ``loading`` is the load under way, ``last`` the one that was started last; ``monitor`` is the queue of the model, or of the one that
    was closed last. Listeners are told of every change of those, of the session
    and of its queue, on the thread that made it.
    """

    def __init__(self, *, notebook: bool) -> None:
        self.notebook = notebook
        self.loading: Loading | None = None
        self.last: Loading | None = None
        self.monitor: Monitor | None = None
        self._session: Any = None
        self._lock = threading.Lock()
        self._listeners: tuple[Callable[[], None], ...] = ()

    @property
    def session(self) -> Any:
        """The loaded model, or None."""
        return self._session

    @session.setter
    def session(self, session: Any) -> None:
        self._session = session
        if session is not None:
            self.monitor = session.monitor
            session.monitor.subscribe(self._tell)
        self._tell()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have ``listener`` called after each change; returns what ends that."""
        self._listeners = (*self._listeners, listener)

        def end() -> None:
            self._listeners = tuple(other for other in self._listeners if other is not listener)

        return end

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def load(self, model: str, engine: str, **options: Any) -> None:
        """Replace the loaded model. The one before is closed when the new one is ready to load: two may not fit."""
        stages = display.Stages(notebook=self.notebook)
        loading = self._begin(model, stages)
        self._carry_out(loading, engine, options)
        stages.say(loading.outcome + (_DEMO_NOTE if model == "demo" else ""))

    def start(self, model: str, engine: str, **options: Any) -> Loading:
        """As ``load``, on a thread of its own; the Loading tells how it goes, and takes a ``cancel``."""
        loading = self._begin(model, _silent)

        def work() -> None:
            with contextlib.suppress(Exception):  # loading.outcome tells
                self._carry_out(loading, engine, options)

        threading.Thread(target=work, name="llm_magics load", daemon=True).start()
        return loading

    def _begin(self, model: str, told: Progress) -> Loading:
        from .loading import Loading  # late, as all that %load_ext does not need

        with self._lock:
            if self.loading is not None:
                raise OptionError(f"{self.loading.model} is being loaded.", "Wait for it, or cancel it in %llm_panel.")
            self.loading = self.last = Loading(model, told, self._tell)
        self._tell()
        return self.loading

    def _carry_out(self, loading: Loading, engine: str, options: dict[str, Any]) -> None:
        from . import engines
        from .session import Session

        started = time.perf_counter()
        try:
            built = engines.build(loading.model, engine, engines.Options(**options), loading)
            loading.check()
            self.close()
            self.session = Session(engines.load(built, loading))
            loading.outcome = f"Loaded {self._told()}, in {duration(time.perf_counter() - started)}."
        except BaseException as error:
            loading.failed(error)
            raise
        finally:
            self.loading = None
            loading.ended.set()
            self._tell()

    def _told(self) -> str:
        info = self.session.engine.info
        kind = "" if info.quantization in ("none", "as found") else f" {info.quantization}"
        return f"{info.model}{kind} on {info.backend} {info.backend_version} ({info.device}), {info.max_seq_len:,} tokens"

    def needed(self, model: str, engine: str) -> Any:
        """The session; the one that comes where one is being loaded; else ``model`` is loaded."""
        loading = self.loading
        if self.session is None and loading is not None:
            self._wait_for(loading)
        if self.session is None:
            self.load(model, engine)
        return self.session

    def _wait_for(self, loading: Loading) -> None:
        stages = display.Stages(notebook=self.notebook)
        stages(f"Waiting for {loading.model}, which is being loaded")
        while not loading.ended.wait(_POLL_S):
            pass
        if self.session is None:
            raise EngineError(f"{loading.model} was not loaded: {loading.outcome}", "Load a model: %llm_load, or %llm_panel.")

    def plan(self, model: str, engine: str, **options: Any) -> None:
        """Print what ``load`` would do."""
        from . import engines

        print(engines.plan(model, engine, engines.Options(**options), display.Stages(notebook=self.notebook)))

    def close(self) -> None:
        """Close the model; nothing when there is none."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
            self._tell()

    def end(self, patience: float = 10.0) -> None:
        """Give up the load under way and close the model: the shell is done with it."""
        loading = self.loading
        if loading is not None:
            loading.cancel()
            loading.ended.wait(patience)
        self.close()


def _silent(stage: str) -> None:
    pass
