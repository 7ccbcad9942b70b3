"""The notebooks run as they are, and are committed with the outputs that they give."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from .conftest import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def told(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell's outputs say, without what differs from run to run: times, rates, versions, ids."""
    texts = []
    for output in cell.get("outputs", []):
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        if not text.startswith("Loaded "):
            texts.append(re.sub(r"\[\w+\] \d+ tokens generated.*", "", text).strip())
    return texts


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_gives_what_it_was_committed_with(path: Path) -> None:
    committed = nbformat.read(path, as_version=4)
    executed = nbformat.read(path, as_version=4)
    NotebookClient(executed, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    for before, after in zip(committed.cells, executed.cells, strict=True):
        assert told(before) == told(after), before.source
        assert all(output.output_type != "error" for output in before.get("outputs", []))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_saved_notebook_reads_without_a_kernel(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    shown = [cell for cell in notebook.cells if cell.cell_type == "code" and re.match(r"%%?llm_(?!load|template|engines)", cell.source)]
    assert shown
    for cell in shown:
        bundle = cell.outputs[-1]["data"]
        assert "tokens generated in" in bundle["text/plain"]
        assert "<details" in bundle["text/html"]
        assert cell.outputs[-1]["metadata"]["llm_magics"]["model"] == "demo"
    page, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    assert page.count('class="llm-magics"') >= len(shown)


def test_there_are_notebooks() -> None:
    assert {path.stem for path in NOTEBOOKS} >= {"quickstart", "seed_tour"}
