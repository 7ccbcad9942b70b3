"""Which engines there are, and which one takes a model."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import unknown
from .base import Engine, Options, Progress
from .checkpoint import DEMO, Checkpoint, resolve

ENGINES = ("onnx", "transformers")
__all__ = ["DEMO", "ENGINES", "Built", "Engine", "Options", "Progress", "build", "load"]


@dataclass(frozen=True)
class Built:
    """All that an engine needs, on this machine's disk."""

    engine: str
    folder: Path
    checkpoint: Checkpoint
    options: Options


def build(model: str, engine: str, options: Options, progress: Progress) -> Built:
    """Fetch and build what ``model`` needs, or find it built. ``auto`` prefers onnx, and falls back to transformers."""
    if engine not in ("auto", *ENGINES):
        raise unknown("engine", engine, ("auto", *ENGINES))
    checkpoint = resolve(model, options, progress)
    if engine != "auto":
        return _build(engine, checkpoint, options, progress)
    from .onnx import UnsupportedArchitectureError

    try:
        return _build("onnx", checkpoint, options, progress)
    except UnsupportedArchitectureError as exc:
        if options.quantization not in (None, "none"):
            raise
        progress(f"{exc.message} Taking transformers instead")
        return _build("transformers", checkpoint, options, progress)


def load(built: Built, progress: Progress) -> Engine:
    """The engine in memory."""
    progress(f"Loading {built.checkpoint.name}")
    loaded: Engine = _module(built.engine).load(built.folder, built.checkpoint, built.options)
    return loaded


def _build(engine: str, checkpoint: Checkpoint, options: Options, progress: Progress) -> Built:
    return Built(engine, _module(engine).build(checkpoint, options, progress), checkpoint, options)


def _module(engine: str) -> Any:
    return importlib.import_module(f".{engine}", __name__)
