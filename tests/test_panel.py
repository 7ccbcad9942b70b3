"""The queue, the history, loads that are cancelled, the status comm, and the panel without a browser."""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import llm_magics
from llm_magics import facts
from llm_magics.current import Current
from llm_magics.engines import Cancellable, Memory, cache, memory
from llm_magics.engines.scripted import ScriptedEngine
from llm_magics.errors import CancelledError, EngineError, OptionError
from llm_magics.monitor import KEPT, Monitor, Run
from llm_magics.records import Timing
from llm_magics.session import Session

from .conftest import CHECKPOINT
from .standin.machine import Machine
from .test_kernel import Kernel

WORDS = ["one two three four five six seven eight"]


def until(true: Callable[[], object], seconds: float = 10) -> None:
    ended = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ended, "it did not come"
        time.sleep(0.01)


@pytest.fixture
def session() -> Session:
    return Session(ScriptedEngine(WORDS))


def begin(session: Session, text: str = "x") -> tuple[Any, Iterator[str], threading.Event]:
    """A run in a thread of its own that has begun and stands still until the event is set."""
    stream, go, begun = session.stream("answer", text, {}, {}), threading.Event(), threading.Event()

    def work() -> None:
        for _ in stream:
            begun.set()
            go.wait(20)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(10)
    return stream, thread, go


# The queue.


def test_a_run_is_remembered_with_its_task_and_timing(session: Session) -> None:
    made = session.summarize("a text")
    (run,) = session.monitor.runs
    assert (run.task, run.timing, run.finish_reason) == ("summarize", made.timing, "stop")
    assert session.monitor.running is None
    assert abs(run.ended - time.time()) < 5


def test_only_the_last_runs_are_kept(session: Session) -> None:
    for _ in range(KEPT + 3):
        session.answer("x")
    assert len(session.monitor.runs) == KEPT


def test_the_queue_is_first_come_first_served_and_tells_who_runs_and_waits(session: Session) -> None:
    told: list[tuple[str | None, int]] = []
    monitor = session.monitor
    monitor.subscribe(lambda: told.append((monitor.running.task if monitor.running else None, len(monitor.waiting))))
    first, thread, go = begin(session)
    others, done = [], []
    for task in ("describe", "summarize", "reformulate"):
        others.append(threading.Thread(target=lambda task=task: done.append(session.run(task, "x", {}, {}))))
        others[-1].start()
        until(lambda: len(monitor.waiting) == len(others))
    assert [turn.task for turn in monitor.waiting] == ["describe", "summarize", "reformulate"]
    assert monitor.running is not None
    assert monitor.running.task == "answer"
    assert monitor.running.tokens == 1
    go.set()
    for other in (thread, *others):
        other.join(10)
    assert [run.task for run in monitor.runs] == ["answer", "describe", "summarize", "reformulate"]
    assert all(made.timing.queue_s > 0 for made in done)
    assert told[-1] == (None, 0)
    assert ("answer", 3) in told
    assert first.generation is not None


def test_a_run_that_waits_can_be_cancelled_at_once(session: Session) -> None:
    _, thread, go = begin(session)
    waiting = session.stream("answer", "y", {}, {})
    runner = threading.Thread(target=lambda: list(waiting))
    runner.start()
    until(lambda: session.monitor.waiting)
    started = time.monotonic()
    waiting.cancel.set()
    runner.join(5)
    assert time.monotonic() - started < 0.2
    assert waiting.generation is not None
    assert (waiting.generation.text, waiting.generation.finish_reason) == ("", "interrupted")
    assert waiting.generation.timing.output_tokens == 0
    go.set()
    thread.join(5)
    assert [run.task for run in session.monitor.runs] == ["answer"]  # what never ran is no run


def test_stop_ends_the_one_that_runs_and_the_next_one_goes_on(session: Session) -> None:
    stream, thread, go = begin(session)
    assert session.monitor.stop()
    go.set()
    thread.join(5)
    assert stream.generation.finish_reason == "interrupted"
    assert not session.monitor.stop()
    assert session.answer("x").finish_reason == "stop"


def test_a_failing_run_leaves_the_queue(session: Session) -> None:
    session.engine.close()
    with pytest.raises(EngineError):
        session.answer("x")
    assert session.monitor.running is None
    assert session.monitor.runs == ()


def test_an_abandoned_run_leaves_the_queue(session: Session) -> None:
    pieces = iter(session.stream("answer", "x", {}, {}))
    next(pieces)
    assert session.monitor.running is not None
    pieces.close()
    assert session.monitor.running is None


