"""An answer while it comes: what is sent for it stays in proportion to its length, and one report is left at the end."""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from llm_magics.display import UPDATES_PER_S, Draft

from .conftest import ROOT
from .paced import text_of
from .test_kernel import Kernel, types

TEXTS = {
    "paragraphs": text_of(6000),
    "one line": "the works in Lyon " * 1333,
    "no blanks": "東京都港区" * 4800,
    "short lines": "x = 1\n" * 4000,
}


def sent(text: str, *, characters: int, tokens_per_s: float) -> tuple[int, list[float], int, Draft]:
    """Characters sent for a text that comes in pieces, the moments of sending, the most that waited to be seen, and the draft."""
    draft, total, moments, waiting, most = Draft(0), 0, [], 0, 0
    shown: dict[int, str] = {}
    for number, start in enumerate(range(0, len(text), characters), 1):
        piece, now = text[start : start + characters], number / tokens_per_s
        waiting += len(piece)
        update = draft.add(piece, now)
        if update:
            assert all(block.startswith(shown.get(key, "")) for key, block in update.items())  # nothing moves
            shown.update(update)
            assert "".join(shown.values()) == draft.text == text[: start + characters]
            moments.append(now)
            waiting = 0
        total += sum(map(len, update.values()))
        most = max(most, waiting)
    return total, moments, most, draft


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("tokens_per_s", [2, 30, 120, 2000])
def test_what_is_sent_is_in_proportion_to_the_answer(name: str, tokens_per_s: float) -> None:
    text = TEXTS[name]
    for length in (1000, 4000, len(text)):
        total, *_ = sent(text[:length], characters=4, tokens_per_s=tokens_per_s)
        assert total <= 50 * length
    short, long = (sent(text[:length], characters=4, tokens_per_s=tokens_per_s)[0] / length for length in (8000, 24_000))
    assert long < 1.5 * short


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("tokens_per_s", [2, 30, 120, 2000])
def test_it_is_seen_soon_and_at_most_eight_times_a_second(name: str, tokens_per_s: float) -> None:
    text = TEXTS[name]
    _, moments, most, draft = sent(text, characters=4, tokens_per_s=tokens_per_s)
    assert all(later - earlier >= 1 / UPDATES_PER_S - 1e-6 for earlier, later in itertools.pairwise(moments))
    assert moments[0] <= 0.05 + 2 / tokens_per_s
    assert most <= max(84, 4 * tokens_per_s / UPDATES_PER_S + 4)
    assert len(draft.closed) <= len(text) / 2000
    if "line" not in name and "blank" not in name:
        assert all(block.endswith("\n") for block in draft.closed)  # no line is broken in two


def test_a_short_answer_is_one_block() -> None:
    *_, draft = sent(text_of(490), characters=4, tokens_per_s=50)
    assert draft.closed == []


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    kernel.run("%load_ext llm_magics\nfrom tests.paced import PacedEngine\nfrom llm_magics.session import Session")
    kernel.run(
        "def paced(*args, **options):\n get_ipython().magics_manager.registry['LLMMagics'].session = Session(PacedEngine(*args, **options))"
    )
    yield kernel
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel(now=True)
    kernel.manager.cleanup_resources()


