"""From a model folder to an engine folder, with the time and the accidents that the scenario asks for."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from . import engine_dir
from .classes import BuildCacheConfig, CalibConfig, QuantAlgo
from .record import TENSORRT, VERSION
from .scenario import Memory, fail, gpu, log, say, section

# Those that the real one's model map holds under the same name; others are refused there too.
ARCHITECTURES = (
    "LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "GemmaForCausalLM",
    "Gemma2ForCausalLM", "Gemma3ForCausalLM", "Phi3ForCausalLM", "GPT2LMHeadModel", "GPTNeoXForCausalLM", "FalconForCausalLM", "BloomForCausalLM",
)  # fmt: skip
NO_CALIBRATION = ("W8A16", "W4A16", "FP8_PER_CHANNEL_PER_TOKEN")


def bound() -> dict[str, Any]:
    """What an engine of this machine is bound to."""
    return {"version": VERSION, "tensorrt": TENSORRT, "gpu": gpu().name, "sm": gpu().sm}


def model_folder(args: Any) -> Path:
    """The local folder of the model that was asked for; hub ids are fetched."""
    folder = Path(args.model)
    if folder.is_dir():
        return folder
    mapped = section("hub").get(str(args.model))
    if isinstance(mapped, dict):
        fail(mapped["fail"], model=str(args.model))
    if mapped:
        return Path(mapped)
    import huggingface_hub

    return Path(huggingface_hub.snapshot_download(str(args.model), revision=args.revision))


def check_model(folder: Path) -> dict[str, Any]:
    """The model's config; an error when there is no usable model in ``folder``."""
    path = folder / "config.json"
    if not path.is_file():
        raise OSError(f"{folder} does not appear to have a file named config.json.")
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    architecture = (config.get("architectures") or [config.get("architecture", "")])[0]
    if architecture not in ARCHITECTURES:
        raise NotImplementedError(f"The given huggingface model architecture {architecture} is not supported in TRT-LLM yet")
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        raise RuntimeError(f"Only safetensors/.bin directory is supported: no weights in {folder}")
    return config


def pretrained(args: Any, config: dict[str, Any]) -> dict[str, Any]:
    """``pretrained_config`` of the engine."""
    quant = args.quant_config
    for algorithm in (quant.quant_algo, quant.kv_cache_quant_algo):
        if algorithm is not None and algorithm not in list(QuantAlgo):
            raise ValueError(f"Unsupported quant_algo {algorithm!r}")
    if quant.kv_cache_quant_algo not in (None, "FP8", "INT8", "NVFP4"):
        raise ValueError(f"Unsupported kv_cache_quant_algo {quant.kv_cache_quant_algo!r}")
    names = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "max_position_embeddings")
    kept = {name: config[name] for name in names if name in config}
    return kept | {
        "architecture": (config.get("architectures") or [config.get("architecture")])[0],
        "dtype": config.get("torch_dtype", config.get("dtype", "float16")) if args.dtype == "auto" else args.dtype,
        "mapping": {
            "world_size": args.world_size,
            "tp_size": args.tensor_parallel_size,
            "pp_size": args.pipeline_parallel_size,
            "cp_size": args.context_parallel_size,
        },
        "quantization": {"quant_algo": quant.quant_algo and str(quant.quant_algo), "kv_cache_quant_algo": quant.kv_cache_quant_algo},
    }


def engine_config(args: Any, config: dict[str, Any]) -> dict[str, Any]:
    """``config.json`` of the engine; fills what the build deduces."""
    build_config = args.build_config
    if build_config.max_seq_len is None:
        build_config.max_seq_len = int(config.get("max_position_embeddings", 2048))
    build_config.gather_generation_logits = build_config.gather_generation_logits or args.gather_generation_logits
    build_config.update_kv_cache_type("")
    build_config.max_input_len = min(build_config.max_input_len, build_config.max_seq_len)
    return {"version": VERSION, "pretrained_config": pretrained(args, config), "build_config": build_config.dump()}


