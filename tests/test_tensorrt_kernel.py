"""TensorRT-LLM in a real kernel, on the stand-in: loading, streaming, stopping, letting go, two kernels at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from llm_magics.engines import cache

from .standin.machine import Machine
from .test_kernel import Kernel, reader_sees, types

LOAD = "%llm_load examples/demo_model/checkpoint --quantization int8 --kv-cache-mb 512"
LOADED = "Loaded checkpoint int8 on tensorrt_llm 1.2.1 (NVIDIA H100 80GB HBM3), 4,096 tokens, in "
# What of the library and of the adapter is alive in the kernel.
ALIVE = (
    "import gc; gc.collect(); sorted(type(thing).__name__ for thing in gc.get_objects()"
    " if str(type(thing).__module__).split('.')[0] in ('llm_magics', 'tensorrt_llm')"
    " and type(thing).__name__ in ('TensorRTEngine', '_TrtLLM', 'RequestOutput', 'Session'))"
)


@pytest.fixture
def kernels(machine: Machine) -> Iterator[Any]:
    """Starts kernels with the extension loaded, and ends them."""
    started: list[Kernel] = []

    def start() -> Kernel:
        kernel = Kernel()
        started.append(kernel)
        kernel.run("%load_ext llm_magics")
        return kernel

    yield start
    for kernel in started:
        kernel.client.stop_channels()
        kernel.manager.shutdown_kernel(now=True)
        kernel.manager.cleanup_resources()


def shown(outputs: list[dict[str, Any]]) -> list[str]:
    return [text for output in outputs if (text := reader_sees(output))]


def outputs_of(kernel: Kernel, sent: str) -> list[dict[str, Any]]:
    """What a cell that was sent before has put out, up to its end."""
    outputs = []
    while True:
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != sent:
            continue
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return outputs
        outputs.append(message["content"])


def test_it_is_built_with_progress_then_streams_and_is_loaded_at_once_by_the_next_kernel(machine: Machine, kernels: Any) -> None:
    machine.says(build={"seconds": 1, "steps": 4})
    kernel = kernels()
    stages = shown(kernel.run(LOAD))
    assert any("Building the engine of checkpoint (int8)" in stage for stage in stages)
    assert any("converting and compiling" in stage for stage in stages)
    assert any(line.startswith(LOADED) for line in stages[-1].splitlines())
    assert any("TLLM_WORKER_USE_SINGLE_PROCESS=1 is set" in stage for stage in stages)

    machine.says(replies=["one two three four five six seven eight nine ten " * 2], generate={"token_s": 0.05})
    outputs = kernel.run("%%llm_answer\nHello World !")
    assert types(outputs)[0] == "display_data"
    assert types(outputs).count("update_display_data") > 1
    texts = shown(outputs)
    assert len(set(texts)) > 2  # it grows
    assert texts[-1].startswith(texts[-2].partition(" tokens")[2])
    assert "[tensorrt_llm]" in texts[-1]
    assert outputs[-1]["metadata"]["llm_magics"]["model"] == "checkpoint"

    assert "Building" not in " ".join(shown(kernels().run(LOAD)))
    assert len(machine.events("build_end")) == 1


@pytest.mark.parametrize("stall", [None, 5])
def test_a_stop_is_within_a_second_and_the_engine_works_on(machine: Machine, kernels: Any, stall: int | None) -> None:
    kernel = kernels()
    kernel.run(LOAD)
    machine.says(replies=["and so on " * 900], generate={"token_s": 0.03, "stall_after": stall})
    outputs = kernel.run("%%llm_answer --max-new-tokens 2000\nHello World !", interrupt_after=1.5)
    assert kernel.idle_at - kernel.interrupted_at < 1
    assert "error" not in types(outputs)
    assert "interrupted: the answer is partial" in shown(outputs)[-1]
    assert kernel.value("_.finish_reason") == "'interrupted'"
    (submitted,) = machine.events("submit")
    assert [event["id"] for event in machine.events("abort")] == [submitted["id"]]
    machine.says()
    assert "stop" in shown(kernel.run("%%llm_answer\nHello World !"))[-1]


def test_outputs_do_not_keep_the_engine_alive(machine: Machine, kernels: Any) -> None:
    kernel = kernels()
    kernel.run(LOAD)
    kernel.run("%%llm_answer -o kept\nHello World !")
    kernel.run("%llm_answer 'Hello World !'")
    kernel.run("kept")
    assert kernel.value("type(_).__name__, sum(type(thing).__name__ == 'Generation' for thing in Out.values())").startswith(
        "('Generation', "
    )
    assert kernel.value(ALIVE) == "['Session', 'TensorRTEngine', '_TrtLLM']"
    (printed,) = kernel.run("%llm_unload")
    assert "checkpoint is unloaded; the kernel held" in printed["text"]
    assert "GPU 0 (NVIDIA H100 80GB HBM3) held" in printed["text"]
    assert kernel.value(ALIVE) == "[]"
    assert len(machine.events("shutdown")) == 2  # of the build, and of this kernel
    assert kernel.value("len(kept.text) > 0") == "True"


def test_of_two_kernels_one_builds_and_the_other_waits(machine: Machine, kernels: Any) -> None:
    machine.says(build={"seconds": 4, "steps": 8})
    first, second = kernels(), kernels()
    sent = first.client.execute(LOAD)
    while not machine.events("build_start"):
        time.sleep(0.05)
    told = {"second": shown(second.run(LOAD)), "first": shown(outputs_of(first, sent))}
    assert any("Building the engine" in stage for stage in told["first"])
    assert not any("Building the engine" in stage for stage in told["second"])
    waiting = [stage for stage in told["second"] if "is building this engine; waiting for it" in stage]
    assert waiting
    assert any("so far" in stage for stage in waiting)
    for stages in told.values():
        assert any(line.startswith(LOADED) for line in stages[-1].splitlines())
    assert len(machine.events("build_start")) == len(machine.events("build_end")) == 1
    assert len(cache.listed()) == 1
    for kernel in (first, second):
        assert "stop" in shown(kernel.run("%%llm_answer\nHello World !"))[-1]


def test_the_doctor_shows_each_check_and_an_interrupt_ends_it(machine: Machine, kernels: Any) -> None:
    kernel = kernels()
    outputs = kernel.run("%llm_doctor --no-smoke")
    assert types(outputs)[0] == "display_data"
    assert set(types(outputs)[1:]) == {"update_display_data"}
    texts = shown(outputs)
    assert len(set(texts)) > 8
    assert any(text.endswith("…     import") for text in texts)
    assert "signatures" in texts[-1]
    assert outputs[-1]["data"]["text/html"].startswith('<div class="llm-magics"')

    machine.says(**{"import": {"hang_s": 300}})
    outputs = kernel.run("%llm_doctor", interrupt_after=6)
    assert kernel.idle_at - kernel.interrupted_at < 1
    assert shown(outputs)[-1].splitlines()[-1] == "Interrupted at: import."
    assert "main memory" not in shown(outputs)[-1]
    assert "error" not in types(outputs)
    assert kernel.value("1 + 1") == "2"
