"""A real JupyterLab in a real browser, for the browser tests and for the README's picture.

``python -m tests.lab [FILE]`` takes the picture: it runs cells of examples/quickstart.ipynb and saves examples/quickstart.png, or FILE.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parent.parent
CHROMIUM = shutil.which("chromium")
_BROWSER = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _settings(folder: Path, theme: str) -> None:
    plugin = folder / "@jupyterlab" / "apputils-extension"
    plugin.mkdir(parents=True)
    (plugin / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))
    # Every cell in the page, whether it is in view or not: older JupyterLabs take the others out, and a test counts cells.
    tracker = folder / "@jupyterlab" / "notebook-extension"
    tracker.mkdir()
    (tracker / "tracker.jupyterlab-settings").write_text(json.dumps({"windowingMode": "defer"}))
    (plugin / "notification.jupyterlab-settings").write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))


@contextlib.contextmanager
def lab(
    folder: Path, theme: str = "JupyterLab Light", size: tuple[int, int] = (1280, 900), app: str = "jupyterlab"
) -> Iterator[tuple[Page, str]]:
    """A page of a JupyterLab (or another ``app``: notebook, nbclassic) that serves ``folder``, and its address."""
    port = _free_port()
    with tempfile.TemporaryDirectory() as home:
        _settings(Path(home) / "settings", theme)
        places = {name: str(Path(home) / name) for name in ("config", "data", "runtime", "workspaces")}
        environment = {
            **os.environ,
            "JUPYTER_CONFIG_DIR": places["config"],
            "JUPYTER_RUNTIME_DIR": places["runtime"],
            "JUPYTERLAB_SETTINGS_DIR": str(Path(home) / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": places["workspaces"],
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", app, "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
        command += ["--IdentityProvider.token=", "--ServerApp.password=", f"--ServerApp.root_dir={folder}"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                address = f"http://127.0.0.1:{port}"
                _wait(address)
                with sync_playwright() as playwright:
                    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_BROWSER.split())
                    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
                    yield page, address
                    browser.close()
            finally:
                server.terminate()


def _wait(address: str) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), urllib.request.urlopen(address + "/api", timeout=5):
            return
        time.sleep(0.1)
    raise TimeoutError(address)


def open_notebook(page: Page, address: str, name: str) -> None:
    """Open a notebook and wait until its kernel is idle: before that the run key does nothing."""
    page.goto(f"{address}/lab/tree/{name}")
    page.wait_for_selector(".jp-Notebook .jp-Cell, .jp-Dialog", timeout=60_000)
    _take_kernel(page)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    wait_idle(page)
    _take_kernel(page)


def _take_kernel(page: Page) -> None:
    """Where the kernels are listed late, JupyterLab asks which one to take; and it may ask late."""
    page.wait_for_timeout(300)
    if page.locator(".jp-Dialog .jp-mod-accept").count():
        page.click(".jp-Dialog .jp-mod-accept")
        page.wait_for_selector(".jp-Dialog", state="detached", timeout=10_000)


def wait_idle(page: Page) -> None:
    """Until the kernel has nothing to do."""
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', state="attached", timeout=120_000)


def run_all(page: Page) -> None:
    """Run every cell from the menu, and wait for the last one. The first try after a page has come up may be lost."""
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt")
    for _ in range(5):
        _take_kernel(page)
        page.click("text=Run >> nth=0")
        page.click('[data-command="runmenu:run-all"]')
        page.wait_for_timeout(2000)
        if prompts.first.inner_text().strip("[]: "):
            break
    page.wait_for_function(
        "() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].every(node => /[0-9]/.test(node.innerText))", timeout=60_000
    )


def _shown_in_picture(path: Path) -> nbformat.NotebookNode:
    """Of the quickstart, the cells that fit a picture: the extension, the text, an answer, a translation, an extraction."""
    book = nbformat.read(path, as_version=4)
    wanted = ("%load_ext", "notice =", "%%llm_answer", "%%llm_translate", "%%llm_extract")
    sources = [cell.source for cell in book.cells if cell.cell_type == "code" and cell.source.startswith(wanted)]
    book.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return book


def picture(path: Path = ROOT / "examples" / "quickstart.png") -> None:
    """Save the README's picture."""
    with tempfile.TemporaryDirectory() as work:
        nbformat.write(_shown_in_picture(ROOT / "examples" / "quickstart.ipynb"), Path(work) / "quickstart.ipynb")
        with lab(Path(work), size=(1180, 1130)) as (page, address):
            open_notebook(page, address, "quickstart.ipynb")
            run_all(page)
            page.keyboard.press("Control+b")  # the file browser makes room
            page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0")
            page.wait_for_timeout(1500)
            last = page.locator(".jp-CodeCell").last.bounding_box()
            height = min(1130, int(last["y"] + last["height"]) + 8) if last else 1130
            page.screenshot(path=path, clip={"x": 0, "y": 0, "width": 1180, "height": height})


if __name__ == "__main__":
    picture(*map(Path, sys.argv[1:]))
