"""A build and load under way, as others see it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .engines.base import Cancellable, Note, Progress
from .errors import LLMMagicsError


class Loading(Cancellable):
    """A load under way. Mutable: it remembers its stage and notes, and in ``outcome`` how it ended."""

    def __init__(self, model: str, told: Progress, changed: Callable[[], None]) -> None:
        super().__init__(told)
        self.model = model
        self.stage = ""
        self.notes: list[str] = []
        self.outcome = ""
        self.ended = threading.Event()
        self._changed = changed

    def __call__(self, stage: str) -> None:
        super().__call__(stage)
        if isinstance(stage, Note):
            self.notes.append(stage)
        else:
            self.stage = stage
        self._changed()

    def cancel(self) -> None:
        super().cancel()
        self._changed()

    def failed(self, error: BaseException) -> None:
        """Remember why; not the error itself, whose frames would keep half a model in memory."""
        said = str(error) if isinstance(error, LLMMagicsError) else f"{type(error).__name__}: {error}"
        self.outcome = "The load was interrupted." if isinstance(error, KeyboardInterrupt) else said
