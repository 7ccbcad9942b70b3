"""The exact prompt before it is sent, and its tokens by part. Worked out beside the keystrokes, a moment after the last one."""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets

from .. import prompts
from .asked import Asked
from .snapshot import lines, told

# Long enough that a word in the middle of being typed is not counted letter by letter.
_PAUSE_S = 0.25
_PRE = (
    "white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.4;margin:.3em 0;padding:.4em;border:1px solid;max-height:20em;overflow:auto"
)


class Preview:
    """What would be sent. Mutable: it follows the inputs until ``close``."""

    def __init__(self, session: Callable[[], Any], asked: Callable[[], Asked]) -> None:
        self._session, self._asked = session, asked
        self.counts = widgets.HTML()
        self.prompt = widgets.HTML(layout=widgets.Layout(width="auto"))
        self._due = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def later(self) -> None:
        """Work it out soon; many calls in a row make one."""
        with self._lock:
            self._due.set()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="llm_magics preview", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        """Wait for a pause in the typing, work it out, end."""
        while True:
            self._due.clear()
            if self._due.wait(_PAUSE_S) and not self._closed:
                continue
            if not self._closed:
                self.now()
            with self._lock:
                if self._closed or not self._due.is_set():
                    self._thread = None
                    return

    def now(self) -> None:
        """Work it out at once."""
        session = self._session()
        if session is None:
            self._show("No model is loaded yet: its tokens are counted when one is.", "")
            return
        try:
            asked = self._asked()
            if not asked.text.strip():
                self._show("Nothing to send yet: there is no text.", "")
                return
            prepared = session.stream(asked.task, asked.text, asked.fields(), asked.options()).prepared
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the inputs is told, not raised on a thread
            self.counts.value, self.prompt.value = lines(told(error)), ""
            return
        counts = tokens(session.engine, prepared)
        listed = " · ".join(f"{part} {count:,}" for part, count in counts.items() if count)
        total = sum(counts.values())
        self._show(f"Prompt: {total:,} tokens of {session.engine.info.max_seq_len:,} ({listed})", prepared.prompt.text)

    def _show(self, said: str, prompt: str) -> None:
        if not self._closed:
            self.counts.value = f'<div style="opacity:.8;line-height:1.4">{html.escape(said)}</div>'
            box = f'<pre tabindex="0" aria-label="The exact prompt" style="{_PRE}">{html.escape(prompt)}</pre>'
            self.prompt.value = box if prompt else ""

    def close(self) -> None:
        """Follow the inputs no longer."""
        self._closed = True
        self._due.set()


def tokens(engine: Any, prepared: Any) -> Mapping[str, int]:
    """Tokens of a prepared prompt by part; they add up to those of the whole."""
    whole = engine.count(prepared.prompt.text)
    counts = {part: engine.count(text) if text else 0 for part, text in prompts.parts(prepared.request).items()}
    counts["answer start"] = engine.count(prepared.answer_start) if prepared.answer_start else 0
    counts["chat markup"] = whole - sum(counts.values())
    return counts
