"""Runs the example notebooks as they are, each on the machine that it is written for.

``python -m tests.notebooks`` runs them all and writes their outputs into them; names (``quickstart``) choose.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from .conftest import CHECKPOINT, ROOT
from .standin.machine import Machine

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
_METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}


@contextlib.contextmanager
def machine_of(name: str) -> Iterator[Path]:
    """The environment that the notebook's kernel inherits, and the folder that it runs in."""
    if name != "tensorrt_llm":
        yield ROOT
        return
    with tempfile.TemporaryDirectory() as work, pytest.MonkeyPatch.context() as patch:
        folder = Path(work).resolve()
        Machine(folder, patch).has()
        patch.setenv("HOME", str(folder))  # what the outputs tell of places then begins with ~, on any machine
        patch.delenv("LLM_MAGICS_CACHE", raising=False)
        patch.delenv("XDG_CACHE_HOME", raising=False)
        shutil.copytree(CHECKPOINT, folder / "demo")
        yield folder


def executed(path: Path) -> Any:
    """The notebook with the outputs that it gives now."""
    notebook = nbformat.read(path, as_version=4)
    with machine_of(path.stem) as folder:
        resources = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, timeout=120, resources=resources, record_timing=False).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            _place(output, str(folder), "~")
    return notebook


def _place(node: Any, place: str, instead: str) -> None:
    """Replace the name of a place in every text of an output."""
    for key, value in node.items():
        if isinstance(value, str):
            node[key] = value.replace(place, instead)
        elif isinstance(value, dict):
            _place(value, place, instead)


def refresh(path: Path) -> None:
    """Run a notebook and write its outputs into it."""
    notebook = executed(path)
    notebook.metadata = nbformat.from_dict(_METADATA)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for chosen in NOTEBOOKS:
        if chosen.stem in (sys.argv[1:] or [chosen.stem]):
            refresh(chosen)
            sys.stdout.write(f"{chosen.relative_to(ROOT)}\n")
