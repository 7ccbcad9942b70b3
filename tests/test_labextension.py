"""The JupyterLab extension as files: built from what stands beside it, and for any registry."""

from __future__ import annotations

import hashlib
import json
import re

import jinja2.defaults

import llm_magics
from llm_magics.tasks import TASKS

from .conftest import ROOT

HOME = ROOT / "llm_magics" / "labextension"


def source(name: str) -> str:
    return (HOME / "src" / name).read_text(encoding="utf-8")


def test_what_is_committed_was_built_from_the_source() -> None:
    """Else: npm ci && npm run build in llm_magics/labextension."""
    parts = [HOME / "package.json", *(path for name in ("src", "style", "schema") for path in (HOME / name).iterdir())]
    digest = hashlib.sha256()
    for path in sorted(parts, key=lambda path: path.relative_to(HOME).as_posix()):
        digest.update(f"{path.relative_to(HOME).as_posix()}\n".encode() + path.read_bytes())
    assert (HOME / "prebuilt" / "built_from.sha256").read_text().strip() == digest.hexdigest()


def test_it_is_small_and_whole() -> None:
    files = [path for path in (HOME / "prebuilt").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 100_000
    assert not [path for path in files if path.suffix == ".map"]
    entry = json.loads((HOME / "prebuilt" / "package.json").read_text())["jupyterlab"]["_build"]["load"]
    assert (HOME / "prebuilt" / entry).is_file()


def test_the_lock_file_leaves_the_registry_to_the_reader() -> None:
    packages = json.loads((HOME / "package-lock.json").read_text())["packages"]
    assert len(packages) > 100
    assert not [name for name, package in packages.items() if "resolved" in package]


def test_names_that_python_knows_better() -> None:
    assert json.loads((HOME / "package.json").read_text())["version"] == llm_magics.__version__
    tasks = re.search(r"TASKS = \[(.*?)\]", source("cells.ts"))
    assert tasks is not None
    assert re.findall(r"'(\w+)'", tasks[1]) == list(TASKS)
    filters = re.search(r"FILTERS = `(.*?)`", source("completion.ts"), re.DOTALL)
    assert filters is not None
    assert set(filters[1].split()) <= {*jinja2.defaults.DEFAULT_FILTERS, "json"}


def test_every_sentence_can_be_translated() -> None:
    """What people read is in trans.__(...): no label, caption or title is a bare string."""
    for path in (HOME / "src").glob("*.ts"):
        assert not re.findall(r"\b(?:label|caption|title|okLabel|ariaLabel|textContent): '", path.read_text()), path.name
