"""The stand-in for tensorrt_llm refuses what the record says, and behaves as the record says."""

from __future__ import annotations

import asyncio
import errno
import importlib
import importlib.metadata
import inspect
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from . import standin
from .conftest import CHECKPOINT, ROOT

RECORD: dict[str, Any] = json.loads(standin.RECORD.read_text(encoding="utf-8"))
CLASSES: dict[str, Any] = RECORD["classes"]
LONG = "one two three four five six seven eight nine ten " * 4


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sites")
    return {
        "engine": standin.install(folder / "engine"),
        "pytorch": standin.install(folder / "pytorch", version="1.3.0", era="pytorch"),
    }


@pytest.fixture(params=["engine", "pytorch"])
def era(request: pytest.FixtureRequest, sites: dict[str, Path]) -> Iterator[str]:
    with standin.imported(sites[request.param]):
        yield request.param


@pytest.fixture
def trt(sites: dict[str, Path]) -> Iterator[ModuleType]:
    """The engine era, imported afresh."""
    with standin.imported(sites["engine"]) as module:
        yield module


@pytest.fixture
def torch_era(sites: dict[str, Path]) -> Iterator[ModuleType]:
    with standin.imported(sites["pytorch"]) as module:
        yield module


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes the scenario."""
    path = tmp_path / "scenario.json"
    monkeypatch.setenv("LLM_MAGICS_STANDIN", str(path))

    def write(**keys: Any) -> None:
        path.write_text(json.dumps({"build": {"seconds": 0}} | keys))

    write()
    return write


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "log.jsonl"
    monkeypatch.setenv("LLM_MAGICS_STANDIN_LOG", str(path))
    return path


@pytest.fixture
def make(trt: ModuleType, scenario: Callable[..., None]) -> Iterator[Callable[..., Any]]:
    """Makes engine LLMs of the demo's checkpoint, and shuts them down at the end."""
    made = []

    def build(model: Any = CHECKPOINT, **options: Any) -> Any:
        made.append(engine_class()(model, **options))
        return made[-1]

    yield build
    for llm in made:
        llm.shutdown()


def engine_class() -> Any:
    return importlib.import_module("tensorrt_llm._tensorrt_engine").LLM


def found(path: str) -> Any:
    """What an import path names: a class, or a class in a class."""
    module, _, name = path.rpartition(".")
    holder = found(module) if module.endswith("AsyncQueue") else importlib.import_module(module)
    return getattr(holder, name)


def class_of(name: str) -> Any:
    return found(CLASSES[name]["import_paths"][0])


def described(kinds: tuple[str, ...], era: str) -> list[str]:
    return [name for name, spec in CLASSES.items() if kind_of(name, era) in kinds and era in spec["eras"]]


def kind_of(name: str, era: str) -> str:
    spec = CLASSES[name]
    return str(spec.get(f"kind_{era}", spec["kind"]))


# The record


def test_record_is_of_the_documented_release() -> None:
    assert RECORD["made_from"]["version"] == "1.2.1"


def test_every_import_path_of_the_era_and_no_other(era: str) -> None:
    for spec in [*CLASSES.values(), *RECORD["llm"].values()]:
        for path in spec["import_paths"]:
            if era in spec["eras"]:
                assert found(path) is found(spec["import_paths"][0])
            else:
                with pytest.raises((ImportError, AttributeError)):
                    found(path)


def test_versions_are_read_without_an_import(sites: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for era, version in (("engine", "1.2.1"), ("pytorch", "1.3.0")):
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(sites[era]))
            assert importlib.metadata.version("tensorrt_llm") == importlib.metadata.version("tensorrt-llm") == version
            names = {found.metadata["Name"] for found in importlib.metadata.distributions(path=[str(sites[era])])}
            assert names == ({"tensorrt_llm", "tensorrt"} if era == "engine" else {"tensorrt_llm"})
            assert "tensorrt_llm" not in sys.modules


def test_signatures_are_those_of_the_record(era: str) -> None:
    for name in described(("model", "slots", "dataclass", "plain"), era):
        entries = CLASSES[name]["parameters"]
        parameters = inspect.signature(class_of(name)).parameters
        assert list(parameters) == [entry["name"] for entry in entries], name
        keyword_only = kind_of(name, era) == "model" or all(entry["keyword_only"] for entry in entries)
        for entry in entries:
            assert (parameters[entry["name"]].kind is inspect.Parameter.KEYWORD_ONLY) == keyword_only
            assert (parameters[entry["name"]].default is inspect.Parameter.empty) == bool(entry.get("required"))
            if "default" in entry and not keyword_only:
                assert parameters[entry["name"]].default == entry["default"]


def test_defaults_are_those_of_the_record(era: str) -> None:
    for name in described(("model", "slots", "dataclass"), era):
        if any(entry.get("required") for entry in CLASSES[name]["parameters"]):
            continue
        made = class_of(name)()
        for entry in CLASSES[name]["parameters"]:
            value = getattr(made, entry["name"])
            if (name, entry["name"]) == ("SamplingParams", "best_of"):
                assert value == 1
            elif "default_factory" in entry or entry.get("default") == "auto":
                continue
            elif "default_enum" in entry:
                assert value.name == entry["default_enum"][1]
            else:
                assert value == entry["default"], (name, entry["name"])


