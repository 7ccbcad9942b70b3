"""Marks and rows in Debian's chromium: as a page, in a notebook's output that is trusted, in one that is not, and by nbconvert."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from llm_magics.engines.scripted import ScriptedEngine
from llm_magics.records import Generation
from llm_magics.report.page import page as page_of
from llm_magics.session import Session

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")]

TEXT = "NOTICE: Acme Ltd of Lyon will close the Harbour Bridge from 12 March 2024; budget 12,500 euros. שלום, 東京都. Lyon again."
REPLY = {
    "company": "Acme Ltd",
    "city": "Lyon",
    "site": "Harbor Bridge",
    "day": "2024-03-12",
    "budget": 12500,
    "where": "Bridge from 12 March 2024",
    "boss": "Jane",
}
SHOW = "from pathlib import Path\nfrom IPython.display import HTML, display\ndisplay(HTML(Path('report.html').read_text('utf-8')))"
CONTRAST = """() => {
  const lum = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 });
                     return .2126 * r + .7152 * g + .0722 * b };
  const rgb = s => s.match(/[\\d.]+/g).map(Number);
  const ground = node => { for (; node; node = node.parentElement) { const c = rgb(getComputedStyle(node).backgroundColor);
                             if (c.length < 4 || c[3] > 0) return c.slice(0, 3) } return [255, 255, 255] };
  return Math.min(...[...document.querySelectorAll('mark *, .llm-magics table, .llm-magics table *')].map(node => {
    const [a, b] = [lum(rgb(getComputedStyle(node).color).slice(0, 3)), lum(ground(node))].sort((x, y) => y - x);
    return (a + .05) / (b + .05) })) }"""


def generation() -> Generation:
    schema = {**dict.fromkeys(REPLY, ""), "day": "(date)", "budget": "(float)"}
    return Session(ScriptedEngine([json.dumps(REPLY)])).extract(TEXT, schema)


def outline(page: Any, place: str) -> str:
    """The line around an element: ``none`` or ``solid``."""
    return str(page.locator(place).first.evaluate("node => getComputedStyle(node).outlineStyle"))


def follow_both_ways(page: Any, made: Generation) -> None:
    """Under the pointer and by keyboard, a row and its mark light up together; Enter goes from each to the other."""
    key = f"#llm-{made.run_id}"
    for here, there in ((f"{key}-r2", f"{key}-s2"), (f"{key}-s2", f"{key}-r2")):
        page.locator(here).first.hover()
        assert outline(page, there) == "solid"
        assert outline(page, f"{key}-s1") == "none"
        page.mouse.move(0, 0)
        link = page.locator(f"{here} a").first
        link.focus()
        assert outline(page, there) == "solid"
        page.keyboard.press("Enter")
        page.wait_for_function("hash => document.querySelector(hash).matches(':target')", arg=there)
        page.evaluate("document.activeElement.blur()")


@pytest.fixture(params=["light", "dark"])
def alone(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, Generation]]:
    from playwright.sync_api import sync_playwright

    from .lab import _BROWSER, CHROMIUM

    made = generation()
    path = tmp_path / "one.html"
    path.write_text(page_of([made, generation()]), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_BROWSER.split())
        page = browser.new_page(color_scheme=request.param, viewport={"width": 1000, "height": 700})
        page.set_default_timeout(15_000)
        page.goto(path.as_uri())
        yield page, made
        browser.close()


def test_a_page_alone(alone: tuple[Any, Generation]) -> None:
    page, made = alone
    follow_both_ways(page, made)
    assert page.evaluate(CONTRAST) >= 4.5


def test_a_page_passes_axe(alone: tuple[Any, Generation]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    result = axe.Axe().run(alone[0])
    assert result.violations_count == 0, result.generate_report()


def test_a_page_by_nbconvert(alone: tuple[Any, Generation], tmp_path: Path) -> None:
    from nbconvert import HTMLExporter

    page, made = alone
    source, _ = HTMLExporter().from_notebook_node(notebook(made))
    (tmp_path / "book.html").write_text(source, encoding="utf-8")
    # Its script for formulas lies on another host; nothing here may look for it.
    page.route("http*://**", lambda route: route.abort())
    page.goto((tmp_path / "book.html").as_uri(), wait_until="domcontentloaded")
    follow_both_ways(page, made)
    assert page.evaluate(CONTRAST) >= 4.5


def notebook(made: Generation) -> Any:
    """A notebook with a saved report, and a cell that shows it again."""
    data, metadata = made._repr_mimebundle_()
    saved = nbformat.v4.new_code_cell("'saved'", execution_count=1)
    saved.outputs = [nbformat.v4.new_output("display_data", data=data, metadata=metadata)]
    book = nbformat.v4.new_notebook(cells=[saved, nbformat.v4.new_code_cell(SHOW)])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return book


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_in_jupyterlab_trusted_or_not(theme: str, tmp_path: Path) -> None:
    from .lab import lab, open_notebook, wait_idle

    made, shown = generation(), generation()
    nbformat.write(notebook(made), tmp_path / "book.ipynb")
    (tmp_path / "report.html").write_text(shown._repr_mimebundle_()[0]["text/html"], encoding="utf-8")
    with lab(tmp_path, theme=theme, size=(1000, 480)) as (page, address):
        page.set_default_timeout(15_000)
        open_notebook(page, address, "book.ipynb")
        first, second = page.locator(".jp-CodeCell").nth(0), page.locator(".jp-CodeCell").nth(1)
        first.locator("mark").first.wait_for()
        # A notebook from elsewhere is not trusted: its style sheet goes, the marks and their colours stay.
        assert first.locator("mark").count() == 7
        assert first.locator("style").count() == 0
        assert page.evaluate(CONTRAST) >= 4.5
        assert first.locator("mark").first.evaluate("node => getComputedStyle(node).color") == "rgb(17, 17, 17)"
        for _ in range(5):
            if page.locator(".jp-Dialog .jp-mod-accept").count():  # which kernel: it can ask late
                page.click(".jp-Dialog .jp-mod-accept")
                wait_idle(page)
            second.locator(".cm-content").click()
            page.keyboard.press("Control+Enter")
            page.wait_for_timeout(1000)
            if second.locator("mark").count():
                break
        # JupyterLab keeps the Enter key for its cells, and the address of the page for itself: a click scrolls, and that is all.
        key = f"#llm-{shown.run_id}"
        for here, there in ((f"{key}-r2", f"{key}-s2"), (f"{key}-s2", f"{key}-r2")):
            page.locator(f"{here} a").first.focus()
            assert outline(page, there) == "solid"
            page.mouse.move(0, 0)
            page.locator(f"{here} a").first.scroll_into_view_if_needed()
            page.locator(f"{here} a").first.click()
            page.wait_for_function(
                "place => { const box = document.querySelector(place).getBoundingClientRect(); return box.top > 0 && box.bottom < innerHeight }",
                arg=there,
            )
            assert outline(page, there) == "solid"
        assert "/lab/tree/book.ipynb" in page.url
        assert page.evaluate(CONTRAST) >= 4.5