def test_closing_cancels_what_runs_elsewhere_and_waits_for_it(session: Session) -> None:
    stream, thread, go = begin(session)
    threading.Timer(0.3, go.set).start()
    session.close()
    thread.join(5)
    assert stream.generation.finish_reason == "interrupted"


def test_closing_does_not_wait_for_a_run_of_its_own_thread(session: Session) -> None:
    pieces = iter(session.stream("answer", "x", {}, {}))
    next(pieces)
    started = time.monotonic()
    session.close()
    assert time.monotonic() - started < 1


def test_a_subscription_ends() -> None:
    monitor, told = Monitor(), list[int]()
    end = monitor.subscribe(lambda: told.append(1))
    with monitor.turn("answer", threading.Event()):
        before = len(told)
    end()
    with monitor.turn("answer", threading.Event()):
        pass
    assert before == 1  # it has begun
    assert len(told) == 2  # and ended


# What engines hold.


def test_the_demo_model_tells_its_memory(demo: Session) -> None:
    demo.answer("Hello World !")
    held = memory(demo.engine)
    assert held.weights is not None
    assert held.kv_total is not None
    assert held.kv_used is not None
    folder = Path(llm_magics.__file__).parent / "demo" / "engine"
    assert held.weights == sum(path.stat().st_size for path in folder.glob("model.onnx*"))
    decoder = json.loads((folder / "genai_config.json").read_text())["model"]["decoder"]
    a_token = 2 * decoder["num_hidden_layers"] * decoder["num_key_value_heads"] * decoder["head_size"] * 4
    assert held.kv_total == a_token * demo.engine.info.max_seq_len
    assert held.kv_used == a_token * len(demo.engine._cached)
    assert held.held == held.weights + held.kv_total


def test_transformers_tells_its_memory() -> None:
    with llm_magics.load(str(CHECKPOINT), engine="transformers", max_seq_len=512) as session:
        before = memory(session.engine)
        made = session.answer("Hello World !", max_new_tokens=8)
        held = memory(session.engine)
        weights = sum(path.stat().st_size for path in CHECKPOINT.glob("*.safetensors"))
        config = json.loads((CHECKPOINT / "config.json").read_text())
        a_token = 2 * config["num_hidden_layers"] * config["num_key_value_heads"] * config["head_dim"] * 4
        assert before.kv_used == 0
        assert held.weights is not None
        assert 0.9 * weights < held.weights < 2.2 * weights  # the checkpoint may be saved in 16 bits
        assert held.kv_total == 512 * a_token
        assert held.kv_used == a_token * len(session.engine._cached)
        assert len(session.engine._cached) >= made.input_tokens
    assert memory(session.engine) == Memory(0, 0, 0)


def test_an_engine_that_does_not_tell_is_shown_as_such() -> None:
    assert memory(ScriptedEngine(WORDS)) == Memory(None, None, None)
    assert facts.memory_line(Memory()) == "weights n/a, KV cache n/a"
    assert facts.memory_line(Memory(15 << 20, 80 << 20, 1 << 20)) == "weights 15 MiB, KV cache 80 MiB: 1.0 MiB used, 79 MiB free"
    assert facts.memory_line(Memory(15 << 30, None, 1 << 20)) == "weights 15.0 GiB, KV cache 1.0 MiB used"


# Loads that are given up.


def test_a_conversion_that_is_cancelled_leaves_nothing(store: Path) -> None:
    stages: list[str] = []
    progress = Cancellable(stages.append)

    def cancel() -> None:
        until(lambda: any("Converting" in stage for stage in stages), 60)
        time.sleep(1)
        progress.cancel()

    threading.Thread(target=cancel).start()
    with pytest.raises(CancelledError, match="Nothing is left half-built"):
        llm_magics.load(str(CHECKPOINT), engine="onnx", progress=progress)
    assert left(store) == []
    assert cache.listed() == []


def left(store: Path) -> list[str]:
    """What stands in the store, locks apart."""
    return sorted(path.name for path in store.glob("*/*") if not path.name.endswith(".lock"))


