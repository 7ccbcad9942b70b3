"""A folder of the store -> a model in memory: an engine by what its config.json tells, a prepared checkpoint by its saved settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DependencyError, EngineError, ModelError, OptionError
from ...records import EngineInfo
from .. import handbuilt, manifest, planner
from ..base import Memory, Options, Progress
from ..checkpoint import Checkpoint
from ..gpu import gpus
from ..local import load_tokenizer
from . import failures
from .recipe import Recipe
from .release import Release, machine
from .runtime import TensorRTEngine, set_switches, watched

PREPARED = "prepared.json"


@dataclass(frozen=True)
class Prepared:
    """What stands in a folder, ready to be loaded. ``model`` is what the library is given: the folder itself, or the checkpoint's."""

    kind: str
    model: Path
    version: str
    quantization: str
    dtype: str
    tensor_parallel: int
    max_seq_len: int
    max_input_len: int
    max_batch_size: int
    tokens_per_block: int
    logprobs: bool


def write_prepared(folder: Path, made: Recipe) -> None:
    """Save a checkpoint's load settings: what the PyTorch era has in place of an engine."""
    names = ("quantization", "dtype", "tensor_parallel", "max_seq_len", "max_input_len", "max_batch_size", "tokens_per_block")
    settings = {"model": str(made.checkpoint.folder), "version": made.release.version, **{name: getattr(made, name) for name in names}}
    (folder / PREPARED).write_text(json.dumps(settings, indent=1), encoding="utf-8")


def read(folder: Path) -> Prepared:
    """What ``folder`` holds; ModelError when it is neither an engine nor a prepared checkpoint."""
    told = handbuilt.config(folder)
    if told:
        return _of_engine(folder, told)
    path = folder / PREPARED
    if not path.is_file():
        raise ModelError(
            f"{folder} holds neither an engine nor a prepared checkpoint.", "Remove it (%llm_engines rm), and load the model again."
        )
    settings = json.loads(path.read_text(encoding="utf-8"))
    return Prepared(kind="checkpoint", logprobs=True, **{**settings, "model": Path(settings["model"])})


def _of_engine(folder: Path, told: Mapping[str, Any]) -> Prepared:
    options = handbuilt.options(told)
    positions = told["pretrained_config"].get("max_position_embeddings") or planner.Load.max_seq_len
    max_seq_len = options.get("max_seq_len") or positions
    return Prepared(
        kind="engine",
        model=folder,
        version=str(told.get("version", "")),
        quantization=options["quantization"],
        dtype=str(options.get("dtype", "")),
        tensor_parallel=options["tensor_parallel"],
        max_seq_len=max_seq_len,
        max_input_len=min(options.get("max_input_len") or max_seq_len, max_seq_len),
        max_batch_size=options.get("max_batch_size") or 1,
        tokens_per_block=options.get("tokens_per_block") or 32,
        logprobs=bool(options.get("logprobs")),
    )


def check(found: Prepared, folder: Path, options: Options, release: Release) -> None:
    """What would fail inside the library is met before it is imported, in words: version, GPU, number of GPUs, damage."""
    problem = (manifest.check(folder) if manifest.read(folder) else None) or (handbuilt.check(folder) if found.kind == "engine" else None)
    if problem:
        raise EngineError(
            f"The engine in {folder} is damaged: {problem}.", "`%llm_load MODEL` by its name sets it aside and builds it again."
        )
    if found.version.split("+")[0] != release.version.split("+")[0] and found.kind == "engine":
        raise EngineError(
            f"The engine in {folder.name} was built by TensorRT-LLM {found.version}; {release.version} is installed.",
            "Load the model by its name: it is built for this version. Or install the version that built it.",
        )
    if release.era == "pytorch" and found.kind == "engine":
        raise EngineError(
            f"TensorRT-LLM {release.version} has no TensorRT backend any more: it cannot load the engine in {folder.name}.",
            "Load the model by its name (its checkpoint is then used), or install TensorRT-LLM 1.2.1.",
        )
    if options.tensor_parallel not in (None, found.tensor_parallel):
        raise OptionError(
            f"{folder.name} was built for {found.tensor_parallel} GPU(s), --tensor-parallel {options.tensor_parallel} was asked for.",
            "Leave the option out, or load the model by its name: it is built for that number.",
        )
    _check_gpu(folder, release)


def _check_gpu(folder: Path, release: Release) -> None:
    here = gpus()
    if not here:
        raise DependencyError(
            "No GPU can be seen here: nvidia-smi is missing, or lists none.", "%llm_doctor tells more; without a GPU use --engine onnx."
        )
    made = manifest.read(folder)
    built_for, bound = made.get("machine", {}), machine(release, here)
    for name in ("gpu", "compute_capability"):
        if made and built_for.get(name) and built_for[name] != bound[name]:
            raise EngineError(
                f"{folder.name} was built for {built_for['gpu']}; this is {bound['gpu']}.",
                "Load the model by its name: it is built for this GPU.",
            )


