"""One run of a form, on a thread of its own, and the answer as it grows."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from .. import report
from ..records import Generation

if TYPE_CHECKING:
    from ..runner import Stream

UPDATES_PER_S = 8
# What is complete is not sent again: an update sends at most so many characters, whatever the answer's length.
_BLOCK = 2000
_PRE = "white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.4"


class AnswerView:
    """The answer as it comes, in blocks: only the last one is sent again and again. In the end, the report. Mutable."""

    def __init__(self) -> None:
        self.view = widgets.VBox(layout=widgets.Layout(width="100%", overflow="visible", flex="0 0 auto"))
        self.updates = 0
        self._open: widgets.HTML | None = None
        self._text = ""
        self._sent_at = 0.0

    def begin(self, start: str) -> None:
        """Empty the view, for an answer that begins with ``start``."""
        self._replace([])
        self._open, self._text, self.updates = None, start, 0
        self._sent_at = time.monotonic()

    def add(self, piece: str) -> None:
        """Take one piece; it is shown when the last update is long enough ago."""
        self._text += piece
        now = time.monotonic()
        if now - self._sent_at >= 1 / UPDATES_PER_S:
            self._send()
            self._sent_at = now

    def _send(self) -> None:
        while len(self._text) > _BLOCK:
            cut = self._text.rfind("\n", 0, _BLOCK)  # a block ends where a line does, if one does
            at, after = (cut, cut + 1) if cut > 0 else (_BLOCK, _BLOCK)
            self._put(self._text[:at])
            self._open, self._text = None, self._text[after:]
        self._put(self._text)
        self.updates += 1

    def _put(self, text: str) -> None:
        value = f'<div style="{_PRE}">{html.escape(text)}</div>'
        if self._open is None:
            self._open = widgets.HTML(value)
            self.view.children = (*self.view.children, self._open)
        else:
            self._open.value = value

    def end(self, shown: str) -> None:
        """Put the report, or what there is to say, in the answer's place."""
        self._replace([widgets.HTML(shown, layout=widgets.Layout(width="auto", overflow="auto"))] if shown else [])
        self._open = None

    def _replace(self, children: list[Any]) -> None:
        before = self.view.children
        self.view.children = children
        for child in before:
            child.close()


class Run:
    """One run. ``begin`` prepares it on the run's thread; ``ended`` is called there with what came of it. Mutable until it ends."""

    def __init__(
        self, begin: Callable[[], Stream], view: AnswerView, ended: Callable[[Run, Generation | None, BaseException | None], None]
    ) -> None:
        self.started = time.monotonic()
        self.first_at: float | None = None
        self.over = threading.Event()
        self._begin, self._view, self._ended = begin, view, ended
        self._stopped = threading.Event()
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._go, name="llm_magics form", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End it at the next token, or while it waits; what came is kept."""
        self._stopped.set()
        if self._stream is not None:
            self._stream.cancel.set()

    @property
    def is_stopped(self) -> bool:
        """Whether it is to end."""
        return self._stopped.is_set()

    def _go(self) -> None:
        generation: Generation | None = None
        problem: BaseException | None = None
        try:
            generation = self._generated()
        except Exception as error:  # noqa: BLE001 - a thread has nobody above it: the form shows what it was
            problem = error
        finally:
            self._stream = None
            self._ended(self, generation, problem)
            self.over.set()

    def _generated(self) -> Generation | None:
        stream = self._stream = self._begin()
        if self._stopped.is_set():
            stream.cancel.set()
        self._view.begin(stream.prepared.request.answer_start or "")
        for piece in stream:
            self.first_at = self.first_at or time.monotonic()
            self._view.add(piece)
        return stream.generation


def shown(generation: Generation) -> str:
    """The report of a run, with a role that has it read out."""
    return f'<div role="region" aria-label="Answer" style="line-height:1.4">{report.as_html(generation)}</div>'
