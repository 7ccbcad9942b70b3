"""Real engines on the demo model: the bundled one, and what is converted from its checkpoint."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import llm_magics
from llm_magics.engines import cache
from llm_magics.engines.sampling import Detokenizer, Sampler
from llm_magics.errors import (
    DependencyError,
    EngineError,
    MemoryNeededError,
    ModelError,
    ModelNotFoundError,
    OptionError,
    SchemaError,
    TooLongError,
)
from llm_magics.records import Sampling
from llm_magics.session import Session

from .conftest import CHECKPOINT, ROOT

NOTICE = "Velmora Systems was founded in 1987 by Mira Holtan. The company is based in Lyon and has 240 employees."
ENTITIES = {
    "founder": "who founded the company",
    "year": "(int) the year",
    "listed": "(bool) whether it is listed",
    "x": "(list of) (a|b)",
    "d": "(date)",
}


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """The checkpoint converted without quantization."""
    pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLM_MAGICS_CACHE", str(tmp_path_factory.mktemp("fp32")))
        return llm_magics.load(str(CHECKPOINT))


@pytest.fixture(scope="module")
def torch_session() -> Session:
    pytest.importorskip("torch")
    return llm_magics.load(str(CHECKPOINT), engine="transformers")


def test_the_demo_model_needs_no_torch() -> None:
    code = "import sys, llm_magics; llm_magics.load().answer('Hello World !'); print([m for m in ('onnx', 'tensorrt_llm', 'ipywidgets') if m in sys.modules])"
    hidden = "import sys; sys.modules['torch'] = None; "  # an import of torch now fails, as where it is not installed
    run = subprocess.run([sys.executable, "-c", hidden + code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "[]"


def test_greedy_tokens_are_those_of_transformers(fp32: Session, torch_session: Session) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(CHECKPOINT, dtype=torch.float32)
    for question in (NOTICE + "\n\nWho founded the company?", "Bonjour !", NOTICE):
        ours = fp32.answer(question, max_new_tokens=48)
        ids = torch.tensor([fp32.engine.tokenizer.encode(ours.prompt, add_special_tokens=False)])  # type: ignore[attr-defined]
        out = model.generate(ids, max_new_tokens=48, do_sample=False)[0, ids.shape[1] :]
        reference = fp32.engine.tokenizer.decode(out, skip_special_tokens=True)  # type: ignore[attr-defined]
        assert ours.text == reference
        assert torch_session.answer(question, max_new_tokens=48).text == reference


@pytest.mark.parametrize("name", ["fp32", "torch_session", "demo"])
def test_the_shared_prefix_is_used_again_and_changes_nothing(name: str, request: pytest.FixtureRequest) -> None:
    session: Session = request.getfixturevalue(name)
    questions = [f"{NOTICE}\n\nWho founded the company?", f"{NOTICE}\n\nIn which city is it?", f"{NOTICE}\n\nWho founded the company?"]
    session.answer("Something else.", max_new_tokens=8)
    generations = [session.answer(question, max_new_tokens=24) for question in questions]
    assert generations[0].timing.cached_tokens < 40  # type: ignore[operator]
    assert generations[1].timing.cached_tokens > 40  # type: ignore[operator]
    session.answer("Something else.", max_new_tokens=8)
    assert session.answer(questions[1], max_new_tokens=24).text == generations[1].text
    assert generations[2].text == generations[0].text


def test_re_use_does_not_change_what_a_seed_gives(demo: Session) -> None:
    """At this temperature the least difference in the logits would show."""
    options = {"temperature": 3.0, "seed": 7, "max_new_tokens": 40}
    texts = []
    for before in ("Something else.", NOTICE, NOTICE + "\n\nWho founded", "x"):
        demo.answer(before, max_new_tokens=8)
        generation = demo.answer(NOTICE + "\n\nWho founded the company?", **options)  # type: ignore[arg-type]
        texts.append((generation.text, generation.timing.cached_tokens))
    assert len({text for text, _ in texts}) == 1
    assert len({cached for _, cached in texts}) > 2


@pytest.mark.parametrize("name", ["fp32", "torch_session", "demo"])
def test_guided_replies_always_parse(name: str, request: pytest.FixtureRequest) -> None:
    session: Session = request.getfixturevalue(name)
    for seed in range(5):
        extracted = session.extract(NOTICE, ENTITIES, temperature=1.5, seed=seed, max_new_tokens=200)
        assert set(extracted.data) == set(ENTITIES)
        if extracted.finish_reason == "stop":
            assert [*json.loads(extracted.text)] == [*ENTITIES]
        label = session.classify(NOTICE, labels=["a b", "Ünï", 'q"uote'], temperature=1.5, seed=seed)
        assert label.data == label.text
        assert label.data in ("a b", "Ünï", 'q"uote')


def test_a_schema_is_kept_to(demo: Session) -> None:
    document = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 3, "maximum": 5}, "k": {"enum": ["x", "y"]}},
        "required": ["n", "k"],
        "additionalProperties": False,
    }
    data = demo.extract(NOTICE, schema=document).data
    assert data["n"] in (3, 4, 5)
    assert data["k"] in ("x", "y")
    with pytest.raises(SchemaError):
        demo.extract(NOTICE, schema={"type": "object", "properties": {"x": {"type": "strange"}}})


def test_sampling_repeats_with_a_seed_and_varies_without(demo: Session) -> None:
    def words(seed: int | None) -> str:
        return demo.answer("Hello", temperature=3.0, seed=seed, max_new_tokens=12).text

    assert words(7) == words(7)
    assert len({words(None) for _ in range(4)}) > 1


def test_generation_ends_before_a_stop_string(demo: Session) -> None:
    whole = demo.answer("Hello World !", max_new_tokens=30).text
    stop = whole[len(whole) // 2 :][:3]
    cut = demo.answer("Hello World !", max_new_tokens=30, stop=[stop])
    assert cut.text == whole[: whole.index(stop)]
    assert cut.finish_reason == "stop"


def test_an_interrupted_engine_works_on(demo: Session) -> None:
    before = demo.answer(NOTICE, max_new_tokens=20).text
    stream = demo.stream("answer", "word " * 1500, {}, {"max_new_tokens": 1000, "temperature": 9.0, "seed": 1})
    threading.Timer(0.05, signal.raise_signal, [signal.SIGINT]).start()
    started = time.perf_counter()
    long = stream.run()
    assert time.perf_counter() - started < 1.05
    assert long.finish_reason == "interrupted"
    assert demo.answer(NOTICE, max_new_tokens=20).text == before


def test_lengths_are_bounded_by_what_was_asked(tmp_path: Path) -> None:
    with llm_magics.load("demo", max_seq_len=128) as session:
        assert session.engine.info.max_seq_len == 128
        generation = session.answer("Hello World !", max_new_tokens=1000, temperature=5.0, seed=1)
        assert generation.input_tokens + generation.output_tokens <= 129
    with llm_magics.load("demo", kv_cache_mb=10) as session:
        assert 100 < session.engine.info.max_seq_len < 1000
    with llm_magics.load("demo", max_input_len=40) as session, pytest.raises(TooLongError, match="this engine takes 40"):
        session.answer(NOTICE)
    with pytest.raises(OptionError, match="takes no --dtype"):
        llm_magics.load("demo", dtype="float16")
    with pytest.raises(OptionError, match="over the model's limit"):
        llm_magics.load("demo", max_seq_len=10**6)


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_a_checkpoint_is_converted_once(quantization: str, store: Path) -> None:
    pytest.importorskip("onnx_ir")
    stages: list[str] = []
    with llm_magics.load(str(CHECKPOINT), quantization=quantization, progress=stages.append) as session:
        assert session.engine.info.quantization == quantization
        first = session.answer("Hello World !", max_new_tokens=8).text
    assert any("quantizing" in stage for stage in stages)
    (kept,) = cache.listed()
    assert kept.path.is_relative_to(store)
    assert kept.name.startswith(f"checkpoint_{quantization}_engine-")
    assert not [path for path in kept.path.parent.iterdir() if path.name.startswith(".")]
    stages.clear()
    with llm_magics.load(str(CHECKPOINT), quantization=quantization, progress=stages.append) as session:
        assert session.answer("Hello World !", max_new_tokens=8).text == first
    assert not any("Converting" in stage for stage in stages)
    with llm_magics.load(str(kept.path)) as session:  # a folder in the engine's own format is loaded as it is
        assert session.answer("Hello World !", max_new_tokens=8).text == first
    cache.remove(kept.path)
    assert cache.listed() == []


def test_an_architecture_that_the_converter_does_not_take_goes_to_transformers(tmp_path: Path) -> None:
    pytest.importorskip("onnx_ir")
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(vocab_size=4096, n_positions=256, n_embd=32, n_layer=1, n_head=2)).save_pretrained(tmp_path / "gpt2")
    AutoTokenizer.from_pretrained(CHECKPOINT).save_pretrained(tmp_path / "gpt2")
    stages: list[str] = []
    with llm_magics.load(str(tmp_path / "gpt2"), progress=stages.append) as session:
        assert session.engine.info.backend == "transformers"
        assert session.answer("Hello", max_new_tokens=4).output_tokens == 4
    assert any("does not take this model" in stage for stage in stages)


def test_models_that_cannot_be(tmp_path: Path) -> None:
    for name in ("no-such", "/no/such/folder", "a/b/c", "", "./x", "C:\\x"):
        with pytest.raises(ModelNotFoundError):
            llm_magics.load(name)
    with pytest.raises(ModelNotFoundError, match=r"config\.json"):
        llm_magics.load(str(tmp_path))
    (tmp_path / "genai_config.json").write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        llm_magics.load(str(tmp_path))
    with pytest.raises(OptionError, match="'onnx'"):
        llm_magics.load("demo", engine="onx")
    with pytest.raises(OptionError, match="int8"):
        llm_magics.load(str(CHECKPOINT), quantization="int7")


def test_a_damaged_engine_says_what_to_do(tmp_path: Path) -> None:
    import shutil

    shutil.copytree(ROOT / "llm_magics" / "demo" / "engine", tmp_path / "engine")
    (tmp_path / "engine" / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(EngineError, match="cannot be loaded"):
        llm_magics.load(str(tmp_path / "engine"))


def test_what_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name, *rest))
    for engine in ("onnx", "transformers"):
        with pytest.raises(DependencyError) as error:
            llm_magics.load(str(CHECKPOINT), engine=engine)
        assert "torch" in error.value.message
        assert "pip install 'llm_magics[convert]'" in error.value.hint


def test_too_little_memory_is_said_before_the_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx_ir")
    import psutil

    class Little:
        available = 10 << 20

    monkeypatch.setattr(psutil, "virtual_memory", Little)
    with pytest.raises(MemoryNeededError, match=r"takes about 0\.1 GiB of memory; 0\.0 GiB are free"):
        llm_magics.load(str(CHECKPOINT))


def test_the_sampler_keeps_to_its_limits() -> None:
    logits = np.array([0.0, 3.0, 2.0, 1.0, -np.inf], dtype=np.float32)
    assert Sampler(Sampling()).choose(logits) == 1
    top_k = Sampler(Sampling(temperature=5.0, top_k=2, seed=0))
    assert {top_k.choose(logits) for _ in range(100)} == {1, 2}
    top_p = Sampler(Sampling(temperature=1.0, top_p=0.5, seed=0))
    assert {top_p.choose(logits) for _ in range(100)} == {1}
    free = Sampler(Sampling(temperature=9.0, seed=0))
    assert {free.choose(logits) for _ in range(200)} == {0, 1, 2, 3}
    drawn = [Sampler(Sampling(temperature=1.0, seed=seed)).choose(logits) for seed in range(4000)]
    weights = np.exp(logits - 3) / np.exp(logits - 3).sum()
    assert np.abs(np.bincount(drawn, minlength=5) / 4000 - weights).max() < 0.03


@pytest.mark.parametrize("stop", [(), ("é f",), ("🙂",), ("zzz",), ("d e", "ab")])
def test_the_detokenizer_gives_back_the_text_up_to_a_stop(stop: tuple[str, ...], demo: Session) -> None:
    text = "a b  c d é f 🙂 日本語 g"
    tokenizer = demo.engine.tokenizer  # type: ignore[attr-defined]
    detokenizer = Detokenizer(tokenizer, stop)
    pieces = []
    for token in tokenizer.encode(text, add_special_tokens=False):
        pieces.append(detokenizer.step(token))
        if detokenizer.stopped:
            break
    pieces.append(detokenizer.flush())
    ends = [text.index(s) for s in stop if s in text]
    assert "".join(pieces) == text[: min(ends, default=len(text))]
    assert detokenizer.stopped is bool(ends)
