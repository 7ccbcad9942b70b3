"""A real kernel, as a front end sees it: load time, streaming, interrupting, what stays in _ and Out."""

from __future__ import annotations

import html
import queue
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

from .conftest import ROOT


class Kernel:
    """A kernel and its messages. ``run`` gives a cell's outputs in the order in which they came."""

    def __init__(self) -> None:
        self.manager, self.client = start_new_kernel(kernel_name="python3", cwd=str(ROOT))

    def run(self, code: str, *, interrupt_after: float | None = None) -> list[dict[str, Any]]:
        sent = self.client.execute(code)
        started = time.monotonic()
        outputs = []
        self.interrupted_at = 0.0
        while True:
            if interrupt_after and not self.interrupted_at and time.monotonic() - started > interrupt_after:
                self.manager.interrupt_kernel()
                self.interrupted_at = time.monotonic()
            try:
                message = self.client.get_iopub_msg(timeout=0.05)
            except queue.Empty:
                assert time.monotonic() - started < 120
                continue
            if message["parent_header"].get("msg_id") != sent:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                self.idle_at = time.monotonic()
                return outputs
            if message["msg_type"] in ("display_data", "update_display_data", "execute_result", "stream", "error"):
                outputs.append({"type": message["msg_type"], "at": time.monotonic(), **message["content"]})

    def value(self, expression: str) -> str:
        (result,) = self.run(expression)
        return str(result["data"]["text/plain"])


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    kernel.run("%load_ext llm_magics")
    yield kernel
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel(now=True)
    kernel.manager.cleanup_resources()


def types(outputs: list[dict[str, Any]]) -> list[str]:
    return [output["type"] for output in outputs]


def reader_sees(output: dict[str, Any]) -> str:
    """The text of a display: of a report as it is, of an update while the answer comes (HTML alone) what the page shows of it."""
    data = output.get("data", {})
    return str(data["text/plain"]) if "text/plain" in data else html.unescape(re.sub(r"<[^>]+>", "", data.get("text/html", "")))


def reported(outputs: list[dict[str, Any]]) -> dict[str, Any]:
    """The report of a run. The displays of a long answer's earlier blocks are emptied after it."""
    return next(output for output in reversed(outputs) if output.get("data", {}).get("text/plain"))


def test_the_first_cell_loads_the_demo_model_and_says_so(kernel: Kernel) -> None:
    outputs = kernel.run("%%llm_answer\nHello World !")
    loaded = [output["data"]["text/plain"] for output in outputs if "Loaded demo" in output.get("data", {}).get("text/plain", "")]
    assert "%llm_load MODEL loads a real one" in loaded[0]
    assert "error" not in types(outputs)


def test_a_run_is_one_display_that_is_updated_and_is_complete_at_the_end(kernel: Kernel) -> None:
    outputs = kernel.run("%%llm_answer --temperature 9 --seed 1 --max-new-tokens 300 -o g\nHello World !")
    assert types(outputs)[0] == "display_data"
    assert set(types(outputs)[1:]) == {"update_display_data"}  # no Out: it is shown already
    assert len({output["transient"]["display_id"] for output in outputs}) == 1
    shown = reader_sees(outputs[-2]).partition(" tokens")[2]
    last = outputs[-1]["data"]
    assert shown
    assert last["text/plain"].startswith(shown)
    assert "tokens generated in" in last["text/plain"]
    assert "<details" in last["text/html"]
    assert outputs[-1]["metadata"]["llm_magics"]["model"] == "demo"
    assert len(outputs) / (outputs[-1]["at"] - outputs[0]["at"] + 0.1) < 17


def test_the_report_comes_again_when_asked_for(kernel: Kernel) -> None:
    kernel.run("%%llm_answer --no-stream -o g\nHello World !")
    assert types(kernel.run("g")) == ["execute_result"]
    assert kernel.value("_ is g") == "True"


def test_a_semicolon_or_an_assignment_shows_it_once(kernel: Kernel) -> None:
    assert set(types(kernel.run("x = %llm_answer 'Hello World !'"))) <= {"display_data", "update_display_data"}
    assert types(kernel.run("x")) == ["execute_result"]


def test_an_interrupt_is_idle_within_a_second_and_keeps_the_answer(kernel: Kernel) -> None:
    outputs = kernel.run("%%llm_answer --temperature 9 --seed 2 --max-new-tokens 3500\nHello World !", interrupt_after=0.7)
    assert kernel.idle_at - kernel.interrupted_at < 1
    assert "error" not in types(outputs)
    assert "interrupted: the answer is partial" in reported(outputs)["data"]["text/plain"]
    assert kernel.value("_.finish_reason") == "'interrupted'"
    assert "stop" in kernel.run("%%llm_answer\nHello World !")[-1]["data"]["text/plain"]


def test_errors_are_short(kernel: Kernel) -> None:
    (slip,) = kernel.run("%%llm_answer --langg fr\nx")
    assert slip["name"] == "stderr"
    assert slip["text"].startswith("UsageError: Unknown option --langg. Did you mean '--lang'?")
    error = kernel.run("%llm_load ./no-such-folder")[-1]
    assert error["name"] == "stderr" if "name" in error else len(error["traceback"]) == 2


def test_unload_gives_memory_back_and_the_next_task_loads_again(kernel: Kernel) -> None:
    (printed,) = kernel.run("%llm_unload")
    assert "demo is unloaded; the kernel held" in printed["text"]
    assert "No model is loaded" in kernel.run("%llm_status")[0]["text"]
    assert "error" not in types(kernel.run("%%llm_answer\nHello World !"))


HEAVY = (
    "torch",
    "transformers",
    "onnxruntime_genai",
    "onnxruntime",
    "tensorrt_llm",
    "jinja2",
    "llguidance",
    "ipywidgets",
    "jsonschema",
    "pandas",
    "huggingface_hub",
)


def test_loading_the_extension_imports_nothing_heavy() -> None:
    code = (
        "import sys; from IPython.core.interactiveshell import InteractiveShell; shell = InteractiveShell.instance();"
        "before = set(sys.modules); shell.run_line_magic('load_ext', 'llm_magics'); new = set(sys.modules) - before;"
        f"print(sorted(new & set({HEAVY!r})), len(new) < 60)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip().endswith("[] True")


def test_nothing_below_display_imports_the_notebook() -> None:
    code = (
        "import sys, llm_magics.session, llm_magics.engines.scripted, llm_magics.report;"
        "print([m for m in ('IPython', 'ipywidgets', 'traitlets', 'torch', 'transformers') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip() == "[]"
