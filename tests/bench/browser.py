"""What an answer costs on its way to the eye: JupyterLab in chromium, first paint, bytes received, longest frame.

``python -m tests.bench browser [--tokens-per-s N] [--lengths 256,1000,5000]``. Beside each figure of ``%%llm_answer`` stands that of a
plain loop which sends the whole answer so far, eight times a second, as one would write it by hand; both show the same stream in the
same page. The stream is tests/paced.py: four characters a token, at the pace that is given; the bundled model is measured as it comes.
"""

from __future__ import annotations

import argparse
import base64
import re
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from ..lab import lab, open_notebook

SETUP = """
import html, time
from IPython.display import HTML, display
from llm_magics.records import Prompt, Sampling
from llm_magics.session import Session
from tests.paced import PacedEngine
%load_ext llm_magics
magics = get_ipython().magics_manager.registry['LLMMagics']
def whole_again(tokens, tokens_per_s):
    handle, text, shown = display(HTML(''), display_id=True), '', 0
    for chunk in PacedEngine(tokens_per_s).stream(Prompt('Hello', Sampling(max_new_tokens=tokens))):
        text += chunk.text
        if time.monotonic() - shown >= 1 / 8:
            handle.update(HTML('<div style="white-space:pre-wrap">' + html.escape(text) + '</div>'))
            shown = time.monotonic()
    handle.update(HTML('<div class="naive" style="white-space:pre-wrap">' + html.escape(text) + '</div>'))
print('ready')
"""
PRINT = "import time; print('now', time.time_ns())"
PACED = "magics.session = Session(PacedEngine({pace}))\nget_ipython().run_cell_magic('llm_answer', '--max-new-tokens {tokens}', 'Hello');"
NAIVE = "whole_again({tokens}, {pace})"
DEMO = "%%llm_answer\nHello World !"
DEMO_LONG = "%llm_load demo\n%llm_answer --temperature 9 --seed 1 --max-new-tokens {tokens} Hello World !"

# From the key to the second frame after the first node of the cell's output that is new and has text: then it is on the screen.
_PAINT = """cell => new Promise(done => {
  const node = document.querySelectorAll('.jp-CodeCell')[cell], old = new Set(node.querySelectorAll('.jp-OutputArea-output'));
  let pressed = 0;
  addEventListener('keydown', event => { if (event.key === 'Enter') pressed = performance.now() }, {capture: true});
  const look = () => {
    for (const output of node.querySelectorAll('.jp-OutputArea-output'))
      if (!old.has(output) && pressed && (output.querySelector('.llm-magics') ? output.querySelector('.llm-magics').innerText.split('\\n').length > 1
                                                                   : output.innerText.trim())) {
        watch.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - pressed)));
        return } };
  const watch = new MutationObserver(look);
  watch.observe(node, {childList: true, subtree: true, characterData: true});
  setTimeout(() => done(NaN), 20000) })"""
_FRAMES = """() => {
  const seen = window.llmFrames = {longest: 0, frames: 0, tasks: 0, longestTask: 0, stop: false};
  let before = performance.now();
  const frame = now => { seen.longest = Math.max(seen.longest, now - before); seen.frames++; before = now;
                         if (!seen.stop) requestAnimationFrame(frame) };
  requestAnimationFrame(now => { before = now; requestAnimationFrame(frame) });
  seen.observer = new PerformanceObserver(list => { for (const entry of list.getEntries()) { seen.tasks++;
                                                      seen.longestTask = Math.max(seen.longestTask, entry.duration) } });
  seen.observer.observe({entryTypes: ['longtask']}) }"""
_SEEN = "() => { llmFrames.stop = true; llmFrames.observer.disconnect(); const {observer, ...rest} = llmFrames; return rest }"


class Wire:
    """Bytes and messages that the page has received on the kernel's channel. Mutable: it counts."""

    def __init__(self, page: Any) -> None:
        self.received = self.messages = 0
        self._kernels: set[str] = set()
        session = page.context.new_cdp_session(page)
        session.on("Network.webSocketCreated", self._created)
        session.on("Network.webSocketFrameReceived", self._frame)
        session.send("Network.enable")

    def _created(self, event: dict[str, Any]) -> None:
        if "/api/kernels/" in event["url"]:
            self._kernels.add(event["requestId"])

    def _frame(self, event: dict[str, Any]) -> None:
        if event["requestId"] in self._kernels:
            frame = event["response"]
            payload = frame["payloadData"]
            self.received += len(base64.b64decode(payload)) if frame["opcode"] == 2 else len(payload.encode())
            self.messages += 1


@dataclass(frozen=True)
class Row:
    """What one run cost; sizes in bytes, times in ms."""

    name: str
    tokens: int
    answer: int
    received: int
    messages: int
    longest_frame: float
    tasks: int
    longest_task: float

    def line(self) -> str:
        each = self.received / self.tokens
        return (
            f"{self.name:<34}{self.tokens:>7,}{self.received / 1000:>10,.0f}{each:>10,.1f}{self.received / self.answer:>10,.1f}"
            f"{self.messages:>10,}{self.longest_frame:>10,.0f}{self.tasks:>8}{self.longest_task:>10,.0f}"
        )


HEADS = f"{'':<34}{'tokens':>7}{'kB':>10}{'kB/1,000':>10}{'x answer':>10}{'messages':>10}{'frame ms':>10}{'tasks':>8}{'task ms':>10}"


