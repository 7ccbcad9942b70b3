"""On a real NVIDIA GPU: ``python -m pytest -m gpu``. Plain runs leave these out."""

from __future__ import annotations

import gc
import threading

import pytest

import llm_magics

from .conftest import CHECKPOINT

pytestmark = pytest.mark.gpu
NOTICE = "Velmora Systems was founded in 1987 by Mira Holtan. The company is based in Lyon."
QUESTIONS = (f"{NOTICE}\n\nWho founded the company?", f"{NOTICE}\n\nWhere is it based?", "Hello World !")


def test_transformers_on_the_gpu_says_what_the_shipped_engine_family_says() -> None:
    with llm_magics.load(str(CHECKPOINT), engine="transformers", dtype="float32") as on_gpu:
        assert on_gpu.engine.info.device == "cuda"
        told = [on_gpu.answer(question, max_new_tokens=40).text for question in QUESTIONS]
    with llm_magics.load("demo") as on_cpu:  # int8, so only what it is sure of has to agree
        assert on_cpu.answer(QUESTIONS[0], max_new_tokens=40).text == told[0]
    assert "Mira Holtan" in told[0]


def test_guided_extraction_and_the_prefix_on_the_gpu() -> None:
    with llm_magics.load(str(CHECKPOINT), engine="transformers", dtype="float32") as session:
        first = session.extract(NOTICE, {"founder": "who founded it", "founded": "(int) the year"})
        assert first.data == {"founder": "Mira Holtan", "founded": 1987}
        again = session.extract(NOTICE, {"founder": "who founded it", "founded": "(int) the year"})
        assert again.text == first.text
        assert (again.timing.cached_tokens or 0) > 50


def test_stopping_and_memory_on_the_gpu() -> None:
    import torch

    session = llm_magics.load(str(CHECKPOINT), engine="transformers")
    stream = session.stream("answer", "word " * 500, {}, {"max_new_tokens": 3000, "temperature": 9.0, "seed": 1})
    threading.Timer(0.5, stream.cancel.set).start()
    list(stream)
    assert stream.generation is not None
    assert stream.generation.finish_reason in ("interrupted", "stop")
    held = torch.cuda.memory_allocated()
    session.close()
    gc.collect()
    assert torch.cuda.memory_allocated() < held


def test_the_driver_tells_the_gpu() -> None:
    from llm_magics.engines.gpu import gpus

    (first, *_) = gpus()
    assert "NVIDIA" in first.name
    assert 0 < first.free <= first.total
    assert llm_magics.plan(str(CHECKPOINT), engine="transformers").problem == ""
