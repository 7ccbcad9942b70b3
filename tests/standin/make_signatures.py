"""Make llm_magics/engines/tensorrt_llm/signatures.json: the names of the library that the adapter uses, for the doctor to look for.

``python -m tests.standin.make_signatures`` takes where each name stands from record.json, and stops at a name that the record does not
hold for that era. tests/test_doctor.py holds the tables here against what the adapter's source passes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECORD = Path(__file__).parent / "record.json"
SIGNATURES = Path(__file__).parents[2] / "llm_magics" / "engines" / "tensorrt_llm" / "signatures.json"
ERAS = ("engine", "pytorch")

_LOADED = ("model", "tokenizer", "tensor_parallel_size", "trust_remote_code", "kv_cache_config", "guided_decoding_backend")
_LIMITS = ("max_seq_len", "max_input_len", "max_batch_size", "max_num_tokens")

# Where the adapter imports a class from -> the fields that it sets or reads.
FIELDS: dict[str, dict[str, tuple[str, ...]]] = {
    "engine": {
        "tensorrt_llm.llmapi.TrtLlmArgs": (*_LOADED, "dtype", "build_config", "quant_config", "gather_generation_logits"),
        "tensorrt_llm.llmapi.BuildConfig": (*_LIMITS, "max_beam_width", "gather_generation_logits", "plugin_config"),
        "tensorrt_llm.plugin.PluginConfig": ("tokens_per_block", "gemm_plugin"),
        "tensorrt_llm.llmapi.QuantConfig": ("quant_algo",),
        "tensorrt_llm.llmapi.QuantAlgo": ("W8A16", "W4A16", "FP8"),
        "tensorrt_llm.llmapi.KvCacheConfig": ("enable_block_reuse", "max_tokens", "max_gpu_total_bytes"),
    },
    "pytorch": {
        "tensorrt_llm.llmapi.TorchLlmArgs": (*_LOADED, "dtype", *_LIMITS),
        "tensorrt_llm.llmapi.KvCacheConfig": ("enable_block_reuse", "max_tokens", "max_gpu_total_bytes", "tokens_per_block"),
    },
}
BOTH: dict[str, tuple[str, ...]] = {
    "tensorrt_llm.SamplingParams": (
        "max_tokens", "temperature", "top_p", "top_k", "seed", "stop", "stop_token_ids", "end_id", "guided_decoding", "logprobs",
        "return_perf_metrics",
    ),
    "tensorrt_llm.llmapi.GuidedDecodingParams": ("json", "grammar"),
    "tensorrt_llm.llmapi.CompletionOutput": ("text", "token_ids", "finish_reason", "stop_reason", "logprobs", "request_perf_metrics"),
    "tensorrt_llm.llmapi.RequestOutput": ("outputs", "cached_tokens", "abort"),
}  # fmt: skip
# The era's class of loaded models, its methods, and the one parameter that is passed by its name.
LLM = {"engine": "tensorrt_llm._tensorrt_engine.LLM", "pytorch": "tensorrt_llm.LLM"}
METHODS = {"engine": ("generate_async", "save", "shutdown"), "pytorch": ("generate_async", "shutdown")}
BY_NAME = {"generate_async": ("streaming",)}


def signatures(record: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The whole file, by era."""
    return {era: [_entry(path, names) for path, names in _used(era, record)] for era in ERAS}


def _entry(path: str, names: tuple[str, ...]) -> dict[str, Any]:
    return {"path": path, "names": sorted(names)}


def _used(era: str, record: dict[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    fields = {**FIELDS[era], **BOTH}
    for path, names in fields.items():
        _check(era, path, names, _recorded(era, path, record))
    llm = record["llm"][era]
    _check(era, LLM[era], METHODS[era], {LLM[era]: set(record["methods"])} if LLM[era] in llm["import_paths"] else {})
    made = [*fields.items(), (LLM[era], METHODS[era])]
    for method, names in BY_NAME.items():
        known = {parameter["name"] for parameter in record["methods"][method]["params"]}
        _check(era, f"{LLM[era]}.{method}", names, {f"{LLM[era]}.{method}": known})
        made.append((f"{LLM[era]}.{method}", names))
    return made


def _recorded(era: str, path: str, record: dict[str, Any]) -> dict[str, set[str]]:
    """Where the record has the class of that path -> its names."""
    name = path.rpartition(".")[2]
    found = record["classes"].get(name) or record["results"].get(name)
    if found is None or era not in found.get("eras", ERAS):
        return {}
    parts = [part for key in ("parameters", "properties", "attributes", "methods") for part in found.get(key, ())]
    names = {part["name"] if isinstance(part, dict) else part for part in parts} | set(found.get("members", ()))
    return dict.fromkeys(found["import_paths"], names)


def _check(era: str, path: str, names: tuple[str, ...], recorded: dict[str, set[str]]) -> None:
    if path not in recorded:
        raise SystemExit(f"The record has no {path} in the {era} era.")
    unknown = sorted(set(names) - recorded[path])
    if unknown:
        raise SystemExit(f"The record's {path} has no {', '.join(unknown)} in the {era} era.")


def text() -> str:
    """What signatures.json must hold."""
    return json.dumps(signatures(json.loads(RECORD.read_text(encoding="utf-8"))), indent=1) + "\n"


if __name__ == "__main__":
    SIGNATURES.write_text(text(), encoding="utf-8")
