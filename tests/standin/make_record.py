"""Make record.json from the project's record of the real API.

``python tests/standin/make_record.py PATH/TO/api-1.2.json`` writes record.json beside this file. The source says a few things
in sentences only; the tables here turn those into data, and stop when a sentence is no longer the one they were written for.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

BOTH = ["engine", "pytorch"]
REMOVED = ["TrtLlmArgs", "BuildConfig", "PluginConfig", "BuildCacheConfig", "CalibConfig"]

# (class, field) -> what its note says, as data.
LIMITS = {
    ("KvCacheConfig", "free_gpu_memory_fraction"): ({"range": [0, 1], "not_none": True}, "0..1 else ValueError"),
    ("KvCacheConfig", "max_attention_window"): ({"positive_list": True}, "non-empty list of positive ints"),
    ("KvCacheConfig", "max_gpu_total_bytes"): ({"range": [0, None]}, ">=0"),
    ("PluginConfig", "dtype"): ({"refused": ["auto"]}, "'auto' is rejected"),
    ("TorchLlmArgs", "load_format"): ({"upper": ["AUTO", "DUMMY", "VISION_ONLY"]}, "strings are upper-cased"),
}
# Kinds of guarding unknown names, from the sentences under "extra" and "unknown_names".
EXTRA = {
    "forbid": "forbid",
    "ignore (explicit)": "ignored by the real one, refused here",
    "not set in the class: pydantic default, unknown names are silently ignored (a strict stand-in should warn or reject)": (
        "ignored by the real one, refused here"
    ),
    "TypeError on unknown names": "TypeError",
    "TypeError on unknown names; slots also block new attributes": "TypeError",
}
KINDS = {
    "pydantic": "model",
    "pydantic BaseModel": "model",
    "plain class in 1.2.1": "plain",
    "dataclass in 1.2.1 (a forbid-extra pydantic model from 1.3 on)": "dataclass",
    "dataclass(slots=True, kw_only=True)": "slots",
    "dataclass(slots=True)": "slots",
    "StrEnum": "enum",
    "ABC": "abc",
}
# Named in types and defaults, but not described by the source: an instance of the default is all that can be had.
OPAQUE = [
    "LoraConfig", "PeftCacheConfig", "SchedulerConfig", "CacheTransceiverConfig", "SparseAttentionConfig", "SpeculativeConfig",
    "ExtendedRuntimePerfKnobConfig", "BatchingType", "CudaGraphConfig", "AttentionDpConfig", "MoeConfig", "Nvfp4GemmConfig", "SamplerType",
    "TorchCompileConfig", "KvCacheConnectorConfig", "RayPlacementConfig", "LookaheadDecodingConfig", "DisaggregatedParams", "LoRARequest",
]  # fmt: skip
# Members that the source names in notes, defaults, or its companion page.
ENUMS = {
    "KVCacheType": {"CONTINUOUS": "continuous", "PAGED": "paged", "DISABLED": "disabled"},
    "SpeculativeDecodingMode": {"NONE": "NONE"},
    "LoadFormat": {"AUTO": "AUTO", "DUMMY": "DUMMY", "VISION_ONLY": "VISION_ONLY"},
    "MetricNames": {
        "TTFT": "ttft",
        "TPOT": "tpot",
        "E2E": "e2e",
        "REQUEST_QUEUE_TIME": "request_queue_time",
        "ARRIVAL_TIMESTAMP": "arrival_timestamp",
    },
}
ENUM_PATHS = {"KVCacheType": ["tensorrt_llm.llmapi.kv_cache_type.KVCacheType"], "MetricNames": ["tensorrt_llm.metrics.MetricNames"]}
# The companion page's ten errors, and what else can go wrong. "errno" and "signal" are acted on; the rest is type and message.
FAILURES = {
    "libmpi": ("import", "ImportError", "libmpi.so.40: cannot open shared object file: No such file or directory"),
    "no_driver": ("import", "ImportError", "libcuda.so.1: cannot open shared object file: No such file or directory"),
    "undefined_symbol": ("import", "ImportError", "tensorrt_llm/libs/libth_common.so: undefined symbol: _ZN3c106detail14torchCheckFailEPKcS2_jS2_"),
    "stub_only": ("import", "ModuleNotFoundError", "No module named 'tensorrt'"),
    "mpi_hang": ("load", "hang", "MPI start-up never comes back, unless TLLM_WORKER_USE_SINGLE_PROCESS=1 or OMPI_MCA_btl_tcp_if_include is set"),
    "deserialize": ("load", "RuntimeError", "[TensorRT-LLM][ERROR] Assertion failed: Failed to deserialize cuda engine. (tllmRuntime.cpp)"),
    "mpi_size": ("load", "RuntimeError", "[TensorRT-LLM][ERROR] Assertion failed: mpiSize == tp * pp (worldConfig.cpp)"),
    "cuda_oom": ("build, load", "OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of {total} GiB of which {free} GiB is free."),
    "cuda_oom_runtime": ("load", "RuntimeError", "[TensorRT-LLM][ERROR] CUDA runtime error in ::cudaMallocAsync(ptr, n, mStream): out of memory (tllmBuffers.h)"),
    "disk_full": ("build, save", "OSError", "No space left on device"),
    "killed": ("build, load", "signal", "SIGKILL of the own process, as the kernel's memory killer does"),
    "gated": ("hub", "GatedRepoError", "403 Client Error. Cannot access gated repo. Access to model {model} is restricted."),
    "unauthorized": ("hub", "GatedRepoError", "401 Client Error. Cannot access gated repo. Access to model {model} is restricted."),
    "too_long": ("request", "RequestError", "Prompt length exceeds maximum input length."),
    "invalid_argument": ("construct", "ValueError", "{cls} got invalid argument: {name}"),
    "worker_died": ("load", "RuntimeError", "Executor worker died during initialization"),
}  # fmt: skip


def fields(source: list[dict[str, Any]], cls: str) -> list[dict[str, Any]]:
    """The parameters of ``cls``, with what their notes say as data."""
    made = []
    for field in source:
        new = dict(field)
        limit, sentence = LIMITS.get((cls, field["name"]), ({}, ""))
        if sentence not in field.get("note", ""):
            raise SystemExit(f"The note of {cls}.{field['name']} has changed: {field.get('note')!r}")
        if limit:
            new["limit"] = limit
        default = field.get("default")
        if isinstance(default, str) and default.partition(".")[0] in ENUMS:
            new["default_enum"] = new.pop("default").split(".")
        made.append(new)
    return made


def described(name: str, source: dict[str, Any], classes: dict[str, Any]) -> dict[str, Any]:
    """One class of the source in the form that the stand-in builds from."""
    made: dict[str, Any] = {"import_paths": source["import_paths"], "eras": ["engine"] if name in REMOVED else BOTH}
    if "members" in source:
        return made | {"kind": "enum", "members": {member: member for member in source["members"]}}
    if source.get("kind") == "exception":
        return made | {"kind": "exception", "base": source.get("base", "Exception"), "when": source.get("when", "")}
    if "call" in source:
        return made | {"kind": "abc", "call": source["call"]}
    own = fields(source.get("fields") or source.get("constructor") or [], name)
    if "inherits" in source and isinstance(source["inherits"], str):
        names = {field["name"] for field in own}
        own = [field for field in fields(classes[source["inherits"]]["fields"], source["inherits"]) if field["name"] not in names] + own
    made |= {"kind": KINDS[source["kind"]], "unknown": EXTRA[source["extra"]] if "extra" in source else "TypeError", "parameters": own}
    if "from 1.3 on" in source["kind"]:
        made["kind_pytorch"] = "model"
    for key in ("properties", "rules", "validation", "validate_assignment", "properties_read_only"):
        if key in source:
            made[key] = source[key]
    return made


def record(api: dict[str, Any], digest: str) -> dict[str, Any]:
    """The whole record."""
    classes = api["classes"]
    special = {
        "tensorrt_llm._tensorrt_engine.LLM",
        "tensorrt_llm.LLM",
        "BaseLlmArgs",
        "RequestOutput",
        "GenerationResult",
        "RequestPerfMetrics",
    }
    made = {name: described(name, source, classes) for name, source in classes.items() if name not in special}
    made |= {
        name: {
            "kind": "enum",
            "import_paths": ENUM_PATHS.get(name, [f"tensorrt_llm.llmapi.llm_args.{name}"]),
            "eras": BOTH,
            "members": members,
        }
        for name, members in ENUMS.items()
    }
    made |= {name: {"kind": "opaque", "import_paths": [f"tensorrt_llm.llmapi.llm_args.{name}"], "eras": BOTH} for name in OPAQUE}
    engine, torch = classes["tensorrt_llm._tensorrt_engine.LLM"], classes["tensorrt_llm.LLM"]
    return {
        "schema": "standin-record/1",
        "made_from": {"schema": api["schema"], "version": api["version"], "sha256": digest},
        "classes": made,
        "llm": {
            "engine": {"import_paths": engine["import_paths"], "eras": ["engine"], "name": "_TrtLLM", "constructor": engine["constructor"]},
            "pytorch": {
                "import_paths": torch["import_paths"],
                "eras": BOTH,
                "name": "LLM",
                "constructor": torch["constructor"],
                "refused": torch["engine_only_name_list"],
            },
        },
        "methods": api["llm_methods"],
        "results": {name: classes[name] for name in ("RequestOutput", "GenerationResult", "RequestPerfMetrics")},
        "errors_at_request_time": api["errors_at_request_time"],
        "metrics_dict": api["metrics_dict"],
        "environment": api["environment"],
        "failures": {name: {"when": when, "type": kind, "message": message} for name, (when, kind, message) in FAILURES.items()},
    }


def main(source: Path) -> None:
    """Write record.json."""
    content = source.read_bytes()
    made = record(json.loads(content), hashlib.sha256(content).hexdigest())
    (Path(__file__).parent / "record.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
