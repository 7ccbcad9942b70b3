"""The notebooks run as they are, and are committed with the outputs that they give."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter

from .notebooks import NOTEBOOKS, executed

# What differs from run to run: the report's times, the load's line, memory, dates, durations, and the key, which tells the machine.
VARIES = (
    (r"\[\w+\] \d+ tokens generated.*", ""),
    (r"(?m)^Loaded .*", ""),
    (r"[\d,]+ MiB|\b\d+(\.\d+)? (ms|sec)\b|\d{4}-\d\d-\d\d \d\d:\d\d", "…"),
    (r"(?m)^(  key +).*", r"\1…"),
    (r" {2,}", "  "),
)


def told(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell's outputs say, without what differs from run to run: times, rates, versions, ids."""
    texts = []
    for output in cell.get("outputs", []):
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        for pattern, instead in VARIES:
            text = re.sub(pattern, instead, text)
        texts.append(text.strip())
    return [text for text in texts if text]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_gives_what_it_was_committed_with(path: Path) -> None:
    committed = nbformat.read(path, as_version=4)
    for before, after in zip(committed.cells, executed(path).cells, strict=True):
        assert told(before) == told(after), before.source
        assert all(output.output_type != "error" for output in before.get("outputs", []))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_saved_notebook_reads_without_a_kernel(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    shown = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and re.match(r"%%?llm_(?!load|template|engines|status|unload)", cell.source)
    ]
    assert shown
    for cell in shown:
        bundle = cell.outputs[-1]["data"]
        assert "tokens generated in" in bundle["text/plain"]
        assert "<details" in bundle["text/html"]
        assert cell.outputs[-1]["metadata"]["llm_magics"]["model"] == "demo"
    page, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    assert page.count('class="llm-magics"') >= len(shown)


def test_there_are_notebooks() -> None:
    assert {path.stem for path in NOTEBOOKS} >= {"quickstart", "seed_tour", "tensorrt_llm"}


def test_the_notebook_of_tensorrt_llm_says_what_made_its_outputs() -> None:
    (path,) = [path for path in NOTEBOOKS if path.stem == "tensorrt_llm"]
    notebook = nbformat.read(path, as_version=4)
    first = " ".join(notebook.cells[0].source.split())
    for words in ("by the strict stand-in for TensorRT-LLM", "was not run on hardware by us", "one line changes"):
        assert words in first
    (planned,) = [cell for cell in notebook.cells if cell.source.endswith("--dry-run")]
    options = planned.source.partition(" --engine")[2].removesuffix(" --dry-run")
    real = [cell for cell in notebook.cells if f"%llm_load meta-llama/Llama-3.1-8B-Instruct --engine{options}\n" in cell.source]
    assert [cell.cell_type for cell in real] == ["markdown"]  # the line to be taken on a real machine has the options of the plan
    assert "trtllm-build" in planned.outputs[0]["text"]
    assert "--max_seq_len 24576" in planned.outputs[0]["text"]
    last = [output["text"] for cell in notebook.cells for output in cell.get("outputs", []) if "is unloaded" in output.get("text", "")]
    assert last
