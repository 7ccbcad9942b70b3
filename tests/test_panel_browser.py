"""The panel in a real JupyterLab: it shows, loads, cancels, unloads, removes; and what is left of it without a kernel."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from .conftest import CHECKPOINT

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")]

CELLS = [
    "%load_ext llm_magics",
    "%llm_panel",
    "%%llm_answer --temperature 9 --seed 2 --max-new-tokens 3500\nHello World !",
]


@pytest.fixture(scope="module", params=["JupyterLab Light", "JupyterLab Dark"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from .lab import lab, open_notebook

    folder = tmp_path_factory.mktemp("lab")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "work.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLM_MAGICS_CACHE", str(folder / "cache"))
        stored()
        with lab(folder, theme=request.param) as (page, address):
            open_notebook(page, address, "work.ipynb")
            page.folder, page.address, page.theme = folder, address, request.param.split()[1].lower()
            yield page


def stored() -> None:
    """Put an engine of the demo checkpoint into the store, as a conversion leaves it: the bundled files are one."""
    from llm_magics.engines import cache, checkpoint, onnx
    from llm_magics.engines.base import Options

    key = onnx.key(checkpoint.local(CHECKPOINT), Options(quantization="int8"))
    engine = Path(onnx.__file__).parent.parent / "demo" / "engine"
    cache.get(key, lambda folder: copied(engine, folder), lambda stage: None)


def copied(engine: Path, folder: Path) -> None:
    shutil.copytree(engine, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("manifest.json"))


def left(page: Any) -> list[str]:
    return sorted(path.name for path in (page.folder / "cache" / "llm_magics").glob("*/*") if not path.name.endswith(".lock"))


def panel(page: Any) -> Any:
    return page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea-output.jupyter-widgets, .jp-OutputArea-output .widget-vbox").first


def press(page: Any, label: str) -> None:
    panel(page).get_by_role("button", name=label, exact=True).click()


def shot(page: Any, name: str) -> None:
    """To be looked at, in pytest's folder."""
    page.screenshot(path=page.folder / f"panel-{name}-{page.theme}.png")


def test_it_loads_follows_stops_cancels_unloads_and_removes(page: Any) -> None:
    from .test_browser import run_cell

    for index in (0, 1):
        run_cell(page, index)
    shown = panel(page)
    shown.get_by_text("No model is loaded.").wait_for()
    assert shown.get_by_text("checkpoint_int8_engine").first.is_visible()
    assert page.locator("[class^=llm-twin-panel]:visible").count() == 0

    model = shown.get_by_label("Model")
    press(page, "Load")
    shown.get_by_text("Loaded demo int8 on onnx").wait_for(timeout=30_000)
    assert shown.get_by_text("KV cache").is_visible()

    run_cell(page, 2, wait=False)
    shown.get_by_text(re.compile(r"running: answer, \d+ tokens so far")).wait_for(timeout=5000)
    counts = set()
    for _ in range(8):
        page.wait_for_timeout(150)
        counts.add(shown.get_by_label("Queue").inner_text())
    assert len(counts) > 3
    shot(page, "running")
    press(page, "Stop run")
    page.locator(".jp-CodeCell").nth(2).get_by_text("interrupted: the answer is partial").wait_for(timeout=3000)
    shown.get_by_role("img", name=re.compile("Tokens per second of the last 1 runs")).wait_for(timeout=3000)

    # A conversion, cancelled: nothing of it stays, and the model before is still there.
    before = left(page)
    model.fill(str(CHECKPOINT))
    press(page, "Load")
    shown.get_by_text(re.compile("Converting checkpoint.* s")).wait_for(timeout=30_000)
    shot(page, "loading")
    page.wait_for_timeout(500)
    press(page, "Cancel")
    shown.get_by_text("The load was cancelled.").wait_for(timeout=5000)
    assert left(page) == before
    assert shown.get_by_text("demo int8 on onnx").first.is_visible()

    shown.get_by_label("Quantization").select_option("int8")
    press(page, "Load")
    shown.get_by_text("Loaded checkpoint int8 on onnx").wait_for(timeout=30_000)
    press(page, "Unload")
    shown.get_by_text("checkpoint is unloaded.").wait_for(timeout=5000)
    shown.get_by_text("No model is loaded.").wait_for()

    press(page, "Remove …")
    press(page, "Keep it")
    assert left(page) == before
    press(page, "Remove …")
    shown.get_by_text(re.compile("It would have to be built again")).wait_for(timeout=3000)
    shot(page, "asking")
    press(page, "Remove it")
    shown.get_by_text(re.compile(r"checkpoint_int8_engine\S* is removed\.")).wait_for(timeout=5000)
    shown.get_by_text("No engine is stored yet").wait_for()
    assert left(page) == []


def test_axe_finds_nothing_serious_in_it(page: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context=".jp-CodeCell:nth-of-type(2) .jp-OutputArea")
    serious = [violation for violation in found.response["violations"] if violation["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in serious]


def test_without_a_kernel_the_facts_are_there_to_read(page: Any) -> None:
    page.keyboard.press("Escape")
    page.keyboard.press("Control+s")
    page.wait_for_timeout(1500)
    saved = json.loads((page.folder / "work.ipynb").read_text())
    assert "No model is loaded." in "".join(saved["cells"][1]["outputs"][-1]["data"]["text/plain"])

    done = subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "html", "--output", "out.html", "work.ipynb"],
        cwd=page.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    page.evaluate(
        "async () => { for (const k of await (await fetch('/api/sessions')).json()) await fetch('/api/sessions/' + k.id, {method: 'DELETE'}) }"
    )
    notebook = nbformat.read(page.folder / "work.ipynb", as_version=4)
    notebook.metadata.pop("kernelspec")
    nbformat.write(notebook, page.folder / "dead.ipynb")
    page.goto(f"{page.address}/lab/tree/dead.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell, .jp-Dialog", timeout=60_000)
    page.wait_for_timeout(2000)
    if page.locator(".jp-Dialog").count():
        page.locator(".jp-Dialog .jp-mod-reject").first.click()
    twin = page.locator("[class^=llm-twin-panel]").first
    shot(page, "dead")
    twin.wait_for(timeout=10_000)
    assert "No model is loaded." in twin.inner_text()
    assert not page.get_by_text("model not found").is_visible()

    page.goto(f"file://{page.folder}/out.html")
    assert page.get_by_text("No model is loaded.").first.is_visible()
    shot(page, "nbconvert")
