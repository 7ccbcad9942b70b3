"""The forms in JupyterLab in Debian's chromium: what a user sees and does, and what is left without a kernel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest

from llm_magics.tasks import TASKS

from .test_browser import run_cell
from .test_labextension_browser import install

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")]

NOTICE = "Velmora Systems, based in Lyon, was founded in 1987 by Mira Holtan. <b>It is listed.</b>"
SET_UP = f"%load_ext llm_magics\nnotice = {NOTICE!r}"


@pytest.fixture(scope="module", params=["JupyterLab Light", "JupyterLab Dark"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from .lab import lab, open_notebook

    folder = tmp_path_factory.mktemp("lab")
    cells = [SET_UP, *(f"%llm_form {task} notice" for task in TASKS), "6 * 7", "import time; time.sleep(4)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "work.ipynb")
    install(folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder / "data"))
        with lab(folder, theme=request.param, size=(1280, 1400)) as (page, address):
            open_notebook(page, address, "work.ipynb")
            page.folder, page.address = folder, address  # type: ignore[attr-defined]
            page.dark = "Dark" in request.param  # type: ignore[attr-defined]
            run_cell(page, 0)
            yield page


def cell_of(page: Any, index: int) -> Any:
    return page.locator(".jp-CodeCell").nth(index)


def button(cell: Any, name: str) -> Any:
    return cell.get_by_role("button", name=name, exact=True)


def picture(page: Any, name: str) -> None:
    """Kept where LLM_MAGICS_PICTURES says, to be looked at."""
    if "LLM_MAGICS_PICTURES" in os.environ:
        page.wait_for_timeout(300)
        page.screenshot(path=f"{os.environ['LLM_MAGICS_PICTURES']}/form_{name}_{'dark' if page.dark else 'light'}.png")


def test_a_form_of_each_task_runs_and_says_its_time(page: Any) -> None:
    for index, task in enumerate(TASKS, 1):
        run_cell(page, index)
        cell = cell_of(page, index)
        button(cell, "Run").wait_for()
        assert cell.get_by_label("Text", exact=True).input_value() == NOTICE
        if task == "classify":
            cell.get_by_label("Label", exact=True).nth(0).fill("company")
            cell.get_by_label("Label", exact=True).nth(1).fill("weather")
            cell.get_by_label("Label", exact=True).nth(1).press("Tab")
        if task == "extract":
            cell.get_by_label("Name", exact=True).fill("name")
            button(cell, "Add value").click()
            cell.get_by_label("Name", exact=True).nth(1).fill("founded")
            cell.get_by_label("Type", exact=True).nth(1).select_option("int")
        cell.get_by_text("tokens of" if index > 1 else "No model is loaded yet").first.wait_for()
        button(cell, "Run").press("Enter")
        cell.get_by_text("tokens generated in").first.wait_for(timeout=60_000)
        cell.get_by_text("Done.").wait_for()
        assert cell.locator("b", has_text="It is listed").count() == 0
        if task == "extract":
            assert cell.get_by_text("1987").count() >= 2
        cell.scroll_into_view_if_needed()
        picture(page, task)


def test_a_run_streams_stops_and_leaves_the_kernel_free(page: Any) -> None:
    from .lab import wait_idle

    cell = cell_of(page, 1)
    button(cell, "▸ Sampling").press("Enter")
    cell.get_by_label("Most new tokens").fill("3500")
    cell.get_by_label("Temperature").fill("9")
    cell.get_by_label("Seed", exact=True).fill("1")
    cell.get_by_label("Seed", exact=True).press("Tab")
    button(cell, "▸ Prompt").click()
    cell.get_by_label("The exact prompt").wait_for()
    assert "<|start_header_id|>user" in cell.get_by_label("The exact prompt").inner_text()
    button(cell, "Run").click()
    cell.get_by_text("Running").wait_for()
    lengths = set()
    for _ in range(12):
        page.wait_for_timeout(100)
        lengths.add(len(cell.locator(".jp-OutputArea").inner_text()))
    assert len(lengths) > 3  # it grew before our eyes
    picture(page, "running")
    run_cell(page, len(TASKS) + 1)  # another cell, meanwhile
    run_cell(page, len(TASKS) + 2, wait=False)  # and one that keeps the kernel busy
    page.wait_for_timeout(300)
    cell.scroll_into_view_if_needed()
    button(cell, "Stop").click()
    cell.get_by_text("interrupted: the answer is partial").first.wait_for(timeout=2000)
    assert "*" in cell_of(page, len(TASKS) + 2).locator(".jp-InputPrompt").inner_text()  # still busy
    wait_idle(page)
    before = page.locator(".jp-CodeCell").count()
    button(cell, "Insert as cell").click()
    cell.get_by_text("The cell is below this form.").wait_for()
    assert page.locator(".jp-CodeCell").count() == before + 1
    source = cell_of(page, 2).locator(".cm-content").inner_text()
    assert source.startswith("%%llm_answer --max-new-tokens 3500 --temperature 9.0 --seed 1")


def test_nothing_serious_for_axe(page: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    for index in (1, 7, 8):  # there is a cell more, below the first form
        cell = cell_of(page, index)
        cell.scroll_into_view_if_needed()
        cell.locator(".jp-OutputArea").first.evaluate("node => node.id = node.id || 'form-' + Math.random().toString(36).slice(2)")
        chosen = cell.locator(".jp-OutputArea").first.get_attribute("id")
        found = Axe().run(page, context={"include": [f"#{chosen}"]}).response["violations"]
        serious = [
            (each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found if each["impact"] in ("serious", "critical")
        ]
        assert not serious


def test_the_saved_notebook_needs_no_kernel(page: Any) -> None:
    """What was asked and what came is there after a reload, without the kernel, and by nbconvert."""
    page.keyboard.press("Escape")
    page.keyboard.press("Control+s")
    page.wait_for_timeout(1500)
    path = page.folder / "work.ipynb"
    saved = json.loads(path.read_text())
    kept = saved["cells"][1]["outputs"][-1]["data"]
    assert "interrupted: the answer is partial" in "".join(kept["text/plain"])
    assert "&lt;b&gt;It is listed" in "".join(kept["text/html"])

    page.reload()
    page.wait_for_selector(".jp-Notebook")
    button(cell_of(page, 1), "Run").locator("visible=true").wait_for(timeout=20_000)  # the form lives: its kernel does
    partial = cell_of(page, 1).get_by_text("interrupted: the answer is partial").locator("visible=true")
    partial.first.wait_for()
    page.wait_for_timeout(2000)
    assert partial.count() == 1  # in the form, and not in its twin as well

    # A copy, opened beside the notebook whose form lives.
    shutil.copy(path, page.folder / "dead.ipynb")
    page.goto(f"{page.address}/lab/tree/dead.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.wait_for_timeout(1500)
    shown = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell").nth(1)
    shown.get_by_text("interrupted: the answer is partial").first.wait_for()
    assert shown.get_by_text("founded in 1987").first.is_visible()
    assert not shown.get_by_text("Error displaying widget").is_visible()
    picture(page, "dead")

    subprocess.run([sys.executable, "-m", "nbconvert", "--to", "html", "--log-level", "ERROR", str(path)], check=True)
    page.goto(f"file://{page.folder / 'work.html'}")
    assert page.get_by_text("interrupted: the answer is partial").first.is_visible()
    picture(page, "nbconvert")
