"""Compiles an engine with TensorRT-LLM, in a process of its own: ``engines.child`` runs this module with a Job as its argument."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import child
from ..base import Progress
from . import failures
from .recipe import QUANT_ALGOS, Recipe

_STAGE = "llm_magics stage: "


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
    """Build, with the stages and the time so far; the failure's sentence when it does not come to an end."""
    # Only calibration needs anything from the hub: the weights are here already.
    offline = "0" if task.quant_algo == "FP8" else "1"
    ended = child.run(
        __name__, [json.dumps(asdict(task))], what=what, progress=progress, stage=_stage, environment={"HF_HUB_OFFLINE": offline}
    )
    if ended.code:
        raise failures.explained_output(ended.output, ended.code, what)


def _stage(line: str) -> str | None:
    return line.removeprefix(_STAGE).strip() if line.startswith(_STAGE) else None


def _tell(stage: str) -> None:
    sys.stdout.write(f"{_STAGE}{stage}\n")
    sys.stdout.flush()


def _main() -> None:
    """The child's side."""
    task = Job(**json.loads(sys.argv[1]))
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


if __name__ == "__main__":
    _main()
