"""The form, the panel and a streamed answer in Notebook 7 and in the classic Notebook, as their users see them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")]

NOTICE = "Velmora Systems, based in Lyon, was founded in 1987 by Mira Holtan. <b>It is listed.</b>"
STREAM = "%%llm_answer --temperature 9 --seed 1 --max-new-tokens 300\nHello World !"
CELLS = [f"%load_ext llm_magics\nnotice = {NOTICE!r}", STREAM, "%llm_form extract notice", "%llm_panel"]


class Book:
    """An open notebook: Notebook 7's page, or the classic one's."""

    def __init__(self, page: Any, address: str, classic: bool) -> None:
        self.page, self.classic = page, classic
        self.cells = page.locator(".code_cell" if classic else ".jp-CodeCell")
        page.goto(f"{address}/nbclassic/notebooks/work.ipynb" if classic else f"{address}/notebooks/work.ipynb")
        self.cells.first.wait_for(timeout=60_000)
        idle = ".kernel_idle_icon" if classic else '.jp-Notebook-ExecutionIndicator[data-status="idle"]'
        page.wait_for_selector(idle, state="attached", timeout=60_000)

    def run(self, index: int, *, wait: bool = True) -> Any:
        """Run a cell by the keyboard; the cell."""
        cell = self.cells.nth(index)
        prompt = cell.locator(".input_prompt" if self.classic else ".jp-InputPrompt")
        for _ in range(5):  # the first keys after a page has come up may be lost
            cell.locator(".CodeMirror" if self.classic else ".cm-content").first.click()
            self.page.keyboard.press("Shift+Enter")
            if self._until(lambda: re.search(r"[\d*]", prompt.inner_text()), 3):
                break
        if wait and not self._until(lambda: re.search(r"\d", prompt.inner_text()), 60):
            raise TimeoutError(CELLS[index])
        return cell

    def _until(self, done: Callable[[], Any], seconds: float) -> bool:
        for _ in range(int(seconds * 10)):
            if done():
                return True
            self.page.wait_for_timeout(100)
        return False


@pytest.mark.parametrize("app", ["notebook", "nbclassic"])
def test_an_answer_a_form_and_the_panel(app: str, tmp_path: Path) -> None:
    from .lab import lab

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, tmp_path / "work.ipynb")
    with lab(tmp_path, size=(1280, 1500), app=app) as (page, address):
        opened = Book(page, address, app == "nbclassic")
        opened.run(0)

        answer = opened.run(1, wait=False)
        lengths = set()
        while not answer.get_by_text("tokens generated in").count():
            lengths.add(len(answer.inner_text()))
            page.wait_for_timeout(50)
        assert len(lengths) > 3  # it grew before our eyes

        form = opened.run(2)
        button = lambda name: form.get_by_role("button", name=name, exact=True)  # noqa: E731
        button("Run").wait_for(timeout=20_000)
        form.get_by_label("Name", exact=True).fill("founded")
        form.get_by_label("Type", exact=True).select_option("int")
        form.get_by_label("Type", exact=True).press("Tab")
        button("Run").click()
        form.get_by_text("Done.").wait_for(timeout=30_000)
        assert form.get_by_text("tokens generated in").locator("visible=true").count() == 1  # and not its twin as well
        assert form.get_by_text("1987").locator("visible=true").count() >= 2
        button("Insert as cell").click()
        # Notebook 7 takes JupyterLab's extensions, so it may have ours; the classic one has none.
        form.get_by_text(re.compile("The cell is below this form|The cell goes in below the next cell")).wait_for()
        panel = opened.run(3 if opened.cells.count() == len(CELLS) else 4)
        panel.get_by_text("last: extract:").locator("visible=true").wait_for()

        form.get_by_label("Task", exact=True).select_option("answer")
        button("▸ Sampling").click()
        for label, value in (("Most new tokens", "3500"), ("Temperature", "9"), ("Seed", "1")):
            form.get_by_label(label, exact=True).fill(value)
            form.get_by_label(label, exact=True).press("Tab")
        button("Run").click()
        form.get_by_text("Running").wait_for()
        button("Stop").click()
        form.get_by_text("interrupted: the answer is partial").first.wait_for(timeout=2000)
        page.keyboard.press("Escape")
        page.keyboard.press("Control+s")
        page.wait_for_timeout(1500)
        page.reload()
        opened.cells.nth(2).get_by_text("interrupted: the answer is partial").locator("visible=true").wait_for(timeout=20_000)
        assert "interrupted" in (tmp_path / "work.ipynb").read_text(encoding="utf-8")
