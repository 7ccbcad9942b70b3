"""The TensorRT-LLM adapter on a strict stand-in of the library, made from the record of its interface (tests/standin)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import llm_magics
from llm_magics.engines import cache
from llm_magics.engines.tensorrt_llm import failures, runtime
from llm_magics.errors import (
    AccessError,
    BuildError,
    DependencyError,
    EngineError,
    LLMMagicsError,
    MemoryNeededError,
    OptionError,
    TooLongError,
)
from llm_magics.session import Session

from . import standin
from .conftest import CHECKPOINT, ROOT
from .standin.machine import Machine

MODEL = str(CHECKPOINT)
NOTICE = "Velmora Systems was founded in 1987 by Mira Holtan."


@contextlib.contextmanager
def loaded(**options: Any) -> Iterator[Session]:
    with llm_magics.load(MODEL, **options) as session:
        yield session


# Built once, loaded ever after.


def test_it_is_built_once_and_loaded_ever_after(machine: Machine) -> None:
    stages: list[str] = []
    with loaded(quantization="int8", kv_cache_mb=2048, progress=stages.append) as session:
        assert session.engine.info.backend == "tensorrt_llm"
        assert session.engine.info.quantization == "int8"
        first = session.answer("Hello World !").text
    assert first
    (stored,) = cache.listed()
    assert stored.path == cache.root("tensorrt_llm") / "1.2.1" / "checkpoint_int8_engine"
    assert stored.gpu == "NVIDIA H100 80GB HBM3"
    assert any(stage.startswith("Building the engine of checkpoint (int8)") for stage in stages)
    assert any("saving" in stage for stage in stages)
    with loaded(quantization="int8", kv_cache_mb=2048) as session:
        assert session.answer("Hello World !").text == first
    assert len(machine.events("build_end")) == 1
    assert machine.events("build_end")[0]["pid"] != os.getpid()  # a crash of the build is not a crash of the kernel


def test_each_option_goes_where_it_belongs(machine: Machine) -> None:
    options = {
        "quantization": "int4",
        "dtype": "bfloat16",
        "max_input_len": 1024,
        "max_seq_len": 2048,
        "max_batch_size": 3,
        "max_beam_width": 2,
        "tokens_per_block": 64,
        "gemm_plugin": "bfloat16",
        "kv_cache_mb": 512,
        "logprobs": True,
    }
    with loaded(**options) as session:
        assert session.engine.info.max_seq_len == 2048
        assert session.engine.info.max_input_len == 1024
    (started,) = machine.events("build_start")
    build = started["build_config"]
    assert {name: build[name] for name in ("max_input_len", "max_seq_len", "max_batch_size", "max_beam_width")} == {
        name: options[name] for name in ("max_input_len", "max_seq_len", "max_batch_size", "max_beam_width")
    }
    assert build["gather_generation_logits"] is True
    assert build["plugin_config"]["tokens_per_block"] == 64
    assert build["plugin_config"]["gemm_plugin"] == "bfloat16"
    assert started["quant_config"]["quant_algo"] == "W4A16"
    last = machine.events("construct")[-1]["args"]
    assert last["kv_cache_config"]["max_gpu_total_bytes"] == 512 * 2**20
    assert last["kv_cache_config"]["enable_block_reuse"] is True
    assert last["guided_decoding_backend"] == "xgrammar"
    assert last["gather_generation_logits"] is True
    with loaded(**{**options, "kv_cache_mb": 256, "guided": False}):  # how it is loaded is no part of the key
        pass
    assert len(machine.events("build_start")) == 1
    assert machine.events("construct")[-1]["args"].get("guided_decoding_backend") is None


def test_other_options_are_another_engine_and_the_difference_is_said(machine: Machine) -> None:
    with loaded(max_seq_len=1024):
        pass
    stages: list[str] = []
    with loaded(max_seq_len=2048, progress=stages.append):
        pass
    assert any("checkpoint_engine does not do: " in stage and "max_seq_len 1024 (wanted 2048)" in stage for stage in stages)
    assert len(cache.listed()) == 2


def test_the_switch_is_set_before_the_library_is_imported_and_said(machine: Machine) -> None:
    stages: list[str] = []
    with loaded(progress=stages.append):
        pass
    assert any(runtime.SINGLE_PROCESS in stage for stage in stages)
    (here,) = [event for event in machine.events("import") if event["pid"] == os.getpid()]
    assert here["env"][runtime.SINGLE_PROCESS] == "1"
    assert [event["worker"] for event in machine.events("construct") if event["pid"] == os.getpid()] == ["in-process"]


def test_a_switch_of_the_user_stays(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(runtime.SINGLE_PROCESS, "0")
    with loaded() as session:
        assert session.answer("Hello World !").text
    assert [event["worker"] for event in machine.events("construct") if event["pid"] == os.getpid()] == ["process"]


# Engines that users have built by hand.


def by_hand(**build: Any) -> Path:
    return standin.write_engine(cache.root("tensorrt_llm") / "1.2.1" / "checkpoint_int8_engine", quant_algo="W8A16", **build)


def test_an_engine_built_by_hand_is_loaded_as_it_is(machine: Machine) -> None:
    folder = by_hand(max_seq_len=2048, max_input_len=1536)
    before = sorted(path.name for path in folder.iterdir())
    with loaded(quantization="int8") as session:
        assert session.engine.info.max_seq_len == 2048
        assert session.engine.info.max_input_len == 1536
        assert session.extract(NOTICE, {"founded": "(int) the year"}).data == {"founded": 1987}
    assert machine.events("build_start") == []
    assert [name for name in sorted(path.name for path in folder.iterdir()) if not name.startswith(".")] == before
    with loaded(quantization="int8", max_seq_len=1024, max_batch_size=8):  # more room than was asked for does
        pass
    assert machine.events("build_start") == []


def test_one_that_does_not_do_stays_and_another_is_built(machine: Machine) -> None:
    folder = by_hand(max_seq_len=1024)
    stages: list[str] = []
    with loaded(quantization="int8", max_seq_len=2048, progress=stages.append) as session:
        assert session.engine.info.max_seq_len == 2048
    assert any("max_seq_len 1024 (wanted 2048)" in stage for stage in stages)
    assert folder.is_dir()
    assert len(cache.listed()) == 2


def test_an_engine_folder_by_its_path(machine: Machine) -> None:
    folder = by_hand()
    with pytest.raises(LLMMagicsError, match="no tokenizer"):
        llm_magics.load(str(folder))
    (folder / "tokenizer.json").write_bytes((CHECKPOINT / "tokenizer.json").read_bytes())
    (folder / "tokenizer_config.json").write_bytes((CHECKPOINT / "tokenizer_config.json").read_bytes())
    (folder / "chat_template.jinja").write_bytes((CHECKPOINT / "chat_template.jinja").read_bytes())
    with llm_magics.load(str(folder)) as session:
        assert session.engine.info.backend == "tensorrt_llm"


# What cannot be loaded is said before the library is asked.


def test_another_version_of_the_library(machine: Machine) -> None:
    with loaded():
        pass
    machine.has("1.2.0")
    stages: list[str] = []
    with loaded(progress=stages.append):
        pass
    assert any("version 1.2.1 (wanted 1.2.0)" in stage for stage in stages)
    old = next(stored for stored in cache.listed() if stored.version == "1.2.1")
    (old.path / "tokenizer.json").write_bytes((CHECKPOINT / "tokenizer.json").read_bytes())
    with pytest.raises(EngineError, match=r"was built by TensorRT-LLM 1\.2\.1; 1\.2\.0 is installed"):
        llm_magics.load(str(standin.write_engine(old.path.parent / "other_engine", version="1.2.1")))


def test_another_gpu(machine: Machine) -> None:
    with loaded():
        pass
    machine.gpu("NVIDIA A100-SXM4-80GB, 8.0, 580.159.04, 81559, 80000")
    stages: list[str] = []
    with loaded(progress=stages.append):
        pass
    assert any("gpu NVIDIA H100 80GB HBM3 (wanted NVIDIA A100-SXM4-80GB)" in stage for stage in stages)
    assert len(cache.listed()) == 2


def test_another_number_of_gpus(machine: Machine) -> None:
    folder = standin.write_engine(cache.root("tensorrt_llm") / "1.2.1" / "mine_engine", tp_size=2)
    with pytest.raises(OptionError, match="was built for 2 GPU"):
        llm_magics.load(str(folder), tensor_parallel=1)
    with pytest.raises(LLMMagicsError, match="--tensor-parallel 2 needs as many GPUs; 1 can be seen"):
        llm_magics.load(MODEL, tensor_parallel=2)


def test_a_damaged_engine_is_set_aside_and_built_again(machine: Machine) -> None:
    with loaded():
        pass
    (stored,) = cache.listed()
    engine = stored.path / "rank0.engine"
    engine.write_bytes(engine.read_bytes()[:100])
    stages: list[str] = []
    with loaded(progress=stages.append) as session:
        assert session.answer("Hello World !").text
    assert any("rank0.engine" in stage for stage in stages)
    assert len(machine.events("build_end")) == 2


def test_too_little_gpu_memory_is_refused_with_the_numbers_before_anything(machine: Machine) -> None:
    machine.gpu(free=500)
    with pytest.raises(MemoryNeededError, match=r"checkpoint does not fit\. It needs .* NVIDIA H100 80GB HBM3 has 0\.49 GiB free"):
        llm_magics.load(MODEL)
    assert machine.events() == []


def test_without_a_gpu(machine: Machine) -> None:
    (machine.folder / "bin" / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    by_hand()
    with pytest.raises(DependencyError, match="No GPU can be seen"):
        llm_magics.load(MODEL, engine="tensorrt_llm", quantization="int8")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quantization": "int3"}, "Unknown quantization 'int3'"),
        ({"dtype": "float8"}, "Unknown dtype"),
        ({"gemm_plugin": "fast"}, "Unknown gemm plugin"),
        ({"max_seq_len": 10**6}, "over the model's limit of 4096"),
        ({"max_seq_len": 100, "max_input_len": 200}, "counts prompt and output together"),
        ({"tokens_per_block": 48}, "power of two"),
        ({"max_batch_size": -1}, "Expected 1 or more"),
    ],
)
def test_options_that_cannot_be(machine: Machine, options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        llm_magics.load(MODEL, **options)
    assert machine.events() == []


def test_what_the_gpu_cannot(machine: Machine) -> None:
    machine.gpu("Tesla T4, 7.5, 550.0, 15360, 15000")
    with pytest.raises(OptionError, match="has no fp8"):
        llm_magics.load(MODEL, quantization="fp8")
    with pytest.raises(OptionError, match="has no bfloat16"):
        llm_magics.load(MODEL, dtype="bfloat16")


# The plan.


def test_a_dry_run_needs_neither_gpu_nor_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    made = llm_magics.plan(
        MODEL, engine="tensorrt_llm", quantization="int8", dtype="float16", max_batch_size=8, max_seq_len=4096, max_input_len=2048
    )
    convert, build = (command.replace("\\\n", " ").split() for command in made.commands)
    place = cache.root("tensorrt_llm") / "1.2.1" / "checkpoint_int8"
    assert convert[:2] == ["python", "convert_checkpoint.py"]
    assert dict(pairs(convert[2:])) == {
        "--model_dir": MODEL,
        "--output_dir": f"{place}_checkpoint",
        "--dtype": "float16",
        "--use_weight_only": "",
        "--weight_only_precision": "int8",
    }
    assert build[0] == "trtllm-build"
    assert dict(pairs(build[1:])) == {
        "--checkpoint_dir": f"{place}_checkpoint",
        "--output_dir": f"{place}_engine",
        "--max_batch_size": "8",
        "--max_beam_width": "1",
        "--tokens_per_block": "32",
        "--max_seq_len": "4096",
        "--max_input_len": "2048",
        "--max_num_tokens": "8192",
        "--gemm_plugin": "auto",
    }
    assert "planned for TensorRT-LLM 1.2.1" in str(made)
    assert "no GPU seen here" in str(made)
    assert made.key in str(made)


def pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    for at, word in enumerate(words):
        if word.startswith("--"):
            following = words[at + 1] if at + 1 < len(words) else "--"
            yield word, "" if following.startswith("--") else following


def test_the_plan_names_the_engine_that_load_makes(machine: Machine) -> None:
    made = llm_magics.plan(MODEL, quantization="int8")
    assert "not there yet" in str(made)
    with loaded(quantization="int8"):
        pass
    (stored,) = cache.listed()
    assert stored.key is not None
    assert stored.key.digest == made.key
    assert "not there yet" not in str(llm_magics.plan(MODEL, quantization="int8"))
    assert machine.events("build_end")


# Failures.


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("libmpi", DependencyError, "OpenMPI is not installed"),
        ("undefined_symbol", DependencyError, "built for another torch"),
        ("stub_only", DependencyError, "Only a part of TensorRT-LLM is installed"),
        ("no_driver", DependencyError, "No GPU can be used"),
    ],
)
@pytest.mark.parametrize("where", ["build", "load"])
def test_an_import_that_fails(machine: Machine, name: str, error: type[LLMMagicsError], said: str, where: str) -> None:
    if where == "load":
        by_hand()
    machine.says(**{"import": {"fail": name}})
    told(error, said, quantization="int8")


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("deserialize", EngineError, "another version of TensorRT-LLM, or on another GPU"),
        ("mpi_size", OptionError, "another number of GPUs"),
        ("cuda_oom", MemoryNeededError, "memory is not enough"),
        ("cuda_oom_runtime", MemoryNeededError, "memory is not enough"),
        ("worker_died", EngineError, "worker process died"),
    ],
)
def test_a_load_that_fails(machine: Machine, name: str, error: type[LLMMagicsError], said: str) -> None:
    by_hand()
    machine.says(load={"fail": name})
    told(error, said, quantization="int8")


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("cuda_oom", MemoryNeededError, "memory is not enough"),
        ("disk_full", BuildError, "disk"),
        ("killed", BuildError, "ended by the system"),
        ({"type": "ValueError", "message": "_TrtLLM got invalid argument: fast_path"}, OptionError, "does not know one of the options"),
        ({"type": "RuntimeError", "message": "quite new"}, EngineError, "quite new"),
    ],
)
def test_a_build_that_fails_leaves_nothing(machine: Machine, name: Any, error: type[LLMMagicsError], said: str) -> None:
    machine.says(build={"fail": name})
    told(error, said)
    left = [path for path in cache.root("tensorrt_llm").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []
    machine.says()
    with loaded() as session:  # and it works again
        assert session.answer("Hello World !").text


def told(error: type[LLMMagicsError], said: str, **options: Any) -> None:
    """Two calm lines of that class, and no page of foreign text."""
    with pytest.raises(error, match=said) as caught:
        llm_magics.load(MODEL, **options)
    assert caught.value.hint
    assert max(len(line) for line in str(caught.value).splitlines()) < 400
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("OSError: 403 Client Error. Cannot access gated repo for url", AccessError),
        ("RuntimeError: LLM is shutting down", EngineError),
        ("RuntimeError: Prompt length (9000) exceeds max_input_len (4096)", TooLongError),
        ("RuntimeError: world_size (4) is greater than the number of visible GPUs", OptionError),
        ("pydantic_core.ValidationError: 1 validation error for TrtLlmArgs", OptionError),
    ],
)
def test_foreign_texts_find_their_sentence(text: str, error: type[LLMMagicsError]) -> None:
    assert type(failures.explained(RuntimeError(text), "loading it")) is error


def test_the_cause_behind_a_worker_is_found() -> None:
    outer = RuntimeError("Executor worker returned error")
    outer.__cause__ = RuntimeError("CUDA error: out of memory")
    assert isinstance(failures.explained(outer, "loading it"), MemoryNeededError)


def test_a_start_that_hangs_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand()
    monkeypatch.setattr(runtime, "_STUCK_S", 0.2)
    machine.says(load={"hang_s": 1.0})
    stages: list[str] = []
    with contextlib.suppress(LLMMagicsError), loaded(quantization="int8", progress=stages.append):
        pass
    assert any("MPI may be stuck" in stage for stage in stages)


# Builds that are interrupted.


def test_an_interrupt_ends_the_build_and_leaves_nothing(machine: Machine) -> None:
    machine.says(build={"seconds": 30, "steps": 30})

    def progress(stage: str) -> None:
        if machine.events("build_step"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        llm_magics.load(MODEL, progress=progress)
    builder = machine.events("build_start")[0]["pid"]
    assert not running(builder)
    assert cache.listed() == []


def test_the_build_ends_with_its_kernel(machine: Machine) -> None:
    machine.says(build={"seconds": 60, "steps": 60})
    code = f"import llm_magics; llm_magics.load({MODEL!r})"
    kernel = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        waited(lambda: machine.events("build_step"))
        kernel.send_signal(signal.SIGKILL)
        kernel.wait()
        waited(lambda: not running(machine.events("build_start")[0]["pid"]))
    finally:
        kernel.kill()
        kernel.wait()
    machine.says()
    with loaded() as session:
        assert session.answer("Hello World !").text
    assert [path.name for path in cache.root("tensorrt_llm").rglob(".*engine*-*") if path.is_dir()] == []


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def waited(condition: Any, limit: float = 40.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# Requests.


def chunks(session: Session, text: str = NOTICE, **options: Any) -> list[str]:
    return list(session.stream("answer", text, {}, options))


def test_it_streams_and_counts(machine: Machine) -> None:
    machine.says(replies=["one two three four five"], generate={"token_s": 0.01})
    with loaded() as session:
        stream = session.stream("answer", NOTICE, {}, {})
        pieces = list(stream)
        assert len(pieces) > 2
        assert "".join(pieces) == "one two three four five"
        assert stream.generation is not None
        assert stream.generation.finish_reason == "stop"
        assert stream.generation.output_tokens > 4
        assert stream.generation.timing.cached_tokens is not None
        measured = stream.generation.timing.measured
        assert measured is not None
        assert 0 <= measured.queue_s <= measured.first_token_s <= measured.last_token_s <= stream.generation.timing.total_s
        assert "by the runtime's clock" in repr(stream.generation)


def test_sampling_in_the_words_of_the_library(machine: Machine) -> None:
    with loaded() as session:
        session.answer(NOTICE, max_new_tokens=7)
        session.answer(NOTICE, max_new_tokens=7, temperature=0.7, seed=5, stop=["END"])
        session.answer(NOTICE, max_new_tokens=7, temperature=0.7, top_p=0.9, top_k=40, seed=5)
    greedy, warm, narrow = (event["sampling"] for event in machine.events("submit"))
    assert (greedy["max_tokens"], greedy["top_k"], greedy.get("temperature")) == (7, 1, None)
    assert (warm["temperature"], warm["top_p"], warm.get("top_k", 0), warm["seed"], warm["stop"]) == (0.7, 1.0, 0, 5, ["END"])
    assert (narrow["top_p"], narrow["top_k"]) == (0.9, 40)
    assert greedy["stop_token_ids"] == [4]  # <|eot_id|>, by the checkpoint's generation_config.json


def test_extraction_is_guided(machine: Machine) -> None:
    with loaded() as session:
        made = session.extract(NOTICE, {"founder": "who founded it", "founded": "(int) the year"})
        assert made.data == {"founder": "Mira Holtan", "founded": 1987}
        assert session.classify("Everybody was delighted.", ["praise", "complaint"]).text in ("praise", "complaint")
    json_guide, choice_guide = (event["sampling"]["guided_decoding"] for event in machine.events("submit"))
    assert json.loads(json_guide["json"])["required"] == ["founder", "founded"]
    assert choice_guide["grammar"].startswith("root ::= ")


def test_without_guiding_extraction_still_answers(machine: Machine) -> None:
    machine.says(replies=['{"founded": 1987}'])
    with loaded(guided=False) as session:
        assert session.extract(NOTICE, {"founded": "(int) the year"}).data == {"founded": 1987}
    (submitted,) = machine.events("submit")
    assert submitted["sampling"].get("guided_decoding") is None


def test_stopping_frees_the_slot(machine: Machine) -> None:
    machine.says(replies=["word " * 400], generate={"token_s": 0.01})
    with loaded() as session:
        stream = session.stream("answer", NOTICE, {}, {})
        threading.Timer(0.3, stream.cancel.set).start()
        started = time.perf_counter()
        list(stream)
        assert time.perf_counter() - started < 3
        assert stream.generation is not None
        assert stream.generation.finish_reason == "interrupted"
        assert stream.generation.text.startswith("word")
        assert machine.events("abort")
        waited(lambda: session.engine._llm._standin_busy_slots() == 0)
        machine.says(replies=["again"])
        assert session.answer(NOTICE).text == "again"


def test_a_run_that_waits_for_its_first_token_can_be_stopped(machine: Machine) -> None:
    machine.says(replies=["late"], generate={"token_s": 0.0, "stall_after": 0})
    with loaded() as session:
        stream = session.stream("answer", NOTICE, {}, {})
        threading.Timer(0.2, stream.cancel.set).start()
        started = time.perf_counter()
        list(stream)
        assert time.perf_counter() - started < 3
        waited(lambda: session.engine._llm._standin_busy_slots() == 0)


def test_a_stop_string_is_never_shown_and_its_slot_is_freed(machine: Machine) -> None:
    machine.says(replies=["one two STOPPED three four"], generate={"token_s": 0.005})
    with loaded() as session:
        stream = session.stream("answer", NOTICE, {}, {"stop": ["STOPPED"]})
        shown = "".join(stream)
        assert shown == "one two "
        assert stream.generation is not None
        assert stream.generation.finish_reason == "stop"
        waited(lambda: session.engine._llm._standin_busy_slots() == 0)
    assert machine.events("abort")


def test_a_stop_string_where_the_tokenizer_knows_no_end(machine: Machine) -> None:
    machine.says(replies=["one two STOPPED three four"])
    with loaded() as session:
        session.engine.tokenizer.eos_token = None
        assert session.answer(NOTICE, stop=["STOPPED"]).text == "one two "
    (submitted,) = machine.events("submit")
    assert submitted["sampling"]["end_id"] == 4
    assert submitted["sampling"].get("stop") is None


def test_log_probabilities_where_the_engine_was_built_for_them(machine: Machine) -> None:
    from llm_magics.records import Message, Prompt, Sampling

    def told(session: Session) -> list[Any]:
        prompt = Prompt(session.engine.render([Message("user", NOTICE)]), Sampling(max_new_tokens=4), logprobs=2)
        return [entry for chunk in session.engine.stream(prompt) for entry in chunk.logprobs]

    with loaded(logprobs=True) as session:
        entries = told(session)
        assert entries
        assert all(entry.logprob <= 0 for entry in entries)
    with loaded() as session:
        assert told(session) == []


def test_a_reply_longer_than_the_engine(machine: Machine) -> None:
    with loaded(max_seq_len=256) as session, pytest.raises(TooLongError):
        session.answer("word " * 400)


def test_a_request_that_fails_says_so_and_the_engine_works_on(machine: Machine) -> None:
    with loaded() as session:
        machine.says(replies=[{"text": "one two three", "fail": "too_long", "fail_after": 0}])
        with pytest.raises(TooLongError, match="longer than this engine takes"):
            session.answer(NOTICE)
        machine.says(replies=["fine"])
        assert session.answer(NOTICE).text == "fine"


def test_a_cell_runs_inside_a_live_event_loop(machine: Machine) -> None:
    """As in a kernel: no blocked loop, no warning, no mixing of the two ways of reading a result."""
    with loaded() as session:

        async def cell() -> str:
            await asyncio.sleep(0)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                first = session.answer("Hello World !").text
            await asyncio.sleep(0)
            return first + session.answer("Hello World !").text

        assert asyncio.run(cell())


def test_a_generation_does_not_keep_the_engine_alive(machine: Machine) -> None:
    session = llm_magics.load(MODEL)
    generation = session.answer("Hello World !")
    alive = weakref.ref(session.engine._llm)
    session.close()
    session.close()  # may be called twice
    with pytest.raises(EngineError, match="is closed"):
        session.answer("Hello World !")
    del session
    gc.collect()
    assert alive() is None
    assert generation.text
    assert len(machine.events("shutdown")) >= 2  # the builder's, and ours


# Releases.


@pytest.mark.parametrize("version", ["0.17.0", "0.21.0"])
def test_an_old_release_is_refused_with_the_range(bare: Machine, version: str) -> None:
    bare.has(version)
    with pytest.raises(DependencyError, match=r"older than what is supported: 1\.0 to 1\.3"):
        llm_magics.load(MODEL, engine="tensorrt_llm")


def test_a_newer_one_is_tried_with_a_warning(bare: Machine) -> None:
    bare.has("1.9.0")
    stages: list[str] = []
    with loaded(progress=stages.append) as session:
        assert session.answer("Hello World !").text
    assert any("newer than 1.3" in stage for stage in stages)


def test_the_stub_is_told_from_the_library(bare: Machine) -> None:
    bare.has()
    import shutil

    shutil.rmtree(bare.site / "tensorrt_llm")
    with pytest.raises(DependencyError, match="only the stub"):
        llm_magics.load(MODEL, engine="tensorrt_llm")


def test_without_the_library_auto_takes_another_engine(bare: Machine) -> None:
    assert "onnxruntime-genai" in llm_magics.plan(MODEL).title
    with pytest.raises(DependencyError, match="which is not installed"):
        llm_magics.load(MODEL, engine="tensorrt_llm")


# After the removal of the TensorRT backend.


@pytest.fixture
def later(bare: Machine) -> Machine:
    bare.has("1.3.0", "pytorch")
    return bare


def test_a_checkpoint_is_prepared_in_place_of_an_engine(later: Machine) -> None:
    stages: list[str] = []
    options = {"max_seq_len": 2048, "max_batch_size": 4, "kv_cache_mb": 64, "tokens_per_block": 64}
    with loaded(progress=stages.append, **options) as session:
        assert session.extract(NOTICE, {"founded": "(int) the year"}).data == {"founded": 1987}
        assert session.engine.info.max_seq_len == 2048
    assert any("has no engines" in stage for stage in stages)
    (construct,) = later.events("construct")
    assert construct["args"]["model"] == MODEL
    assert construct["args"]["max_seq_len"] == 2048
    assert construct["args"]["kv_cache_config"]["tokens_per_block"] == 64
    with loaded(**options):
        pass
    assert len(cache.listed()) == 1


@pytest.mark.parametrize("options", [{"quantization": "int8"}, {"quantization": "fp8"}, {"max_beam_width": 4}, {"gemm_plugin": "auto"}])
def test_what_cannot_be_had_any_more_is_said_before_anything_runs(later: Machine, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=r"install TensorRT-LLM 1\.2\.1"):
        llm_magics.load(MODEL, **options)
    assert later.events() == []


def test_a_checkpoint_that_is_quantized_already_is_taken(later: Machine, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "quantized-FP8"
    shutil.copytree(CHECKPOINT, folder)
    (folder / "hf_quant_config.json").write_text(json.dumps({"quantization": {"quant_algo": "FP8"}}))
    with llm_magics.load(str(folder), quantization="fp8") as session:
        assert session.engine.info.quantization == "fp8"


def test_an_engine_of_before_is_refused_with_a_way_out(later: Machine) -> None:
    folder = standin.write_engine(cache.root("tensorrt_llm") / "1.3.0" / "old_engine", version="1.3.0")
    with pytest.raises(EngineError, match="has no TensorRT backend any more"):
        llm_magics.load(str(folder))
