"""Every class of the record, with what it says of them in sentences."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from . import engine_dir
from .models import CLASSES, Model, abstract, data_class, enumeration, model, opaque
from .record import ERA, RECORD, described
from .scenario import gpu, log, say
from .types import Refused

for _name, _spec in RECORD["classes"].items():
    if _spec["kind"] == "enum":
        enumeration(_name)
    elif _spec["kind"] == "opaque":
        opaque(_name)
    elif _spec["kind"] == "abc":
        abstract(_name)

QuantAlgo, KVCacheType = CLASSES["QuantAlgo"], CLASSES["KVCacheType"]
KvCacheConfig = model("KvCacheConfig")


_NOT_ON_SM100 = (
    "gemm_swiglu_plugin", "fp8_rowwise_gemm_plugin", "low_latency_gemm_plugin", "low_latency_gemm_swiglu_plugin", "bert_context_fmha_fp32_acc",
)  # fmt: skip


class _Plugin(Model):
    """'enable' and 'disable' stand for values, and 'auto' for the dtype."""

    def _before(self, name: str, value: Any) -> Any:
        if value == "enable":
            return True
        if value == "disable":
            return None if self.model_fields[name].type.name == "Optional" else False
        return value

    def _after(self) -> None:
        if gpu().sm // 10 == 10:
            for name in _NOT_ON_SM100:
                if getattr(self, name):
                    raise ValueError(f"{name} is not supported on SM100")

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        return super().__getattribute__("dtype") if value == "auto" and name in type(self).model_fields else value


PluginConfig = model("PluginConfig", _Plugin)


class _Build(Model):
    def update_kv_cache_type(self, model_architecture: str) -> None:
        if self.kv_cache_type is None:
            self.kv_cache_type = KVCacheType.PAGED

    @classmethod
    def from_json_file(cls, config_file: str | Path) -> Any:
        return cls.from_dump(json.loads(Path(config_file).read_text(encoding="utf-8")))

    @classmethod
    def from_dump(cls, dumped: dict[str, Any]) -> Any:
        known = {name: value for name, value in dumped.items() if name not in ("lora_config", "plugin_config")}
        return cls(**known, plugin_config=PluginConfig(**dumped.get("plugin_config", {})))

    def dump(self) -> dict[str, Any]:
        """What an engine's config.json holds."""
        return self.model_dump(mode="json", exclude=("dry_run", "visualize_network")) | {"lora_config": {}}


BuildConfig = model("BuildConfig", _Build)


