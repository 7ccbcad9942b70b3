"""The JupyterLab extension in a real JupyterLab: colours, completion, commands, the button on cells, the shortcut, the status item."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from .conftest import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")]

HOME = ROOT / "llm_magics" / "labextension"
CELLS = [
    "%load_ext llm_magics\nnotice = 'Velmora was founded in 1987.'",
    """%%llm_extract --schema 'name, founded int 1900..2030, mood (good|bad)' --lang en -o found
{{ notice | trim }} They don't say: it's "open" {% if %} # for x in y:

Was it (1987?""",
    "%%llm_answer --format '{% if text %}{{ text }}{% endif %}{# a note #}' --temperature 0.5\nHello World !",
    '%%llm_describe --raw\n{"name": "Velmora", "year": 1987, "listed": null}',
    "for name in notice.split():\n    print(name)",
    "%%llm_answer --temperature 9 --seed 2 --max-new-tokens 3500\nHello World !",
    "%%llm_answer --temperature 0.5\nHello World !",
    "",
]
PYTHON, SHORT, EMPTY = 4, 6, 7


def install(data: Path) -> None:
    """Where pip puts the extension: the wheel's test (test_packaging) shows that it does."""
    folder = data / "labextensions" / "llm_magics"
    shutil.copytree(HOME / "prebuilt", folder)
    shutil.copy(ROOT / "install.json", folder)


@pytest.fixture(scope="module", params=["JupyterLab Light", "JupyterLab Dark"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from .lab import lab, open_notebook

    folder = tmp_path_factory.mktemp("lab")
    install(folder / "data")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (folder / "work").mkdir()
    nbformat.write(notebook, folder / "work" / "work.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder / "data"))
        with lab(folder / "work", theme=request.param) as (page, address):
            open_notebook(page, address, "work.ipynb")
            page.folder, page.address, page.theme = folder, address, request.param.split()[1].lower()
            yield page


def cell(page: Any, index: int) -> Any:
    return page.locator(".jp-Notebook .jp-CodeCell").nth(index)


def tokens(page: Any, index: int, kind: str) -> list[str]:
    found: list[str] = cell(page, index).locator(f".llm-token-{kind}").all_inner_texts()
    return found


def shot(page: Any, name: str) -> None:
    """To be looked at, in pytest's folder."""
    page.screenshot(path=page.folder / f"{name}-{page.theme}.png")


def active_source(page: Any) -> str:
    source: str = page.locator(".jp-Notebook .jp-Cell.jp-mod-active .cm-content").evaluate(
        "node => node.cmTile ? node.innerText : node.innerText"
    )
    return source.strip("\n")


def command(page: Any, label: str) -> None:
    """Through the palette, by the keyboard."""
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Shift+c")
    search = page.locator("#modal-command-palette input")
    search.fill(label)
    page.locator("#modal-command-palette .lm-CommandPalette-item.lm-mod-active", has_text=label).wait_for()
    page.keyboard.press("Enter")


def test_cells_are_coloured_as_what_they_are(page: Any) -> None:
    cell(page, 3).locator(".llm-token-constant").wait_for()  # editors come as they are scrolled to
    assert tokens(page, 1, "magic") == ["%%llm_extract"]
    assert tokens(page, 1, "option") == ["--schema", "--lang", "-o"]
    assert tokens(page, 1, "kind") == ["int"]
    assert tokens(page, 1, "key") == ["name", "founded", "mood", "good", "bad"]
    assert "notice" in tokens(page, 1, "name")
    assert tokens(page, 1, "statement") == []  # {% %} in a body is text: it is sent as it stands
    prose = "".join(tokens(page, 1, "prose"))
    assert "don't say" in prose
    assert "for x in y:" in prose

    assert tokens(page, 2, "statement") == ["if", "endif"]
    assert "".join(tokens(page, 2, "note")) == "{# a note #}"
    assert tokens(page, 2, "number") == ["0.5"]
    assert tokens(page, 3, "key") == ['"name"', '"year"', '"listed"']
    assert tokens(page, 3, "constant") == ["null"]
    assert cell(page, PYTHON).locator("[class*=llm-token]").count() == 0

    worst = page.evaluate("getComputedStyle(document.body).getPropertyValue('--jp-mirror-editor-error-color')")
    wrong = """(node, error) => { const probe = document.createElement('span'); probe.style.color = error; document.body.append(probe);
        const colour = getComputedStyle(probe).color; probe.remove();
        return [...node.querySelectorAll('.cm-line span')].filter(s => getComputedStyle(s).color === colour).map(s => s.innerText) }"""
    for index in (1, 2, 3):
        assert cell(page, index).locator(".cm-content").evaluate(wrong, worst) == []
    shot(page, "colours")


def test_the_language_follows_the_first_line(page: Any) -> None:
    cell(page, EMPTY).locator(".cm-content").click()
    page.keyboard.type("%%llm_answer\nis it for us\n")
    assert "".join(tokens(page, EMPTY, "prose")) == "is it for us"
    page.keyboard.press("Control+Home")
    page.keyboard.type("#")
    assert cell(page, EMPTY).locator("[class*=llm-token]").count() == 0
    page.keyboard.press("Backspace")
    assert tokens(page, EMPTY, "magic") == ["%%llm_answer"]
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")


def offered(page: Any) -> list[str]:
    """What Tab offers. JupyterLab gives a kernel one second to answer, which the first answer may not keep to."""
    items = page.locator(".jp-Completer:not(.lm-mod-hidden) .jp-Completer-item .jp-Completer-match")
    for _ in range(5):
        page.keyboard.press("Tab")
        page.wait_for_timeout(1500)
        if items.count():
            break
    names: list[str] = items.all_inner_texts()
    page.keyboard.press("Escape")
    page.locator(".jp-Completer").wait_for(state="hidden")
    return names


def test_completion_of_options_variables_and_filters(page: Any) -> None:
    from .test_browser import run_cell

    run_cell(page, 0)
    cell(page, EMPTY).locator(".cm-content").click()
    page.keyboard.type("%%llm_answer --t")
    assert {"--temperature", "--top-p", "--top-k"} <= set(offered(page))
    page.keyboard.press("Control+a")
    page.keyboard.type("%%llm_answer\n{{ not")
    assert "notice" in offered(page)
    page.keyboard.type("ice | tr")
    assert {"trim", "truncate"} <= set(offered(page))
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.press("Escape")


def test_the_status_item_tells_the_model_and_opens_the_panel(page: Any) -> None:
    from .test_browser import run_cell

    item = page.locator(".llm-status-button")
    run_cell(page, 0)
    run_cell(page, 2)
    item.get_by_text("demo").wait_for(timeout=10_000)
    page.wait_for_function("() => document.querySelector('.llm-status-button').innerText.match(/demo · [0-9,.]+ MiB · [0-9,.]+ tokens.s$/)")
    assert item.get_attribute("aria-label").startswith("Language model: demo")
    cell(page, EMPTY).locator(".cm-content").click()
    page.keyboard.press("Escape")
    item.focus()
    page.keyboard.press("Enter")
    page.locator(".jp-Cell.jp-mod-active .jp-OutputArea-output").first.wait_for(timeout=20_000)
    assert "%llm_panel" in page.locator(".jp-Notebook").inner_text()
    shot(page, "status")
    from .lab import wait_idle

    wait_idle(page)
    page.locator(".jp-Cell", has_text="%llm_panel").locator(".jp-InputPrompt").click()
    command(page, "Delete Cell")


def test_the_shortcut_stops_an_answer(page: Any) -> None:
    from .test_browser import run_cell

    run_cell(page, 0)
    run_cell(page, 5, wait=False)
    cell(page, 5).locator(".llm-magics").first.wait_for(timeout=20_000)
    page.locator(".llm-status-button").get_by_text("running").wait_for(timeout=5000)
    page.keyboard.press("Control+.")
    cell(page, 5).locator(".llm-magics").get_by_text("interrupted: the answer is partial").wait_for(timeout=3000)
    page.wait_for_function("n => /[0-9]/.test(document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')[n].innerText)", arg=5)


def test_the_button_runs_the_cell_with_options(page: Any) -> None:
    from .test_browser import run_cell

    run_cell(page, 0)
    cell(page, PYTHON).locator(".cm-content").click()
    button = page.locator('.jp-cell-toolbar [data-command="llm_magics:run-with"]')
    assert not button.is_visible()
    cell(page, SHORT).locator(".cm-content").click()  # where a first line is long, JupyterLab hides the toolbar
    button.wait_for(state="visible", timeout=5000)
    button.click()
    page.locator(".lm-Menu").get_by_text("--temperature 0.7").wait_for()
    shot(page, "menu")
    page.keyboard.press("ArrowDown")  # --temperature 0
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('.jp-CodeCell')[6].innerText.includes('--temperature 0\\n')")
    assert tokens(page, SHORT, "number") == ["0"]
    cell(page, SHORT).locator(".llm-magics").last.get_by_text("tokens generated in").wait_for(timeout=20_000)


def test_the_palette_inserts_a_cell_and_loads_a_model(page: Any) -> None:
    from .lab import wait_idle

    cell(page, PYTHON).locator(".cm-content").click()
    before = page.locator(".jp-CodeCell").count()
    command(page, "Classify")
    page.wait_for_function("n => document.querySelectorAll('.jp-CodeCell').length === n + 1", arg=before)
    assert active_source(page).startswith("%%llm_classify --labels")
    page.keyboard.type("All were delighted.")  # the cursor is there
    assert "All were delighted." in active_source(page)
    command(page, "Load a model")
    page.locator(".jp-Dialog input").wait_for()
    page.keyboard.press("Enter")
    cell(page, PYTHON + 2).get_by_text("Loaded demo").wait_for(timeout=30_000)
    wait_idle(page)


def run_with(page: Any, index: int, label: str) -> None:
    """Choose from the menu of the button on a cell."""
    cell(page, index).locator(".cm-content").click()
    page.locator('.jp-cell-toolbar [data-command="llm_magics:run-with"]').click()
    page.locator(".lm-Menu").get_by_text(label).click()


def test_a_form_for_the_cell_and_its_cell_right_below(page: Any) -> None:
    run_with(page, 3, "A form for this task")
    form = cell(page, 4)
    button = form.get_by_role("button", name="Insert as cell")
    button.wait_for(timeout=20_000)
    form.get_by_label("Text", exact=True).fill('It\'s {{ here }},\n  "there".')
    before = page.locator(".jp-CodeCell").count()
    button.click()
    form.get_by_text("The cell is below this form.").wait_for()
    assert page.locator(".jp-CodeCell").count() == before + 1
    assert active_source(page) == '%%llm_describe --raw\nIt\'s {{ here }},\n  "there".'
    assert cell(page, 5).locator(".jp-mod-active, .cm-focused").count()
    shot(page, "inserted")


def test_the_same_cell_with_another_model(page: Any) -> None:
    run_with(page, 3, "Another model")
    page.locator(".jp-Dialog input").wait_for()
    page.keyboard.press("Enter")
    cell(page, 4).get_by_text("Loaded demo").wait_for(timeout=30_000)
    cell(page, 5).locator(".llm-magics").get_by_text("tokens generated in").wait_for(timeout=30_000)
    assert active_source(page) == CELLS[3]


def test_the_launcher_opens_a_notebook_for_a_task(page: Any) -> None:
    page.keyboard.press("Control+Shift+l")
    section = page.locator(".jp-Launcher-section", has_text="LLM magics")
    section.wait_for()
    cards = section.locator(".jp-LauncherCard-label").all_inner_texts()
    assert [card.strip() for card in cards[:7]] == ["Answer", "Translate", "Reformulate", "Summarize", "Describe", "Classify", "Extract"]
    section.scroll_into_view_if_needed()
    shot(page, "launcher")
    section.locator(".jp-LauncherCard", has_text="Translate").focus()
    page.keyboard.press("Enter")
    visible = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    visible.locator(".cm-content", has_text="%%llm_translate --to fr").wait_for(timeout=30_000)
    assert visible.locator(".jp-CodeCell").first.inner_text().find("%load_ext llm_magics") >= 0


def test_axe_finds_nothing_serious_in_what_is_ours(page: Any) -> None:
    """Needs the tests before it."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.locator(".lm-TabBar-tab", has_text="work.ipynb").first.click()
    visible = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    visible.locator(".jp-CodeCell", has=page.get_by_text("0", exact=True)).locator(".cm-content").click()
    page.locator(".llm-status-button").wait_for(state="visible")
    visible.locator('.jp-cell-toolbar [data-command="llm_magics:run-with"]').wait_for(state="visible")
    found = axe.Axe().run(page).response["violations"]
    ours = [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
        if re.search(r"llm[-_]", node["html"].split(">")[0])  # the element itself, not what it holds
    ]
    assert ours == []
