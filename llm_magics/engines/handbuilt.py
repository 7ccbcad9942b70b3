"""Engines that users have built by hand, with convert_checkpoint.py and trtllm-build: what their config.json tells."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .key import Key, difference

# An engine with more room serves a request for less.
_AT_LEAST = ("max_input_len", "max_seq_len", "max_batch_size", "max_beam_width", "max_num_tokens")
_QUANTIZATIONS = {
    "W8A16": "int8",
    "W8A16_GPTQ": "int8",
    "W4A16": "int4",
    "W4A16_AWQ": "int4",
    "W4A16_GPTQ": "int4",
    "FP8": "fp8",
    "FP8_PER_CHANNEL_PER_TOKEN": "fp8",
    "FP8_BLOCK_SCALES": "fp8",
    "NO_QUANT": "none",
}
# What config.json of an engine and of its model call alike
_SHAPE = ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size")


def config(folder: Path) -> dict[str, Any]:
    """``config.json`` of an engine's folder; empty for every other folder."""
    try:
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    parts = ("pretrained_config", "build_config")
    return told if isinstance(told, dict) and all(isinstance(told.get(part), dict) for part in parts) else {}


def check(folder: Path) -> str | None:
    """None when the engine is all there, else what is wrong."""
    told = config(folder)
    if not told:
        return f"config.json {'is not that of an engine' if (folder / 'config.json').exists() else 'is missing'}"
    for rank in range(world_size(told)):
        path = folder / f"rank{rank}.engine"
        if not path.is_file():
            return f"{path.name} is missing"
        if not path.stat().st_size:
            return f"{path.name} is empty"
    return None


def world_size(told: Mapping[str, Any]) -> int:
    """How many GPUs the engine runs on."""
    mapping = _mapping(told["pretrained_config"], "mapping")
    sizes = [mapping.get(name, 1) for name in ("tp_size", "pp_size", "cp_size")]
    size = mapping.get("world_size") or sizes[0] * sizes[1] * sizes[2]
    return size if isinstance(size, int) else 1


def options(told: Mapping[str, Any]) -> dict[str, Any]:
    """What the engine was built with, under the names of our options; only what ``config.json`` tells."""
    pretrained, build = told["pretrained_config"], told["build_config"]
    plugins = _mapping(build, "plugin_config")
    algorithm = _mapping(pretrained, "quantization").get("quant_algo")
    found = {
        "quantization": _QUANTIZATIONS.get(algorithm, str(algorithm).lower()) if algorithm else "none",
        "dtype": pretrained.get("dtype"),
        "tensor_parallel": _mapping(pretrained, "mapping").get("tp_size", 1),
        **{name: build.get(name) for name in _AT_LEAST},
        "tokens_per_block": plugins.get("tokens_per_block"),
        "gemm_plugin": plugins.get("gemm_plugin"),
        "logprobs": build.get("gather_generation_logits"),
    }
    return {name: value for name, value in found.items() if value is not None}


def differences(told: Mapping[str, Any], key: Key, asked: Mapping[str, Any], model: Mapping[str, Any]) -> tuple[str, ...]:
    """Why the engine does not do for ``key``: empty when it does.

    The version, the quantization and the number of GPUs must be the key's, and what was ``asked`` for be met: limits may be
    higher. ``model`` is the config.json of the model, empty when it is not known: an engine of another shape is another model's.
    """
    return tuple(_differing(told, key, asked, model))


def _differing(told: Mapping[str, Any], key: Key, asked: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[str]:
    met = options(told)
    if str(told.get("version")).split("+")[0] != key.backend_version.split("+")[0]:
        yield difference("version", told.get("version"), key.backend_version)
    must = {"quantization": key.options.get("quantization") or "none", "tensor_parallel": key.options.get("tensor_parallel") or 1}
    for name, wanted in {**asked, **must}.items():
        if not _meets(name, met.get(name), wanted):
            yield difference(name, met.get(name), wanted)
    for name in _SHAPE:
        if name in model and told["pretrained_config"].get(name, model[name]) != model[name]:
            yield difference(name, told["pretrained_config"][name], model[name])


def _meets(name: str, met: Any, wanted: Any) -> bool:
    if wanted is None or name not in _COMPARED:
        return True
    if name in _AT_LEAST:
        return isinstance(met, int) and met >= wanted
    if name == "gemm_plugin" and "auto" in (met, wanted):
        return None not in (met, wanted) and "disable" not in (met, wanted)
    if name == "logprobs":
        return bool(met) or not wanted
    return bool(met == wanted) or wanted == "auto"


_COMPARED = frozenset({*_AT_LEAST, "quantization", "dtype", "tensor_parallel", "tokens_per_block", "gemm_plugin", "logprobs"})


def _mapping(parts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = parts.get(name)
    return part if isinstance(part, dict) else {}