def built(args: Any, source: Path, workspace: Path) -> Path:
    """The engine of ``source``, from the library's own cache or built into ``workspace``."""
    config = check_model(source)
    made = engine_config(args, config)
    cache = args.enable_build_cache
    if not cache and os.environ.get("TLLM_LLMAPI_BUILD_CACHE") == "1":
        cache = BuildCacheConfig()
    if not cache:
        return _build(args, source, made, workspace / "engine")
    record = _cached(cache, made, str(args.model))
    if not (record / "metadata.json").is_file():
        _build(args, source, made, record / "content")
        (record / "metadata.json").write_text(json.dumps({"version": VERSION, "datetime": time.time(), "model_name": str(args.model)}))
    return record / "content"


def _cached(cache: Any, made: dict[str, Any], model: str) -> Path:
    if cache.max_records < 1:
        raise ValueError("max_records should be greater than 0")
    root: Path = cache.cache_root
    root.mkdir(parents=True, exist_ok=True)
    for entry in root.iterdir():  # as the real one: whatever is no valid record goes
        if not (entry / "metadata.json").is_file():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    key = json.dumps([VERSION, made["build_config"], made["pretrained_config"]["quantization"], model], sort_keys=True, default=str)
    return root / f"engine-{hashlib.md5(key.encode()).hexdigest()}"


def _build(args: Any, source: Path, made: dict[str, Any], target: Path) -> Path:
    wanted = {"seconds": 0.05, "steps": 4, "engine_bytes": 65536, "at": 0.5, "fail": None, "uninterruptible": False} | section("build")
    if wanted["uninterruptible"]:  # as the C++ builder is
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    named = {"folder": str(target), "model": str(args.model)}
    log(
        "build_start",
        **named,
        build_config=made["build_config"],
        quant_config=made["pretrained_config"]["quantization"],
        fast_build=args.fast_build,
    )
    try:
        _quantize(args)
        for number, text in enumerate(("Loading HF model to memory", "Building TRT-LLM engine"), 1):
            say(f"Loading Model: [{number}/2]\t{text}")
        steps = max(1, wanted["steps"])
        for step in engine_dir.write(target, made, bound(), size=wanted["engine_bytes"], steps=steps):
            if wanted["fail"] and step >= int(wanted["at"] * steps):
                fail(wanted["fail"])
            time.sleep(wanted["seconds"] / steps)
            log("build_step", step=step + 1, steps=steps, **named)
        if engine_dir.kind_of(source) == "hf":
            for path in source.glob("tokenizer*"):
                shutil.copy2(path, target / path.name)
    except BaseException as exc:
        log("build_failed", error=f"{type(exc).__name__}: {exc}", **named)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    log("build_end", **named)
    return target


def _quantize(args: Any) -> None:
    quant, calib = args.quant_config, args.calib_config
    if (quant.quant_algo is not None and quant.quant_algo not in NO_CALIBRATION) or quant.kv_cache_quant_algo is not None:
        assert isinstance(calib, CalibConfig)
        log("calibrate", **calib.to_dict())


def loaded(folder: Path) -> float:
    """Check the engine in ``folder`` and hold its memory; the megabytes held."""
    log("load_start", folder=str(folder))
    wanted = section("load")
    try:
        time.sleep(wanted.get("seconds", 0) + wanted.get("hang_s", 0))
        if wanted.get("fail"):
            fail(wanted["fail"])
        if engine_dir.kind_of(folder) == "engine":
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            if not engine_dir.sound(folder, config, bound()):
                fail("deserialize")
        size = sum(path.stat().st_size for path in folder.iterdir() if path.suffix in (".engine", ".safetensors", ".bin"))
        megabytes = float(wanted.get("memory_mb", size / 2**20))
        Memory.take(megabytes)
    except BaseException as exc:
        log("load_failed", folder=str(folder), error=f"{type(exc).__name__}: {exc}")
        raise
    log("load_end", folder=str(folder), memory_mb=megabytes)
    return megabytes
