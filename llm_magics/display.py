"""Shows a run as it happens: in a notebook by one display that is updated, in a terminal by writing on."""

from __future__ import annotations

import html
import sys
import time
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

from . import report
from .records import Generation
from .report import PromptView

if TYPE_CHECKING:
    from .runner import Stream

# On 2 cores an update costs some 4 ms of decoding: it takes a core from the engine.
UPDATES_PER_S = 8
# Each update sends the whole answer so far; past this many characters they come further apart, so that the bytes sent
# for an answer grow with its length and not with its square.
_FULL_RATE_CHARACTERS = 4000


def has_frontend(shell: InteractiveShell | None) -> bool:
    """True in a kernel, whose front end shows HTML and takes updates; false in a terminal."""
    return shell is not None and hasattr(shell, "kernel")


class Live:
    """The output of one run. Mutable: it remembers what was shown and when."""

    def __init__(self, stream: Stream, *, notebook: bool, prompt: PromptView = "folded", live: bool = True) -> None:
        self._stream = stream
        self._notebook = notebook
        self._prompt = prompt
        self._live = live
        self._handle: Any = None
        self._text = ""
        self._shown_at = 0.0

    def run(self) -> Generation:
        """Show the pieces as they come and the report at the end, in place of what was shown before."""
        from .runner import interrupts_set  # late, as all that %load_ext does not need

        if not self._notebook and self._prompt == "open":
            print(report.prompt_text(self._stream.prepared.prompt.text))
        self._shown_at = time.monotonic()  # what is complete within one pause is shown once
        with interrupts_set(self._stream.cancel):
            if self._live:
                self._add(self._stream.prepared.request.answer_start or "")
            for piece in self._stream:
                if self._live:
                    self._add(piece)
        generation = self._stream.generation
        assert generation is not None
        self._finish(generation)
        return generation

    def _add(self, piece: str) -> None:
        self._text += piece
        if not self._notebook:
            sys.stdout.write(piece)
            sys.stdout.flush()
            return
        pause = max(1.0, len(self._text) / _FULL_RATE_CHARACTERS) / UPDATES_PER_S
        now = time.monotonic()
        if now - self._shown_at >= pause:
            self._show({"text/plain": self._text, "text/html": report.live_html(self._text, self._stream.input_tokens)}, {})
            self._shown_at = now

    def _show(self, data: dict[str, str], metadata: dict[str, Any]) -> None:
        if self._handle is None:
            self._handle = display(data, raw=True, metadata=metadata, display_id=True)
        else:
            self._handle.update(data, raw=True, metadata=metadata)

    def _finish(self, generation: Generation) -> None:
        if self._notebook:
            self._show(*report.bundle(generation, self._prompt))
            return
        whole = report.plain(generation)
        # The answer stands already where it was written as it came; what follows it is the timing line.
        print(whole.removeprefix(generation.text) if self._live else whole)


class Stages:
    """The stages of building and loading: notes that stay, and under them one line that changes. Mutable: it knows its lines."""

    def __init__(self, *, notebook: bool) -> None:
        self._notebook = notebook
        self._notes: list[str] = []
        self._handle: Any = None

    def __call__(self, stage: str) -> None:
        """Say that ``stage`` goes on; a Note stays."""
        from .engines.base import Note

        if not isinstance(stage, Note):
            self.say(stage + " …")
            return
        self.say(stage)
        self._notes.append(stage)

    def say(self, text: str) -> None:
        """Put ``text`` in the line's place."""
        if not self._notebook:
            print(text)
            return
        lines = [*self._notes, text]
        shown = "".join(f"<div>{html.escape(line)}</div>" for line in lines)
        data = {"text/plain": "\n".join(lines), "text/html": f'<div class="llm-magics" role="status">{shown}</div>'}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


def table(head: list[str], rows: list[list[str]], *, notebook: bool) -> None:
    """A small table, as HTML and as text."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    text = "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows])
    if not notebook:
        print(text)
        return

    def line(cells: list[str], tag: str) -> str:
        return "<tr>" + "".join(f'<{tag} style="text-align:left">{html.escape(cell)}</{tag}>' for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    shown = f"<table><thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table>"
    display({"text/plain": text, "text/html": shown}, raw=True)