class Bench:
    """One notebook in a page: its only code cell after the first is filled and run again and again."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.wire = page, Wire(page)
        open_notebook(page, address, "bench.ipynb")
        page.keyboard.press("Control+b")
        self.run(0, SETUP)

    def fill(self, source: str, cell: int = 1) -> None:
        """Write ``source`` into a cell and have the cursor in it."""
        self.page.locator(".jp-CodeCell").nth(cell).locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source)
        self.page.wait_for_timeout(100)

    def run(self, cell: int, source: str) -> None:
        """Run ``source`` in a cell until the kernel is idle."""
        self.fill(source, cell)
        prompt = self.page.locator(".jp-CodeCell").nth(cell).locator(".jp-InputPrompt")
        before = prompt.inner_text()
        for _ in range(5):  # the first press after a page has come up may be lost
            self.page.keyboard.press("Control+Enter")
            self.page.wait_for_timeout(1000)
            if prompt.inner_text() != before:
                break
        self.page.wait_for_function(
            "n => /[0-9]/.test(document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')[n].innerText)", arg=cell, timeout=600_000
        )
        self.page.wait_for_timeout(500)

    def painted(self, source: str) -> float:
        """Milliseconds from Shift-Enter to the first text of the output on the screen."""
        self.fill(source)
        self.page.evaluate(f"() => {{ window.llmPainted = ({_PAINT})(1) }}")  # without waiting for it
        self.page.keyboard.press("Shift+Enter")
        took: float = self.page.evaluate("window.llmPainted")
        self.page.wait_for_timeout(1000)
        return took

    def text(self) -> str:
        """What stands below the cell."""
        shown: str = self.page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea").first.inner_text()
        return shown

    def cost(self, name: str, source: str, tokens: int, answer: int) -> Row:
        """Run ``source`` and count."""
        self.page.wait_for_timeout(1000)
        received, messages = self.wire.received, self.wire.messages
        self.page.evaluate(_FRAMES)
        self.run(1, source)
        seen = self.page.evaluate(_SEEN)
        told = re.search(r"([\d,]+) tokens generated", self.text())
        return Row(
            name=name,
            tokens=int(told.group(1).replace(",", "")) if told else tokens,
            answer=answer or len(self.text().encode()),
            received=self.wire.received - received,
            messages=self.wire.messages - messages,
            longest_frame=seen["longest"],
            tasks=seen["tasks"],
            longest_task=seen["longestTask"],
        )


def first_paint(bench: Bench, pairs: int) -> None:
    """Shift-Enter to the first token on the screen, beside the same for a print."""
    loading = bench.painted("%llm_load demo\n" + "%llm_answer Hello World !")
    bench.painted(DEMO)
    prints, answers, engine = [], [], []
    for _ in range(pairs):
        prints.append(bench.painted(PRINT))
        answers.append(bench.painted(DEMO))
        told = re.search(r"first token (\d+) ms", bench.text())
        engine.append(float(told.group(1)) if told else float("nan"))
    floor, answer, own = map(statistics.median, (prints, answers, engine))
    print(f"first paint, median of {pairs} pairs: a print {floor:.0f} ms, %%llm_answer with the bundled model {answer:.0f} ms", end="")
    print(
        f" ({answer / floor:.2f} times), of which its engine took {own:.0f} ms; with %llm_load demo before it in the cell {loading:.0f} ms\n"
    )


def costs(bench: Bench, lengths: list[int], pace: float) -> None:
    """The table, and its ratios."""
    from ..paced import text_of

    print(HEADS)
    rows = {}
    bench.page.evaluate(_FRAMES)
    bench.page.wait_for_timeout(10_000)
    idle = bench.page.evaluate(_SEEN)
    print(f"{'nothing runs, 10 s':<34}{'':>47}{idle['longest']:>10,.0f}{idle['tasks']:>8}{idle['longestTask']:>10,.0f}")
    for tokens in lengths:
        size = len(text_of(tokens).encode())
        for name, source in (("%%llm_answer", PACED), ("the whole answer each time", NAIVE)):
            label = f"{name}, {pace:.0f}/s"
            rows[name, tokens] = row = bench.cost(label, source.format(tokens=tokens, pace=pace), tokens, size)
            print(row.line(), flush=True)
    for tokens in lengths:
        if tokens <= 1000:  # its window is 4,096, and a slow machine takes minutes for that
            print(bench.cost("%%llm_answer, bundled model", DEMO_LONG.format(tokens=tokens), tokens, 0).line(), flush=True)
    low, high = sorted(lengths)[-2:]
    for name in ("%%llm_answer", "the whole answer each time"):
        per = [rows[name, tokens].received / tokens for tokens in (low, high)]
        print(f"{name}: bytes per token at {high:,} tokens / at {low:,}: {per[1] / per[0]:.2f} (1 is linear)")
    ratio = rows["the whole answer each time", high].received / rows["%%llm_answer", high].received
    print(f"{high:,} tokens: the whole answer each time sends {ratio:.1f} times what %%llm_answer sends")


def main(arguments: list[str]) -> None:
    """Both parts in one page."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench browser", description=__doc__)
    parser.add_argument("--tokens-per-s", type=float, default=100, help="Pace of the stream; 100 is that of an 8B model on one GPU.")
    parser.add_argument("--lengths", default="256,1000,5000", help="Answers to stream, in tokens.")
    parser.add_argument("--pairs", type=int, default=10, help="Pairs of runs for the first paint.")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as work:
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(""), nbformat.v4.new_code_cell("")])
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(book, Path(work) / "bench.ipynb")
        with lab(Path(work)) as (page, address):
            bench = Bench(page, address)
            first_paint(bench, args.pairs)
            costs(bench, [int(length) for length in args.lengths.split(",")], args.tokens_per_s)


if __name__ == "__main__":
    main(sys.argv[1:])
