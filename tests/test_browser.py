"""JupyterLab in Debian's chromium, with the bundled model: what a user sees and does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from .conftest import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")]

CELLS = [
    "%load_ext llm_magics",
    "%%llm_answer\nHello World !",
    "%%llm_answer --temperature 9 --seed 1 --max-new-tokens 3500\nHello World !",
    "%%llm_answer -o last\nBonjour !",
    "print('after:', last.finish_reason)",
]


@pytest.fixture(scope="module", params=["JupyterLab Light", "JupyterLab Dark"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    from .lab import lab, open_notebook

    folder = tmp_path_factory.mktemp("lab")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "work.ipynb")
    shutil.copy(ROOT / "examples" / "seed_tour.ipynb", folder)
    with lab(folder, theme=request.param) as (page, address):
        open_notebook(page, address, "work.ipynb")
        page.folder, page.address = folder, address  # type: ignore[attr-defined]
        yield page


def run_cell(page: object, index: int, wait: bool = True) -> None:
    """Run a cell by the keyboard. The first press after a page has come up may be lost: the prompt tells."""
    cell = page.locator(".jp-CodeCell").nth(index)  # type: ignore[attr-defined]
    for _ in range(5):
        cell.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")  # type: ignore[attr-defined]
        for _ in range(20):
            page.wait_for_timeout(50)  # type: ignore[attr-defined]
            prompt = cell.locator(".jp-InputPrompt").inner_text().strip("[]: ")
            if prompt.isdigit() or (prompt == "*" and not wait):
                return
        if prompt == "*":
            page.wait_for_function("n => !document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')[n].innerText.includes('*')", arg=index)  # type: ignore[attr-defined]
            return
    raise AssertionError(f"cell {index} did not run")


def output(page: object, index: int) -> object:
    return page.locator(".jp-CodeCell").nth(index).locator(".llm-magics").last  # type: ignore[attr-defined]


def test_cells_stream_stop_and_stay(page: object, tmp_path: Path) -> None:
    for index in (0, 1):
        run_cell(page, index)
    shown = output(page, 1)
    assert "tokens generated in" in shown.inner_text()  # type: ignore[attr-defined]
    fold = shown.locator("details")  # type: ignore[attr-defined]
    assert not fold.locator("pre").is_visible()
    fold.locator("summary").focus()
    page.keyboard.press("Enter")  # type: ignore[attr-defined]
    assert "<|start_header_id|>user" in fold.locator("pre").inner_text()

    run_cell(page, 2, wait=False)
    lengths = set()
    for _ in range(12):
        page.wait_for_timeout(100)  # type: ignore[attr-defined]
        if output(page, 2).count():  # type: ignore[attr-defined]
            lengths.add(len(output(page, 2).inner_text()))  # type: ignore[attr-defined]
    assert len(lengths) > 3  # it grew before our eyes
    page.locator('[data-command="notebook:interrupt-kernel"]').first.click()  # type: ignore[attr-defined]
    output(page, 2).get_by_text("interrupted: the answer is partial").wait_for(timeout=2000)  # type: ignore[attr-defined]
    for index in (3, 4):
        run_cell(page, index)
    assert "after: stop" in page.locator(".jp-CodeCell").nth(4).inner_text()  # type: ignore[attr-defined]

    page.keyboard.press("Control+s")  # type: ignore[attr-defined]
    page.wait_for_timeout(1000)  # type: ignore[attr-defined]
    page.reload()  # type: ignore[attr-defined]
    page.wait_for_selector(".jp-Notebook")  # type: ignore[attr-defined]
    output(page, 2).get_by_text("interrupted: the answer is partial").wait_for(timeout=10_000, state="attached")  # type: ignore[attr-defined]
    saved = json.loads((page.folder / "work.ipynb").read_text())  # type: ignore[attr-defined]
    assert "tokens generated in" in "".join(saved["cells"][1]["outputs"][-1]["data"]["text/plain"])


def test_text_has_contrast_with_its_ground(page: object) -> None:
    """WCAG AA: 4.5 to 1, the muted lines included."""
    ratio = page.evaluate(  # type: ignore[attr-defined]
        """() => {
          const lum = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 });
                             return .2126 * r + .7152 * g + .0722 * b };
          const rgb = s => s.match(/[\\d.]+/g).map(Number);
          const ground = node => { for (; node; node = node.parentElement) { const c = rgb(getComputedStyle(node).backgroundColor);
                                     if (c.length < 4 || c[3] > 0) return c.slice(0, 3) } return [255, 255, 255] };
          let worst = 21;
          for (const node of document.querySelectorAll('.llm-magics, .llm-magics *')) {
            const style = getComputedStyle(node), back = ground(node);
            let opacity = 1; for (let n = node; n; n = n.parentElement) opacity *= getComputedStyle(n).opacity;
            const fore = rgb(style.color).slice(0, 3).map((v, i) => v * opacity + back[i] * (1 - opacity));
            const [a, b] = [lum(fore), lum(back)].sort((x, y) => y - x);
            worst = Math.min(worst, (a + .05) / (b + .05));
          }
          return worst; }"""
    )
    assert ratio >= 4.5
