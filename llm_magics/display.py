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
    from .documents import LongStream
    from .runner import Stream

# On 2 cores an update costs some 4 ms of decoding: it takes a core from the engine.
UPDATES_PER_S = 8
# The first one waits less: an answer that is complete by then is shown once, one that goes on is seen at once.
_FIRST_S = 0.05
# Front ends replace a display and cannot add to it. So a long answer is shown in blocks, a display each, and only the last block is sent
# again: a closed one never is, until the report takes the place of all. What is sent is in proportion to the answer's length, at
# whatever pace it comes: the open block is sent only when a 50th of it is new, so a character pays for at most 50 that are sent, and
# for two in the report, which is HTML and text; updates are HTML alone. A faster engine fills a block in fewer updates and pays less.
# A block has 2,000 characters or more and is a second old or more, so at most 40 characters wait to be seen, 80 in the longest line,
# and few displays are left empty in the end: none after an answer of under 2,000.
_FRESH = 1 / 50
_BLOCK_CHARACTERS = 2000
_BLOCK_UPDATES = UPDATES_PER_S


def _block_html(text: str) -> str:
    """A block after the first, which has the line of the prompt."""
    style = "white-space:pre-wrap;overflow-wrap:anywhere"
    return f'<div class="llm-magics" aria-busy="true"><div style="{style}">{html.escape(text)}</div></div>'


def has_frontend(shell: InteractiveShell | None) -> bool:
    """True in a kernel, whose front end shows HTML and takes updates; false in a terminal."""
    return shell is not None and hasattr(shell, "kernel")


class Draft:
    """An answer while it comes, in blocks; the constants above say why. Mutable: it collects.

    Only the last block changes, and it only grows: what a reader has seen never moves.
    """

    def __init__(self, now: float) -> None:
        self.closed: list[str] = []
        self.open = ""
        self._shown = 0
        self._updates = 0
        self._due = now + _FIRST_S

    @property
    def text(self) -> str:
        """All that has come."""
        return "".join(self.closed) + self.open

    def add(self, piece: str, now: float) -> dict[int, str]:
        """Take a piece at ``now``, in seconds of a monotonic clock; the blocks that have to be shown at this moment, by their number."""
        self.open += piece
        fresh = len(self.open) - self._shown
        if now < self._due or fresh < _FRESH * len(self.open) or not fresh:
            return {}
        self._due = now + 1 / UPDATES_PER_S
        self._updates += 1
        number, end = len(self.closed), self._end()
        if not end:
            self._shown = len(self.open)
            return {number: self.open}
        self.closed.append(self.open[:end])
        self.open = self.open[end:]
        self._shown, self._updates = len(self.open), 0
        return {number: self.closed[-1], **({number + 1: self.open} if self.open else {})}

    def _end(self) -> int:
        """Where the block ends: after a line of those not shown yet, in a very long line after a word; 0 while it goes on."""
        if len(self.open) < _BLOCK_CHARACTERS or self._updates < _BLOCK_UPDATES:
            return 0
        end = self.open.rfind("\n", self._shown) + 1
        if end or len(self.open) < 2 * _BLOCK_CHARACTERS:
            return end
        return self.open.rfind(" ", self._shown) + 1 or len(self.open)


class Live:
    """The output of one run. Mutable: it remembers what was shown and when."""

    def __init__(self, stream: Stream | LongStream, *, notebook: bool, prompt: PromptView = "folded", live: bool = True) -> None:
        self._stream: Any = stream
        self._notebook = notebook
        self._prompt = prompt
        self._live = live
        self._handles: list[Any] = []
        self._draft = Draft(0)

    def run(self) -> Generation:
        """Show the pieces as they come and the report at the end, in place of what was shown before."""
        from .runner import interrupts_set  # late, as all that %load_ext does not need

        if not self._notebook and self._prompt == "open":
            print(report.prompt_text(self._stream.prepared.prompt.text))
        self._draft = Draft(time.monotonic())
        try:
            with interrupts_set(self._stream.cancel):
                if self._live:
                    self._add(self._stream.prepared.request.answer_start or "")
                for piece in self._stream:
                    if self._live:
                        self._add(piece)
        except BaseException:
            self._broken()
            raise
        generation: Generation | None = self._stream.generation
        assert generation is not None
        self._finish(generation)
        return generation

    def _add(self, piece: str) -> None:
        if not self._notebook:
            sys.stdout.write(piece)
            sys.stdout.flush()
            return
        for number, text in self._draft.add(piece, time.monotonic()).items():
            shown = report.live_html(text, self._stream.input_tokens) if number == 0 else _block_html(text)
            self._show({"text/html": shown}, {}, number)

    def _show(self, data: dict[str, str], metadata: dict[str, Any], number: int = 0) -> None:
        if number == len(self._handles):
            self._handles.append(display(data, raw=True, metadata=metadata, display_id=True))
        else:
            self._handles[number].update(data, raw=True, metadata=metadata)

    def _show_alone(self, data: dict[str, str], metadata: dict[str, Any]) -> None:
        """Show this in place of all blocks. The first one's display takes it; the others stay as displays but have nothing in them.

        ``clear_output`` would take what else the cell has shown: notes, prints, the reports of earlier calls. A display without any
        data would make nbconvert warn; with an empty text it has no height. They are emptied last, so that the page does not get
        shorter under the reader.
        """
        self._show(data, metadata)
        for number in range(1, len(self._handles)):
            self._show({"text/plain": "", "text/html": ""}, {}, number)

    def _finish(self, generation: Generation) -> None:
        if self._notebook:
            self._show_alone(*report.bundle(generation, self._prompt))
            return
        whole = report.plain(generation)
        # The answer stands already where it was written as it came; what follows it is the timing line.
        print(whole.removeprefix(generation.text) if self._live else whole)

    def _broken(self) -> None:
        """After an error in the middle: what has come stays, in one piece and no longer busy."""
        text = self._draft.text
        if self._notebook and text:
            shown = report.live_html(text, self._stream.input_tokens).replace(' aria-busy="true"', "", 1)
            self._show_alone({"text/plain": text, "text/html": shown}, {})


class LongLive(Live):
    """The output of an extraction in pieces: a bar while it runs, the report at the end. Mutable, as every Live."""

    def run(self) -> Generation:
        from .runner import interrupts_set

        started = time.monotonic()
        with interrupts_set(self._stream.cancel):
            for step in self._stream:
                if self._live:
                    self._step(step, time.monotonic() - started)
        generation: Generation | None = self._stream.generation
        assert generation is not None
        self._live = False  # nothing of the answer stands there yet
        self._finish(generation)
        return generation

    def _step(self, step: Any, spent_s: float) -> None:
        left_s = spent_s / step.done * (step.total - step.done)
        left = f"{left_s:.0f} s" if left_s < 90 else f"{left_s / 60:.0f} min"
        text = f"piece {step.done} of {step.total} · {step.tokens:,} tokens · about {left} left"
        if not self._notebook:
            filled = 20 * step.done // step.total
            sys.stdout.write(f"\r[{'#' * filled}{'.' * (20 - filled)}] {text}  " + ("\n" if step.done == step.total else ""))
            sys.stdout.flush()
            return
        bar = f'<progress value="{step.done}" max="{step.total}"></progress> {html.escape(text)}'
        self._show({"text/plain": text, "text/html": f'<div class="llm-magics" role="status">{bar}</div>'}, {})


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