def test_a_compilation_that_is_cancelled_leaves_nothing_and_ends_its_process(machine: Machine, store: Path) -> None:
    machine.says(build={"seconds": 60, "steps": 60})
    current = Current(notebook=False)
    loading = current.start(str(CHECKPOINT), "tensorrt_llm", quantization="int8")
    until(lambda: machine.events("build_start"), 30)
    pid = machine.events("build_start")[0]["pid"]
    started = time.monotonic()
    loading.cancel()
    assert loading.ended.wait(5)
    assert time.monotonic() - started < 1
    assert loading.outcome.startswith("The load was cancelled.")
    assert current.session is None
    assert current.loading is None
    assert not Path(f"/proc/{pid}").exists()
    assert left(store.parent / "tensorrt_llm") == []
    assert cache.listed() == []
    machine.says()
    current.load(str(CHECKPOINT), "tensorrt_llm", quantization="int8", kv_cache_mb=64)
    held = memory(current.session.engine)
    assert held.kv_total == 64 << 20
    assert held.kv_used is None
    assert held.weights
    current.end()


def test_waiting_for_another_kernel_can_be_cancelled(store: Path) -> None:
    key = cache.Key("onnx", "1", "m", "o", {"quantization": "none"})
    key.parent.mkdir(parents=True)
    from filelock import FileLock

    stages: list[str] = []
    progress = Cancellable(stages.append)
    with FileLock(key.lock):
        threading.Timer(0.5, progress.cancel).start()
        started = time.monotonic()
        with pytest.raises(CancelledError):
            cache.get(key, lambda folder: None, progress)
        assert time.monotonic() - started < 1.5
    assert "is building this engine; waiting for it" in stages[0]
    assert left(store) == []


def test_a_load_cancelled_before_the_old_model_goes_leaves_it_there(session: Session) -> None:
    current = Current(notebook=False)
    current.session = session
    loading = current.start(str(CHECKPOINT), "onnx")
    until(lambda: "Converting" in loading.stage, 60)
    assert current.needed("demo", "auto") is session  # a task meanwhile runs on the model that is there
    assert session.answer("x").text == WORDS[0]
    with pytest.raises(OptionError, match="is being loaded"):
        current.load("demo", "auto")
    loading.cancel()
    assert loading.ended.wait(10)
    assert current.session is session
    current.end()


def test_a_task_waits_for_the_model_that_is_being_loaded() -> None:
    current = Current(notebook=False)
    loading = current.start("demo", "auto")
    session = current.needed("no-such-model", "auto")
    assert session.engine.info.model == "demo"
    assert loading.outcome.startswith("Loaded demo int8 on onnx")
    current.end()


def test_a_task_that_waited_in_vain_says_why() -> None:
    current = Current(notebook=False)
    current.start(str(CHECKPOINT), "onnx")
    threading.Timer(0.5, lambda: current.loading and current.loading.cancel()).start()
    with pytest.raises(EngineError, match=r"was not loaded: The load was cancelled\."):
        current.needed("demo", "auto")
    assert current.session is None


def test_a_wrong_model_is_told_as_an_error_of_the_load() -> None:
    current = Current(notebook=False)
    loading = current.start("./no-such-folder", "auto")
    assert loading.ended.wait(10)
    assert loading.outcome.startswith("No folder './no-such-folder'")


# What is shown.


def seen(*speeds: float, reason: Any = "stop") -> tuple[Run, ...]:
    return tuple(Run("answer", Timing(0.0, 0.1, 10 / speed, 5, 0, 10), reason, 0.0) for speed in speeds)


def test_the_plot_has_a_bar_for_each_run_by_its_speed() -> None:
    shown = facts.plot(seen(50, 100, 25))
    tall = [float(found) for found in re.findall(r'<rect [^>]*height="([\d.]+)"', shown)]
    assert tall[1] == max(tall)
    assert tall[0] / tall[1] == pytest.approx(0.5, abs=0.01)
    assert tall[2] / tall[1] == pytest.approx(0.25, abs=0.01)
    assert 'fill="none" stroke' in facts.plot(seen(50, reason="interrupted")).split("<rect")[1]
    assert "none yet" in facts.plot(())


def test_what_comes_from_a_model_is_escaped() -> None:
    from dataclasses import replace

    info = replace(ScriptedEngine(WORDS).info, model="<script>alert(1)</script>")
    made = facts.Facts(info, Memory(), 0, loading="<b>", stage="<i>", runs=(Run("<u>", Timing(0, 0.1, 1, 1, 0, 5), "stop", 0),))
    assert not re.search(r"<script|<b>|<i>|<u>", facts.as_html(made))
    assert "<script>" in facts.as_text(made)


# In a real kernel.


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    kernel.run("%load_ext llm_magics")
    kernel.run("P = get_ipython().magics_manager.registry['PanelMagics']")
    yield kernel
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel(now=True)
    kernel.manager.cleanup_resources()


