"""Compiles an engine, in a process of its own: ``python -m llm_magics.engines.tensorrt_llm.builder``, the recipe on its standard input.

A process of its own, because a build may be interrupted, killed or crash without harm to the kernel, and because all its
memory comes back. It ends when the kernel does: the pipe to its standard input is closed then.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base import Progress
from . import failures
from .recipe import QUANT_ALGOS, Recipe

_STAGE = "llm_magics stage: "
_TOLD_EVERY_S = 5.0


@dataclass(frozen=True)
class Job:
    """What the child process is told. ``kv_tokens`` bounds the KV cache of the engine that it makes only to save it."""

    model: str
    output: str
    dtype: str
    quant_algo: str | None
    tensor_parallel: int
    build: dict[str, Any]
    plugin: dict[str, Any]
    logprobs: bool
    kv_tokens: int
    trust_remote_code: bool


def job(recipe: Recipe, output: Path, trust_remote_code: bool) -> Job:
    """The Job of a recipe."""
    names = ("max_input_len", "max_seq_len", "max_batch_size", "max_beam_width", "max_num_tokens")
    plugin: dict[str, Any] = {"tokens_per_block": recipe.tokens_per_block}
    if recipe.gemm_plugin != "disable":
        plugin["gemm_plugin"] = recipe.gemm_plugin
    return Job(
        model=str(recipe.checkpoint.folder),
        output=str(output),
        dtype=recipe.dtype,
        quant_algo=QUANT_ALGOS[recipe.quantization],
        tensor_parallel=recipe.tensor_parallel,
        build={name: getattr(recipe, name) for name in names},
        plugin=plugin,
        logprobs=recipe.logprobs,
        kv_tokens=recipe.max_seq_len,
        trust_remote_code=trust_remote_code,
    )


def run(task: Job, what: str, progress: Progress) -> None:
    """Build in a child process, with its stages and the time so far; the failure's sentence when it does not come to an end.

    Whatever ends the wait (an interrupt too) ends the child, and the processes that it started.
    """
    command = [sys.executable, "-m", __name__]
    environment = {**os.environ, "HF_HUB_OFFLINE": "0" if task.quant_algo == "FP8" else "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(task.__dict__) + "\n")
        process.stdin.flush()
        output = _followed(process, what, progress)
    except BaseException:
        _end(process)
        raise
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
    if process.returncode:
        raise failures.explained_output(output, process.returncode, what)


def _followed(process: subprocess.Popen[str], what: str, progress: Progress) -> str:
    """Tell the stages and how long it takes; the last lines of the output at the end."""
    lines: deque[str] = deque(maxlen=400)
    stage = what
    changed = threading.Event()

    def read() -> None:
        nonlocal stage
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(_STAGE):
                stage = f"{what}: {line[len(_STAGE) :].strip()}"
                changed.set()
            else:
                lines.append(line)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    started = time.monotonic()
    progress(stage)
    told = started
    while process.poll() is None:
        if changed.wait(0.1) or time.monotonic() - told >= _TOLD_EVERY_S:
            changed.clear()
            told = time.monotonic()
            progress(f"{stage}, {told - started:.0f} s")
    reader.join(timeout=5)
    return "".join(lines)


def _end(process: subprocess.Popen[str]) -> None:
    """End the child and all that it started: they are a process group of their own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()


def _main() -> None:
    """The child's side."""
    task = Job(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    _tell("starting TensorRT-LLM")
    from tensorrt_llm._tensorrt_engine import LLM
    from tensorrt_llm.llmapi import BuildConfig, KvCacheConfig, QuantAlgo, QuantConfig
    from tensorrt_llm.plugin import PluginConfig

    _tell("converting and compiling")
    more: dict[str, Any] = {"gather_generation_logits": True} if task.logprobs else {}
    if task.quant_algo is not None:
        more["quant_config"] = QuantConfig(quant_algo=QuantAlgo(task.quant_algo))
    llm = LLM(
        model=task.model,
        dtype=task.dtype,
        tensor_parallel_size=task.tensor_parallel,
        trust_remote_code=task.trust_remote_code,
        build_config=BuildConfig(**task.build, gather_generation_logits=task.logprobs, plugin_config=PluginConfig(**task.plugin)),
        kv_cache_config=KvCacheConfig(max_tokens=task.kv_tokens),
        **more,
    )
    _tell("saving")
    llm.save(task.output)
    llm.shutdown()


def _tell(stage: str) -> None:
    sys.stdout.write(f"{_STAGE}{stage}\n")
    sys.stdout.flush()


def _end_with_the_parent() -> None:
    sys.stdin.read()  # ends when the parent's side of the pipe is closed
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    _main()
