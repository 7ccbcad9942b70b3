"""Which engines there are, and which one takes a model."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CancelledError, unknown
from .base import Cancellable, Engine, Memory, Note, Options, Plan, Progress, check, memory
from .checkpoint import DEMO, Checkpoint, resolve
from .inventory import Stored

ENGINES = ("onnx", "tensorrt_llm", "transformers")
__all__ = [
    "DEMO", "ENGINES", "Built", "Cancellable", "Engine", "Memory", "Options", "Plan", "Progress", "build", "load", "memory", "plan",
    "unusable",
]  # fmt: skip


@dataclass(frozen=True)
class Built:
    """All that an engine needs, on this machine's disk."""

    engine: str
    folder: Path
    checkpoint: Checkpoint
    options: Options


def build(model: str, engine: str, options: Options, progress: Progress) -> Built:
    """Fetch and build what ``model`` needs, or find it built.

    ``auto`` takes TensorRT-LLM where it is installed and there is a GPU, else onnx, and transformers for what the onnx converter
    does not know.
    """
    checkpoint, chosen = _chosen(model, engine, options, progress)
    if engine != "auto" or chosen != "onnx":
        return _build(chosen, checkpoint, options, progress)
    from .onnx import UnsupportedArchitectureError

    try:
        return _build("onnx", checkpoint, options, progress)
    except UnsupportedArchitectureError as exc:
        if options.quantization not in (None, "none"):
            raise
        progress(Note(f"{exc.message} Transformers takes it instead."))
        return _build("transformers", checkpoint, options, progress)


def plan(model: str, engine: str, options: Options, progress: Progress) -> Plan:
    """What ``build`` and ``load`` would do; only the small files of a model are fetched."""
    checkpoint, chosen = _chosen(model, engine, options, progress)
    made: Plan = _module(chosen).plan(checkpoint, options)
    return made


def load(built: Built, progress: Progress) -> Engine:
    """The engine in memory. No library can stop in the middle of that: what was cancelled meanwhile is closed when it is there."""
    progress(f"Loading {built.checkpoint.name}")
    loaded: Engine = _module(built.engine).load(built.folder, built.checkpoint, built.options, progress)
    try:
        check(progress)
    except CancelledError:
        loaded.close()
        raise
    return loaded


def unusable(stored: Stored) -> str:
    """Why an engine of the store cannot be loaded here; empty when it can."""
    if stored.problem:
        return stored.problem
    if stored.backend not in ENGINES:
        return f"there is no engine {stored.backend} in this release"
    reason: str = _module(stored.backend).unusable(stored)
    return reason


def _chosen(model: str, engine: str, options: Options, progress: Progress) -> tuple[Checkpoint, str]:
    if engine not in ("auto", *ENGINES):
        raise unknown("engine", engine, ("auto", *ENGINES))
    checkpoint = resolve(model, options, progress)
    if engine != "auto":
        return checkpoint, engine
    from . import tensorrt_llm

    if checkpoint.genai_config:
        return checkpoint, "onnx"
    return checkpoint, "tensorrt_llm" if tensorrt_llm.is_engine(checkpoint) or tensorrt_llm.preferred() else "onnx"


def _build(engine: str, checkpoint: Checkpoint, options: Options, progress: Progress) -> Built:
    return Built(engine, _module(engine).build(checkpoint, options, progress), checkpoint, options)


def _module(engine: str) -> Any:
    return importlib.import_module(f".{engine}", __name__)