class _Calib(Model):
    @classmethod
    def from_dict(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def to_dict(self) -> dict[str, Any]:
        return self.model_dump()


CalibConfig = model("CalibConfig", _Calib)
QuantConfig = model("QuantConfig") if ERA == "pytorch" else data_class("QuantConfig")


class BuildCacheConfig:
    """Where the library's own build cache is, and how large."""

    def __init__(self, cache_root: Path | None = None, max_records: int = 10, max_cache_storage_gb: float = 256) -> None:
        default = os.environ.get("TLLM_LLMAPI_BUILD_CACHE_ROOT") or Path(tempfile.gettempdir()) / ".cache" / "tensorrt_llm" / "llmapi"
        self._cache_root = Path(cache_root or default)
        self._max_records = max_records
        self._max_cache_storage_gb = max_cache_storage_gb

    cache_root = property(lambda self: self._cache_root)
    max_records = property(lambda self: self._max_records)
    max_cache_storage_gb = property(lambda self: self._max_cache_storage_gb)


if ERA in described("BuildCacheConfig")["eras"]:
    BuildCacheConfig.__module__ = "tensorrt_llm.llmapi"
    CLASSES["BuildCacheConfig"] = BuildCacheConfig


class _Args(Model):
    """What both backends' arguments do."""

    def _before(self, name: str, value: Any) -> Any:
        if name == "mpi_session":
            raise Refused("extra_forbidden", "Extra inputs are not permitted (the alias _mpi_session populates it)")
        return value

    def _after(self) -> None:
        device = gpu()
        if device.count == 0:
            raise RuntimeError("Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a driver.")
        if self.dtype == "bfloat16" and device.sm < 80:
            raise RuntimeError("Pre SM 80 GPUs do not support bfloat16")
        self.max_input_len = self.max_input_len or 1024
        self._check()

    def _check(self) -> None:
        raise NotImplementedError

    @property
    def world_size(self) -> int:
        return int(self.tensor_parallel_size * self.pipeline_parallel_size * self.context_parallel_size)

    @property
    def model_format(self) -> str:
        folder = Path(self.model)
        return engine_dir.kind_of(folder) if folder.is_dir() else "hf"


class _TrtArgs(_Args):
    def _check(self) -> None:
        self.calib_config = self.calib_config or CalibConfig()
        self.quant_config = self.quant_config or QuantConfig()
        if self.kv_cache_config.dtype != "auto":
            raise AssertionError("KvCacheConfig.dtype is not supported by the TensorRT backend")
        self._check_cache()
        if self.model_format == "engine":
            self._take_engine(json.loads((Path(self.model) / "config.json").read_text(encoding="utf-8")))
        elif self.build_config is None:
            given = {
                name: getattr(self, name) for name in ("max_batch_size", "max_num_tokens", "max_seq_len", "max_beam_width", "max_input_len")
            }
            self.build_config = BuildConfig(**{name: value for name, value in given.items() if value is not None})
        self._clamp()
        if self.world_size == 1:
            self.build_config.plugin_config.nccl_plugin = None
        if self.fast_build and self.quant_config.quant_algo == QuantAlgo.FP8:
            self.build_config.plugin_config.manage_weights = True

    def _check_cache(self) -> None:
        if self.enable_build_cache and self.enable_build_cache is not True and not isinstance(self.enable_build_cache, BuildCacheConfig):
            raise ValueError(f"Invalid build_cache_config: {self.enable_build_cache}")
        if self.enable_build_cache is True:
            self.enable_build_cache = BuildCacheConfig()

    def _take_engine(self, config: dict[str, Any]) -> None:
        if self.build_config is not None:
            _warn("The build_config is ignored for model format of TLLM_ENGINE.")
        self.build_config = BuildConfig.from_dump(config["build_config"])
        mapping = config["pretrained_config"]["mapping"]
        for name, short in (
            ("tensor_parallel_size", "tp_size"),
            ("pipeline_parallel_size", "pp_size"),
            ("context_parallel_size", "cp_size"),
        ):
            if getattr(self, name) not in (1, mapping[short]):
                raise ValueError(f"{short} {getattr(self, name)} is not consistent with the engine's {short} {mapping[short]}")
            object.__setattr__(self, name, mapping[short])

    def _clamp(self) -> None:
        for name in ("max_batch_size", "max_num_tokens"):
            limit, given = getattr(self.build_config, name), getattr(self, name)
            if given is not None and given > limit:
                if name in self._given:
                    _warn(f"{name} [{given}] is clamped to the engine's [{limit}]")
                object.__setattr__(self, name, limit)
        for name in ("max_seq_len", "max_beam_width", "max_input_len"):
            limit, given = getattr(self.build_config, name), getattr(self, name)
            if name in self._given and given is not None and given != limit:
                _warn(f"{name} [{given}] is overridden by build_config.{name} [{limit}]")


class _TorchArgs(_Args):
    def _check(self) -> None:
        self.max_beam_width = self.max_beam_width or 1
        self.max_batch_size = self.max_batch_size or 2048
        self.backend = self.backend or "pytorch"

    @property
    def quant_config(self) -> Any:
        return QuantConfig()


def _warn(message: str) -> None:
    say(f"[W] {message}")
    log("warning", message=message)


TrtLlmArgs = model("TrtLlmArgs", _TrtArgs)
TorchLlmArgs = model("TorchLlmArgs", _TorchArgs)


def _validate_guides(self: Any) -> None:
    guides = [name for name in type(self).__slots__ if getattr(self, name)]
    if len(guides) > 1:
        raise ValueError(f"Only one guide can be used for a request, but got {len(guides)}.")


GuidedDecodingParams = data_class("GuidedDecodingParams", _validate=_validate_guides)


def _sampling_post_init(self: Any) -> None:
    self.pad_id = self.end_id if self.pad_id is None else self.pad_id
    self.best_of = self.best_of or self.n
    if self.top_p is not None and not 0 <= self.top_p <= 1:
        raise ValueError(f"require 0 <= top_p <= 1, got top_p={self.top_p}")
    for name in ("top_k", "temperature"):
        value = getattr(self, name)
        if value is not None and value < 0:
            raise ValueError(f"require {name} >= 0, got {name}={value}")
    if self.best_of < self.n:
        raise ValueError(f"best_of ({self.best_of}) cannot be less than n ({self.n})")
    if self.best_of > 1 and self._greedy_decoding and not os.environ.get("TLLM_ALLOW_N_GREEDY_DECODING"):
        raise ValueError(f"Greedy decoding in the LLM API does not allow multiple returns: best_of={self.best_of}")
    if self.truncate_prompt_tokens is not None and self.truncate_prompt_tokens < 1:
        raise ValueError(f"truncate_prompt_tokens must be >= 1, got {self.truncate_prompt_tokens}")
    if self.guided_decoding is not None:
        self.guided_decoding._validate()
    self.logprobs = self.logprobs and int(self.logprobs)
    self.prompt_logprobs = self.prompt_logprobs and int(self.prompt_logprobs)


def _implies_greedy(*, temperature: float | None, top_p: float | None, top_k: int | None, use_beam_search: bool) -> bool:
    unset = temperature is None and top_p is None and top_k is None
    return not use_beam_search and (unset or top_k == 1 or top_p == 0 or temperature == 0)


def _greedy(self: Any) -> bool:
    return _implies_greedy(temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, use_beam_search=self.use_beam_search)


def _stops(self: Any) -> list[tuple[int | str, list[int]]]:
    """What ends a reply: (the reason to report, its tokens)."""
    texts = [self.stop] if isinstance(self.stop, str) else self.stop or []
    return [(token, [token]) for token in self.stop_token_ids or []] + list(zip(texts, self._stop_word_ids or [], strict=True))


SamplingParams = data_class(
    "SamplingParams",
    hidden=(("_stop_word_ids", None), ("_bad_word_ids", None), ("_stream_interval", None)),
    __post_init__=_sampling_post_init,
    params_imply_greedy_decoding=staticmethod(_implies_greedy),
    _greedy_decoding=property(_greedy),
    _stops=_stops,
)
CompletionOutput = data_class(
    "CompletionOutput",
    hidden=(("_last_text_len", 0), ("_last_token_ids_len", 0), ("_last_logprobs_len", 0), ("_detokenized", None)),
    length=property(lambda self: len(self.token_ids)),
    text_diff=property(lambda self: self.text[self._last_text_len :]),
    token_ids_diff=property(lambda self: self.token_ids[self._last_token_ids_len :]),
    logprobs_diff=property(lambda self: self.logprobs[self._last_logprobs_len :]),
)