def test_methods_are_those_of_the_record(era: str) -> None:
    backends = [RECORD["llm"][name] for name in RECORD["llm"] if era in RECORD["llm"][name]["eras"]]
    for backend in backends:
        cls = found(backend["import_paths"][0])
        assert cls.__name__ == backend["name"]
        assert names_of(cls.__init__) == [*(entry["name"] for entry in backend["constructor"]), "kwargs"]
        for method, spec in RECORD["methods"].items():
            if not isinstance(spec, dict):
                continue
            assert hasattr(cls, method) == ("on" not in spec or backend["name"] == "_TrtLLM"), method
            if hasattr(cls, method):
                assert names_of(getattr(cls, method)) == [entry["name"] for entry in spec["params"]], method
                defaults = [value.default for value in list(inspect.signature(getattr(cls, method)).parameters.values())[1:]]
                assert defaults == [entry.get("default", inspect.Parameter.empty) for entry in spec["params"]], method


def names_of(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)[1:]


def test_results_have_what_the_record_says(make: Callable[..., Any], scenario: Callable[..., None]) -> None:
    scenario(replies=["one"])
    result = make().generate("hi", sampling())
    said = RECORD["results"]["RequestOutput"]
    for entry in [*said["properties"], *said["attributes"]]:
        assert hasattr(result, entry["name"]), entry["name"]
    for entry in said["methods"]:
        for name in entry["name"].split("/"):
            assert callable(getattr(result, name)), name
    for name in CLASSES["CompletionOutput"]["properties"]:
        assert hasattr(result.outputs[0], name)
    with pytest.raises(RuntimeError):
        type(result)()


# What is refused when classes are made


def test_unknown_names_are_refused(era: str) -> None:
    for name in described(("model", "slots", "dataclass", "plain"), era):
        required = {entry["name"]: "x" for entry in CLASSES[name]["parameters"] if entry.get("required")}
        with pytest.raises(ValueError if kind_of(name, era) == "model" else TypeError, match="no_such_name"):
            class_of(name)(**required, no_such_name=1)


def test_literals_take_their_values_and_no_other(era: str) -> None:
    seen = 0
    for name in described(("model",), era):
        base = {"model": "x"} if name.endswith("Args") else {}
        for entry in CLASSES[name]["parameters"]:
            if "Literal[" not in entry["type"]:
                continue
            for value in entry["type"].split("Literal[")[1].split("]")[0].replace("'", "").split(","):
                class_of(name)(**base, **{entry["name"]: value})
            with pytest.raises(ValueError, match=entry["name"]):
                class_of(name)(**base, **{entry["name"]: "no such value"})
            seen += 1
    assert seen >= 5


WRONG = {"int": "many", "bool": "perhaps", "float": "much", "str": 3, "List[int]": 3, "dict": 3, "Dict[str,str]": {"a": 1}}


def test_wrong_types_are_refused(era: str) -> None:
    seen = 0
    for name in described(("model",), era):
        base = {"model": "x"} if name.endswith("Args") else {}
        for entry in CLASSES[name]["parameters"]:
            plain = entry["type"].removeprefix("Optional[").removesuffix("]") if entry["type"].startswith("Optional") else entry["type"]
            plain = plain + "]" if plain.count("[") > plain.count("]") else plain
            if plain not in WRONG or entry["name"] == "model":
                continue
            with pytest.raises(ValueError, match=entry["name"]):
                class_of(name)(**{**base, entry["name"]: WRONG[plain]})
            if not entry["type"].startswith("Optional"):
                with pytest.raises(ValueError, match=entry["name"]):
                    class_of(name)(**{**base, entry["name"]: None})
            seen += 1
    assert seen > 50


@pytest.mark.parametrize("fraction", [-0.1, 1.1, None])
def test_memory_fraction_has_limits(trt: ModuleType, fraction: float | None) -> None:
    with pytest.raises(ValueError if fraction is not None else TypeError):
        trt.llmapi.KvCacheConfig(free_gpu_memory_fraction=fraction)


def test_plugin_switches(trt: ModuleType) -> None:
    plugin = importlib.import_module("tensorrt_llm.plugin").PluginConfig(
        gemm_plugin="auto", context_fmha="disable", paged_kv_cache="enable"
    )
    assert (plugin.gemm_plugin, plugin.context_fmha, plugin.paged_kv_cache) == ("float16", False, True)
    with pytest.raises(ValueError, match="tokens_per_block"):
        plugin.tokens_per_block = "many"


@pytest.mark.parametrize(
    "wrong",
    [
        {"top_p": 1.1},
        {"top_p": -0.1},
        {"top_k": -1},
        {"temperature": -1.0},
        {"n": 2, "best_of": 1},
        {"truncate_prompt_tokens": 0},
        {"n": 2},
    ],
)
def test_sampling_is_checked_when_made(trt: ModuleType, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"best_of|require|truncate"):
        trt.SamplingParams(**wrong)


def test_sampling_has_slots_and_one_guide(trt: ModuleType) -> None:
    params = sampling()
    with pytest.raises(AttributeError):
        params.max_new_tokens = 3
    guides = trt.llmapi.GuidedDecodingParams(json={"type": "object"}, regex="a")
    with pytest.raises(ValueError, match="one guide"):
        trt.SamplingParams(guided_decoding=guides)


@pytest.mark.parametrize("name", RECORD["llm"]["pytorch"]["refused"])
def test_the_pytorch_class_refuses_engine_arguments(trt: ModuleType, name: str) -> None:
    with pytest.raises(ValueError, match=rf"(?s){name}.*_tensorrt_engine"):
        trt.LLM(CHECKPOINT, **{name: None})