def page(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The outputs of a cell as a front end has them when all these messages have come."""
    shown: list[dict[str, Any]] = []
    for message in messages:
        key = message.get("transient", {}).get("display_id")
        if message["type"] == "update_display_data":
            for output in shown:
                if output.get("transient", {}).get("display_id") == key:
                    output.update(data=message["data"], metadata=message["metadata"])
        else:
            shown.append(dict(message))
    return shown


def left(messages: list[dict[str, Any]]) -> list[str]:
    """The texts that stand below a cell in the end; what is empty is not there."""
    texts = [output["text"] if "text" in output else output.get("data", {}).get("text/plain", "") for output in page(messages)]
    return [text for text in texts if text]


def so_far(messages: list[dict[str, Any]]) -> str:
    """The answer as the blocks on the page have it, without the line of the prompt."""
    blocks = [re.findall(r"pre-wrap[^>]*>([^<]*)</div></div>$", output["data"]["text/html"]) for output in page(messages)]
    return "".join(html.unescape(text) for (text,) in blocks)


def on_page(messages: list[dict[str, Any]]) -> str:
    """All HTML below a cell."""
    return "\n".join(output.get("data", {}).get("text/html", "") for output in page(messages))


def test_a_long_answer_ends_as_one_report_beside_what_else_the_cell_shows(kernel: Kernel) -> None:
    kernel.run("paced(2000)")
    messages = kernel.run(
        "print('before')\n%llm_answer -o first --max-new-tokens 1500 one\nprint('between')\n%llm_answer -o second --max-new-tokens 10 two\n'after'"
    )
    before, first, between, second, after = left(messages)
    assert (before, between, after) == ("before\n", "between\n", "'after'")
    assert first.startswith(text_of(1500))
    assert "1500 tokens generated" in first
    assert second.startswith(text_of(10))
    assert on_page(messages).count(">1. Its revenue") == 2
    assert on_page(messages).count(" 2. They wrote") == 1
    assert "aria-busy" not in on_page(messages)
    reports = [output for output in page(messages) if "llm_magics" in output.get("metadata", {})]
    assert [report["metadata"]["llm_magics"]["output_tokens"] for report in reports] == [1500, 10]
    assert {"text/plain", "text/html"} == set(reports[0]["data"])


def test_the_page_has_the_answer_so_far_in_order_at_every_moment(kernel: Kernel) -> None:
    kernel.run("paced(2000)")
    messages = kernel.run("%%llm_answer --max-new-tokens 5000\nHello")
    whole, before = text_of(5000), ""
    first = next(number for number, message in enumerate(messages) if "llm_magics" in message["metadata"])
    for count in range(1, first + 1):
        now = so_far(messages[:count])
        assert now.startswith(before)
        assert whole.startswith(now)
        before = now
    (report,) = left(messages)
    assert report.startswith(whole)
    assert 2 <= len(page(messages)) <= 10
    assert (first + 1) / (messages[first]["at"] - messages[0]["at"]) < 15


def test_bytes_sent_are_linear_and_within_the_bound(kernel: Kernel) -> None:
    kernel.run("paced(1000)")
    rates = {}
    for tokens in (1000, 5000):
        messages = kernel.run(f"%%llm_answer --max-new-tokens {tokens}\nHello")
        size = sum(
            len(json.dumps({"data": message["data"], "metadata": message["metadata"]}, ensure_ascii=False).encode()) for message in messages
        )
        rates[tokens] = size / tokens
        assert size < 56 * len(text_of(tokens).encode())
    assert rates[5000] < 1.5 * rates[1000]


def test_an_error_in_the_middle_leaves_what_had_come(kernel: Kernel) -> None:
    kernel.run("paced(2000, fails_at=900)")
    messages = kernel.run("%%llm_answer --max-new-tokens 1500\nHello")
    assert [message["type"] for message in messages if message["type"] == "error"] == ["error"]
    assert left(messages) == [text_of(1500)[:3600]]
    assert "aria-busy" not in on_page(messages)


def test_an_interrupt_in_a_long_answer_leaves_one_report(kernel: Kernel) -> None:
    kernel.run("paced(2000)")
    messages = kernel.run("%%llm_answer --max-new-tokens 20000\nHello", interrupt_after=1.5)
    assert kernel.idle_at - kernel.interrupted_at < 1
    (report,) = left(messages)
    assert "interrupted: the answer is partial" in report
    assert len(report) > 6000
    assert "error" not in types(messages)


def test_executed_without_a_page_and_by_nbconvert_the_answer_is_there_once(tmp_path: Any) -> None:
    setup = "%load_ext llm_magics\nfrom tests.paced import PacedEngine\nfrom llm_magics.session import Session\n"
    setup += "get_ipython().magics_manager.registry['LLMMagics'].session = Session(PacedEngine(3000))"
    cells = [nbformat.v4.new_code_cell(source) for source in (setup, "%%llm_answer --max-new-tokens 2500\nHello")]
    book = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(book, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    nbformat.validate(book)
    full = [output for output in book.cells[1].outputs if output.data["text/plain"]]
    assert len(full) == 1
    assert full[0].data["text/plain"].startswith(text_of(2500))
    source, _ = HTMLExporter().from_notebook_node(book)
    assert source.count("\n\n5. Velmora") == 1
    assert "aria-busy" not in source