def load(folder: Path, checkpoint: Checkpoint, options: Options, release: Release, progress: Progress) -> TensorRTEngine:
    """The model in memory, with a bounded KV cache, block re-use on, and guided decoding unless it was declined."""
    found = read(folder)
    check(found, folder, options, release)
    tokenizer_folder = _tokenizer_folder(folder, checkpoint)
    set_switches(found.tensor_parallel, progress)
    doing = f"loading {checkpoint.name}"
    guided = options.guided is not False
    try:
        with watched(doing, progress):
            llm = _construct(found, tokenizer_folder, options, release, guided=guided)
    except Exception as exc:
        raise failures.explained(exc, doing) from exc
    info = EngineInfo(
        backend="tensorrt_llm",
        backend_version=release.version,
        model=checkpoint.name,
        quantization=found.quantization,
        device=_device(found),
        max_seq_len=found.max_seq_len,
        max_input_len=min(options.max_input_len or found.max_input_len, found.max_input_len),
    )
    tokenizer = load_tokenizer(str(tokenizer_folder), options.trust_remote_code)
    return TensorRTEngine(llm, info, tokenizer, checkpoint.eos_ids, memory=_memory(found, options), guided=guided, logprobs=found.logprobs)


def _memory(found: Prepared, options: Options) -> Memory:
    """An engine's files hold its weights, a checkpoint's are cast as they are loaded; the library does not tell how full its cache is."""
    files = list(found.model.glob("rank*.engine")) if found.kind == "engine" else []
    weights = sum(path.stat().st_size for path in files) if files else None
    return Memory(weights, options.kv_cache_mb * 2**20 * found.tensor_parallel if options.kv_cache_mb else None)


def _device(found: Prepared) -> str:
    here = gpus()
    name = here[0].name if here else "cuda"
    return name if found.tensor_parallel == 1 else f"{found.tensor_parallel} x {name}"


def _tokenizer_folder(folder: Path, checkpoint: Checkpoint) -> Path:
    for place in (checkpoint.folder, folder):
        if any((place / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")):
            return place
    raise ModelError(
        f"There is no tokenizer in {folder.name}: engines built by trtllm-build hold none.",
        "Load it by its model's name, such as %llm_load owner/name; the store is searched for the engine first.",
    )


def _construct(found: Prepared, tokenizer_folder: Path, options: Options, release: Release, *, guided: bool) -> Any:
    if release.era == "engine":
        from tensorrt_llm._tensorrt_engine import LLM
    else:
        from tensorrt_llm import LLM
    more: dict[str, Any] = {"guided_decoding_backend": "xgrammar"} if guided else {}
    if found.kind == "checkpoint":
        more |= {"dtype": found.dtype, "max_seq_len": found.max_seq_len, "max_batch_size": found.max_batch_size}
        more |= {"max_input_len": found.max_input_len, "max_num_tokens": max(8192, found.max_input_len)}
    elif found.logprobs:
        more["gather_generation_logits"] = True
    return LLM(
        model=str(found.model),
        tokenizer=str(tokenizer_folder),
        tensor_parallel_size=found.tensor_parallel,
        trust_remote_code=options.trust_remote_code,
        kv_cache_config=_kv_cache(found, options),
        **more,
    )


def _kv_cache(found: Prepared, options: Options) -> Any:
    """Blocks are re-used, so a prefix seen before is not computed again.

    A budget in MiB goes in as bytes, or, in releases that have no such field, as the tokens that it holds.
    """
    from tensorrt_llm.llmapi import KvCacheConfig

    fields: dict[str, Any] = {"enable_block_reuse": True}
    if found.kind == "checkpoint":
        fields["tokens_per_block"] = found.tokens_per_block  # an engine has its block size baked in
    if options.kv_cache_mb:
        budget = options.kv_cache_mb * 2**20
        if "max_gpu_total_bytes" in getattr(KvCacheConfig, "model_fields", {}):
            fields["max_gpu_total_bytes"] = budget
        else:
            fields["max_tokens"] = max(1, budget // _bytes_per_token(found))
    return KvCacheConfig(**fields)


def _bytes_per_token(found: Prepared) -> int:
    told = json.loads((found.model / "config.json").read_text(encoding="utf-8"))
    shape = planner.Shape.of(_renamed(told.get("pretrained_config", told)))
    return shape.kv_bytes_per_token(tensor_parallel=found.tensor_parallel)


def _renamed(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """An engine's own config says ``head_size`` where a model's says ``head_dim``."""
    return {**config, "head_dim": config.get("head_dim") or config.get("head_size")}