def test_unknown_arguments_of_llm_name_the_class(trt: ModuleType, make: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="_TrtLLM got invalid argument: kv_cache_mb"):
        make(kv_cache_mb=3)
    with pytest.raises(ValueError, match=r"^LLM got invalid argument: kv_cache_mb"):
        trt.LLM(CHECKPOINT, kv_cache_mb=3)
    with pytest.raises(ValueError, match="mpi_session"):
        make(mpi_session=object())
    with pytest.raises(AssertionError):
        trt.LLM(CHECKPOINT, backend="tensorrt")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"guided_decoding_backend": "llguidance"}, "Unsupported guided decoding backend"),
        ({"guided_decoding_backend": "outlines"}, "guided_decoding_backend"),
        ({"enable_build_cache": "yes please"}, "enable_build_cache"),
        ({"tensor_parallel_size": "two"}, "tensor_parallel_size"),
        ({"kv_cache_config": {"dtype": "fp8"}}, "dtype"),
        ({"build_config": {"max_input_length": 3}}, "max_input_length"),
    ],
)
def test_the_engine_class_refuses(make: Callable[..., Any], wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**wrong)


def test_unknown_quantization_is_refused_at_the_build(trt: ModuleType, make: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="W3A16"):
        make(quant_config=trt.llmapi.QuantConfig(quant_algo="W3A16"))


# What is refused at request time: every line of the record's table has its test


def sampling(**options: Any) -> Any:
    return importlib.import_module("tensorrt_llm").SamplingParams(**options)


def too_long(make: Callable[..., Any]) -> None:
    make(build_config={"max_seq_len": 64}).generate("hi", sampling(max_tokens=64))


def too_many(make: Callable[..., Any]) -> None:
    make(max_batch_size=1).generate("hi", sampling(n=2, temperature=1.0))


def unprepared_logprobs(make: Callable[..., Any]) -> None:
    make().generate("hi", sampling(logprobs=1))


def long_prompt(make: Callable[..., Any]) -> None:
    llm = importlib.import_module("tensorrt_llm").LLM(CHECKPOINT, max_num_tokens=8)
    try:
        llm.generate(LONG)
    finally:
        llm.shutdown()


def after_shutdown(make: Callable[..., Any]) -> None:
    llm = make()
    llm.shutdown()
    llm.shutdown()
    llm.generate("hi")


def wrong_inputs(make: Callable[..., Any]) -> None:
    llm = make()
    with pytest.raises(TypeError, match="sampling_params"):
        llm.generate("hi", {"max_tokens": 3})
    llm.generate(("hi", "there"))


def no_tokenizer(make: Callable[..., Any]) -> None:
    make(skip_tokenizer_init=True).generate([5, 6, 7])


def no_gpus(make: Callable[..., Any]) -> None:
    make(tensor_parallel_size=2)


AT_REQUEST = {
    ("engine", "ValueError", "prompt + query + max_tokens exceeds the engine's max_seq_len (unless chunked prefill)"): too_long,
    ("engine", "ValueError", "n or best_of above max_beam_width with beam search, or above max_batch_size otherwise"): too_many,
    (
        "engine",
        "ValueError",
        "prompt_logprobs without gather_context_logits, or logprobs without gather_generation_logits",
    ): unprepared_logprobs,
    ("pytorch", "RequestError", "prompt exceeds max_num_tokens without chunked prefill"): long_prompt,
    ("both", "RuntimeError", "LLM already shut down"): after_shutdown,
    ("both", "TypeError", "inputs or sampling_params of a wrong type"): wrong_inputs,
    ("both", "ValueError", "no tokenizer and no end_id"): no_tokenizer,
    ("both", "RuntimeError", "fewer visible GPUs than the world size (constructor)"): no_gpus,
}


