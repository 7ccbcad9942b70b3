"""JupyterLab in Debian's chromium: what a user sees and does, with one server for all of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from .paced import text_of

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")]

NOTICE = "Velmora Systems was founded in 1987 by Mira Holtan. The company is run from Lyon. Velmora Systems has 240 employees."
SETUP = "%load_ext llm_magics"
# Each on the bundled model; what the reply says is not looked at here.
TASKS = {
    "answer": f"%%llm_answer\n{NOTICE}\n\nWho founded the company?",
    "translate": f"%%llm_translate --to fr\n{NOTICE}",
    "reformulate": f"%%llm_reformulate\n{NOTICE}",
    "summarize": f"%%llm_summarize\n{NOTICE}",
    "describe": f"%%llm_describe\n{NOTICE}",
    "classify": f"%%llm_classify --labels company,film,recipe\n{NOTICE}",
    "extract": f"%%llm_extract -e 'founder: who founded it' -e 'founded: (int) the year' -e 'listed: (bool) on the stock exchange'\n{NOTICE}",
}
# The bundled model ends its replies when it likes; this one goes on for half a minute.
PACED = (
    "from llm_magics.session import Session\nfrom tests.paced import PacedEngine\n"
    "get_ipython().magics_manager.registry['LLMMagics'].session = Session(PacedEngine(600))\nprint('slow')"
)
LONG = "%%llm_answer -o long --max-new-tokens 20000\nHello"
AFTER = "print('after:', long.finish_reason)"
CELLS = [SETUP, *TASKS.values(), PACED, LONG, AFTER]
FIRST, LAST = 1, len(TASKS)
STREAMS = CELLS.index(LONG)

CONTRAST = """() => {
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


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from .lab import lab, open_notebook

    folder = tmp_path_factory.mktemp("lab")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "work.ipynb")
    with lab(folder) as (page, address):
        page.set_default_timeout(20_000)
        open_notebook(page, address, "work.ipynb")
        page.folder = folder
        yield page


def cell_of(page: Any, index: int) -> Any:
    return page.locator(".jp-CodeCell").nth(index)


def run_cell(page: Any, index: int, *, wait: bool = True) -> None:
    """Run a cell by the keyboard. The first press after a page has come up may be lost: the prompt tells."""
    cell = cell_of(page, index)
    for _ in range(5):
        cell.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        for _ in range(20):
            page.wait_for_timeout(50)
            prompt = cell.locator(".jp-InputPrompt").inner_text().strip("[]: ")
            if prompt.isdigit() or (prompt == "*" and not wait):
                return
        if prompt == "*":
            page.wait_for_function("n => !document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')[n].innerText.includes('*')", arg=index)
            return
    raise AssertionError(f"cell {index} did not run")


def shown(page: Any, index: int) -> str:
    """What stands below a cell."""
    text: str = cell_of(page, index).locator(".jp-OutputArea").first.inner_text()
    return text


def unfold_by_keyboard(page: Any, index: int) -> None:
    fold = cell_of(page, index).locator("details").first
    assert not fold.locator("pre").is_visible()
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    assert NOTICE in fold.locator("pre").inner_text()
    page.keyboard.press("Enter")
    assert not fold.locator("pre").is_visible()


def set_theme(page: Any, name: str) -> None:
    """By the menu."""
    page.locator(".lm-MenuBar-item", has_text="Settings").first.click()
    page.locator(".lm-Menu-item", has_text="Theme").first.hover()
    page.locator(".lm-Menu-item", has_text=name).first.click()
    light = "true" if "Light" in name else "false"
    page.wait_for_selector(f'body[data-jp-theme-light="{light}"]', state="attached")


def serious(page: Any) -> list[str]:
    """What axe finds in our outputs, of the findings that it calls serious or worse."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page, context={"include": [[".llm-magics"]]}).response["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in found if each["impact"] in ("serious", "critical") for node in each["nodes"]]


def test_each_magic_shows_its_report(page: Any) -> None:
    run_cell(page, 0)
    for index, task in enumerate(TASKS, FIRST):
        run_cell(page, index)
        assert "tokens generated in" in shown(page, index), task
        assert cell_of(page, index).locator('[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0, task
    unfold_by_keyboard(page, FIRST)
    assert cell_of(page, LAST).locator("table").count() >= 1


def test_tokens_arrive_and_stop_leaves_one_report(page: Any) -> None:
    """Needs the cells before it."""
    run_cell(page, STREAMS - 1)
    run_cell(page, STREAMS, wait=False)
    lengths: list[int] = []
    for _ in range(40):
        page.wait_for_timeout(100)
        text = shown(page, STREAMS) if cell_of(page, STREAMS).locator(".llm-magics").count() else ""
        lengths += [len(text)] if text and len(text) not in lengths else []
        if len(lengths) > 10 and lengths[-1] > 6000:
            break
    assert len(lengths) > 10  # it grew before our eyes
    assert lengths == sorted(lengths)
    assert lengths[-1] > 6000  # over more than one block
    page.locator('[data-command="notebook:interrupt-kernel"]').first.click()
    cell_of(page, STREAMS).get_by_text("interrupted: the answer is partial").wait_for(timeout=4000)
    run_cell(page, STREAMS + 1)
    assert "after: interrupted" in shown(page, STREAMS + 1)
    assert shown(page, STREAMS).count("\n2. They wrote") + shown(page, STREAMS).count(" 2. They wrote") == 1
    heights = cell_of(page, STREAMS).locator(".jp-OutputArea-child").evaluate_all("nodes => nodes.map(node => node.offsetHeight)")
    assert len(heights) > 1
    assert max(heights[1:]) <= 2, heights  # the emptied blocks take no room


def test_the_output_is_still_there_after_a_reload_and_in_the_file(page: Any, tmp_path: Path) -> None:
    """Needs the cells before it."""
    page.keyboard.press("Control+s")
    page.wait_for_timeout(1500)
    page.reload()
    page.wait_for_selector(".jp-Notebook")
    cell_of(page, FIRST).get_by_text("tokens generated in").first.wait_for(state="attached")
    unfold_by_keyboard(page, FIRST)
    cell_of(page, STREAMS).get_by_text("interrupted: the answer is partial").wait_for(state="attached")
    saved = json.loads((page.folder / "work.ipynb").read_text())
    reports = [output for output in saved["cells"][STREAMS]["outputs"] if output["metadata"].get("llm_magics")]
    others = [output for output in saved["cells"][STREAMS]["outputs"] if output not in reports]
    assert len(reports) == 1
    assert "".join(reports[0]["data"]["text/plain"]).startswith(text_of(1500))
    assert not any("".join(text) for output in others for text in output["data"].values())


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_it_reads_well_in(page: Any, theme: str) -> None:
    """WCAG AA: 4.5 to 1, the muted lines included; and nothing serious by axe. Needs the cells before it."""
    set_theme(page, theme)
    page.wait_for_timeout(500)
    assert page.evaluate(CONTRAST) >= 4.5
    assert serious(page) == []