def value(kernel: Kernel, expression: str) -> str:
    """The value of a cell; what the panel puts out meanwhile is not asked for."""
    (result,) = [output for output in kernel.run(expression) if output["type"] == "execute_result"]
    return str(result["data"]["text/plain"])


def come(kernel: Kernel, expression: str, seconds: float = 20) -> None:
    until(lambda: value(kernel, expression) == "True", seconds)


def test_loading_the_extension_starts_no_thread_and_imports_no_widgets(kernel: Kernel) -> None:
    assert value(kernel, "import sys, threading; 'ipywidgets' in sys.modules, 'llm_magics.facts' in sys.modules") == "(False, False)"
    assert "llm_magics" not in value(kernel, "[t.name for t in threading.enumerate()]")


def test_the_status_comm_tells_the_state_and_then_each_change(kernel: Kernel) -> None:
    client = kernel.client
    opened = client.session.msg("comm_open", {"comm_id": "c1", "target_name": "llm_magics.status", "data": {}})
    client.shell_channel.send(opened)
    told: list[dict[str, Any]] = []

    def listen(done: Callable[[], bool], seconds: float = 60) -> None:
        ended = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < ended, told
            try:
                message = client.get_iopub_msg(timeout=0.1)
            except Exception:  # noqa: BLE001 - queue.Empty
                continue
            if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == "c1":
                told.append(message["content"]["data"])

    listen(lambda: len(told) == 1)
    assert told[0] == {
        "model": None, "backend": None, "quantization": None, "memory_mb": None, "tokens_per_s": None, "busy": False, "waiting": 0, "stage": "",
    }  # fmt: skip
    client.execute("%%llm_answer\nHello World !")
    listen(lambda: told[-1]["tokens_per_s"] is not None and not told[-1]["busy"])
    assert any(state["stage"] == "demo: Loading demo" for state in told)
    assert any(state["busy"] for state in told)
    last = told[-1]
    assert (last["model"], last["backend"], last["quantization"], last["waiting"], last["stage"]) == ("demo", "onnx", "int8", 0, "")
    assert last["memory_mb"] > 10
    assert all(one != other for one, other in itertools.pairwise(told))  # on change only

    # Stop is heard while a cell runs, when it comes over a subshell, as from JupyterLab.
    asked = client.session.msg("create_subshell_request", {})
    client.control_channel.send(asked)
    subshell = client.get_control_msg(timeout=10)["content"]["subshell_id"]
    client.execute("%%llm_answer --temperature 9 --seed 2 --max-new-tokens 3000\nHello World !")
    listen(lambda: told[-1]["busy"])
    time.sleep(0.5)
    stop = client.session.msg("comm_msg", {"comm_id": "c1", "data": {"do": "stop"}})
    stop["header"]["subshell_id"] = subshell
    started = time.monotonic()
    client.shell_channel.send(stop)
    listen(lambda: not told[-1]["busy"], 20)
    assert time.monotonic() - started < 1
    client.shell_channel.send(client.session.msg("comm_close", {"comm_id": "c1", "data": {}}))
    assert value(kernel, "_.finish_reason") == "'interrupted'"
    assert value(kernel, "P.board._comms, P.board._end") == "([], None)"


def test_a_front_end_puts_a_cell_below_the_form_or_the_next_reply_does(kernel: Kernel) -> None:
    client = kernel.client
    client.shell_channel.send(client.session.msg("comm_open", {"comm_id": "c2", "target_name": "llm_magics.status", "data": {}}))
    kernel.run("form = %llm_form answer\nform.source.write('Hello')")
    client.execute("form.insert()")
    asked: dict[str, Any] = {}
    while "insert" not in asked:
        message = client.get_iopub_msg(timeout=10)
        if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == "c2":
            asked = message["content"]["data"]
    assert asked["insert"]["source"] == "%%llm_answer\nHello"
    assert value(kernel, "form.twin.place") == repr(asked["insert"]["beside"])
    client.shell_channel.send(client.session.msg("comm_msg", {"comm_id": "c2", "data": {"inserted": asked["insert"]["number"]}}))
    come(kernel, "'The cell is below' in form.status.value")
    assert value(kernel, "form.source_of_cell.layout.display") == "'none'"

    # Nobody answers: a page that was closed.
    kernel.run("form.insert()")
    come(kernel, "'The cell goes in below the next cell' in form.status.value")
    client.shell_channel.send(client.session.msg("comm_close", {"comm_id": "c2", "data": {}}))
    kernel.run("form.close()")