@pytest.mark.parametrize("entry", RECORD["errors_at_request_time"], ids=lambda entry: entry["when"][:30])
def test_request_errors_of_the_record(make: Callable[..., Any], entry: dict[str, str]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the kind is the record's
        AT_REQUEST[entry["backend"], entry["type"], entry["when"]](make)
    assert type(caught.value).__name__ == entry["type"]


def test_more_request_errors(trt: ModuleType, make: Callable[..., Any]) -> None:
    error = trt.llmapi.RequestError
    llm = make(build_config={"max_seq_len": 64, "max_beam_width": 2}, enable_chunked_prefill=True)
    with pytest.raises(error, match="maximum input length"):
        llm.generate(LONG)
    with pytest.raises(error, match="guided"):
        llm.generate("hi", sampling(guided_decoding=trt.llmapi.GuidedDecodingParams(json_object=True)))
    with pytest.raises(ValueError, match="max_beam_width"):
        llm.generate("hi", sampling(use_beam_search=True, n=3))
    with pytest.raises(TypeError, match="max_tokens"):
        llm.generate("hi", sampling(max_tokens=3.0))
    with pytest.raises(TypeError, match="list of logits"):
        llm.generate("hi", sampling(logits_processor=[print]))
    with pytest.raises(RuntimeError, match="not processed by tokenizer"):
        llm.generate("hi", sampling(end_id=4, stop="x"))
    with pytest.raises(TypeError, match="seed"):
        llm.generate("hi", sampling(seed=-1))


# Answers


def chat(llm: Any, text: str) -> str:
    turns = [{"role": "user", "content": text}]
    return str(llm.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


NOTICE = """Velmora Systems was founded in 1987 by Mira Holtan. The company is run from Lyon.
More details will follow next week. Velmora Systems has 240 employees. The company belongs to the energy sector."""
QUESTION = "Translate to French: The weather is fine today."


def test_the_demo_model_answers(make: Callable[..., Any]) -> None:
    from llm_magics import prompts

    llm = make(guided_decoding_backend="xgrammar", gather_generation_logits=True)
    turns = [
        {"role": "system", "content": prompts.source("en", "system")},
        {"role": "user", "content": f"{NOTICE}\n\nWho founded the company?"},
    ]
    prompt = str(llm.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    parts = [
        (part.outputs[0].text_diff, list(part.outputs[0].token_ids_diff), part.outputs[0].logprobs_diff)
        for part in llm.generate_async(prompt, sampling(max_tokens=40, logprobs=2), streaming=True)
    ]
    whole = llm.generate(prompt, sampling(max_tokens=40))
    text = "".join(part[0] for part in parts)
    assert text == whole.outputs[0].text
    assert [token for part in parts for token in part[1]] == whole.outputs[0].token_ids
    assert whole.outputs[0].finish_reason == "stop"
    assert whole.outputs[0].stop_reason is None
    assert whole.finished
    assert "Mira Holtan" in text
    for _, tokens, logprobs in parts:
        for token, entry in zip(tokens, logprobs, strict=True):
            assert entry[token].rank == 1
            assert len(entry) == 2
            assert entry[token].logprob <= 0


def test_it_says_what_the_onnx_engine_says(make: Callable[..., Any]) -> None:
    from llm_magics.engines import DEMO, Options, build, load
    from llm_magics.records import Prompt, Sampling

    llm = make()
    prompt = chat(llm, "Summarize: The train to Paris left at nine and came at noon.")
    engine = load(build(DEMO, "onnx", Options(), print), print)
    try:
        said = "".join(chunk.text for chunk in engine.stream(Prompt(prompt, Sampling(max_new_tokens=60))))
    finally:
        engine.close()
    assert llm.generate(prompt, sampling(max_tokens=60)).outputs[0].text == said


SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome"]}, "sunny": {"type": "boolean"}},
    "required": ["city", "sunny"],
}


@pytest.mark.parametrize(
    ("guide", "holds"),
    [
        ({"json": SCHEMA}, lambda text: json.loads(text)["city"] in {"Paris", "Rome"}),
        ({"json": json.dumps(SCHEMA)}, lambda text: isinstance(json.loads(text)["sunny"], bool)),
        ({"regex": "[0-9]{3}-[a-c]{2}"}, lambda text: text[:3].isdigit() and set(text[4:]) <= set("abc")),
        ({"grammar": 'root ::= "yes" | "no"'}, lambda text: text in {"yes", "no"}),
    ],
    ids=["schema", "schema text", "regex", "grammar"],
)
def test_guided_output_conforms(trt: ModuleType, make: Callable[..., Any], guide: dict[str, Any], holds: Callable[[str], bool]) -> None:
    llm = make(guided_decoding_backend="xgrammar")
    params = sampling(max_tokens=60, guided_decoding=trt.llmapi.GuidedDecodingParams(**guide))
    output = llm.generate(chat(llm, "How is the weather?"), params).outputs[0]
    assert output.finish_reason == "stop"
    assert holds(output.text)
    cut = sampling(max_tokens=2, guided_decoding=trt.llmapi.GuidedDecodingParams(**guide))
    if "grammar" not in guide:
        assert llm.generate(chat(llm, "How is the weather?"), cut).outputs[0].finish_reason == "length"


def test_a_scripted_reply_must_conform_too(trt: ModuleType, make: Callable[..., Any], scenario: Callable[..., None]) -> None:
    llm = make(guided_decoding_backend="xgrammar")
    params = {"guided_decoding": trt.llmapi.GuidedDecodingParams(regex="[0-9]+"), "max_tokens": 9}
    scenario(replies=["42", "forty-two"])
    assert llm.generate("hi", sampling(**params)).outputs[0].text == "42"
    with pytest.raises(NotImplementedError, match="leaves the guide"):
        llm.generate("hi", sampling(**params))


def test_prefixes_are_taken_again_in_blocks(make: Callable[..., Any]) -> None:
    llm = make()
    assert llm.generate(LONG, sampling(max_tokens=2)).cached_tokens == 0
    again = llm.generate(LONG + "and more", sampling(max_tokens=2))
    assert again.cached_tokens >= 32
    assert again.cached_tokens % 32 == 0
    assert make(kv_cache_config={"enable_block_reuse": False}).generate(LONG).cached_tokens == 0


def test_temperature_alone_is_greedy_in_the_engine(make: Callable[..., Any]) -> None:
    llm = make()
    prompt = chat(llm, "Tell me something about the sea.")
    plain = llm.generate(prompt, sampling(max_tokens=12)).outputs[0].token_ids
    assert llm.generate(prompt, sampling(max_tokens=12, temperature=5.0, seed=1)).outputs[0].token_ids == plain
    hot = [llm.generate(prompt, sampling(max_tokens=12, temperature=5.0, top_p=1.0, seed=seed)).outputs[0].token_ids for seed in (1, 1, 2)]
    assert hot[0] == hot[1] != hot[2]


def test_perf_metrics_come_when_asked_for(make: Callable[..., Any], scenario: Callable[..., None]) -> None:
    scenario(replies=[{"text": "one two three", "token_s": 0.01}])
    llm = make()
    without = llm.generate("hi", sampling())
    assert without.outputs[0].request_perf_metrics is None
    assert without.metrics_dict == {}
    result = llm.generate("hi", sampling(return_perf_metrics=True))
    timing = result.outputs[0].request_perf_metrics.timing_metrics
    assert {*RECORD["results"]["RequestPerfMetrics"]["timing_metrics"]} == set(vars(timing))
    assert set(vars(result.outputs[0].request_perf_metrics.kv_cache_metrics)) == {
        *RECORD["results"]["RequestPerfMetrics"]["kv_cache_metrics"]
    }
    assert 0 <= (timing.first_scheduled_time - timing.arrival_time).total_seconds() <= 1
    assert (timing.last_token_time - timing.first_token_time).total_seconds() >= 0.01
    names = found("tensorrt_llm.metrics.MetricNames")
    assert result.metrics_dict[names.TTFT] == (timing.first_token_time - timing.arrival_time).total_seconds()
    assert set(names) <= set(result.metrics_dict)


def test_several_answers_and_beams(make: Callable[..., Any], scenario: Callable[..., None]) -> None:
    scenario(replies=["red", "green and blue"])
    llm = make(build_config={"max_beam_width": 2})
    outputs = llm.generate("hi", sampling(n=2, temperature=1.0, top_p=0.9)).outputs
    assert [output.text for output in outputs] == ["red", "green and blue"]
    steps = list(llm.generate_async("hi", sampling(n=2, use_beam_search=True), streaming=True))
    assert [output.text for output in steps[-1].outputs] == ["red", "green and blue"]


# Streams, stops and slots


def until(condition: Callable[[], bool]) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it did not come to that")


def test_a_clients_stop_leaves_the_slot_busy(make: Callable[..., Any], scenario: Callable[..., None], log: Path) -> None:
    scenario(replies=[{"text": LONG, "token_s": 0.01}])
    llm = make(max_batch_size=1)
    result = llm.generate_async("hi", sampling(max_tokens=200, stop=["hree"]), streaming=True)
    *_, last = result
    assert (last.outputs[0].text, last.outputs[0].finish_reason, last.outputs[0].stop_reason) == ("one two t", "stop", "hree")
    assert llm._standin_busy_slots() == 1
    waiting = llm.generate_async("hi", sampling(max_tokens=2))
    time.sleep(0.05)
    assert not standin.events(log, "finish")
    result.abort()
    waiting.result()
    until(lambda: llm._standin_busy_slots() == 0)
    assert [event["reason"] for event in standin.events(log, "finish")] == ["cancelled", "length"]


def test_stops_by_token(make: Callable[..., Any], scenario: Callable[..., None]) -> None:
    scenario(replies=["one two three"])
    llm = make()
    word = llm.tokenizer.encode(" two", add_special_tokens=False)
    output = llm.generate("hi", sampling(stop_token_ids=word[-1:])).outputs[0]
    assert (output.finish_reason, output.stop_reason) == ("stop", word[-1])
    assert output.text.startswith("one")
    kept = llm.generate("hi", sampling(stop=" two", include_stop_str_in_output=True)).outputs[0]
    assert (kept.text, kept.stop_reason) == ("one two", " two")


def test_abort_ends_the_result_as_cancelled(make: Callable[..., Any], scenario: Callable[..., None]) -> None:
    scenario(replies=[{"text": LONG, "stall_after": 3}])
    llm = make()
    result = llm.generate_async("hi", sampling(max_tokens=200), streaming=True)
    for _ in range(3):
        next(result)
    assert result.aborted() is False
    result.abort()
    *_, last = result
    assert last.outputs[0].finish_reason == "cancelled"
    assert result.aborted() is True
    until(lambda: llm._standin_busy_slots() == 0)


def test_aborts_at_once_leave_no_trace(make: Callable[..., Any]) -> None:
    llm = make()
    expected = llm.generate(LONG, sampling(max_tokens=5)).outputs[0].token_ids
    for _ in range(10):
        result = llm.generate_async(LONG, sampling(max_tokens=50), streaming=True)
        result.abort()
        assert result.result().outputs[0].finish_reason == "cancelled"
    assert llm.generate(LONG, sampling(max_tokens=5)).outputs[0].token_ids == expected


def test_requests_take_turns(make: Callable[..., Any], log: Path) -> None:
    llm = make()
    asked = (
        "Translate to French: The weather is fine today.",
        "Summarize: Anna lives in Rome. She is a cook.",
        "What is the capital of France?",
    )
    prompts = [chat(llm, text) for text in asked]
    one_by_one = [llm.generate(prompt, sampling(max_tokens=20)).outputs[0].text for prompt in prompts]
    # Many, so that some are there at once however fast each is.
    together = [result.outputs[0].text for result in llm.generate(prompts * 8, sampling(max_tokens=20))]
    assert together == one_by_one * 8
    assert len(set(together)) > 1
    assert max(entry["numActiveRequests"] for entry in llm.get_stats()) > 1


def test_what_is_not_followed_says_so(make: Callable[..., Any]) -> None:
    with pytest.raises(NotImplementedError, match="min_p"):
        make().generate("hi", sampling(min_p=0.1))


def test_a_failure_in_the_middle_is_a_request_error(trt: ModuleType, make: Callable[..., Any], scenario: Callable[..., None]) -> None:
    scenario(replies=[{"text": LONG, "fail": "cuda_oom_runtime", "fail_after": 3}, "fine"])
    llm = make()
    result = llm.generate_async("hi", sampling(max_tokens=20), streaming=True)
    with pytest.raises(trt.llmapi.RequestError, match="out of memory"):
        for _ in result:
            pass
    assert llm.generate("hi", sampling()).outputs[0].text == "fine"


def test_characters_of_several_tokens_come_whole(make: Callable[..., Any], scenario: Callable[..., None]) -> None:
    scenario(replies=["日本語 🎉 fin"])
    pieces = [part.outputs[0].text_diff for part in make().generate_async("hi", sampling(max_tokens=40), streaming=True)]
    assert "".join(pieces) == "日本語 🎉 fin"
    assert not any("\ufffd" in piece for piece in pieces)


# Event loops


def test_a_thread_without_a_loop_reads_and_cannot_await(make: Callable[..., Any], scenario: Callable[..., None]) -> None:
    scenario(replies=["one two"])
    llm = make()
    texts: list[str] = []

    def read() -> None:
        texts.extend(part.outputs[0].text for part in llm.generate_async("hi", sampling(), streaming=True))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert texts[-1] == "one two"
    result = llm.generate_async("hi", sampling())
    with pytest.raises(AssertionError, match="event loop"):
        asyncio.run(result.aresult())


def test_a_running_loop_polls_warns_and_does_not_mix(make: Callable[..., Any], scenario: Callable[..., None]) -> None:
    scenario(replies=[LONG])
    llm = make()

    async def cell() -> None:
        parts = [part.outputs[0].text async for part in llm.generate_async("hi", sampling(max_tokens=60), streaming=True)]
        assert parts[-1] == LONG.rstrip() or LONG.startswith(parts[-1])
        assert (await llm.generate_async("hi", sampling(max_tokens=3))).finished
        result = llm.generate_async("hi", sampling(max_tokens=60), streaming=True)
        with pytest.warns(UserWarning, match="async mode"):
            next(result)
        with pytest.raises(found("tensorrt_llm.llmapi.utils.AsyncQueue").MixedSyncAsyncAPIError):
            await result

    asyncio.run(cell())


def test_a_loop_that_has_ended(make: Callable[..., Any], scenario: Callable[..., None]) -> None:
    scenario(replies=[{"text": LONG, "token_s": 0.01}])
    llm = make()

    async def submit() -> Any:
        return llm.generate_async("hi", sampling(max_tokens=60), streaming=True)

    result = asyncio.run(submit())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(found("tensorrt_llm.llmapi.utils.AsyncQueue").EventLoopShutdownError):
            list(result)


# Building, saving, loading


def test_build_save_load(trt: ModuleType, make: Callable[..., Any], tmp_path: Path, log: Path, scenario: Callable[..., None]) -> None:
    scenario(build={"seconds": 0, "steps": 3, "engine_bytes": 5000})
    quant = trt.llmapi.QuantConfig(quant_algo=trt.llmapi.QuantAlgo.W4A16)
    llm = make(str(CHECKPOINT), quant_config=quant, build_config=trt.BuildConfig(max_input_len=256))
    llm.save(str(tmp_path / "engine"))
    workspace = llm.workspace
    assert workspace.is_dir()
    names = {path.name for path in (tmp_path / "engine").iterdir()}
    assert names == {"config.json", "rank0.engine", "tokenizer.json", "tokenizer_config.json"}
    config = json.loads((tmp_path / "engine" / "config.json").read_text())
    assert set(config) == {"version", "pretrained_config", "build_config"}
    assert config["pretrained_config"]["quantization"]["quant_algo"] == "W4A16"
    assert (config["build_config"]["max_input_len"], config["build_config"]["max_seq_len"]) == (256, 4096)
    assert not {"dry_run", "visualize_network"} & set(config["build_config"])
    loaded = make(tmp_path / "engine", build_config=trt.BuildConfig(max_input_len=9), max_batch_size=9999)
    assert loaded.args.build_config.max_input_len == 256
    assert loaded.args.max_batch_size == 2048
    assert loaded.generate("hi", sampling(max_tokens=2)).finished
    kinds = [event["event"] for event in standin.events(log) if event["event"] not in {"warning", "submit", "finish"}]
    assert kinds == [
        "construct",
        "build_start",
        *["build_step"] * 3,
        "build_end",
        *["load_start", "load_end", "save"],
        "construct",
        "load_start",
        "load_end",
    ]
    assert {event["pid"] for event in standin.events(log)} == {os.getpid()}
    assert "ignored" in standin.events(log, "warning")[0]["message"]


def test_an_engine_made_by_hand_needs_a_tokenizer(make: Callable[..., Any], tmp_path: Path) -> None:
    folder = standin.write_engine(tmp_path / "engine", max_seq_len=128, max_batch_size=2)
    with pytest.raises(ValueError, match="tokenizer is required"):
        make(folder).generate("hi")
    llm = make(folder, tokenizer=str(CHECKPOINT))
    assert llm.generate("hi", sampling(max_tokens=2)).finished
    assert llm.args.build_config.max_batch_size == 2


@pytest.mark.parametrize("damage", ["version", "tensorrt", "gpu", "cut", "changed", "not one"])
def test_engines_that_do_not_deserialize(make: Callable[..., Any], tmp_path: Path, damage: str) -> None:
    other = {"version": "1.1.0", "tensorrt": "10.11.0", "gpu": "NVIDIA A100"}
    folder = standin.write_engine(tmp_path / "engine", **({damage: other[damage]} if damage in other else {}))
    content = (folder / "rank0.engine").read_bytes()
    if damage == "cut":
        (folder / "rank0.engine").write_bytes(content[:-100])
    if damage == "changed":
        (folder / "rank0.engine").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    if damage == "not one":
        (folder / "rank0.engine").write_bytes(b"hello")
    with pytest.raises(RuntimeError, match="Executor worker returned error") as caught:
        make(folder, tokenizer=str(CHECKPOINT))
    assert "Failed to deserialize cuda engine" in str(caught.value.__cause__)


def test_engines_for_several_gpus(make: Callable[..., Any], tmp_path: Path, scenario: Callable[..., None]) -> None:
    folder = standin.write_engine(tmp_path / "engine", tp_size=2)
    assert (folder / "rank1.engine").is_file()
    with pytest.raises(RuntimeError, match="Only 1 GPUs are available, but 2 are required"):
        make(folder, tokenizer=str(CHECKPOINT))
    scenario(gpu={"count": 4})
    with pytest.raises(ValueError, match="tp_size"):
        make(folder, tokenizer=str(CHECKPOINT), tensor_parallel_size=4)
    assert make(folder, tokenizer=str(CHECKPOINT)).args.world_size == 2
    (folder / "rank1.engine").unlink()
    with pytest.raises(RuntimeError, match="Executor worker returned error"):
        make(folder, tokenizer=str(CHECKPOINT))


def test_models_that_are_none(make: Callable[..., Any], tmp_path: Path, scenario: Callable[..., None]) -> None:
    with pytest.raises(OSError, match=r"config\.json"):
        make(tmp_path)
    (tmp_path / "config.json").write_text('{"architectures": ["NoSuchModel"]}')
    with pytest.raises(NotImplementedError, match="NoSuchModel"):
        make(tmp_path)
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(RuntimeError, match="safetensors"):
        make(tmp_path)
    scenario(hub={"owner/gated": {"fail": "gated"}, "owner/open": str(CHECKPOINT)})
    from huggingface_hub.errors import GatedRepoError

    with pytest.raises(GatedRepoError, match="owner/gated"):
        make("owner/gated")
    assert make("owner/open").tokenizer is not None


def test_no_gpu(make: Callable[..., Any], scenario: Callable[..., None]) -> None:
    scenario(gpu={"count": 0})
    with pytest.raises(RuntimeError, match="NVIDIA driver"):
        make()
    scenario(gpu={"sm": 75})
    with pytest.raises(RuntimeError, match="bfloat16"):
        make(dtype="bfloat16")


def test_the_disk_is_full_half_way(make: Callable[..., Any], scenario: Callable[..., None], log: Path, tmp_path: Path) -> None:
    scenario(build={"seconds": 0, "fail": "disk_full", "at": 0.5})
    with pytest.raises(OSError, match="No space left") as caught:
        make(workspace=str(tmp_path))
    assert caught.value.errno == errno.ENOSPC
    assert len(standin.events(log, "build_step")) == 2
    assert "OSError" in standin.events(log, "build_failed")[0]["error"]
    scenario(save={"fail": "disk_full"})
    with pytest.raises(OSError, match="No space left"):
        make().save(str(tmp_path / "engine"))
    assert 0 < len(list((tmp_path / "engine").iterdir())) < 4


def test_memory_of_the_gpu_is_shared(make: Callable[..., Any], scenario: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TLLM_WORKER_USE_SINGLE_PROCESS", "1")
    scenario(gpu={"memory_mb": 100, "used_mb": 10}, load={"memory_mb": 60})
    first = make()
    with pytest.raises(RuntimeError, match="CUDA out of memory"):
        make()
    first.shutdown()
    make()


def test_the_build_cache_of_the_library(trt: ModuleType, make: Callable[..., Any], tmp_path: Path, log: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "mine.txt").write_text("it will go")
    cache = trt.llmapi.BuildCacheConfig(cache_root=tmp_path / "cache")
    for _ in range(2):
        make(enable_build_cache=cache)
    assert len(standin.events(log, "build_end")) == 1
    [entry] = (tmp_path / "cache").iterdir()
    assert {path.name for path in entry.iterdir()} == {"metadata.json", "content"}
    with pytest.raises(ValueError, match="max_records"):
        make(enable_build_cache=trt.llmapi.BuildCacheConfig(tmp_path / "cache", 0))


def test_calibration_only_where_it_is_needed(trt: ModuleType, make: Callable[..., Any], log: Path) -> None:
    for algorithm, calibrated in (("W8A16", 0), ("FP8", 1)):
        make(quant_config=trt.llmapi.QuantConfig(quant_algo=algorithm), fast_build=True)
        assert len(standin.events(log, "calibrate")) == calibrated
    assert standin.events(log, "build_start")[-1]["build_config"]["plugin_config"]["manage_weights"] is True


# Failures: every one of the record


FAILURES = RECORD["failures"]


@pytest.mark.parametrize("name", [name for name in FAILURES if FAILURES[name]["when"] == "import"])
def test_failures_at_import(sites: dict[str, Path], scenario: Callable[..., None], name: str) -> None:
    scenario(**{"import": {"fail": name}})
    with pytest.raises(ImportError) as caught, standin.imported(sites["engine"]):
        pass
    assert type(caught.value).__name__ == FAILURES[name]["type"]
    assert str(caught.value) == FAILURES[name]["message"]


@pytest.mark.parametrize(
    "name", [name for name in FAILURES if "load" in FAILURES[name]["when"] and FAILURES[name]["type"] not in {"hang", "signal"}]
)
def test_failures_at_load(make: Callable[..., Any], scenario: Callable[..., None], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("TLLM_WORKER_USE_SINGLE_PROCESS", "1")
    scenario(load={"fail": name})
    with pytest.raises(RuntimeError) as caught:
        make()
    assert type(caught.value).__name__ == FAILURES[name]["type"]
    assert str(caught.value)[:30] == FAILURES[name]["message"][:30]


def test_a_failure_in_a_test_s_own_words(make: Callable[..., Any], scenario: Callable[..., None]) -> None:
    scenario(build={"fail": {"type": "AssertionError", "message": "tensor 'x' has no plan"}})
    with pytest.raises(AssertionError, match="no plan"):
        make()


def run(site: Path, code: str, tmp_path: Path, **scenario: Any) -> subprocess.CompletedProcess[str]:
    (tmp_path / "s.json").write_text(json.dumps(scenario))
    places = {
        "PYTHONPATH": f"{site}{os.pathsep}{ROOT}",
        "LLM_MAGICS_STANDIN": str(tmp_path / "s.json"),
        "LLM_MAGICS_STANDIN_LOG": str(tmp_path / "l"),
    }
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **places}, capture_output=True, text=True, timeout=60, check=False
    )


BUILD = f"from tensorrt_llm._tensorrt_engine import LLM; LLM({str(CHECKPOINT)!r}, workspace={{!r}}, skip_tokenizer_init=True)"


def test_killed_half_way(sites: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    done = run(sites["engine"], BUILD.format(str(tmp_path / "work")), tmp_path, build={"fail": "killed", "at": 0.5, "engine_bytes": 4000})
    assert done.returncode == -signal.SIGKILL
    assert [event["event"] for event in standin.events(tmp_path / "l")][-1] == "build_step"
    [engine] = (tmp_path / "work").rglob("rank0.engine")
    assert 0 < engine.stat().st_size < 4000
    assert not (engine.parent / "config.json").exists()


def test_the_ends_of_a_process(sites: dict[str, Path], tmp_path: Path) -> None:
    done = run(sites["engine"], BUILD.format(str(tmp_path)).replace("LLM(", "kept = LLM("), tmp_path, build={"seconds": 0})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[TensorRT-LLM] TensorRT LLM version: 1.2.1")
    assert "Building TRT-LLM engine" in done.stderr
    assert [event["event"] for event in standin.events(tmp_path / "l")][-1] == "shutdown"
    assert not list(tmp_path.glob("*-llm-workspace"))


def test_hangs(sites: dict[str, Path], make: Callable[..., Any], scenario: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    scenario(**{"import": {"hang_s": 77}})
    with standin.imported(sites["engine"]):
        assert slept == [77]
        scenario(load={"fail": "mpi_hang"})
        engine_class()(CHECKPOINT).shutdown()
        assert max(slept) == 3600
        slept.clear()
        monkeypatch.setenv("OMPI_MCA_btl_tcp_if_include", "lo")
        engine_class()(CHECKPOINT).shutdown()
        assert 3600 not in slept


# The rest


def test_the_single_process_switch_is_read_once(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, log: Path) -> None:
    make()
    monkeypatch.setenv("TLLM_WORKER_USE_SINGLE_PROCESS", "1")
    make()
    make(gather_generation_logits=True)
    assert [event["worker"] for event in standin.events(log, "construct")] == ["process", "process", "in-process"]


def test_the_log_tells_the_switches_of_the_import(sites: dict[str, Path], monkeypatch: pytest.MonkeyPatch, log: Path) -> None:
    monkeypatch.setenv("TLLM_WORKER_USE_SINGLE_PROCESS", "1")
    with standin.imported(sites["engine"]):
        pass
    assert standin.events(log, "import")[0]["env"] == {"TLLM_WORKER_USE_SINGLE_PROCESS": "1"}


def test_pickling_and_freeing(make: Callable[..., Any], trt: ModuleType, log: Path) -> None:
    with make() as llm, pytest.raises(RuntimeError, match="pickled"):
        pickle.dumps(llm)
    assert len(standin.events(log, "shutdown")) == 1
    lone = engine_class()(CHECKPOINT)
    workspace = lone.workspace
    del lone
    assert len(standin.events(log, "shutdown")) == 2
    assert not workspace.exists()
    assert workspace.parent == Path(tempfile.gettempdir())
    with pytest.raises((AttributeError, pickle.PicklingError)):  # it would have to cross to the worker process
        make().generate("hi", sampling(logits_processor=lambda *args: None))


def test_after_the_removal(torch_era: ModuleType, scenario: Callable[..., None], log: Path) -> None:
    for gone in ("_tensorrt_engine", "builder", "plugin"):
        with pytest.raises(ImportError):
            importlib.import_module(f"tensorrt_llm.{gone}")
    with pytest.raises(ImportError):
        from tensorrt_llm.llmapi import BuildConfig  # noqa: F401
    with pytest.raises(ValueError, match="removed"):
        torch_era.LLM(CHECKPOINT, backend="tensorrt")
    with pytest.raises(ValueError, match="LLM got invalid argument: build_config"):
        torch_era.LLM(CHECKPOINT, build_config=None)
    scenario(replies=[{"text": LONG, "token_s": 0.01}])
    with torch_era.LLM(CHECKPOINT, guided_decoding_backend="llguidance", max_batch_size=1) as llm:
        assert not hasattr(llm, "save")
        *_, last = llm.generate_async("hi", sampling(max_tokens=200, stop="hree", logprobs=1), streaming=True)
        assert last.outputs[0].text == "one two t"
        until(lambda: llm._standin_busy_slots() == 0)  # this release aborts by itself
    assert standin.events(log, "abort")
    assert not standin.events(log, "build_start")
