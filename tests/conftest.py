"""Fixtures: a shell with the magics, small models made on the spot, a clean engine store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from llm_magics.engines.scripted import ScriptedEngine
from llm_magics.session import Session

from .standin import forget
from .standin.machine import SINGLE_PROCESS, Machine

# Nothing here may look for a hub.
os.environ["HF_HUB_OFFLINE"] = "1"

ROOT = Path(__file__).parent.parent
CHECKPOINT = ROOT / "examples" / "demo_model" / "checkpoint"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An engine store of the test's own."""
    monkeypatch.setenv("LLM_MAGICS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "llm_magics"


@pytest.fixture(autouse=True)
def no_switch() -> Iterator[None]:
    """Loading with TensorRT-LLM sets a switch for the process, which must not reach the next test."""
    yield
    os.environ.pop(SINGLE_PROCESS, None)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine with a GPU and no TensorRT-LLM."""
    (tmp_path / "machine").mkdir()
    yield Machine(tmp_path / "machine", monkeypatch)
    forget()


@pytest.fixture
def machine(bare: Machine) -> Machine:
    """The same with TensorRT-LLM: its stand-in."""
    bare.has()
    return bare


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    """A real shell with the extension loaded."""
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "llm_magics")
    yield shell
    shell.run_line_magic("unload_ext", "llm_magics")
    InteractiveShell.clear_instance()


@pytest.fixture
def scripted(shell: InteractiveShell) -> ScriptedEngine:
    """The engine behind the shell's magics: it says what ``replies`` tell it."""
    engine = ScriptedEngine(["one two three"])
    shell.magics_manager.registry["LLMMagics"].session = Session(engine)
    return engine


@pytest.fixture(scope="session")
def demo() -> Iterator[Session]:
    """The bundled model."""
    import llm_magics

    with llm_magics.load("demo") as session:
        yield session