def test_the_panel_follows_and_ends_with_its_thread(kernel: Kernel) -> None:
    outputs = kernel.run("%llm_panel\np = P.panel")
    views = [output for output in outputs if "application/vnd.jupyter.widget-view+json" in output.get("data", {})]
    twins = [output for output in outputs if "llm-twin-panel" in output.get("data", {}).get("text/html", "")]
    assert len(views) == 1
    assert "demo int8 on onnx" in twins[0]["data"]["text/plain"]
    come(kernel, "p.unload.disabled is False and p.stop.disabled is True and p.cancel.disabled is True")
    kernel.run("%%llm_answer\nHello World !")
    come(kernel, "'Last: answer' in p.facts.value and p.stop.disabled")

    kernel.run("first = p; get_ipython().run_line_magic('llm_panel', ''); p = P.panel")
    assert value(kernel, "first.is_closed, first.view.comm is None") == "(True, True)"
    assert value(kernel, "sum(t.name == 'llm_magics panel' for t in threading.enumerate())") == "1"
    kernel.run("p.closing.click()")
    come(kernel, "not any(t.name == 'llm_magics panel' for t in threading.enumerate())")
    kernel.run("%llm_panel")


def test_an_idle_panel_does_nothing(kernel: Kernel) -> None:
    kernel.run("from llm_magics import facts; real = facts.read; looks = []")
    kernel.run("facts.read = lambda *a: (looks.append(1), real(*a))[1]")
    time.sleep(1)
    kernel.run("looks.clear()")
    time.sleep(2)
    assert value(kernel, "len(looks)") == "0"
    kernel.run(
        "import time; started = time.time(); get_ipython().run_cell_magic('llm_answer', '--temperature 9 --seed 1', 'Hello'); spent = time.time() - started"
    )
    time.sleep(1)
    looked, spent = value(kernel, "(len(looks), spent)").strip("()").split(",")
    assert 1 <= int(looked) / 2 <= 4 * float(spent) + 4  # the facts are read for the widgets, and at the end for the twin
    kernel.run("facts.read = real")


def test_the_panel_loads_beside_the_cells_and_cancels(kernel: Kernel) -> None:
    kernel.run("p = P.panel; p.model.value = 'examples/demo_model/checkpoint'; p.load.click()")
    come(kernel, "'Converting checkpoint' in p.progress.value and not p.cancel.disabled and p.load.disabled", 60)
    assert any(
        "tokens generated in" in output.get("data", {}).get("text/plain", "") for output in kernel.run("%%llm_answer\nHello World !")
    )
    kernel.run("p.cancel.click()")
    come(kernel, "'The load was cancelled.' in p.progress.value")
    assert value(kernel, "P._current.session.engine.info.model") == "'demo'"
    assert "No engine is stored yet" in value(kernel, "p.shelf.table.value")


def test_unload_and_leaving_the_extension(kernel: Kernel) -> None:
    kernel.run("p.unload.click()")
    come(kernel, "'demo is unloaded.' in p.progress.value and 'No model is loaded.' in p.facts.value")
    kernel.run("%unload_ext llm_magics")
    assert value(kernel, "p.is_closed") == "True"
    assert "llm_magics" not in value(kernel, "[t.name for t in threading.enumerate() if t.is_alive() and t.name != 'x']")


def test_the_shelf_removes_after_asking_and_says_what_cannot_be(store: Path) -> None:
    from llm_magics.shelf import Shelf

    key = cache.Key("onnx", "1", "some/model", "o", {"quantization": "int4"})
    folder = cache.get(key, lambda folder: (folder / "x").write_text("y") and None, lambda stage: None)
    said: list[str] = []
    shelf = Shelf(said.append, lambda: None)
    shelf.refresh()
    assert folder.name in shelf.table.value
    assert shelf.name.value == folder.name
    assert "no: onnxruntime-genai" in shelf.text
    shelf.remove.click()
    assert shelf.asking.layout.display == "flex"
    assert folder.exists()
    shelf.no.click()
    assert shelf.asking.layout.display == "none"
    assert folder.exists()
    shelf.remove.click()
    shelf.yes.click()
    assert said == [f"{folder.name} is removed."]
    assert not folder.exists()
    shelf.refresh()
    assert "No engine is stored yet" in shelf.table.value
    assert shelf.choice.layout.display == "none"
